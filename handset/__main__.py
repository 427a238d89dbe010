"""The reference handset on the command line: `python -m handset --folder FOLDER enrol|round|scan|deliver|…|sync`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from handset.client import Handset, NotEnrolled
from handset.transport import NoNetwork, Refused

STEPS = ("taken-in-charge", "at-depot", "out-for-delivery", "presented")
RECIPIENTS = ("addressee", "letter-box", "caretaker", "neighbour")
CAUSES = (
    "absent",
    "no-access",
    "address-incomplete",
    "address-information-missing",
    "unknown-at-address",
    "refused",
    "refused-damaged",
    "refused-late",
    "refused-payment",
    "not-found",
)
PLACES = ("post-office", "post-office-after-notice", "pickup-point")

FACTS = {
    "scan": ("facteo.item.scanned", "step", STEPS),
    "deliver": ("facteo.item.delivered", "recipient", RECIPIENTS),
    "fail": ("facteo.item.not-delivered", "cause", CAUSES),
    "hold": ("facteo.item.held", "place", PLACES),
}
"""Command → the event it records, the field that says how, and that field's values."""


class NotATicket(Exception):  # noqa: N818
    """What was given to enrol with is no ticket's content."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, or 1 with the reason on standard error."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "enrol":
            _enrol(given)
        else:
            _on_handset(given)
    except NotATicket:
        return _failed("This is not a ticket: give what its QR code says, JSON with 'url' and 'code'.")
    except NotEnrolled as folder:
        return _failed(f"There is no enrolled handset in {folder}: enrol it first.")
    except NoNetwork as reason:
        return _failed(f"Not now: {reason}. Nothing is lost: try again later.")
    except Refused as refusal:
        return _failed(str(refusal))
    return 0


def _enrol(given: argparse.Namespace) -> None:
    try:
        content = json.loads(given.ticket.read())
        url, code = content["url"], content["code"]
    except (ValueError, TypeError, KeyError):
        raise NotATicket from None
    handset = Handset.enrol(given.folder, {"url": url, "code": code}, serial=given.serial, connect_to=given.connect_to)
    print(f"Enrolled as {handset.enrolment['device']}, generation {handset.enrolment['generation']}.")


def _on_handset(given: argparse.Namespace) -> None:
    handset = Handset(given.folder, given.connect_to)
    if given.command == "round":
        _show_round(handset.take_round())
        _show_commands(handset)
    elif given.command == "sync":
        _sync(handset)
        _show_commands(handset)
    elif given.command == "status":
        print(f"{handset.outbox.count()} events wait to be sent.")
    else:
        event_type, field, _ = FACTS[given.command]
        handset.record(event_type, given.item, **{field: given.how})
        print(f"Recorded. {handset.outbox.count()} events wait to be sent.")


def _sync(handset: Handset) -> None:
    synced = handset.sync()
    print(f"{synced.recorded} recorded, {synced.duplicate} known already, {synced.refused} refused.")
    if synced.postponed:
        print(f"{synced.postponed} came too early and wait.")
    for event, problem in synced.problems:
        print(f"  {event['type']} number {event['sequence']}: {problem['title']}. {problem['detail']}")


def _show_commands(handset: Handset) -> None:
    if handset.commands_waiting:
        print(f"{handset.commands_waiting} commands wait.")


def _show_round(bundle: dict[str, Any]) -> None:
    about = bundle["round"]
    print(f"{about['depot']} {about['route']} on {about['day']}, snapshot {bundle['snapshot']}:")
    for item in bundle["items"]:
        who = item["addressee"] or {}
        name = who.get("name") or who.get("company", "")
        print(f"  {item['rank']:>6}  {item['item']}  {name}, {who.get('street', '')}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="handset", description="The reference handset.")
    parser.add_argument("--folder", type=Path, required=True, help="the handset's memory")
    parser.add_argument("--connect-to", default="", help="HOST:PORT where the API's name is served, if elsewhere")
    commands = parser.add_subparsers(dest="command", required=True)
    enrol = commands.add_parser("enrol", help="enrol with a ticket's content")
    enrol.add_argument("--serial", required=True)
    enrol.add_argument("--ticket", type=argparse.FileType(), default=sys.stdin, help="what the QR code says (JSON)")
    commands.add_parser("round", help="take today's round")
    commands.add_parser("sync", help="send what waits")
    commands.add_parser("status", help="what waits")
    for name, (_, field, values) in FACTS.items():
        command = commands.add_parser(name, help=f"record an event, with its {field}")
        command.add_argument("item")
        command.add_argument("how", metavar=field, choices=values, help=", ".join(values))
    return parser


def _failed(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
