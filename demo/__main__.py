"""`bin/facteo`: what a visitor of the local run needs at hand."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from demo import failures, seed, staff
from handset import __main__ as handset
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
    return parser


if __name__ == "__main__":
    sys.exit(main())
