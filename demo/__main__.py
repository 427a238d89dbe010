"""`bin/facteo`: what a visitor of the local run needs at hand."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
from pathlib import Path
from typing import Any

from demo import seed, staff
from handset.__main__ import main as handset
from infra.running import FOLDER, Run


def main() -> int:
    """Run one command."""
    given, rest = _parser().parse_known_args()
    running = Run.load()
    try:
        return _run(running, given, rest)
    except urllib.error.HTTPError as error:
        print(f"{error.code}: {error.read().decode()}", file=sys.stderr)
        return 1


def _run(running: Run, given: argparse.Namespace, rest: list[str]) -> int:
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
            return _handset(running, given, rest)
    return 0


def _handset(running: Run, given: argparse.Namespace, rest: list[str]) -> int:
    folder = FOLDER / "handsets" / given.carrier
    if given.action == "enrol":
        enrolled = staff.enrol(running, given.carrier, folder)
        print(f"Enrolled as {enrolled.enrolment['device']} in {folder}.")
        return 0
    return handset(["--folder", str(folder), "--connect-to", running.connect_to, given.action, *rest])


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
    handset_command = commands.add_parser("handset", help="a carrier's handset: enrol, round, scan, deliver, sync, …")
    handset_command.add_argument("action")
    handset_command.add_argument("carrier")
    return parser


if __name__ == "__main__":
    sys.exit(main())
