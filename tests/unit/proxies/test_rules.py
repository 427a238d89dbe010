"""What a proxy is at a moment, and to what its days and its number amount."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import events
from chalicelib.core.events import Event
from chalicelib.core.schemas import Schema, Sealed
from chalicelib.proxies import rules, states
from chalicelib.proxies.carried import Kind, Scope
from chalicelib.proxies.schemas import (
    Facts,
    Holder,
    Method,
    Registered,
    RevocationReason,
    Revoked,
    RevokedBy,
    State,
    Verified,
    VerifiedBy,
)

NOON = datetime(2026, 11, 23, 11, tzinfo=UTC)
moments = st.integers(-600, 1200).map(lambda hours: NOON + timedelta(hours=hours))


def facts(**changes: Any) -> Facts:
    told = {
        "revision": 2,
        "kind": Kind.PERMANENT,
        "scopes": (Scope.REGISTERED,),
        "start": date(2026, 11, 20),
        "end": date(2026, 12, 20),
        "item": None,
        "legal_person": False,
        "verification": VerifiedBy(method=Method.ONLINE, documents=(), by="staff/s-1", at=NOON),
    }
    return Facts(**(told | changes))


def revoked(effective_at: datetime) -> RevokedBy:
    return RevokedBy(reason=RevocationReason.FRAUD, effective_at=effective_at, by="staff/s-1", at=NOON)


@given(moments, st.none() | moments.map(revoked))
def test_it_is_valid_from_its_verification_until_it_ends(moment: datetime, revocation: RevokedBy | None) -> None:
    proxy = facts(revocation=revocation)
    assert bool(states.valid_at(proxy, moment)) == (NOON <= moment < states.ends_at(proxy))


@pytest.mark.parametrize(
    ("moment", "state", "reason"),
    [
        ("2026-11-19T22:59:59+00:00", State.ACTIVE, "not-started"),
        ("2026-11-19T23:00:00+00:00", State.ACTIVE, ""),
        ("2026-12-20T22:59:59+00:00", State.ACTIVE, ""),
        ("2026-12-20T23:00:00+00:00", State.EXPIRED, "expired"),
        ("0001-01-01T00:00:00+14:00", State.ACTIVE, "not-verified"),
        ("9999-12-31T23:59:59-14:00", State.EXPIRED, "expired"),
    ],
)
def test_its_days_are_those_of_paris(moment: str, state: State, reason: str) -> None:
    verification = VerifiedBy(method=Method.ONLINE, documents=(), by="staff/s-1", at=NOON - timedelta(days=9))
    proxy, at = facts(verification=verification), datetime.fromisoformat(moment)
    assert (states.state_at(proxy, at), states.valid_at(proxy, at).reason) == (state, reason)


def an_event(event_type: str, body: Schema) -> Event:
    return events.make(event_type, "proxy/p", body, actor="staff/s-1", correlation_id="request-1")


@given(st.permutations(range(3)), st.integers(0, 4))
def test_its_history_is_told_in_any_order(order: list[int], through: int) -> None:
    """Events of one millisecond have ids in any order; their revisions tell it."""
    start, end = date(2026, 11, 20), date(2026, 12, 20)
    registered = Registered(
        revision=1,
        kind=Kind.PERMANENT,
        scopes=(Scope.REGISTERED,),
        start=start,
        end=end,
        item=None,
        legal_person=False,
        month="2028-01",
        people=Sealed(""),
    )
    history = [
        an_event(states.REGISTERED, registered),
        an_event(states.VERIFIED, Verified(revision=2, method=Method.ONLINE, documents=())),
        an_event(states.REVOKED, Revoked(revision=3, reason=RevocationReason.FRAUD, effective_at=NOON)),
    ]

    known = states.fold([history[position] for position in order], through=through)

    if known is None:
        assert through == 0
    else:
        assert known.revision == min(through, 3)
        assert (known.verification is not None, known.revocation is not None) == (through >= 2, through >= 3)


@pytest.mark.parametrize(
    ("born_on", "age"), [("2008-11-23", 18), ("2008-11-24", 17), ("2008-02-29", 18), ("2026-12-01", -1)]
)
def test_an_age_is_in_full_years(born_on: str, age: int) -> None:
    holder = Holder(last_name="M", first_name="J", born_on=date.fromisoformat(born_on))
    assert states.age_on(date(2026, 11, 23), holder) == age


@pytest.mark.parametrize(
    ("born_on", "first_moment"),
    [("2008-11-23", "2026-11-22T23:00:00+00:00"), ("2008-02-29", "2026-02-28T23:00:00+00:00")],
)
def test_full_age_begins_with_a_day_of_paris(born_on: str, first_moment: str) -> None:
    holder = Holder(last_name="M", first_name="J", born_on=date.fromisoformat(born_on))
    first = datetime.fromisoformat(first_moment)
    assert states.is_of_age(holder, first)
    assert not states.is_of_age(holder, first - timedelta(seconds=1))


def test_a_month_later_is_never_a_day_that_there_is_not() -> None:
    assert rules.retention_month(date(2026, 12, 31)) == "2028-01"
    assert rules.retention_month(date(2027, 1, 31)) == "2028-02"
    assert rules.last_day_of("2028-02") == date(2028, 2, 29)
