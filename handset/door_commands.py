"""The building pass on the command line: `pass`, `news`, `door`, `receipt`, `code`, `help-pass`, `give-back`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from handset.badge import Badge
from handset.client import Handset
from handset.passes import ANY_READER, CHALLENGE_BYTES


class NotOfAReader(Exception):  # noqa: N818
    """What was typed in is nothing that a reader says; the text says what it should be."""


def add_actions(commands: Any, *before: str) -> None:
    """Add to a parser's commands what opens doors. Each takes the arguments `before` first."""
    for name, (_, text, arguments) in ACTIONS.items():
        listed = " ".join((*before, *arguments)).upper()
        command = commands.add_parser(name, help=f"{listed}: {text}" if listed else text)
        for argument in before:
            command.add_argument(argument)
        for argument, options in arguments.items():
            command.add_argument(argument, **options)


def act(handset: Handset, given: argparse.Namespace) -> None:
    """Do what was asked for. Raises NoPass, NotAReceipt, NotOfAReader, BoundToAnother, NoNetwork, Refused."""
    run, _, _ = ACTIONS[given.action]
    run(handset, given)


def bring_news(handset: Handset) -> None:
    """Fetch what is new for readers, if the handset goes to doors. Raises NoNetwork and Refused."""
    if handset.wallet.day_pass:
        _news(handset)


def _pass(handset: Handset, _: argparse.Namespace) -> None:
    print(f"The pass opens doors until {_told(Badge(handset).ask())}.")
    _news(handset)


def _news(handset: Handset, _: argparse.Namespace | None = None) -> None:
    newer = Badge(handset).news()
    print(f"News for readers: {', '.join(newer)}." if newer else "Nothing new for readers.")


def _door(handset: Handset, given: argparse.Namespace) -> None:
    challenge = _bytes(given.challenge)
    if len(challenge) != CHALLENGE_BYTES:
        raise NotOfAReader(f"This is no challenge: a reader prints {2 * CHALLENGE_BYTES} hexadecimal digits.")
    print(handset.wallet.answer(challenge).hex())


def _receipt(handset: Handset, given: argparse.Namespace) -> None:
    result = handset.wallet.keep_receipt(_bytes(given.receipt))
    print(f"Kept: {result}. It is told with the next sync.")


def _code(handset: Handset, given: argparse.Namespace) -> None:
    reader = _bytes(given.reader)
    if len(reader) != len(ANY_READER):
        raise NotOfAReader(f"This is no reader's id: that has {2 * len(ANY_READER)} hexadecimal digits.")
    print(handset.wallet.code(reader))


def _help_pass(handset: Handset, _: argparse.Namespace) -> None:
    until = Badge(handset).help()
    print(f"The pass to help opens one door, until {_told(until)}. It is shown next.")


def _give_back(handset: Handset, _: argparse.Namespace) -> None:
    Badge(handset).give_back()
    print("The pass is given back: this handset opens no door any more.")


def _told(moment: datetime) -> str:
    return f"{moment.astimezone(ZoneInfo('Europe/Paris')):%Y-%m-%d %H:%M}"


def _bytes(told: str) -> bytes:
    """Bytes from hex; none from what is not hex."""
    try:
        return bytes.fromhex(told)
    except ValueError:
        return b""


_Run = Callable[[Handset, argparse.Namespace], None]
_Arguments = Mapping[str, Mapping[str, Any]]

ACTIONS: Mapping[str, tuple[_Run, str, _Arguments]] = {
    "pass": (_pass, "get the pass that opens the doors of today's round", {}),
    "news": (_news, "fetch what readers are to be brought: keys, time, status list", {}),
    "door": (_door, "print the answer to a reader: token and proof", {"challenge": {}}),
    "receipt": (_receipt, "keep what a reader signed of it", {"receipt": {}}),
    "code": (
        _code,
        "print what a QR code says to a reader's camera, for half a minute",
        {"reader": {"nargs": "?", "default": ANY_READER.hex(), "help": "its id; otherwise for any"}},
    ),
    "help-pass": (_help_pass, "take the pass to help a colleague: it is shown next, and opens one door", {}),
    "give-back": (_give_back, "give the pass back at the end of the shift", {}),
}
"""Command → what runs it, what it does, and its arguments."""
