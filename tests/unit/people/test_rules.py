"""Where records stand, and what a roster may say."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.people import rules
from chalicelib.people.ids import CarrierId
from chalicelib.people.schemas import CarrierEntry, Depot, Duty, DutyPeriod, HourAndMinute, Name

TODAY = date(2026, 11, 23)


def a_duty(**changes: Any) -> Duty:
    told: dict[str, Any] = {"carrier": "C1", "day": TODAY, "depot": "75015A", "route": "T12"}
    told |= {"starts": "06:30", "ends": "13:00"}
    return Duty(**(told | changes))


def test_a_duty_stands_beside_its_carrier_and_is_found_by_its_round() -> None:
    shelf = rules.shelf_of(a_duty())

    assert shelf.key(a_duty()) == ("carrier/C1", "duty/2026-11-23")
    assert shelf.group(a_duty()) == "round/75015A/T12/2026-11-23"


def test_what_a_record_refers_to_has_a_shelf_of_its_own() -> None:
    carrier = CarrierEntry(id="C1", first_name="Zoé", last_name="Martin", depot="75015A")
    shelf = rules.shelf_of(carrier)

    assert shelf.refers_to(carrier) == (("depot/75015A", "depot"),)
    assert shelf.group(carrier) == "depot/75015A"


@pytest.mark.parametrize(("is_new", "expected"), [(True, "facteo.duty.assigned"), (False, "facteo.duty.changed")])
def test_the_event_says_whether_it_is_new(is_new: bool, expected: str) -> None:
    assert rules.event_type(a_duty(), is_new=is_new) == expected


@pytest.mark.parametrize(("starts", "ends", "fits"), [("06:30", "13:00", True), ("13:00", "13:00", False)])
def test_a_duty_ends_after_it_starts(starts: str, ends: str, fits: bool) -> None:
    assert (rules.fault_of(a_duty(starts=starts, ends=ends)) is None) is fits


@given(st.dates(), st.none() | st.dates())
def test_a_period_is_short_and_forwards_or_refused(first: date, last: date | None) -> None:
    shown = min(first, date.max - timedelta(days=6))
    if last is None or timedelta() <= last - shown < timedelta(days=62):
        since, to = rules.days_of(DutyPeriod(since=first, to=last), TODAY)
        assert (since, to) == (shown, last or shown + timedelta(days=6))
    else:
        with pytest.raises(ValueError, match="62 days"):
            rules.days_of(DutyPeriod(since=first, to=last), TODAY)


@pytest.mark.parametrize(
    ("kind", "text"), [(CarrierId, "C1\n"), (CarrierId, "c1"), (Name, " Zoé"), (HourAndMinute, "6:30"), (Name, "")]
)
def test_identifiers_and_names_hold_nothing_that_cannot_be_seen(kind: Any, text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, kind)


def test_every_record_that_has_a_shelf_names_its_events() -> None:
    assert {shelf.noun for shelf in rules.SHELVES.values()} == {"carrier", "depot", "zone", "duty", "client"}
    assert rules.SHELVES[Depot].first == "registered"
