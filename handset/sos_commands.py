"""The alert button on the command line: `sos`, `where`, `cancel`, `pins`, `self-test`, `alert`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from handset import sos
from handset.client import Handset
from handset.sos import Sensed, Sos

TRIGGERS = ("manual", "fall", "no-motion", "missed-check-in", "lost-link")

SHOWN = {
    "pre-alarm": "an alarm in some seconds, unless you enter your PIN",
    "raised": "the alert is raised",
    "taken": "somebody has taken it",
    "cancelled": "cancelled",
    "closed": "closed",
}
"""What a carrier reads of each status."""


class NoAlert(Exception):  # noqa: N818
    """The handset has no alert that is not over."""


def add_actions(commands: Any, *before: str) -> None:
    """Add to a parser's commands what the alert button does. Each takes the arguments `before` first."""
    told = " ".join(before).upper()
    for name, (_, text, arguments) in ACTIONS.items():
        command = commands.add_parser(name, help=f"{told}: {text}" if told else text)
        for argument in before:
            command.add_argument(argument)
        for argument, options in arguments.items():
            command.add_argument(argument, **options)


def act(handset: Handset, given: argparse.Namespace) -> None:
    """Do what was asked for. Raises NoAlert, SelfTestUnanswered, NoNetwork, Refused."""
    run, _, _ = ACTIONS[given.action]
    run(Sos(handset, text=_show_text), given, handset)


def _sos(button: Sos, given: argparse.Namespace, handset: Handset) -> None:
    purpose = "exercise" if given.exercise else "actual"
    sensed = _sensed(given, handset)
    alert = button.press(sensed, trigger=given.trigger, purpose=purpose, silent=given.silent)
    print(f"Pressed: {alert}", flush=True)
    _show(button.send(alert, given.tries))
    if given.follow:
        print("Positions are sent until the alert is over ...", flush=True)
        button.follow(alert, lambda: _sensed(given, handset))
        print("No more is taken: the alert is over.")


def _where(button: Sos, given: argparse.Namespace, handset: Handset) -> None:
    seconds = button.report(_current(button), _sensed(given, handset))
    print("No more is taken: the alert is over." if seconds is None else f"Taken. Report again in {seconds} s.")


def _cancel(button: Sos, given: argparse.Namespace, _: Handset) -> None:
    _show(button.cancel(_current(button), given.pin))


def _pins(button: Sos, given: argparse.Namespace, _: Handset) -> None:
    button.set_pins(given.pin, given.duress_pin, given.current)
    print("The PINs are set.")


def _self_test(button: Sos, given: argparse.Namespace, handset: Handset) -> None:
    milliseconds = button.self_test(_sensed(given, handset))
    print(f"The alert button works: {milliseconds / 1000:.1f} s from reception to the operators.")


def _alert(button: Sos, given: argparse.Namespace, _: Handset) -> None:
    alert = given.alert or _current(button)
    _show(button.status(alert))
    for view in button.views(alert):
        print(f"  {view['at'][:19]}Z  {view['by']} looked where you are ({view['what']})")


def _current(button: Sos) -> str:
    if button.current is None:
        raise NoAlert
    return button.current


def _show(told: sos.Told) -> None:
    print(f"{told['id']}: {SHOWN.get(told['status'], told['status'])}", flush=True)


def _show_text(text: str) -> None:
    print(f"No network. To be sent as SMS: {text}", flush=True)


def _sensed(given: argparse.Namespace, handset: Handset) -> Sensed:
    """What the command line says instead of sensors."""
    now = handset.now()
    found = sos.fix(given.at[0], given.at[1], now, radius=given.radius) if given.at else None
    last_place = {"text": given.place, "at": now.isoformat()} if given.place else None
    return Sensed(found, given.battery, last_place)


_Run = Callable[[Sos, argparse.Namespace, Handset], None]
_Arguments = Mapping[str, Mapping[str, Any]]

_SENSORS: _Arguments = {
    "--at": {"type": float, "nargs": 2, "metavar": ("LATITUDE", "LONGITUDE"), "help": "where the carrier is"},
    "--radius": {"type": float, "metavar": "METRES", "help": "within which that is right (68 %%)"},
    "--battery": {"type": int, "metavar": "PERCENT"},
    "--place": {"metavar": "TEXT", "help": "where something was scanned last"},
}
ACTIONS: Mapping[str, tuple[_Run, str, _Arguments]] = {
    "sos": (
        _sos,
        "press the alert button: sent until the back office has it",
        {
            "--silent": {"action": "store_true", "help": "nobody is to call the handset"},
            "--trigger": {"choices": TRIGGERS, "default": TRIGGERS[0], "help": "what raised it"},
            "--exercise": {"action": "store_true", "help": "nobody is in danger"},
            "--tries": {"type": int, "metavar": "N", "help": "give up after so many (it stays on the disk)"},
            "--follow": {"action": "store_true", "help": "then send positions until it is over"},
            **_SENSORS,
        },
    ),
    "where": (_where, "say where the carrier is, while an alert is open", _SENSORS),
    "cancel": (_cancel, "PIN: say that it is nothing", {"pin": {}}),
    "pins": (
        _pins,
        "PIN DURESS_PIN: set both; the second seems to cancel, and calls for help",
        {
            "pin": {},
            "duress_pin": {},
            "--current": {"metavar": "PIN", "help": "one of the former ones, to change them"},
        },
    ),
    "self-test": (_self_test, "try the alert button at the start of the shift", _SENSORS),
    "alert": (
        _alert,
        "how the alert stands, and who looked where the carrier is",
        {"--alert": {"metavar": "ID", "help": "one that is over"}},
    ),
}
"""Command → what runs it, what it does, and its arguments."""
