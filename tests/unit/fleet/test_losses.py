"""Decisions about loss cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core.errors import RequestInvalid
from chalicelib.fleet.commands.kinds import Kind, Ownership
from chalicelib.fleet.commands.schemas import Box, Command, Parameters
from chalicelib.fleet.commands.states import State
from chalicelib.fleet.losses import rules
from chalicelib.fleet.losses.rules import CaseOver, NoLostMode, TooManyReports
from chalicelib.fleet.losses.schemas import (
    CaseNext,
    CaseState,
    DeclaredHow,
    LossCase,
    LossKind,
    LossPosition,
    OnDevice,
    Reports,
)

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DEVICE = "019ac9a0-0000-7000-8000-0000000000d1"


def a_case(**changes: Any) -> LossCase:
    told = {
        "id": "019ac9a0-0000-7000-8000-0000000000f1",
        "device": DEVICE,
        "generation": 1,
        "carrier": "C1",
        "depot": "75015A",
        "kind": LossKind.LOST,
        "lost_since": None,
        "witnessed": False,
        "declared_by": "staff/anna",
        "declared_at": NOW,
        "how": DeclaredHow.STAFF,
        "lease_withheld": True,
        "on_device": OnDevice(acknowledged_through=0, route="", open_commands=0),
        "ask_at": NOW + rules.ASKED_AFTER,
    }
    return LossCase(**(told | changes))


def a_command(kind: Kind = Kind.LOST_MODE, **changes: Any) -> Command:
    told = {
        "id": "c1",
        "device": DEVICE,
        "generation": 1,
        "number": 1,
        "kind": kind,
        "parameters": Parameters(),
        "reason": "Lost.",
        "requested_by": "staff/anna",
        "requested_at": NOW,
        "state": State.QUEUED,
        "order": "",
    }
    return Command(**(told | changes))


def a_box(*commands: Command, **changes: Any) -> Box:
    told = {"device": DEVICE, "generation": 1, "carrier": "C1", "depot": "75015A", "loss": "f1", "open": commands}
    return Box(**(told | changes))


def a_position(at: datetime = NOW) -> LossPosition:
    return LossPosition(at=at, latitude=48.84, longitude=2.3, accuracy_m=12)


def test_every_state_says_which_ends_may_follow() -> None:
    assert set(rules.LEADS_TO) == set(CaseState)
    assert all(CaseState.OPEN not in ends for ends in rules.LEADS_TO.values())


@pytest.mark.parametrize("end", [CaseState.FOUND, CaseState.CLOSED, CaseState.WIPED])
def test_an_open_case_ends_as_it_may(end: CaseState) -> None:
    rules.check_end(CaseState.OPEN, end)


def test_what_was_seen_wiped_may_only_be_found() -> None:
    """Which releases what it had sent before."""
    rules.check_end(CaseState.WIPED, CaseState.FOUND)
    for end in (CaseState.CLOSED, CaseState.OPEN):
        with pytest.raises(CaseOver):
            rules.check_end(CaseState.WIPED, end)


def test_an_ended_case_asks_for_nothing() -> None:
    over = rules.ended(a_case(), CaseState.FOUND, NOW)
    assert (over.state, over.ended_at, over.ask_at) == (CaseState.FOUND, NOW, None)
    with pytest.raises(CaseOver):
        rules.check_open(over)


@pytest.mark.parametrize(
    ("state", "taken"),
    [
        (State.QUEUED, False),
        (State.DELIVERED, False),
        (State.ACCEPTED, True),
        (State.SUCCEEDED, True),
        (State.UNANSWERED, True),
        (State.FAILED, False),
        (State.CANCELLED, False),
    ],
)
def test_positions_are_taken_while_lost_mode_may_last(state: State, taken: bool) -> None:
    accepted_at = NOW if state not in {State.QUEUED, State.DELIVERED, State.CANCELLED} else None
    ordered = [a_command(state=state, accepted_at=accepted_at), a_command(Kind.LOCK, state=State.ACCEPTED)]
    if taken:
        rules.check_position(a_position(), ordered, NOW)
    else:
        with pytest.raises(NoLostMode):
            rules.check_position(a_position(), ordered, NOW)


@pytest.mark.parametrize(("off", "problem"), [(-301, NoLostMode), (-300, None), (300, None), (301, RequestInvalid)])
def test_a_position_is_of_the_time_of_lost_mode(off: int, problem: type[Exception] | None) -> None:
    ordered = [a_command(state=State.ACCEPTED, accepted_at=NOW)]
    position = a_position(NOW + timedelta(seconds=off))
    if problem is None:
        rules.check_position(position, ordered, NOW)
    else:
        with pytest.raises(problem):
            rules.check_position(position, ordered, NOW)


def test_positions_are_counted_whatever_their_order() -> None:
    case = a_case()
    for minutes in (5, 0, 10):
        case = rules.with_position(case, a_position(NOW + timedelta(minutes=minutes)))
    assert (case.positions.taken, case.positions.first) == (3, NOW)
    assert case.positions.last == NOW + timedelta(minutes=10)


def test_a_day_s_reports() -> None:
    reports: Reports | None = None
    for carrier in ("C1", "C2", "C1", "C3"):
        reports = rules.reported(reports, carrier, "2026-11-23")
    assert reports == Reports(day="2026-11-23", carriers=("C1", "C2", "C3"))
    with pytest.raises(TooManyReports):
        rules.reported(reports, "C4", "2026-11-23")
    assert rules.reported(reports, "C4", "2026-11-24").carriers == ("C4",)


def test_what_is_over_is_what_the_loss_was_the_reason_for_and_what_locks() -> None:
    before = NOW - timedelta(hours=1)
    wanted = [
        a_command(Kind.LOST_MODE, id="lost-mode"),
        a_command(Kind.CONTAINER_WIPE, id="wipe", state=State.APPROVED),
        a_command(Kind.LOCK, id="lock"),
    ]
    accepted = a_command(Kind.LOST_MODE, id="accepted", state=State.ACCEPTED, accepted_at=NOW)
    others = [
        a_command(Kind.LOCK, id="earlier", requested_at=before),
        a_command(Kind.MESSAGE, id="message"),
        a_command(Kind.RELEASE, id="release"),
    ]
    ended = rules.to_end(a_case(), a_box(*wanted, *others, accepted))
    assert ended == [*((one, State.CANCELLED) for one in wanted), (accepted, State.UNANSWERED)]


def test_only_what_a_handset_has_signed_for_is_a_wipe() -> None:
    assert not rules.is_accepted_wipe(a_command(Kind.FULL_WIPE, state=State.DELIVERED))
    assert rules.is_accepted_wipe(a_command(Kind.FULL_WIPE, state=State.UNANSWERED, accepted_at=NOW))
    assert not rules.is_accepted_wipe(a_command(Kind.LOCK, state=State.ACCEPTED, accepted_at=NOW))


def test_what_is_possible_next() -> None:
    mine = a_box(ownership=Ownership.PERSONAL)
    unheld = a_case(lease_withheld=False)
    wipe = a_command(Kind.CONTAINER_WIPE, state=State.ACCEPTED, accepted_at=NOW)
    assert CaseNext.FULL_WIPE not in rules.possible(a_case(), mine, [])
    assert CaseNext.WITHHOLDING in rules.possible(unheld, mine, [])
    assert CaseNext.WIPE_EVIDENCE in rules.possible(a_case(), mine, [wipe])
    assert rules.possible(rules.ended(a_case(), CaseState.WIPED, NOW), mine, [wipe]) == (CaseNext.FOUND,)
    assert rules.possible(rules.ended(a_case(), CaseState.CLOSED, NOW), mine, []) == (CaseNext.FOUND,)


def test_lost_since_is_past() -> None:
    rules.check_lost_since(None, NOW)
    rules.check_lost_since(NOW, NOW)
    with pytest.raises(RequestInvalid):
        rules.check_lost_since(NOW + timedelta(hours=1), NOW)
