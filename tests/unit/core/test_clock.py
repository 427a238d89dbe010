"""The time: UTC inside, the business day of Paris outside."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import clock
from tests.support.clock import FakeClock

MOMENTS = st.datetimes(timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("utc", "business_day"),
    [
        ("2026-11-23T22:59:59.999999+00:00", date(2026, 11, 23)),
        ("2026-11-23T23:00:00+00:00", date(2026, 11, 24)),
        ("2026-07-13T21:59:59.999999+00:00", date(2026, 7, 13)),
        ("2026-07-13T22:00:00+00:00", date(2026, 7, 14)),
        ("2026-03-28T23:00:00+00:00", date(2026, 3, 29)),
        ("2026-03-29T21:59:59+00:00", date(2026, 3, 29)),
        ("2026-03-29T22:00:00+00:00", date(2026, 3, 30)),
        ("2026-10-24T22:00:00+00:00", date(2026, 10, 25)),
        ("2026-10-25T22:59:59+00:00", date(2026, 10, 25)),
        ("2026-10-25T23:00:00+00:00", date(2026, 10, 26)),
        ("2026-12-31T23:00:00+00:00", date(2027, 1, 1)),
    ],
)
def test_the_business_day_begins_at_midnight_in_paris(utc: str, business_day: date) -> None:
    with FakeClock(datetime.fromisoformat(utc)).running():
        assert clock.today() == business_day


def test_the_machines_clock_is_aware_and_in_utc() -> None:
    assert clock.now().utcoffset() == timedelta(0)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_another_clock_is_used_within_its_block_only() -> None:
    outer, inner = FakeClock(datetime(2026, 1, 1, tzinfo=UTC)), FakeClock(datetime(2027, 1, 1, tzinfo=UTC))
    with outer.running():
        with suppress(ZeroDivisionError), inner.running():
            assert clock.now() == inner.at
            raise ZeroDivisionError
        assert clock.now() == outer.at
    assert clock.now().tzinfo is UTC
    assert clock.now() != outer.at


@given(MOMENTS, MOMENTS)
def test_stamps_are_ordered_as_their_moments(one: datetime, other: datetime) -> None:
    assert (clock.stamp(one) < clock.stamp(other)) is (one < other)
    assert len(clock.stamp(one)) == len("2026-11-23T20:00:00.000000Z")


def test_a_stamp_is_in_utc_whatever_the_zone() -> None:
    moment = datetime(2026, 11, 23, 22, 0, tzinfo=timezone(timedelta(hours=2)))
    assert clock.stamp(moment) == "2026-11-23T20:00:00.000000Z"
