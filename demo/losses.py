"""What staff of the local run do about a lost handset."""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from demo import approvers, staff
from infra.running import Run

REASON = "Lost on the round."


def declare(running: Run, device: str) -> dict[str, Any]:
    """The loss case of a device that its depot's manager declares lost."""
    told: dict[str, Any] = _call(running, "depot-manager", "POST", "/v1/loss-cases", {"device": device, "kind": "lost"})
    return told


def read(running: Run, case: str) -> dict[str, Any]:
    """A loss case as it stands."""
    told: dict[str, Any] = _call(running, "security-officer", "GET", f"/v1/loss-cases/{case}")
    return told


def found(running: Run, case: str) -> dict[str, Any]:
    """A loss case whose handset was found."""
    told: dict[str, Any] = _call(running, "depot-manager", "POST", f"/v1/loss-cases/{case}/found")
    return told


def order(running: Run, device: str, kind: str) -> str:
    """The problem with which a fleet administrator is refused who orders something alone; empty if not."""
    body = {"devices": [device], "kind": kind, "reason": REASON}
    try:
        _call(running, "fleet-admin", "POST", "/v1/commands", body)
    except urllib.error.HTTPError as refusal:
        return str(json.loads(refusal.read())["type"]).removeprefix("/problems/")
    return ""


def ask_for_wipe(running: Run, device: str, kind: str = "container-wipe") -> dict[str, Any]:
    """A warrant for a device. Somebody saw it taken: nothing cools off."""
    wanted = {"devices": [device], "kind": kind, "reason": REASON, "witnessed": True}
    warrant: dict[str, Any] = _call(running, "depot-manager", "POST", "/v1/warrants", wanted)
    return warrant


def approve_wipe(running: Run, warrant: dict[str, Any], role: str) -> dict[str, Any]:
    """The warrant after one of the approvers has confirmed it with a passkey."""
    return approvers.approve(running, role, f"/v1/warrants/{warrant['id']}", warrant)


def command(running: Run, command_id: str) -> dict[str, Any]:
    """A command as staff read it."""
    told: dict[str, Any] = _call(running, "security-officer", "GET", f"/v1/commands/{command_id}")
    return told


def commands(running: Run, device: str) -> list[dict[str, Any]]:
    """The commands of a device, of all its enrolments."""
    told: list[dict[str, Any]] = _call(running, "security-officer", "GET", f"/v1/devices/{device}/commands")["commands"]
    return told


def _call(running: Run, role: str, method: str, path: str, body: Any = None) -> Any:
    return staff.call(running, method, path, body, bearer=staff.token(running, role))


# --- as commands --------------------------------------------------------------------------------------------


def add_commands(commands_: Any) -> Mapping[str, Callable[[Run, argparse.Namespace], None]]:
    """Add what staff do about a lost handset to a parser's commands, and say what runs each."""
    for name, (_, told) in ACTIONS.items():
        commands_.add_parser(name, help=f"NAME: {told}").add_argument("name")
    return {name: run for name, (run, _) in ACTIONS.items()}


def _lose(running: Run, given: argparse.Namespace) -> None:
    case = declare(running, _device(running, given.name))
    print(f"Declared lost: case {case['id']}. It is quarantined from its next request on.")


def _wipe(running: Run, given: argparse.Namespace) -> None:
    warrant = ask_for_wipe(running, _device(running, given.name))
    for role in approvers.APPROVERS:
        warrant = approve_wipe(running, warrant, role)
        print(f"The {role} approves it with a passkey: the warrant is {warrant['state']}.")


def _found(running: Run, given: argparse.Namespace) -> None:
    device = _device(running, given.name)
    case = found(running, _case(running, device))
    print(f"Found: the case is {case['state']}. The handset is {_state(running, device)}.")


def _commands(running: Run, given: argparse.Namespace) -> None:
    for one in commands(running, _device(running, given.name)):
        print(f"{one['id']}  generation {one['generation']}  {one['kind']}: {one['shown']}")


ACTIONS: Mapping[str, tuple[Callable[[Run, argparse.Namespace], None], str]] = {
    "lose": (_lose, "its depot declares a handset lost"),
    "wipe": (_wipe, "two people approve with passkeys that a lost handset's container is wiped"),
    "found": (_found, "a lost handset was found"),
    "commands": (_commands, "what was ordered of a handset, and what is known of it"),
}
"""Command → what runs it, and what it does."""


def _device(running: Run, name: str) -> str:
    found_ = _devices(running, serial=staff.serial(name))
    if not found_:
        raise SystemExit(f"No handset '{name}' was ever enrolled: bin/facteo handset enrol {name}")
    return str(found_[0]["device"])


def _state(running: Run, device: str) -> str:
    return str(_call(running, "fleet-admin", "GET", f"/v1/devices/{device}")["state"])


def _case(running: Run, device: str) -> str:
    """The newest loss case of a device that was not found yet."""
    depot = _call(running, "fleet-admin", "GET", f"/v1/devices/{device}")["depot"]
    cases = _call(running, "depot-manager", "GET", f"/v1/loss-cases?{urllib.parse.urlencode({'depot': depot})}")[
        "cases"
    ]
    open_ = [case["id"] for case in cases if case["device"] == device and case["state"] != "found"]
    if not open_:
        raise SystemExit("It was not declared lost.")
    return str(open_[-1])


def _devices(running: Run, **wanted: str) -> list[dict[str, Any]]:
    devices: list[dict[str, Any]] = _call(
        running, "fleet-admin", "GET", f"/v1/devices?{urllib.parse.urlencode(wanted)}"
    )["devices"]
    return devices
