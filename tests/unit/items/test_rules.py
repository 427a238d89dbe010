"""What an item's events mean, whatever the order in which they came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.events import Event
from chalicelib.items import rules
from chalicelib.items.schemas import EVENT_TYPES, Announced, Corrected, Status, Step
from tests.support.clock import MONDAY_MORNING
from tests.support.events import an_item_event
from tests.support.factories import ITEM, OpenSeal, an_addressee, an_announcement

CORRECTED = "facteo.item.corrected"

SAYS = [
    ("facteo.item.announced", {}, Status.ANNOUNCED),
    ("facteo.item.scanned", {"step": "taken-in-charge"}, Status.TAKEN_IN_CHARGE),
    ("facteo.item.scanned", {"step": "at-depot"}, Status.AT_DEPOT),
    ("facteo.item.scanned", {"step": "out-for-delivery"}, Status.OUT_FOR_DELIVERY),
    ("facteo.item.scanned", {"step": "presented"}, Status.PRESENTED),
    ("facteo.item.delivered", {}, Status.DELIVERED),
    ("facteo.item.handed-over", {}, Status.DELIVERED),
    ("facteo.item.not-delivered", {}, Status.NOT_DELIVERED),
    ("facteo.item.held", {}, Status.HELD),
    ("facteo.item.returned", {}, Status.RETURNED),
    ("facteo.item.redirected", {}, Status.REDIRECTED),
]
"""Every fact, and the status that it says. A correction says none."""


def after(minutes: int) -> datetime:
    return MONDAY_MORNING + timedelta(minutes=minutes)


def a_fact(event_type: str, minutes: int = 0, data: dict[str, Any] | None = None, **changes: Any) -> Event:
    """An event so many minutes after the morning began."""
    event = an_item_event(event_type, at=after(minutes), data=data or {}, **changes)
    if event_type != "facteo.item.announced":
        return event
    announced = rules.sealed(an_announcement(**(data or {})), OpenSeal())
    return msgspec.structs.replace(event, data=msgspec.Raw(msgspec.json.encode(announced)), device="", place="")


def a_correction(of: Event, minutes: int = 0) -> Event:
    body = msgspec.json.encode(Corrected(corrects=of.id, reason="wrong item"))
    return msgspec.structs.replace(a_fact(CORRECTED, minutes), data=msgspec.Raw(body), device="")


def delivered(minutes: int) -> Event:
    return a_fact("facteo.item.delivered", minutes)


def scanned(minutes: int, step: Step = Step.OUT_FOR_DELIVERY) -> Event:
    return a_fact("facteo.item.scanned", minutes, {"step": step.value})


def status_of(*events: Event) -> Status:
    return rules.fold(ITEM, events).status


@pytest.mark.parametrize(("event_type", "data", "status"), SAYS)
def test_a_fact_says_a_status(event_type: str, data: dict[str, Any], status: Status) -> None:
    assert status_of(a_fact(event_type, data=data)) is status


def test_every_event_type_says_a_status_but_a_correction() -> None:
    assert {event_type for event_type, _, _ in SAYS} == EVENT_TYPES.keys() - {CORRECTED}
    assert {data["step"] for _, data, _ in SAYS if data} == set(Step)
    assert {status for *_, status in SAYS} == set(Status) - {Status.UNKNOWN}


@st.composite
def histories(draw: st.DrawFn) -> tuple[Sequence[Event], Sequence[Event]]:
    """Facts and corrections, many of the same moment, in two orders of arrival."""
    said = draw(st.lists(st.tuples(st.sampled_from(SAYS), st.integers(0, 3)), min_size=1, max_size=8))
    facts = [a_fact(event_type, minutes, data) for (event_type, data, _), minutes in said]
    wrong = draw(st.lists(st.sampled_from(facts), max_size=3))
    events = [*facts, *(a_correction(of) for of in wrong)]
    return events, draw(st.permutations(events))


@given(histories())
def test_the_order_of_arrival_does_not_matter(arrivals: tuple[Sequence[Event], Sequence[Event]]) -> None:
    one, other = (msgspec.json.encode(rules.fold(ITEM, events)) for events in arrivals)
    assert one == other


def test_what_happened_later_counts_even_if_it_came_first() -> None:
    assert status_of(scanned(9, Step.PRESENTED), scanned(5)) is Status.PRESENTED


def test_the_corrected_time_orders_not_the_handset_s() -> None:
    ahead = msgspec.structs.replace(scanned(300), correctedtime=after(1))
    assert status_of(ahead, scanned(5, Step.PRESENTED)) is Status.PRESENTED


def test_a_corrected_event_counts_for_nothing_and_stays_in_the_history() -> None:
    out, wrong = scanned(1), delivered(2)
    correction = a_correction(wrong, 3)

    history = rules.fold(ITEM, [out, wrong, scanned(4, Step.PRESENTED), correction])

    assert (history.status, history.final, history.contradictions) == (Status.PRESENTED, False, ())
    assert [entry.voided_by for entry in history.events] == [None, correction.id, None, None]


@pytest.mark.parametrize(
    ("first", "then", "status"),
    [
        ("facteo.item.delivered", "facteo.item.scanned", Status.DELIVERED),
        ("facteo.item.delivered", "facteo.item.held", Status.DELIVERED),
        ("facteo.item.returned", "facteo.item.not-delivered", Status.RETURNED),
        ("facteo.item.delivered", "facteo.item.returned", Status.RETURNED),
        ("facteo.item.returned", "facteo.item.delivered", Status.DELIVERED),
        ("facteo.item.delivered", "facteo.item.delivered", Status.DELIVERED),
    ],
)
def test_what_comes_after_a_final_status_is_a_contradiction(first: str, then: str, status: Status) -> None:
    final, later = a_fact(first, 1), a_fact(then, 2)

    history = rules.fold(ITEM, [later, final])

    assert (history.status, history.final, history.contradictions) == (status, True, (later.id,))


def test_an_announcement_after_the_delivery_is_no_contradiction() -> None:
    history = rules.fold(ITEM, [delivered(1), a_fact("facteo.item.announced", 2)])
    assert (history.status, history.contradictions) == (Status.DELIVERED, ())


def test_an_announcement_counts_only_while_nothing_happened() -> None:
    late = a_fact("facteo.item.announced", 5)

    history = rules.fold(ITEM, [scanned(1), late])

    assert history.status is Status.OUT_FOR_DELIVERY
    assert history.announcement == late.body(Announced), "what it says of the item is known all the same"


def test_of_two_announcements_the_latest_that_stands_counts() -> None:
    first = a_fact("facteo.item.announced", 1)
    second = a_fact("facteo.item.announced", 2, {"reference": "OTHER"})

    assert rules.fold(ITEM, [second, first]).announcement == second.body(Announced)
    assert rules.fold(ITEM, [second, first, a_correction(second, 3)]).announcement == first.body(Announced)
    only = rules.fold(ITEM, [first, a_correction(first, 3)])
    assert (only.status, only.announcement) == (Status.UNKNOWN, None)


def test_an_event_of_another_feature_is_shown_and_says_nothing() -> None:
    placed = msgspec.structs.replace(scanned(2), type="facteo.item.placed", data=msgspec.Raw(b'{"route":"T12"}'))

    history = rules.fold(ITEM, [scanned(1), placed])

    assert history.status is Status.OUT_FOR_DELIVERY
    assert [entry.type for entry in history.events] == ["facteo.item.scanned", "facteo.item.placed"]


def test_nothing_is_known_of_an_item_without_events() -> None:
    assert status_of() is Status.UNKNOWN


def test_the_depots_of_an_item_are_those_where_anything_took_place() -> None:
    places = ["depot/75015A", "depot/75018A", "depot/75015A", "", "locker/7"]
    events = [msgspec.structs.replace(scanned(minutes), place=place) for minutes, place in enumerate(places)]
    assert rules.depots_of(rules.fold(ITEM, events)) == ["75015A", "75018A"]


def test_a_sealed_announcement_differs_by_its_addressee_only() -> None:
    announcement = an_announcement(cash_on_delivery_cents=1200, pickup_point="123456")

    sealed = msgspec.to_builtins(rules.sealed(announcement, OpenSeal()))

    assert msgspec.json.decode(sealed.pop("addressee")) == msgspec.to_builtins(an_addressee())
    assert sealed.items() <= msgspec.to_builtins(announcement).items()
