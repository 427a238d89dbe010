"""The proof in small: `make reliability` runs it at its full size. See docs/reliability."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from tests.reliability.days import Day, burst, lived
from tests.reliability.faults import NO_TIMERS, NO_TIMERS_AND_LOST_RUNS, THIRTY_PER_CENT
from tests.reliability.figures import of_day

SEED = 20261123


@pytest.fixture(scope="module")
def bad_day() -> Day:
    """A day on which 30 % of everything fails."""
    return lived(SEED, THIRTY_PER_CENT, 120, within=240)


def test_nothing_is_wrong_whatever_fails(bad_day: Day) -> None:
    assert bad_day.verdict.faults == [], f"seed {SEED}"


def test_each_requirement_was_looked_at(bad_day: Day) -> None:
    assert [check.name for check in bad_day.verdict.checks if check.looked_at == 0] == []


@pytest.mark.parametrize("kind", ["call", "channel", "timer", "message", "request", "run"])
def test_thirty_per_cent_did_fail(bad_day: Day, kind: str) -> None:
    drawn = bad_day.world.faults.drawn[kind]
    allowed = 8 if drawn > 200 else 25
    assert bad_day.world.faults.share(kind) == pytest.approx(30, abs=allowed)


def test_without_timers_nothing_is_more_than_15_seconds_late() -> None:
    day = lived(SEED, NO_TIMERS, 40, within=300)
    assert day.verdict.faults == []
    assert 5 < of_day(day).latest <= 15


def test_without_timers_and_a_run_of_the_sweeper_nothing_is_more_than_75_seconds_late() -> None:
    day = lived(SEED, NO_TIMERS_AND_LOST_RUNS, 40, within=300)
    assert day.verdict.faults == []
    assert 15 < of_day(day).latest <= 75


def test_a_burst_is_taken_at_once() -> None:
    """300 in 3.6 s, as 5,000 in a minute: each by its first request, and none meets another."""
    day = burst(SEED, 300, within=3.6, after=1)
    assert day.verdict.faults == []
    assert Counter(status for press in day.presses for status in press.statuses) == {201: 300}
    assert day.world.conflicts["alerts_api"] == 0
    assert day.world.conflicts.total() > 0, "the conflicts of transactions are off"


def test_a_seed_tells_the_same_day_again() -> None:
    days = [lived(SEED, THIRTY_PER_CENT, 6, within=30, silence=timedelta(0)) for _ in range(2)]
    told = [[(at, event["id"], event["type"]) for at, event in day.world.journal] for day in days]
    assert told[0] == told[1]
