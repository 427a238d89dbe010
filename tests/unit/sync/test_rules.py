"""When an event happened, whatever the handset's clocks say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.core import clock, ids
from chalicelib.core.clock import PARIS
from chalicelib.sync import rules
from chalicelib.sync.schemas import HandsetClock, HandsetEvent

RECEIVED = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
LEAST, MOST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
MAX = 2**53 - 1

MOMENTS = st.datetimes(
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
) | st.sampled_from([LEAST, MOST, LEAST.replace(year=1970), RECEIVED]).flatmap(
    lambda at: st.sampled_from([at.replace(tzinfo=timezone(timedelta(hours=hours))) for hours in (-14, 0, 14)])
)
COUNTERS = st.integers(0, MAX) | st.sampled_from([0, 3_600_000, MAX])


def an_event(**changes: Any) -> HandsetEvent:
    told: dict[str, Any] = {
        "specversion": "1.0",
        "id": ids.new(RECEIVED),
        "source": "/handsets/d/1",
        "type": "facteo.item.scanned",
        "subject": "item/9V20524752032",
        "time": RECEIVED,
        "data": msgspec.Raw(b"{}"),
        "sequence": 1,
        "devicemonotonic": 0,
        "deviceboot": "boot-1",
    }
    return HandsetEvent(**(told | changes))


def a_clock(**changes: Any) -> HandsetClock:
    return HandsetClock(**({"time": RECEIVED, "monotonic": 0, "boot": "boot-1"} | changes))


@example(MOST, RECEIVED - timedelta(minutes=1), "boot-2", 0, 0)
@example(LEAST.replace(tzinfo=timezone(timedelta(hours=14))), RECEIVED, "boot-1", 0, 0)
@given(time=MOMENTS, now=MOMENTS, boot=st.sampled_from(["boot-1", "boot-2"]), then=COUNTERS, counter=COUNTERS)
def test_no_clock_makes_a_moment_that_cannot_be_shown_or_lies_ahead(
    time: datetime, now: datetime, boot: str, then: int, counter: int
) -> None:
    event = an_event(time=time, devicemonotonic=then)
    found = rules.timing(event, a_clock(time=now, monotonic=counter, boot=boot), RECEIVED)

    assert rules.BEFORE_ALL_HANDSETS <= found.corrected <= RECEIVED
    assert found.corrected.astimezone(PARIS)
    assert clock.stamp(found.corrected)
    assert ("clock-unusable" in found.flags) is (found.method == "received")
    assert found.method != "received" or found.corrected == RECEIVED


@pytest.mark.parametrize(
    ("event", "clock", "ago", "method", "flags"),
    [
        ({}, {"monotonic": 60_000}, 1, "monotonic", ()),
        ({"time": RECEIVED.replace(year=9999)}, {"monotonic": 60_000}, 1, "monotonic", ("clock-off", "day-changed")),
        ({"time": RECEIVED - timedelta(minutes=2)}, {"boot": "boot-2"}, 2, "skew", ()),
        ({"devicemonotonic": 1, "time": RECEIVED + timedelta(minutes=2)}, {}, 0, "skew", ("clamped",)),
        ({}, {"monotonic": MAX}, 0, "received", ("clock-unusable",)),
        ({}, {"monotonic": 30 * 365 * 86_400_000}, 0, "received", ("clock-unusable",)),
    ],
)
def test_how_it_is_reckoned(
    event: dict[str, Any], clock: dict[str, Any], ago: int, method: str, flags: tuple[str, ...]
) -> None:
    found = rules.timing(an_event(**event), a_clock(**clock), RECEIVED)
    assert found == rules.Timing(RECEIVED - timedelta(minutes=ago), method, flags)
