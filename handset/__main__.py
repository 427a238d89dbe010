"""The reference handset on the command line: `python -m handset --folder FOLDER enrol|round|scan|…|sync|sos|pass|…`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from handset import door_commands, fleet_commands, sos_commands
from handset.badge import BoundToAnother
from handset.client import Handset, NotEnrolled
from handset.container import ContainerClosed
from handset.door_commands import NotOfAReader
from handset.passes import NoPass, NotAReceipt
from handset.sos import SelfTestUnanswered
from handset.sos_commands import NoAlert
from handset.strict import Malformed
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

ACTIONS = {"round": "take today's round", "sync": "send what waits", "status": "say what waits"}

FACTS = {
    "scan": ("facteo.item.scanned", "step", STEPS),
    "deliver": ("facteo.item.delivered", "recipient", RECIPIENTS),
    "fail": ("facteo.item.not-delivered", "cause", CAUSES),
    "hold": ("facteo.item.held", "place", PLACES),
}
"""Command → the event it records, the field that says how, and that field's values."""


class NotATicket(Exception):  # noqa: N818
    """What was given to enrol with is no ticket's content."""


FAILURES: Mapping[type[Exception], str] = {
    NotATicket: "This is not a ticket: give what its QR code says, JSON with 'url' and 'code'.",
    NotEnrolled: "There is no enrolled handset in {}: enrol it first.",
    NoAlert: "There is no alert that is not over: 'sos' raises one.",
    SelfTestUnanswered: "{} Tell your depot before you go: the alert button may not be heard.",
    NoPass: "The handset has no pass: 'pass' asks for it.",
    NotOfAReader: "{}",
    NotAReceipt: "This is no receipt of a use of this handset's pass.",
    BoundToAnother: "The pass is bound to another key: it was not kept. Enrol the handset again.",
    ContainerClosed: "The container is closed ({}): 'check-in' may open it again.",
    Malformed: "What the back office answered is not its own: {}. It was not kept.",
    NoNetwork: "Not now: {}. Nothing is lost: try again later.",
    Refused: "{}",
}
"""What ends a command, and the sentence for it."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, or 1 with the reason on standard error."""
    return run(_parser().parse_args(arguments))


def run(given: argparse.Namespace) -> int:
    """Run the action that was read, in `folder` and with `connect_to`. Returns the exit status as `main` does."""
    try:
        if given.action == "enrol":
            _enrol(given)
        elif given.action == "space":
            fleet_commands.show_space(given.folder)
        else:
            _act(Handset(given.folder, given.connect_to), given)
    except tuple(FAILURES) as failure:
        print(FAILURES[type(failure)].format(failure), file=sys.stderr)
        return 1
    return 0


def add_actions(commands: Any, *before: str) -> None:
    """Add to a parser's commands what an enrolled handset does. Each takes the arguments `before` first."""
    first = dict.fromkeys(before)
    for name, told in ACTIONS.items():
        _add(commands, name, told, first)
    for name, (_, field, values) in FACTS.items():
        told = f"record an event; {field} is one of {', '.join(values)}"
        _add(commands, name, told, {**first, "item": None, field: values})
    sos_commands.add_actions(commands, *before)
    door_commands.add_actions(commands, *before)
    fleet_commands.add_actions(commands, *before)


def enrolled(handset: Handset) -> str:
    """What to say of an enrolment that succeeded."""
    told = f"Enrolled as {handset.enrolment['device']}, generation {handset.enrolment['generation']}."
    if lost := handset.given_up:
        were = _counted(lost.events, "event was never sent and is", "events were never sent and are")
        told += f"\nOf the former enrolment {were} given up; {lost.kept_in} keeps a record."
    return told


def _enrol(given: argparse.Namespace) -> None:
    try:
        content = json.loads(given.ticket.read())
        url, code = content["url"], content["code"]
    except (ValueError, TypeError, KeyError):
        raise NotATicket from None
    content = {"url": url, "code": code}
    print(enrolled(Handset.enrol(given.folder, content, serial=given.serial, connect_to=given.connect_to)))


def _act(handset: Handset, given: argparse.Namespace) -> None:
    if given.action == "round":
        _show_round(handset.take_round())
        _show_commands(handset)
    elif given.action == "sync":
        _sync(handset)
        _show_commands(handset)
        door_commands.bring_news(handset)
    elif given.action == "status":
        print(_waiting(handset))
    elif given.action in sos_commands.ACTIONS:
        sos_commands.act(handset, given)
    elif given.action in door_commands.ACTIONS:
        door_commands.act(handset, given)
    elif given.action in fleet_commands.ACTIONS:
        fleet_commands.act(handset, given)
        _show_commands(handset)
    else:
        event_type, field, _ = FACTS[given.action]
        handset.record(event_type, given.item, **{field: getattr(given, field)})
        print(f"Recorded. {_waiting(handset)}")


def _sync(handset: Handset) -> None:
    synced = handset.sync()
    print(f"{synced.recorded} recorded, {synced.duplicate} known already, {synced.refused} refused.")
    if synced.postponed:
        print(f"{_counted(synced.postponed, 'came too early and waits', 'came too early and wait')}.")
    for event, problem in synced.problems:
        print(f"  {event['type']} number {event['sequence']}: {problem['title']}. {problem['detail']}")


def _show_commands(handset: Handset) -> None:
    if handset.commands_waiting:
        print(f"{_counted(handset.commands_waiting, 'command waits', 'commands wait')}.")


def _waiting(handset: Handset) -> str:
    return f"{_counted(handset.outbox.count(), 'event waits', 'events wait')} to be sent."


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


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
    commands = parser.add_subparsers(dest="action", required=True)
    enrol = commands.add_parser("enrol", help="enrol with a ticket's content")
    enrol.add_argument("--serial", required=True)
    enrol.add_argument("--ticket", type=argparse.FileType(), default=sys.stdin, help="what the QR code says (JSON)")
    add_actions(commands)
    return parser


def _add(commands: Any, name: str, told: str, arguments: Mapping[str, Sequence[str] | None]) -> None:
    """A command with its arguments, each with the values that it may have (None: any)."""
    listed = " ".join(arguments).upper()
    command = commands.add_parser(name, help=f"{listed}: {told}" if listed else told)
    for argument, values in arguments.items():
        command.add_argument(argument, metavar=argument, choices=values, help=", ".join(values or ()))


if __name__ == "__main__":
    sys.exit(main())
