"""A dispatcher's screen, and whom the demo's zone calls."""

from __future__ import annotations

import io
import threading
import urllib.error
from email.message import Message
from typing import Any

import msgspec
import pytest

from chalicelib.alerts.policies import Policy
from chalicelib.alerts.schemas import FeedLine, Flag, Purpose, State, Trigger
from demo import alerts, console, staff
from demo.console import Console
from demo.pager import Pager
from tests.support.clock import MONDAY_MORNING

RUNNING: Any = object()
FIRST, SECOND = "01a20719-c8a0-7000-8000-0000000000e1", "01a20719-c8a0-7000-8000-0000000000e2"
PAGED = Pager(1)


def a_line(seq: int, what: str, state: State, alert: str = FIRST, **changes: Any) -> dict[str, Any]:
    """A line of the feed as the back office sends it."""
    told = {
        "zone": alerts.ZONE,
        "alert": alert,
        "number": seq,
        "what": what,
        "at": MONDAY_MORNING,
        "by": "system/alerts",
        "carrier": "C2001",
        "depot": "92130B",
        "state": state,
        "trigger": Trigger.MANUAL,
        "seq": seq,
    }
    line: dict[str, Any] = msgspec.to_builtins(FeedLine(**(told | changes)))
    return line


class Office:
    """The back office's side of the calls: a feed in pages of two, and a zone's policy."""

    def __init__(self, *lines: dict[str, Any], policy: Any = None) -> None:
        self.lines, self.policy = list(lines), policy
        self.receipts: list[dict[str, int]] = []
        self.saved: list[Any] = []

    def call(self, _: Any, method: str, path: str, body: Any = None, *, bearer: str) -> Any:
        if path.startswith("/v1/alert-policies/"):
            return self._policy(method, body, bearer)
        assert bearer == "token of dispatcher"
        if method == "POST":
            self.receipts.append(body)
            return None
        after = int(path.partition("after=")[2])
        found = [line for line in self.lines if line["seq"] > after]
        through = found[:2][-1]["seq"] if found else after
        return {"lines": found[:2], "through": through, "more": len(found) > 2, "ask_again_seconds": 7}

    def _policy(self, method: str, body: Any, bearer: str) -> Any:
        assert bearer == "token of ops"
        if method == "PUT":
            msgspec.convert(body, Policy)
            self.policy = body
            self.saved.append(body)
        if self.policy is None:
            raise urllib.error.HTTPError("", 404, "", Message(), io.BytesIO(b"{}"))
        return self.policy


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    made = Office()
    monkeypatch.setattr(staff, "token", lambda _, role: f"token of {role}")
    monkeypatch.setattr(staff, "call", made.call)
    return made


class TestScreen:
    def test_every_line_is_shown_once_and_said_to_be_shown(self, office: Office) -> None:
        office.lines = [a_line(seq, "located", State.NOTIFIED) for seq in range(1, 6)]
        screen = Console(RUNNING)

        lines, seconds = screen.look()

        assert ([line["seq"] for line in lines], seconds) == ([1, 2, 3, 4, 5], 7)
        assert office.receipts == [{"after": 0, "through": 2}, {"after": 2, "through": 4}, {"after": 4, "through": 5}]
        office.lines.append(a_line(6, "acked", State.ACKED))
        assert [line["seq"] for line in screen.look()[0]] == [6]
        assert screen.look()[0] == []
        assert len(office.receipts) == 4

    def test_at_its_start_it_shows_what_is_not_over(self, office: Office) -> None:
        office.lines = [
            a_line(1, "raised", State.RAISED),
            a_line(2, "raised", State.RAISED, SECOND),
            a_line(3, "closed", State.CLOSED),
            a_line(4, "acked", State.ACKED, SECOND),
        ]
        screen = Console(RUNNING)
        assert [line["seq"] for line in screen.catch_up()] == [2, 4]
        assert list(screen.alerts) == [SECOND]

    def test_it_asks_again_as_often_as_it_is_told_until_it_is_stopped(self, office: Office) -> None:
        waited: list[float] = []

        class Stopped(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                waited.append(timeout or 0)
                office.lines.append(a_line(len(waited), "located", State.NOTIFIED))
                return len(waited) > 3

        shown: list[int] = []
        Console(RUNNING).follow(Stopped(), lambda lines: shown.extend(line["seq"] for line in lines))
        assert (waited, shown) == ([0, 7, 7, 7], [1, 2, 3])

    def test_a_line_says_what_must_be_known(self) -> None:
        line = a_line(
            12,
            "notified",
            State.NOTIFIED,
            step=2,
            silent=True,
            purpose=Purpose.EXERCISE,
            flags=(Flag.DURESS, Flag.LATE),
        )
        assert console.told(line) == (
            "08:00:00    12  …0000e1  called: step 2  C2001 of 92130B  exercise, SILENT: do not call, duress, late"
        )
        taken = a_line(13, "acked", State.ACKED, by="staff/2274c3bd-9d43-4af7-992f-6b80b4939e30")
        assert console.told(taken) == "08:00:00    13  …0000e1  TAKEN by staff/2274c3bd  C2001 of 92130B"

    def test_the_open_alerts_stand_above_the_lines(self) -> None:
        line = a_line(1, "raised", State.RAISED)
        text = console.screen({FIRST: line}, [line])
        head, alert, empty, last = text.splitlines()
        assert (head, empty, last) == ("Open alerts: 1", "", console.told(line))
        assert alert.split()[:4] == ["…0000e1", "raised", "step", "0"]
        assert console.screen({}, []).startswith("No alert is open.")


class TestPolicy:
    def test_the_demos_policy_is_one_that_is_taken(self) -> None:
        assert msgspec.convert(alerts.POLICY, Policy).fault() is None

    def test_it_is_seeded_once(self, office: Office) -> None:
        alerts.seed_policy(RUNNING)
        alerts.seed_policy(RUNNING)
        assert office.saved == [alerts.POLICY]

    def test_a_pager_is_called_at_each_step_until_the_block_ends(self, office: Office) -> None:
        def interrupted() -> None:
            with alerts.paged(RUNNING, PAGED):
                paged = msgspec.convert(office.policy, Policy)
                assert all("pager" in step.contacts and "on-call" in step.contacts for step in paged.steps)
                [way] = paged.contacts[0].ways
                assert (way.to, way.secret) == (PAGED.url, PAGED.secret)
                raise KeyboardInterrupt

        alerts.seed_policy(RUNNING)
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert office.policy == alerts.POLICY

    def test_one_that_was_killed_before_is_forgotten(self, office: Office) -> None:
        stale = {**alerts.POLICY, "contacts": [{"id": "pager", "ways": [{"channel": "webhook", "to": "http://x/"}]}]}
        stale["steps"] = [{**step, "contacts": [*step["contacts"], "pager"]} for step in stale["steps"]]
        office.policy = stale
        with alerts.paged(RUNNING, PAGED):
            assert len(office.policy["contacts"]) == 1
        assert office.policy == alerts.POLICY

    def test_what_else_goes_wrong_is_not_taken_for_no_policy(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: Any, **__: Any) -> Any:
            raise urllib.error.HTTPError("", 403, "", Message(), io.BytesIO(b"{}"))

        monkeypatch.setattr(staff, "call", refused)
        with pytest.raises(urllib.error.HTTPError):
            alerts.seed_policy(RUNNING)
