"""Losses in a test's hand: declared by staff or on another handset, lost mode, positions, and how they end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chalicelib.core import clock, journal
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.commands.schemas import Box
from tests.support.api import Answered, Api
from tests.support.commands import fetched, payload, reported
from tests.support.factories import HeldHandset

SHOWN = {"text": "This phone is the post's. Please call.", "phone": "+33155440000"}


def declare(api: Api, handset: HeldHandset, role: str = "dispatcher", **changes: Any) -> Answered:
    """Staff declare a handset lost."""
    body = {"device": handset.device, "kind": "stolen"} | changes
    return api.as_staff(role).post("/v1/loss-cases", {name: told for name, told in body.items() if told is not None})


def a_case(api: Api, handset: HeldHandset, **changes: Any) -> str:
    """The id of the open case of a handset that was declared lost."""
    answer = declare(api, handset, **changes)
    assert answer.status == 201, answer.text
    return str(answer.body["id"])


def case(api: Api, case_id: str) -> Any:
    """A case as staff read it."""
    answer = api.as_staff("auditor").get(f"/v1/loss-cases/{case_id}")
    assert answer.status == 200, answer.text
    return answer.body


def does(api: Api, case_id: str, what: str, body: Any = None, role: str = "security-officer") -> Answered:
    """Staff do something in a case."""
    return api.as_staff(role).post(f"/v1/loss-cases/{case_id}/{what}", body)


def in_lost_mode(api: Api, handset: HeldHandset, case_id: str, what: str = "accepted") -> str:
    """The id of lost mode that was ordered, and signed for by the handset."""
    answer = does(api, case_id, "lost-mode", SHOWN)
    assert answer.status == 201, answer.text
    [given] = [one for one in fetched(handset) if payload(one)["kind"] == "lost-mode"]
    assert reported(handset, given, "accepted") == "accepted"
    if what != "accepted":
        reported(handset, given, what)
    return str(answer.body["id"])


def a_position(at: datetime | None = None, **changes: Any) -> dict[str, Any]:
    """Where a handset is."""
    return {"at": (at or clock.now()).isoformat(), "latitude": 48.84, "longitude": 2.3, "accuracy_m": 12} | changes


def sends(handset: HeldHandset, at: datetime | None = None, **changes: Any) -> Answered:
    """The handset sends where it is."""
    return handset.calls().post("/v1/loss-positions", a_position(at, **changes))


def looks(api: Api, case_id: str, role: str = "dispatcher") -> Answered:
    """Somebody looks where the handset is."""
    return api.as_staff(role).get(f"/v1/loss-cases/{case_id}/positions")


def box_of(handset: HeldHandset) -> Box:
    """What is open for a handset."""
    return boxes.load(handset.device).box


def said(case_id: str) -> list[str]:
    """What the journal says of a case, sorted: within a moment its order is none."""
    return sorted(event.type.removeprefix("facteo.loss-case.") for event in journal.read(f"loss/{case_id}"))
