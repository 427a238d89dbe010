"""`bin/facteo`: what a visitor of the local run needs at hand."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

from demo import alerts, console, doors, failures, losses, pager, seed, staff
from demo.console import Console
from demo.pager import Page
from handset import __main__ as handset
from handset.client import Handset, NotEnrolled
from handset.transport import Refused
from infra.running import FOLDER, Run


def main() -> int:
    """Run one command."""
    given = _parser().parse_args()
    with failures.told():
        return _run(Run.load(), given)


def _run(running: Run, given: argparse.Namespace) -> int:
    match given.command:
        case "roles":
            print("\n".join(staff.ROLES))
        case "token":
            print(staff.system_token(running) if given.role == "tracking-site" else staff.token(running, given.role))
        case "ticket":
            _show_ticket(staff.ticket(running, given.carrier))
        case "item":
            bearer = staff.token(running, "carrier-support")
            _show(staff.call(running, "GET", f"/v1/items/{given.item}", bearer=bearer))
        case "drop":
            seed.drop(running, given.kind, given.file.name, given.file.read_bytes())
            _show(seed.wait_for_import(running, given.kind, given.file.name))
        case "handset":
            return _handset(running, given)
        case "console":
            _until_interrupted(lambda stopped: console.watch(Console(running, given.zone), stopped))
        case "pager":
            _until_interrupted(lambda stopped: _page(running, stopped))
        case "text":
            _text(running, given)
        case _:
            given.run(running, given)
    return 0


def _handset(running: Run, given: argparse.Namespace) -> int:
    given.folder, given.connect_to = FOLDER / "handsets" / given.carrier, running.connect_to
    match given.action:
        case "enrol":
            _enrol(running, given.carrier, given.folder)
        case "retire":
            _retire(running, given.carrier)
        case _:
            return handset.run(given)
    return 0


def _enrol(running: Run, carrier: str, folder: Path) -> None:
    try:
        print(handset.enrolled(staff.enrol(running, carrier, folder)))
    except Refused as refusal:
        if refusal.problem.get("type") != "/problems/already-enrolled":
            raise
        raise SystemExit(
            f"{carrier} has an enrolled handset already: go on with 'bin/facteo handset round {carrier}', or retire it "
            f"with 'bin/facteo handset retire {carrier}' and enrol again."
        ) from None


def _retire(running: Run, carrier: str) -> None:
    device = staff.retire(running, carrier)
    if device is None:
        raise SystemExit(f"{carrier} has no enrolled handset: 'bin/facteo handset enrol {carrier}' enrols one.")
    print(f"{device} is retired: it is refused from now on, until it is enrolled again.")


def _install(running: Run, given: argparse.Namespace) -> None:
    folder = FOLDER / "doors" / given.name
    door = doors.install(running, folder, given.sector)
    print(f"The reader {door.place.reader.hex()} is installed in {folder}.")


def _until_interrupted(run: Callable[[threading.Event], None]) -> None:
    """Run something until Ctrl-C, which it may not see before it is done."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        run(stopped)
    except KeyboardInterrupt:
        stopped.set()


def _page(running: Run, stopped: threading.Event) -> None:
    with pager.serving(_show_page) as receiver, alerts.paged(running, receiver):
        print(f"{receiver.url} is called by every alert of {alerts.ZONE} until Ctrl-C.", flush=True)
        while not stopped.wait(1.0):
            """Nothing to do but to be called."""


def _show_page(page: Page) -> None:
    step = f" (step {page.step})" if page.action == "trigger" else ""
    print(f"{datetime.now(ZoneInfo('Europe/Paris')):%H:%M:%S}  {page.action}{step}: {page.summary}", flush=True)


def _text(running: Run, given: argparse.Namespace) -> None:
    """From a number that is made up for the carrier's handset."""
    try:
        device = Handset(FOLDER / "handsets" / given.carrier, running.connect_to).enrolment["device"]
    except NotEnrolled:
        raise SystemExit(f"{given.carrier} has no handset: 'bin/facteo handset enrol {given.carrier}'.") from None
    number = f"+336{crc32(given.carrier.encode()) % 10**8:08}"
    alerts.register_number(running, device, number)
    alerts.text(running, number, given.text)
    print(f"A text from {number} is on its way.")


def _show_ticket(made: dict[str, Any]) -> None:
    """The content that the QR code says, and the code itself as a file to scan."""
    drawing = FOLDER / f"ticket-{made['ticket']}.svg"
    drawing.write_text(made["qr"]["svg"])
    print(json.dumps(made["content"]))
    print(f"QR code: {drawing}, valid until {made['expires_at']}", file=sys.stderr)


def _show(answer: Any) -> None:
    print(json.dumps(answer, indent=2, ensure_ascii=False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="facteo", description="Commands for a back office that 'make run' started.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("roles", help="the roles of staff, each a user of the local run")
    commands.add_parser("token", help="a bearer token").add_argument("role", choices=[*staff.ROLES, "tracking-site"])
    commands.add_parser("ticket", help="a one-time enrolment ticket").add_argument("carrier")
    commands.add_parser("item", help="an item's history").add_argument("item")
    drop = commands.add_parser("drop", help="put a file into the inbox and wait for what becomes of it")
    drop.add_argument("kind", choices=["announcements", "duties", *seed.KINDS])
    drop.add_argument("file", type=Path)
    actions = commands.add_parser("handset", help="what a carrier's handset does: enrol, round, scan, deliver, sync, …")
    handset_actions = actions.add_subparsers(dest="action", required=True)
    enrol = handset_actions.add_parser("enrol", help="CARRIER: enrol a handset with a ticket of its own")
    retire = handset_actions.add_parser("retire", help="CARRIER: have it refused from now on; it can enrol again")
    for command in (enrol, retire):
        command.add_argument("carrier")
    handset.add_actions(handset_actions, "carrier")
    install = commands.add_parser("install", help="NAME SECTOR: a new reader at a door, in .local/doors")
    install.set_defaults(run=_install)
    install.add_argument("name")
    install.add_argument(
        "sector", help=", ".join(f"{sector} of {route}" for (_, route), sector in seed.SECTORS.items())
    )
    _add_alerts(commands)
    return parser


def _add_alerts(commands: Any) -> None:
    screen = commands.add_parser("console", help="a dispatcher's screen: the feed of a zone, until Ctrl-C")
    screen.add_argument("--zone", default=alerts.ZONE)
    commands.add_parser("pager", help="a pager that every alert of the demo's zone calls, until Ctrl-C")
    text = commands.add_parser("text", help="CARRIER TEXT: an SMS from the carrier's handset comes in")
    text.add_argument("carrier")
    text.add_argument("text")
    for name, run in {**alerts.add_commands(commands), **losses.add_commands(commands)}.items():
        commands.choices[name].set_defaults(run=run)


if __name__ == "__main__":
    sys.exit(main())
