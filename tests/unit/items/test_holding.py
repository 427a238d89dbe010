"""How long an item is held: fifteen days from the day after the presentation, ten working days for a parcel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from chalicelib.core import working_days
from chalicelib.core.events import Event
from chalicelib.items import rules, terms
from chalicelib.items.schemas import Announced, Corrected, HeldAt, Holding, HoldingState, Status
from chalicelib.items.terms import TERMS, Kind
from tests.support.events import an_item_event
from tests.support.factories import OpenSeal, an_announcement

REGISTERED, PARCEL = "1A12345678901", "9V20524752032"

HELD, DUE, WITHDRAWN, RETURNED, REDIRECTED = HoldingState


def on(day: str, hour: int = 9, minute: int = 0) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).replace(hour=hour, minute=minute)


def absent(day: str, hour: int = 9) -> Event:
    return an_item_event("facteo.item.not-delivered", at=on(day, hour), data={"cause": "absent"})


def held(day: str, hour: int = 16, place: str = "post-office-after-notice", **data: Any) -> Event:
    return an_item_event("facteo.item.held", at=on(day, hour), data={"place": place, **data})


def happens(event_type: str, day: str, **data: Any) -> Event:
    return an_item_event(f"facteo.item.{event_type}", at=on(day), data=data)


def correction(of: Event, day: str) -> Event:
    body = msgspec.json.encode(Corrected(corrects=of.id, reason="wrong item"))
    made = an_item_event("facteo.item.corrected", at=on(day), device="")
    return msgspec.structs.replace(made, data=msgspec.Raw(body))


def holding(*events: Event, item: str = REGISTERED, today: str = "") -> Holding | None:
    return rules.fold(item, events, date.fromisoformat(today) if today else None).holding


def days(*events: Event, item: str = REGISTERED) -> Sequence[str]:
    found = holding(*events, item=item)
    assert found
    return [str(day) for day in (found.presented_on, found.last_day, found.return_due_on)]


# --- the days -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("presented", "last", "due"),
    [
        ("2026-03-02", "2026-03-17", "2026-03-18"),
        ("2026-03-20", "2026-04-04", "2026-04-05"),
        ("2026-10-15", "2026-10-30", "2026-10-31"),
        ("2026-12-20", "2027-01-04", "2027-01-05"),
        ("2028-02-14", "2028-02-29", "2028-03-01"),
        ("2027-02-14", "2027-03-01", "2027-03-02"),
        ("2026-05-30", "2026-06-14", "2026-06-15"),
    ],
    ids=["2 March", "clocks forward", "clocks back", "year end", "29 February", "no 29 February", "ends on a Sunday"],
)
def test_a_registered_item_waits_fifteen_calendar_days(presented: str, last: str, due: str) -> None:
    assert days(absent(presented), held(presented)) == [presented, last, due]


@pytest.mark.parametrize(
    ("presented", "last"),
    [
        ("2026-03-02", "2026-03-16"),
        ("2026-03-06", "2026-03-20"),
        ("2026-03-07", "2026-03-20"),
        ("2026-12-18", "2027-01-05"),
        ("2026-04-30", "2026-05-19"),
        ("2026-04-03", "2026-04-20"),
    ],
    ids=["Monday", "Friday", "Saturday", "Christmas and New Year", "1, 8 and 14 May", "Easter Monday"],
)
def test_a_parcel_waits_ten_working_days(presented: str, last: str) -> None:
    assert days(absent(presented), held(presented), item=PARCEL)[:2] == [presented, last]


@pytest.mark.parametrize(
    "holiday",
    [
        *("2026-01-01", "2026-04-06", "2026-05-01", "2026-05-08", "2026-05-14", "2026-05-25", "2026-07-14"),
        *("2025-08-15", "2027-11-01", "2026-11-11", "2026-12-25"),
    ],
)
def test_no_public_holiday_is_a_working_day(holiday: str) -> None:
    assert not working_days.is_working_day(date.fromisoformat(holiday))


def test_every_other_weekday_of_a_year_is_a_working_day() -> None:
    year = [date.fromordinal(day) for day in range(date(2026, 1, 1).toordinal(), date(2027, 1, 1).toordinal())]
    weekdays, holidays_on_weekdays = 261, 9
    assert sum(map(working_days.is_working_day, year)) == weekdays - holidays_on_weekdays


@pytest.mark.parametrize(
    ("at", "presented"),
    [
        (on("2026-03-01", 22, 59), "2026-03-01"),
        (on("2026-03-01", 23), "2026-03-02"),
        (on("2026-03-29", 21, 59), "2026-03-29"),
        (on("2026-03-29", 22), "2026-03-30"),
        (on("2026-10-25", 22, 59), "2026-10-25"),
        (on("2026-10-25", 23), "2026-10-26"),
    ],
)
def test_the_day_of_presentation_is_that_of_paris(at: datetime, presented: str) -> None:
    event = an_item_event("facteo.item.held", at=at)
    assert days(event)[0] == presented


# --- which presentation counts --------------------------------------------------------------------------


def test_without_an_absence_before_it_the_day_on_which_it_was_held_counts() -> None:
    refused = happens("not-delivered", "2026-03-02", cause="refused")
    assert days(refused, held("2026-03-04"))[0] == "2026-03-04"
    assert days(held("2026-03-04"), absent("2026-03-06"))[0] == "2026-03-04"


@pytest.mark.parametrize(("restarts", "counts"), [(False, "2026-03-02"), (True, "2026-03-05")])
def test_whether_a_second_presentation_restarts_the_days_is_a_setting(
    restarts: bool, counts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "LATER_PRESENTATION_RESTARTS", restarts)
    again = happens("scanned", "2026-03-05", step="out-for-delivery")
    assert days(absent("2026-03-02"), held("2026-03-02"), again, absent("2026-03-05"), held("2026-03-06"))[0] == counts


def test_neither_a_change_of_place_nor_what_the_customer_was_told_moves_the_last_day() -> None:
    first, moved = held("2026-03-02", until="2026-03-10"), held("2026-03-09", place="pickup-point")
    assert days(first, moved) == ["2026-03-02", "2026-03-17", "2026-03-18"]


def test_a_corrected_absence_does_not_count() -> None:
    wrong = absent("2026-03-02")
    assert days(wrong, correction(wrong, "2026-03-03"), held("2026-03-04"))[0] == "2026-03-04"


def test_at_another_address_an_item_is_presented_anew() -> None:
    before = [absent("2026-03-02"), held("2026-03-02"), happens("redirected", "2026-03-06")]
    assert days(*before)[0] == "2026-03-02"
    assert days(*before, absent("2026-03-10"), held("2026-03-10"))[0] == "2026-03-10"


@pytest.mark.parametrize(
    "events",
    [
        [],
        [absent("2026-03-02")],
        [happens("delivered", "2026-03-02"), held("2026-03-03")],
        [wrong := held("2026-03-02"), correction(wrong, "2026-03-03")],
    ],
    ids=["nothing happened", "only absent", "held after it was delivered", "held by mistake"],
)
def test_an_item_that_was_never_held_has_no_term(events: Sequence[Event]) -> None:
    assert holding(*events) is None


# --- what became of it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("today", "state"), [("2026-03-02", HELD), ("2026-03-17", HELD), ("2026-03-18", DUE), ("", HELD)]
)
def test_it_is_due_for_return_from_the_day_after_the_last(today: str, state: HoldingState) -> None:
    found = holding(held("2026-03-02"), today=today)
    assert found
    assert found.state is state


@pytest.mark.parametrize(
    ("then", "status", "state"),
    [
        ([happens("handed-over", "2026-03-20")], Status.DELIVERED, WITHDRAWN),
        ([happens("delivered", "2026-03-05")], Status.DELIVERED, WITHDRAWN),
        ([happens("returned", "2026-03-20", cause="not-collected")], Status.RETURNED, RETURNED),
        (
            [happens("returned", "2026-03-20", cause="not-collected"), happens("handed-over", "2026-03-24")],
            Status.DELIVERED,
            RETURNED,
        ),
        ([happens("redirected", "2026-03-05")], Status.REDIRECTED, REDIRECTED),
        ([happens("redirected", "2026-03-05"), happens("delivered", "2026-03-09")], Status.DELIVERED, REDIRECTED),
        ([happens("scanned", "2026-03-05", step="out-for-delivery")], Status.OUT_FOR_DELIVERY, DUE),
    ],
    ids=["withdrawn", "delivered", "returned", "back at the sender", "redirected", "delivered elsewhere", "out again"],
)
def test_what_becomes_of_a_held_item(then: Sequence[Event], status: Status, state: HoldingState) -> None:
    history = rules.fold(REGISTERED, [held("2026-03-02"), *then], date(2026, 4, 1))
    assert history.holding
    assert (history.status, history.holding.state) == (status, state)


# --- the terms ------------------------------------------------------------------------------------------


def test_there_is_a_term_for_every_kind_at_every_place() -> None:
    assert TERMS.keys() == {(kind, place) for kind in Kind for place in HeldAt}


KINDS = [
    ("RB123456785GB", Kind.REGISTERED),
    ("VV123456785FR", Kind.REGISTERED),
    ("1A12345678901", Kind.REGISTERED),
    ("2C12345678901", Kind.REGISTERED),
    ("9V20524752032", Kind.PARCEL),
    ("CB662173705US", Kind.PARCEL),
    ("EE471108151FR", Kind.PARCEL),
    ("306141412345678902", Kind.PARCEL),
    ("LU680211095FR", Kind.OTHER),
    ("87000634002228A", Kind.OTHER),
]


@pytest.mark.parametrize(("item", "kind"), KINDS)
def test_the_kind_of_an_item_is_that_of_its_number(item: str, kind: Kind) -> None:
    assert terms.kind_of(item, None) is kind
    assert terms.kind_of(item, announced()) is kind
    assert terms.kind_of(item, announced(recommendation="R2")) is Kind.REGISTERED


def announced(**changes: Any) -> Announced:
    return rules.sealed(an_announcement(**changes), OpenSeal())
