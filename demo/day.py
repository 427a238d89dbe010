"""A day of the post, from a legacy file to a handset and back, against what `make run` started."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from demo import seed, staff, tour
from handset.client import Handset, Synced
from handset.transport import NoNetwork
from infra.running import Run

CARRIER = "C1001"
CLIENT = "999999"
KILLED_AFTER = 41
"""Events recorded before the handset is killed: in the middle of the second pass over the round."""

_STREETS = ("RUE DE VAUGIRARD", "RUE LECOURBE", "AVENUE DE SUFFREN")
_GOOD, _BAD = 37, 3
_SFTP_SECONDS = 180

EXPECTED_CODES = {
    ("facteo.item.announced", ""): "COM;CFM",
    ("facteo.item.scanned", "taken-in-charge"): "PCH;CFM",
    ("facteo.item.delivered", "addressee"): "LIV;CFM",
    ("facteo.item.delivered", "caretaker"): "LIV;GAR",
    ("facteo.item.not-delivered", "refused"): "REN;DIV",
    ("facteo.item.held", "post-office"): "REN;AVI",
}
"""What the sender must read of each fact, written here by hand so that the product is not its own witness."""


class DemoFailed(SystemExit):
    """Something is not as it should be."""


def day(running: Run) -> Counter[str]:
    """The day, step by step; the lines that its return files hold. Raises DemoFailed, or TimeoutError.

    It may be played again on the same day: what the carrier could not deliver is on the round again.
    """
    number = int(time.time())
    before = files(running)
    _announce(running, number)
    with tempfile.TemporaryDirectory() as folder:
        handset = _enrol(running, Path(folder) / f"{CARRIER}-{number}")
        items = _take_round(handset, number)
        _work_offline(handset, items)
        _sync_twice(running, handset)
    return _check_return_files(running, number, items, before)


def say(text: str) -> None:
    """Show progress."""
    print(f"{datetime.now(ZoneInfo('Europe/Paris')):%H:%M:%S}  {text}", flush=True)


def announcement_file(number: int) -> bytes:
    """A flat announcement file 02.00 with 40 lines, of which 3 are bad: no postcode, no weight, no name."""
    now = datetime.now(ZoneInfo("Europe/Paris"))
    lines = [f"BBB001;{number % 10**9};{CLIENT};{now:%Y%m%d%H%M};{now:%Y%m%d}0000;02.00;;DÉMONSTRATION"]
    lines += [_line(number, position) for position in range(_GOOD)]
    faults = ((";75015;0;", ";;0;"), (";1000;75015", ";lourd;75015"), ("M.`Rémi`DUPRÉ", ""))
    for position, (good, bad) in enumerate(faults):
        lines.insert(10 * (position + 1), _line(number, _GOOD + position).replace(good, bad, 1))
    return "\r\n".join([*lines, ""]).encode("iso-8859-1")


def parcel_number(number: int, position: int) -> str:
    """The ten digits of a parcel: no other demo has it for four months."""
    return f"{(number % 10**7) * 100 + position:010}"


def _line(number: int, position: int) -> str:
    parcel = parcel_number(number, position)
    street = f"{2 * position + 1} {_STREETS[position % len(_STREETS)]}"
    return (
        f"DDD001;9V;{parcel};1000;75015;0;;0;;O;N;M.`Rémi`DUPRÉ;;;;{street};;75015;PARIS;"
        f"REF-{number}-{position:02};;;;;;FR;;;;;;;;0611111111;;;;"
    )


def _announce(running: Run, number: int) -> None:
    name = f"{CLIENT}-{number}.txt"
    say(f"A sender's file with {_GOOD + _BAD} lines, {_BAD} of them bad, is put in the inbox: {name}")
    seed.drop(running, "announcements", name, announcement_file(number))
    imported = seed.wait_for_import(running, "announcements", name)
    say(f"  imported: {imported['accepted']} announced, {imported['rejected']} rejected")
    rejects = seed.fetch(running, imported["rejects"]).decode()
    for line in rejects.splitlines()[1:]:
        say(f"    line;rank;reason  {line}")
    expect((imported["accepted"], imported["rejected"]), (_GOOD, _BAD), "lines announced and rejected")


def _enrol(running: Run, folder: Path) -> Handset:
    handset = staff.enrol(running, CARRIER, folder)
    say(f"The handset of {CARRIER} is enrolled as {handset.enrolment['device']}")
    return handset


def _take_round(handset: Handset, number: int) -> list[str]:
    """The items of the round, once all of this demo's file are sorted onto it."""
    announced = {parcel_number(number, position) for position in range(_GOOD)}

    def whole() -> dict[str, Any] | None:
        bundle = handset.take_round()
        return bundle if announced <= {item["item"][2:12] for item in bundle["items"]} else None

    bundle = seed.wait_for(whole, "the sorting of the items")
    items = tour.items_of(bundle)
    say(f"It takes its round: {len(items)} items, snapshot {bundle['snapshot']}, and goes where there is no network")
    return items


def _work_offline(handset: Handset, items: list[str]) -> None:
    folder = handset.folder
    handset.outbox.close()
    command = [sys.executable, "-m", "demo.tour", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if int(line) == KILLED_AFTER:
                process.send_signal(signal.SIGKILL)
                break
    say(f"Killed in the middle, after event {KILLED_AFTER}. It is started again and goes on")
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    again = Handset(folder, connect_to=tour.NO_NETWORK)
    numbers = [event["sequence"] for event in again.outbox.all()]
    say(f"  {len(numbers)} events wait in the outbox")
    expect(numbers, list(range(1, 2 * len(items) + 1)), "numbers of the events, without a gap")
    try:
        again.sync()
    except NoNetwork:
        say("  a sync without network changes nothing")
    again.outbox.close()


def _sync_twice(running: Run, handset: Handset) -> None:
    """The second time from a copy of the outbox: as if the answers had been lost on the way."""
    folder = handset.folder
    copy = folder.with_name(f"{folder.name}-answers-lost")
    shutil.copytree(folder, copy)
    synced = Handset(folder, running.connect_to).sync()
    say(f"Back in the network. First sync: {_summary(synced)}")
    repeated = Handset(copy, running.connect_to).sync()
    say(f"  the same again, as if the answers were lost: {_summary(repeated)}")
    expect((repeated.recorded, repeated.duplicate), (0, synced.recorded), "recorded by the second sync, duplicates")


def _check_return_files(running: Run, number: int, items: list[str], before: set[str]) -> Counter[str]:
    say("The return files come within a minute or two ...")
    expected = _expected_lines(number, items)

    def complete() -> Counter[str] | None:
        found = lines(running, files(running) - before)
        return found if found.total() >= expected.total() else None

    found = seed.wait_for(complete, "the return files", _SFTP_SECONDS)
    for name in sorted(files(running) - before):
        say(f"  {name}")
    expect(found, expected, "lines of the return files")
    say(f"  {found.total()} lines, each exactly once")
    return found


def _expected_lines(number: int, items: list[str]) -> Counter[str]:
    expected = Counter(
        f"{parcel_number(number, position)};{EXPECTED_CODES['facteo.item.announced', '']}" for position in range(_GOOD)
    )
    for event_type, item, data in tour.facts(items):
        expected[f"{item[2:12]};{EXPECTED_CODES[event_type, next(iter(data.values()))]}"] += 1
    return expected


def lines(running: Run, names: set[str]) -> Counter[str]:
    """Parcel number, situation and justification of every line of these return files."""
    split = (
        line.split(";")
        for name in names
        for line in (Path(running.sftp_root) / name).read_text("iso-8859-1").splitlines()
    )
    return Counter(f"{fields[2]};{fields[4]};{fields[5]}" for fields in split)


def files(running: Run) -> set[str]:
    """The names of the return files that the SFTP folder holds for the demo's client."""
    return {path.name for path in Path(running.sftp_root).glob(f"{CLIENT}.*.ok")}


def _summary(synced: Synced) -> str:
    return f"{synced.recorded} recorded, {synced.duplicate} known already, {synced.refused} refused"


def expect(found: Any, expected: Any, what: str) -> None:
    """Raise DemoFailed unless both are equal."""
    if found != expected:
        raise DemoFailed(f"{what}: {found} instead of {expected}")
