"""The operators of the local run: whom the demo's zone calls, and what a dispatcher does with an alert."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from demo import staff
from demo.pager import Pager
from infra.running import Run, session

ZONE = "IDF-OUEST"
_LOOKS, _LOOK_EVERY_SECONDS = 6, 0.5
PAGER = "pager"
"""The contact that is there only while a pager runs."""

POLICY: Mapping[str, Any] = {
    "contacts": [],
    "steps": [
        {"after": 0, "contacts": ["on-call"]},
        {"after": 10, "contacts": ["on-call", "colleagues"]},
        {"after": 20, "contacts": ["on-call"]},
        {"after": 40, "contacts": ["on-call"]},
        {"after": 90, "contacts": ["on-call", "colleagues"]},
    ],
}
"""The demo zone's policy: whoever subscribes to the stack's topic, and the handsets of the depot."""

ACTIONS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "acknowledge": ("acknowledgement", "take an alert", ()),
    "respond": ("response", "say that help is under way", ()),
    "note": ("notes", "TEXT: write something down", ("text",)),
    "hand-over": ("zone", "ZONE: give it to another zone", ("zone",)),
    "close": ("closing", "REASON: rescued, false-alarm, cancelled, handed-to-emergency-services", ("reason",)),
}
"""Command → the last part of its path, what it does, and the members of its body."""

VIEWS: Mapping[str, tuple[str, str]] = {
    "alert": ("", "an alert, with the last known position"),
    "cap": ("/cap", "an alert as CAP 1.2"),
    "aml": ("/aml", "an alert as AML text"),
    "track": ("/track", "where the carrier was, as GeoJSON"),
    "report": ("/report", "what happened, with every delay"),
}
"""Command → the end of its path, and what it shows."""


# --- whom the zone calls ------------------------------------------------------------------------------------


def seed_policy(running: Run) -> None:
    """The demo zone's policy, unless it has one already."""
    if _policy(running) is None:
        save_policy(running, POLICY)


@contextmanager
def paged(running: Run, pager: Pager) -> Iterator[None]:
    """A pager is called as well, at each step, until the block ends: then the zone's policy is as it was before."""
    before = _without_pager(_policy(running) or POLICY)
    way = {"channel": "webhook", "to": pager.url, "secret": pager.secret}
    contacts = [*before["contacts"], {"id": PAGER, "ways": [way]}]
    steps = [{**step, "contacts": [*step["contacts"], PAGER]} for step in before["steps"]]
    save_policy(running, {**before, "contacts": contacts, "steps": steps})
    try:
        yield
    finally:
        save_policy(running, before)


def save_policy(running: Run, policy: Mapping[str, Any]) -> None:
    """State whom the demo's zone calls."""
    staff.call(running, "PUT", f"/v1/alert-policies/{ZONE}", policy, bearer=staff.token(running, "ops"))


def _policy(running: Run) -> dict[str, Any] | None:
    found: dict[str, Any] | None = staff.find(running, f"/v1/alert-policies/{ZONE}", bearer=staff.token(running, "ops"))
    return found


def _without_pager(policy: Mapping[str, Any]) -> dict[str, Any]:
    """The policy without a pager that was killed before it could take itself out."""
    contacts = [contact for contact in policy["contacts"] if contact["id"] != PAGER]
    steps = [{**step, "contacts": [name for name in step["contacts"] if name != PAGER]} for step in policy["steps"]]
    return {**policy, "contacts": contacts, "steps": steps}


# --- what a dispatcher does ---------------------------------------------------------------------------------


def open_alerts(running: Run) -> list[dict[str, Any]]:
    """The open alerts of the zone, the oldest first."""
    found: list[dict[str, Any]] = _call(running, "GET", f"/v1/alert-zones/{ZONE}/alerts")["alerts"]
    return found


def act(running: Run, action: str, alert: str, **body: str) -> dict[str, Any]:
    """Do something about an alert: one of ACTIONS."""
    path, _, members = ACTIONS[action]
    return dict(_call(running, "POST", f"/v1/alerts/{alert}/{path}", body if members else None))


def look(running: Run, view: str, alert: str) -> Any:
    """Look at an alert in one of VIEWS: text, or what its JSON says."""
    path, _ = VIEWS[view]
    text = staff.read(running, f"/v1/alerts/{alert}{path}", bearer=staff.token(running, "dispatcher"))
    return json.loads(text) if text.startswith("{") else text


def text(running: Run, number: str, says: str) -> None:
    """A text comes in by SMS, as AWS End User Messaging tells of it."""
    told = {"originationNumber": number, "destinationNumber": "+33700000000", "messageBody": says}
    topics = session().client("sns", endpoint_url=running.endpoint)
    topics.publish(TopicArn=running.texts_topic, Message=json.dumps(told))


def register_number(running: Run, device: str, number: str) -> None:
    """Texts from that number are alerts of this handset's carrier."""
    bearer = staff.token(running, "fleet-admin")
    staff.call(running, "PUT", f"/v1/alert-numbers/{device}", {"number": number}, bearer=bearer)


def _call(running: Run, method: str, path: str, body: Any = None) -> Any:
    return staff.call(running, method, path, body, bearer=staff.token(running, "dispatcher"))


# --- as commands --------------------------------------------------------------------------------------------


def add_commands(commands: Any) -> Mapping[str, Callable[[Run, argparse.Namespace], None]]:
    """Add what a dispatcher does to a parser's commands, and say what runs each."""
    commands.add_parser("alerts", help="the open alerts of the demo's zone")
    for name, (_, told, members) in ACTIONS.items():
        command = commands.add_parser(name, help=told)
        for member in members:
            command.add_argument(member)
        _may_name_an_alert(command)
    for name, (_, told) in VIEWS.items():
        _may_name_an_alert(commands.add_parser(name, help=told))
    return {"alerts": _list, **dict.fromkeys(ACTIONS, _act), **dict.fromkeys(VIEWS, _look)}


def _may_name_an_alert(command: Any) -> None:
    command.add_argument("--alert", metavar="ID", help="which; otherwise the newest that is open")


def _list(running: Run, _: argparse.Namespace) -> None:
    found = open_alerts(running)
    if not found:
        print("No alert is open.")
    for alert in found:
        flags = f" ({', '.join(alert['flags'])})" if alert["flags"] else ""
        owner = f", {alert['owner']}" if alert["owner"] else ""
        print(f"{alert['id']}  {alert['state']}{owner}  {alert['carrier']} of {alert['depot']}{flags}")


def _act(running: Run, given: argparse.Namespace) -> None:
    _, _, members = ACTIONS[given.command]
    body = {member: getattr(given, member) for member in members}
    alert = act(running, given.command, _named(running, given), **body)
    print(f"{alert['id']}: {alert['state']}")


def _look(running: Run, given: argparse.Namespace) -> None:
    found = look(running, given.command, _named(running, given))
    print(found if isinstance(found, str) else json.dumps(found, indent=2, ensure_ascii=False))


def _named(running: Run, given: argparse.Namespace) -> str:
    """The alert that was named, or the newest that is open, which may have been raised just now."""
    if given.alert:
        return str(given.alert)
    for _ in range(_LOOKS):
        if found := open_alerts(running):
            return str(found[-1]["id"])
        time.sleep(_LOOK_EVERY_SECONDS)
    raise SystemExit("No alert is open: name one that is over by --alert ID.")
