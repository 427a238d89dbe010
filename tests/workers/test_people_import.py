"""What legacy files and staff state of people: what was stated last counts, whenever it is taken."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from chalicelib.core.errors import Problem
from chalicelib.core.intake import Superseded, Taken
from chalicelib.core.journal import JournalRow
from chalicelib.core.schemas import Schema
from chalicelib.people import legacy, lookup
from chalicelib.people.schemas import CarrierEntry, Duty
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.fleet import HERE, OURS, a_carrier, a_post
from tests.support.races import overtaken

MORNING = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
DAY = date(2026, 11, 24)


class Line(NamedTuple):
    """A line of the file written so many minutes after the morning, in a slice of its own."""

    minute: int
    number: int

    def states(self, entry: Schema) -> Taken | Problem:
        """Take the line."""
        [outcome] = legacy.import_records(
            [entry],
            lines=[self.number],
            at=MORNING + timedelta(minutes=self.minute),
            actor="legacy/carriers",
            correlation_id=f"import/{self.minute}/{self.number // 1000}",
        )
        return outcome


FIRST, LATER_LINE, NEWER_FILE = Line(10, 9), Line(10, 2500), Line(20, 3)


@pytest.fixture
def post(api: Api, clock: FakeClock) -> Api:
    """A post that was registered in the morning; it is noon now."""
    a_post(api)
    clock.advance(hours=5)
    return api


def an_entry(manager: str = "", **changes: Any) -> CarrierEntry:
    return CarrierEntry(**({"id": "C7", "manager": manager, **a_carrier(HERE)} | changes))


def a_duty(**changes: Any) -> Duty:
    told: dict[str, Any] = {"carrier": OURS, "day": DAY, "depot": HERE, "route": "T12"}
    return Duty(**(told | {"starts": "06:30", "ends": "13:00"} | changes))


def save(post: Api, manager: str) -> None:
    """The staff states the same carrier, now."""
    answer = post.as_staff("depot-manager").put("/v1/carriers/C7", {**a_carrier(HERE), "manager": manager})
    assert answer.status == 200


def withdraw(post: Api) -> None:
    assert post.as_staff("depot-manager").request("DELETE", f"/v1/carriers/{OURS}/duties/{DAY}").status == 204


def is_superseded(outcome: Taken | Problem) -> bool:
    return isinstance(outcome, Superseded)


@pytest.mark.parametrize("order", list(itertools.permutations([FIRST, LATER_LINE, NEWER_FILE])))
@pytest.mark.usefixtures("post")
def test_the_newest_line_counts_in_whatever_order_they_are_taken(order: Sequence[Line]) -> None:
    outcomes = {line: line.states(an_entry(str(line))) for line in order}

    assert lookup.carrier("C7").manager == str(NEWER_FILE)
    for line, outcome in outcomes.items():
        before = order[: order.index(line)]
        assert is_superseded(outcome) is any(other > line for other in before)
    again = {line: line.states(an_entry(str(line))) for line in order}
    assert [line for line in order if again[line] is Taken.REPEATED] == [
        line for line in order if outcomes[line] is Taken.RECORDED
    ]
    assert lookup.carrier("C7").manager == str(NEWER_FILE)


def test_a_line_older_than_what_the_staff_stated_changes_nothing_and_says_why(post: Api) -> None:
    save(post, "staff")
    before = len(list(JournalRow.scan()))

    outcome = FIRST.states(an_entry("legacy"))

    assert isinstance(outcome, Problem)
    assert (
        outcome.detail == "It was stated otherwise or withdrawn later, at 2026-11-23T12:00:00.000000Z, and that counts."
    )
    assert lookup.carrier("C7").manager == "staff"
    assert len(list(JournalRow.scan())) == before


def test_staff_always_change_what_a_file_stated_and_are_never_older_than_it(post: Api) -> None:
    tomorrow, before = Line(24 * 60, 2), Line(23 * 60, 2)
    tomorrow.states(an_entry("legacy"))
    save(post, "staff")

    assert is_superseded(before.states(an_entry("legacy")))
    assert lookup.carrier("C7").manager == "staff"


@pytest.mark.parametrize("by_staff", [True, False])
def test_what_is_stated_again_is_newer_than_all_that_lies_between(post: Api, by_staff: bool) -> None:
    FIRST.states(an_entry("right"))
    before = len(list(JournalRow.scan()))
    if by_staff:
        save(post, "right")
    else:
        assert NEWER_FILE.states(an_entry("right")) is Taken.DUPLICATE
    assert len(list(JournalRow.scan())) == before

    assert is_superseded(LATER_LINE.states(an_entry("wrong")))
    assert lookup.carrier("C7").manager == "right"


@pytest.mark.parametrize("stated", ["right", "changed"])
def test_a_line_that_is_overtaken_by_a_newer_statement_is_superseded(post: Api, stated: str) -> None:
    FIRST.states(an_entry("right"))

    with overtaken(by=lambda: save(post, stated)):
        assert is_superseded(NEWER_FILE.states(an_entry("wrong")))

    assert lookup.carrier("C7").manager == stated


def test_a_withdrawn_duty_comes_back_with_a_newer_file_only(post: Api) -> None:
    newer = Line(6 * 60, 2)
    assert FIRST.states(a_duty()) is Taken.RECORDED
    withdraw(post)

    assert FIRST.states(a_duty()) is Taken.REPEATED
    assert is_superseded(LATER_LINE.states(a_duty()))
    assert lookup.duty_of(OURS, DAY) is None
    assert newer.states(a_duty()) is Taken.RECORDED
    assert lookup.duty_of(OURS, DAY) == a_duty()
