"""Held items: they lie at the depot that holds them, by their last day, until something becomes of them."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest

from chalicelib.core import clock as clocks
from chalicelib.core import journal
from chalicelib.core.callers import EVERYWHERE, StaffMember
from chalicelib.items import service as items
from chalicelib.items.schemas import Corrected
from chalicelib.rounds import service, settling
from chalicelib.rounds.tables import places_on
from chalicelib.rounds.workers import sorting
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.cloud import Cloud
from tests.support.crashes import after_step
from tests.support.events import an_item_event, deliver, recorded
from tests.support.factories import DEPOT, ROUTE, a_plan_line
from tests.support.races import overtaken
from tests.support.sorting import happens, import_plan, route_of, row_of, sorted_item

ON_THE_ROUTE, HELD = f"{DEPOT}/{ROUTE}", f"{DEPOT}/held"
ELSEWHERE = "75018A"
MANAGER = StaffMember(actor="staff/s-1", roles=frozenset({"depot-manager"}), scopes=frozenset({EVERYWHERE}))


def held_item() -> str:
    """A new registered item that waits at the depot for its addressee."""
    item = sorted_item(recommendation="R1")
    assert deliver(sorting, happens("held", item)) == []
    return item


def test_an_item_lies_at_the_depot_that_holds_it_by_its_last_day(aws: Cloud) -> None:
    import_plan(a_plan_line())
    parcel, registered = sorted_item(), sorted_item(recommendation="R1")
    deliver(sorting, happens("held", registered, place=f"depot/{ELSEWHERE}"))
    deliver(sorting, happens("held", parcel, place=f"depot/{ELSEWHERE}"))

    assert route_of(parcel) == route_of(registered) == f"{ELSEWHERE}/held"
    positions = [f"2026-12-07/{parcel}", f"2026-12-08/{registered}"]
    assert [row.position for row in places_on(ELSEWHERE, "held")] == positions


@pytest.mark.parametrize(
    ("event_type", "data", "route"),
    [
        ("handed-over", {}, None),
        ("delivered", {}, None),
        ("returned", {"cause": "not-collected"}, None),
        ("redirected", {}, None),
        ("scanned", {"step": "out-for-delivery"}, ON_THE_ROUTE),
    ],
)
def test_it_leaves_with_what_happens_to_it_next(
    aws: Cloud, event_type: str, data: dict[str, str], route: str | None
) -> None:
    import_plan(a_plan_line())
    item = held_item()

    deliver(sorting, happens(event_type, item, minutes=2, data=data))

    assert route_of(item) == route
    assert list(places_on(DEPOT, "held")) == []
    row = row_of(item)
    assert row is not None
    assert row.holding is None


def test_it_is_found_again_when_it_was_delivered_by_mistake(aws: Cloud) -> None:
    item = held_item()
    [wrong] = happens("handed-over", item, minutes=2)
    deliver(sorting, [wrong])
    assert route_of(item) is None

    items.correct(item, Corrected(corrects=wrong.id, reason="wrong item"), by=MANAGER, correlation_id="c-1")
    deliver(sorting, [event for event in journal.read(f"item/{item}") if event.type == "facteo.item.corrected"])

    assert route_of(item) == HELD


def test_no_change_of_the_plan_moves_it(aws: Cloud) -> None:
    import_plan(a_plan_line())
    item = held_item()

    import_plan(a_plan_line(route="T13"), delivery="import/2/1")
    changes = journal.read(f"plan/{DEPOT}")
    assert deliver(sorting, changes) == []
    assert deliver(sorting, [message["Body"] for message in aws.messages("sorting")]) == []
    assert route_of(item) == HELD
    with aws.counting() as calls:
        settling.settle(item)
    assert calls == {"GetItem": 1, "Query": 1}, "its place and its events, and no word of the plan"


def test_two_workers_at_once_write_once(aws: Cloud) -> None:
    item = sorted_item()
    held = happens("held", item)
    before = row_of(item)
    with overtaken(by=lambda: deliver(sorting, held)):
        assert deliver(sorting, held) == []
    after = row_of(item)
    assert before is not None
    assert after is not None
    assert (after.revision, route_of(item)) == (before.revision + 1, HELD)


def test_a_worker_that_is_late_does_not_hold_what_was_handed_over(aws: Cloud) -> None:
    """Between any two calls of one worker the item is handed over, and another worker takes it off the list."""
    for step in itertools.count(1):
        item = sorted_item()
        happens("held", item)
        final = an_item_event("facteo.item.handed-over", item=item, at=clocks.now() + timedelta(minutes=2))

        with after_step(step, lambda: deliver(sorting, recorded(final))) as steps:  # noqa: B023 - used at once
            settling.settle(item)
        if len(steps) < step:
            break
        assert route_of(item) is None, steps.names[step - 1]
    assert step > len(["GetItem", "Query", "TransactWriteItems"])


def test_an_absence_that_is_told_late_counts_even_if_the_last_day_stays(aws: Cloud, clock: FakeClock) -> None:
    """A parcel that is presented on a Saturday waits as long as one of the Friday before."""
    item, friday = sorted_item(), timedelta(days=4)
    clock.advance(days=5)
    deliver(sorting, happens("held", item))
    assert service.held(DEPOT, None, None).items[0].presented_on == date(2026, 11, 28)

    absence = an_item_event("facteo.item.not-delivered", item=item, at=MONDAY_MORNING + friday)
    deliver(sorting, recorded(absence))

    [waiting] = service.held(DEPOT, None, None).items
    assert (waiting.presented_on, waiting.last_day) == (date(2026, 11, 27), date(2026, 12, 11))
