"""The demo goes on: five registered letters, five doors, no network, and the proofs that come of it."""

from __future__ import annotations

import base64
import tempfile
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from demo import pen, seed, staff, tour
from demo.day import CARRIER, CLIENT, expect, files, lines, parcel_number, say
from handset import door
from handset.client import Handset
from handset.ids import new_id
from infra.running import FOLDER, Run

SURNAMES = (
    *("AUBRY", "BERGER", "CARLIER", "DELMAS", "ETIENNE", "FABRE", "GARNIER", "HUBERT", "IMBERT", "JACQUET", "KELLER"),
    *("LACROIX", "MARCHAND", "NAVARRO", "OLIVIER", "PREVOST", "QUENTIN", "RENARD", "SCHMITT", "TESSIER", "VIDAL"),
)
HOLDER = {"last_name": "Nowak", "first_name": "Łukasz"}
STRANGER = ("Durand", "Paul")
NEW_ADDRESS = {"street": "3 QUAI DE LA FOSSE", "postcode": "44000", "town": "NANTES"}
_STREET = "RUE LECOURBE"
_FIRST_PARCEL = 50
"""Beyond those of the day's file."""
_SFTP_SECONDS = 180

EXPECTED_CODES = Counter({"COM;CFM": 5, "PCH;CFM": 5, "LIV;CFM": 3, "REN;LNA": 1, "REN;ACP": 1, "REN;AVI": 1})
"""What the sender must read of the five letters, written here by hand: three handed over, one forwarded, one held."""


class Door(NamedTuple):
    """A letter and whose it is. `digits` are the ten in the middle of its number, `item` is the whole, once known."""

    digits: str
    title: str
    first_name: str
    last_name: str
    house: int
    item: str = ""

    @property
    def address(self) -> dict[str, str]:
        """Where its addressee lives."""
        return {"street": f"{self.house} {_STREET}", "postcode": "75015", "town": "PARIS"}


class Doors(NamedTuple):
    """The five letters of the demo, by what happens to them."""

    by_proxy: Door
    identified: Door
    known: Door
    redirected: Door
    refused: Door


def day(running: Run) -> None:
    """The letters, step by step. Raises DemoFailed, or TimeoutError."""
    number = int(time.time())
    doors, before = _doors(number), files(running)
    _announce(running, doors, number)
    _register(running, doors)
    with tempfile.TemporaryDirectory() as folder:
        handset = staff.enrol(running, CARRIER, Path(folder) / f"letters-{number}")
        items = _take_round(handset, doors)
        _five_doors(handset, items)
        synced = Handset(handset.folder, running.connect_to).sync()
        say(f"Back in the network: {synced.recorded} recorded, {synced.refused} refused")
        expect(synced.refused, 0, "events refused")
    _check_proofs(running, items)
    _show_proof(running, items.identified)
    _check_held(running, items.refused)
    _check_return_files(running, doors, before)


def _doors(number: int) -> Doors:
    """Names that no demo had before: contracts of one address and one name must not overlap."""
    first, second = divmod(number // 7 % len(SURNAMES) ** 2, len(SURNAMES))
    name = f"{SURNAMES[first]} {SURNAMES[second]}"
    house = 2 + number % 50 * 2
    people = (("MME", "Claire", 0), ("MME", "Hélène", 1), ("MME", "Hélène", 1), ("M.", "Jean", 3), ("MME", "Marie", 4))
    return Doors(
        *(
            Door(parcel_number(number, _FIRST_PARCEL + position), title, first_name, name, house + at)
            for position, (title, first_name, at) in enumerate(people)
        )
    )


def _announce(running: Run, doors: Doors, number: int) -> None:
    now = datetime.now(ZoneInfo("Europe/Paris"))
    head = f"BBB001;{number % 10**9};{CLIENT};{now:%Y%m%d%H%M};{now:%Y%m%d}0000;02.00;;DÉMONSTRATION"
    letters = [
        f"DDD001;9V;{one.digits};60;75015;0;;0;;O;N;{one.title}`{one.first_name}`{one.last_name};;;;{one.address['street']};;"
        f"75015;PARIS;RECO-{one.digits};;;;;;FR;R1;O;;;;;;0611111111;;;;"
        for one in doors
    ]
    name = f"{CLIENT}-{number}-letters.txt"
    say(f"Five registered letters (R1, with avis de réception) are announced: {name}")
    seed.drop(running, "announcements", name, "\r\n".join([head, *letters, ""]).encode("iso-8859-1"))
    imported = seed.wait_for_import(running, "announcements", name)
    expect((imported["accepted"], imported["rejected"]), (len(doors), 0), "letters announced and rejected")


def _register(running: Run, doors: Doors) -> None:
    """A proxy for the first addressee, and a redirection for the fourth, verified by the mailed code."""
    support, ops = staff.token(running, "carrier-support"), staff.token(running, "ops")
    today = datetime.now(ZoneInfo("Europe/Paris")).date()
    proxy, redirection = new_id(), new_id()
    staff.call(running, "PUT", f"/v1/proxies/{proxy}", _proxy(doors.by_proxy, today), bearer=support)
    seen = {"method": "post-office", "documents": ["principal-identity", "proof-of-address"]}
    staff.call(running, "POST", f"/v1/proxies/{proxy}/verification", seen, bearer=support)
    say(f"{_name(doors.by_proxy)} gives {HOLDER['first_name']} {HOLDER['last_name']} a proxy")
    asked = _redirection(doors.redirected, today)
    staff.call(running, "PUT", f"/v1/redirections/{redirection}", asked, bearer=support)
    letter = staff.call(running, "GET", f"/v1/redirections/{redirection}/letter", bearer=ops)
    code = {"code": letter["code"]}
    active = staff.call(running, "POST", f"/v1/redirections/{redirection}/verification", code, bearer=support)
    say(f"{_name(doors.redirected)} moves to Nantes; the code came by letter to the old address: {active['state']}")
    expect(active["state"], "active", "state of the redirection")


def _proxy(whose: Door, today: date) -> dict[str, Any]:
    return {
        "principal": {"last_name": whose.last_name, "first_name": whose.first_name, "gender": "f"},
        "address": whose.address,
        "holders": [{**HOLDER, "born_on": "1990-05-17"}],
        "scopes": ["registered"],
        "start": today.isoformat(),
        "end": (today + timedelta(days=300)).isoformat(),
    }


def _redirection(whose: Door, today: date) -> dict[str, Any]:
    return {
        "kind": "definitive",
        "scope": "beneficiaries",
        "subscriber": _name(whose),
        "beneficiaries": [{"last_name": whose.last_name, "first_name": whose.first_name}],
        "old_address": whose.address,
        "new_address": NEW_ADDRESS,
        "start": today.isoformat(),
        "months": 6,
    }


def _take_round(handset: Handset, doors: Doors) -> Doors:
    """The round, once the letters, the proxy and the redirection are on it; the doors with the items' whole numbers."""
    wanted = {one.digits for one in doors}

    def whole() -> dict[str, Any] | None:
        bundle = handset.take_round()
        there = {item["item"][2:12] for item in bundle["items"]}
        return bundle if wanted <= there and bundle["proxies"] and bundle["redirections"] else None

    bundle = seed.wait_for(whole, "the sorting of the letters")
    numbers = {item["item"][2:12]: item["item"] for item in bundle["items"]}
    handset.outbox.close()
    say("The handset takes its round, with the proxy and the redirection, and goes where there is no network")
    return Doors(*(one._replace(item=numbers[one.digits]) for one in doors))


def _five_doors(handset: Handset, doors: Doors) -> None:
    offline = Handset(handset.folder, connect_to=tour.NO_NETWORK)
    bundle = offline.take_round()
    for one in dict.fromkeys(doors):
        offline.scan(one.item, "taken-in-charge")
    proxy = door.proxy_for(bundle, doors.by_proxy.item, HOLDER["last_name"], HOLDER["first_name"], datetime.now(UTC))
    _hand_over(offline, doors.by_proxy, {**HOLDER, "capacity": "holder", "proxy": proxy}, document="passport")
    say(f"  door 1: handed over to {HOLDER['first_name']} {HOLDER['last_name']}, by proxy, with a passport")
    herself = {"last_name": doors.known.last_name, "first_name": doors.known.first_name, "capacity": "addressee"}
    [seen] = _hand_over(offline, doors.identified, herself, document="identity-card")
    say(f"  door 2: handed over to {_name(doors.identified)}, with her identity card")
    earlier = {"item": doors.identified.item, "event": seen["id"]}
    _hand_over(offline, doors.known, herself, procedure="signature-known-person", earlier=earlier)
    say("  the same door: she has just shown her card (article 4-1); the carrier says so and signs too")
    offline.record(
        "facteo.item.redirected", doors.redirected.item, redirection=door.redirection_for(bundle, doors.redirected.item)
    )
    say(f"  door 3: {_name(doors.redirected)} has moved: forwarded")
    expect(door.proxy_for(bundle, doors.refused.item, *STRANGER, datetime.now(UTC)), None, "proxy of a stranger")
    offline.record("facteo.item.not-delivered", doors.refused.item, cause="absent")
    offline.record("facteo.item.held", doors.refused.item, place="post-office")
    say(f"  door 4: {STRANGER[1]} {STRANGER[0]} has no valid proxy: refused, a notice is left, held at the office")
    offline.outbox.close()


def _hand_over(handset: Handset, at: Door, receiver: dict[str, Any], **said: Any) -> list[dict[str, Any]]:
    """Drawn by hands that nobody has: the strokes of each act are its own."""
    known = said.get("procedure") == "signature-known-person"
    hand = 2 * int(at.digits)
    text = ["Remise contre signature", at.item, f"{receiver['first_name']} {receiver['last_name']}"]
    return handset.hand_over(
        [at.item],
        receiver,
        pen.drawing(hand),
        text=text,
        opened_at=datetime.now(UTC) - timedelta(milliseconds=2 * pen.MILLISECONDS),
        carrier_drawing=pen.drawing(hand + 1) if known else None,
        **said,
    )


def _check_proofs(running: Run, doors: Doors) -> None:
    for told, one in (("by proxy", doors.by_proxy), ("article 4", doors.identified), ("article 4-1", doors.known)):
        [proof] = _proofs(running, one.item)
        expect((proof["missing"], proof["flags"]), ([], []), f"mentions missing and flags of the proof {told}")
        say(f"  proof {told}: complete by all its mentions, can be read until {proof['readable_until']}")


def _proofs(running: Run, item: str) -> list[dict[str, Any]]:
    bearer = staff.token(running, "carrier-support")

    def judged() -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = staff.call(running, "GET", f"/v1/items/{item}/proofs", bearer=bearer)["proofs"]
        return found or None

    return seed.wait_for(judged, f"the proof of {item}")


def _show_proof(running: Run, one: Door) -> None:
    [proof] = _proofs(running, one.item)
    why = {"reason": "claim", "details": "démonstration", "identity_checked": ""}
    bearer = staff.token(running, "carrier-support")
    read = staff.call(running, "POST", f"/v1/proofs/{proof['id']}/readings", why, bearer=bearer)
    for name, content in (("preuve", read["document"]), ("avis-de-reception", read["acknowledgement"])):
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{name}-{one.item}.pdf"
        path.write_bytes(base64.b64decode(content))
        say(f"  {path}: open it and look at it")
    log = staff.call(running, "GET", f"/v1/proofs/{proof['id']}/readings", bearer=staff.token(running, "auditor"))
    expect([one["reason"] for one in log["readings"]], ["claim"], "readings on record")


def _check_held(running: Run, one: Door) -> None:
    bearer = staff.token(running, "depot-manager")

    def held() -> dict[str, Any] | None:
        found = staff.call(running, "GET", "/v1/depots/75015A/held", bearer=bearer)["items"]
        return next((item for item in found if item["item"] == one.item), None)

    found = seed.wait_for(held, "the held letter")
    say(f"  the refused letter is held until {found['last_day']}, and goes back from {found['return_due_on']}")


def _check_return_files(running: Run, doors: Doors, before: set[str]) -> None:
    say("The letters' lines come with the next return files ...")
    parcels = {one.digits for one in doors}

    def complete() -> Counter[str] | None:
        told = lines(running, files(running) - before)
        found = Counter({line: count for line, count in told.items() if line.partition(";")[0] in parcels})
        return found if found.total() >= EXPECTED_CODES.total() else None

    found = seed.wait_for(complete, "the letters' return files", _SFTP_SECONDS)
    codes = Counter(line.partition(";")[2] for line in found.elements())
    expect(codes, EXPECTED_CODES, "codes of the letters")
    say(f"  {found.total()} lines: {', '.join(f'{count} x {code}' for code, count in sorted(codes.items()))}")


def _name(one: Door) -> str:
    return f"{one.first_name} {one.last_name}"
