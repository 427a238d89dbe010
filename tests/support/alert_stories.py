"""Alerts that pure tests tell: what the ladder makes of them, move by move, at times that the test says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from chalicelib.alerts import ladder
from chalicelib.alerts.ladder import Move
from chalicelib.alerts.policies import Plan
from chalicelib.alerts.reports import Told
from chalicelib.alerts.schemas import Alert, State
from tests.support.clock import MONDAY_MORNING

ALERT_ID = "019aaf3c-4c58-7abc-8def-0123456789ab"
OPERATOR, COLLEAGUE = "staff/anne", "staff/bruno"


def an_alert(**changes: Any) -> Alert:
    """A press on Monday morning, not raised yet."""
    told: dict[str, Any] = {
        "id": ALERT_ID,
        "device": "device-1",
        "generation": 1,
        "carrier": "C123",
        "depot": "330440",
        "raised_at": MONDAY_MORNING,
        "received_at": MONDAY_MORNING,
        "heard_at": MONDAY_MORNING,
        "state": State.RAISED,
    }
    return Alert(**(told | changes))


class Story:
    """An alert from its raise on: its moves, what was said, and who was to be paged."""

    def __init__(self, **changes: Any) -> None:
        self.now = MONDAY_MORNING
        self.alert = an_alert(**changes)
        self.told: list[Told] = []
        self.pages: list[str] = []
        self.asked: list[Sequence[int]] = []
        self.take(ladder.raised(self.alert, self.now))
        self.take(ladder.placed(self.alert, "Z33", changes.get("plan", Plan()), self.now))

    @property
    def said(self) -> list[str]:
        """What happened, in its order."""
        return [event.what for event in self.told]

    def at(self, seconds: float) -> datetime:
        """So many seconds after the raise."""
        self.now = MONDAY_MORNING + timedelta(seconds=seconds)
        return self.now

    def take(self, move: Move | None) -> Move | None:
        """Go on with the alert after a move, if there is one."""
        if move is not None:
            self.alert = move.alert
            self.told += [Told(said.what, self.now, said.by, said.body) for said in move.said]
            self.pages += move.pages
        return move

    def tick(self, seconds: float) -> list[str]:
        """Whatever is due so many seconds after the raise: what was said of it."""
        before = len(self.told)
        self.take(ladder.ticked(self.alert, self._contacts_of, self.at(seconds)))
        return self.said[before:]

    def heard(self, seconds: float, battery: int | None = None) -> None:
        """The handset reports."""
        self.take(ladder.heard(self.alert, self.at(seconds), battery=battery))

    def _contacts_of(self, steps: Sequence[int]) -> tuple[str, ...]:
        self.asked.append(tuple(steps))
        return tuple(f"step-{step}" for step in steps)
