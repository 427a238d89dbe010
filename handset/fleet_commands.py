"""Being commanded, on the command line: `check-in`, `obey`, and `space`, which looks at what is left."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from handset import check_in, wiping
from handset.client import Handset
from handset.container import Container
from handset.files import read_json
from handset.orders import DROPPED, WAITING, Orders, Outcome
from handset.reports import FAILED, NOT_NOW, REFUSED, SUCCEEDED, UNSUPPORTED, WIPING

SAID: Mapping[str, str] = {
    SUCCEEDED: "done",
    FAILED: "failed",
    REFUSED: "refused",
    UNSUPPORTED: "this handset cannot do that",
    NOT_NOW: "not now",
    WAITING: "waits until the back office can be asked",
    DROPPED: "not wanted any more",
    WIPING: "wiped",
}
"""What became of an order, as a carrier reads it."""


def add_actions(commands: Any, *before: str) -> None:
    """Add to a parser's commands what the fleet's orders need. Each takes the arguments `before` first."""
    told = " ".join(before).upper()
    for name, (_, text, arguments) in {**ACTIONS, "space": _SPACE}.items():
        command = commands.add_parser(name, help=f"{told}: {text}" if told else text)
        for argument in before:
            command.add_argument(argument)
        for argument, options in arguments.items():
            command.add_argument(argument, **options)


def act(handset: Handset, given: argparse.Namespace) -> None:
    """Do what was asked for. Raises NoNetwork, Refused, ContainerClosed, Malformed."""
    run, _, _ = ACTIONS[given.action]
    run(handset, given)


def show_space(folder: Path) -> None:
    """Say what a handset's folder holds, as somebody who holds it would look: of a handset that was wiped, too."""
    print(f"Personal space: {_listed(folder / wiping.PERSONAL)}.")
    print(f"SD card: {_listed(folder / wiping.EXTERNAL)}.")
    print(f"Container: {_container(folder)}.")
    for name, file in (("eSIM", wiping.ESIM), ("Factory-reset protection", wiping.FRP)):
        print(f"{name}: {'there' if (folder / file).exists() else 'none'}.")
    if wiped := read_json(folder / wiping.WIPED):
        print(_told_of_wipe(wiped))


def _check_in(handset: Handset, given: argparse.Namespace) -> None:
    answered = check_in.check_in(handset)
    lease = f"the container can be read until {_told(answered.lease_until)}" if answered.lease_until else "no lease"
    print(f"Checked in: {lease}; policy {answered.policy}. Again in {answered.next_seconds} s.")
    if given.at and check_in.tell_position(handset, *given.at):
        print("The handset is declared lost: its position was sent.")


def _obey(handset: Handset, _: argparse.Namespace) -> None:
    outcomes = Orders(handset, show=lambda reason: print(f"Why: {reason}", flush=True)).run()
    for outcome in outcomes:
        print(_sentence(outcome))
    if not outcomes:
        print("No order waits.")


def _sentence(outcome: Outcome) -> str:
    code = f" ({outcome.code})" if outcome.code else ""
    return f"Order {outcome.order['number']}, {outcome.order['kind']}: {SAID[outcome.what]}{code}."


def _container(folder: Path) -> str:
    container = Container(folder, lambda: datetime.now(UTC))
    if not (folder / "enrolment.json").exists():
        return "none"
    if not container.made:
        return "not made yet"
    until = f"open until {_told(container.until)}" if container.until else "closed"
    return f"{until}; sealed: {', '.join(container.names()) or 'nothing'}"


def _listed(folder: Path) -> str:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return f"{len(names)} ({', '.join(names)})" if names else "empty"


def _told_of_wipe(wiped: Mapping[str, Any]) -> str:
    lost = "an unknown number of" if wiped["lost"] is None else wiped["lost"]
    counted = f"{wiped['sent']} events were sent first, {lost} died"
    return f"Wiped ({wiped['kind']}) at {wiped['at'][:19]} by warrant {wiped['warrant']}: {wiped['reason']} {counted}."


def _told(moment: datetime) -> str:
    return f"{moment.astimezone(ZoneInfo('Europe/Paris')):%Y-%m-%d %H:%M}"


_Run = Callable[[Handset, argparse.Namespace], None]
_Arguments = Mapping[str, Mapping[str, Any]]

ACTIONS: Mapping[str, tuple[_Run, str, _Arguments]] = {
    "check-in": (
        _check_in,
        "say how the handset is, and keep its container open",
        {
            "--at": {
                "type": float,
                "nargs": 3,
                "metavar": ("LATITUDE", "LONGITUDE", "METRES"),
                "help": "where it is: sent only while it is declared lost",
            }
        },
    ),
    "obey": (_obey, "fetch the orders that wait, and obey them", {}),
}
"""Command → what runs it, what it does, and its arguments."""

_SPACE: tuple[None, str, _Arguments] = (None, "what is in the personal space and in the container", {})
"""It needs no handset: it looks at what is left of one, too."""
