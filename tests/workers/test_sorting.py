"""The sorting worker: every item where its events and the plan say that it lies, whatever comes how often."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta

import pytest

from chalicelib.core import clock as clocks
from chalicelib.core import journal
from chalicelib.core.callers import EVERYWHERE, StaffMember
from chalicelib.core.events import Event
from chalicelib.core.intake import Taken
from chalicelib.items import service as items
from chalicelib.items.schemas import Corrected, Status
from chalicelib.rounds import service, settling
from chalicelib.rounds.schemas import Placement, PlanLine
from chalicelib.rounds.tables import PlaceRow, places_on
from chalicelib.rounds.workers import sorting
from tests.support import dynamodb
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.crashes import after_step
from tests.support.events import an_item_event, announced, deliver, recorded
from tests.support.factories import DEPOT, ROUTE, a_plan_line, an_addressee, an_item
from tests.support.races import overtaken
from tests.support.sorting import import_plan, route_of, row_of, sorted_item

ON_THE_ROUTE = f"{DEPOT}/{ROUTE}"
UNSORTED = f"{DEPOT}/unsorted"
HELD = f"{DEPOT}/held"
ELSEWHERE = "75018A"
MANAGER = StaffMember(actor="staff/s-1", roles=frozenset({"depot-manager"}), scopes=frozenset({EVERYWHERE}))


def plan_events(depot: str = DEPOT) -> list[Event]:
    return journal.read(f"plan/{depot}")


def work_off(aws: Cloud, change: Event) -> None:
    """Give the worker a change of the plan, and what it asks for then."""
    assert deliver(sorting, [change]) == []
    assert deliver(sorting, [message["Body"] for message in aws.messages("sorting")]) == []


def scan(item: str, step: str = "at-depot", *, depot: str = DEPOT, minutes: int = 1) -> list[Event]:
    at = clocks.now() + timedelta(minutes=minutes)
    return recorded(an_item_event(item=item, at=at, data={"step": step}, place=f"depot/{depot}"))


class TestByPlan:
    def test_an_announced_item_lies_on_the_route_of_its_street(self, aws: Cloud) -> None:
        import_plan(a_plan_line(street="R de la Paix", number_from=1, number_to=99))
        assert route_of(sorted_item()) == ON_THE_ROUTE

    def test_an_item_unknown_to_the_plan_is_for_its_depot_to_sort(self, aws: Cloud) -> None:
        import_plan(a_plan_line())
        assert route_of(sorted_item(addressee=an_addressee(street="3 RUE INCONNUE"))) == UNSORTED
        assert route_of(sorted_item(addressee=an_addressee(street=""))) == UNSORTED
        assert route_of(sorted_item(delivery_postcode="97100")) == "NONE/unsorted"

    @pytest.mark.parametrize("before", [[], [a_plan_line(street="RUE LECOURBE")]], ids=["no plan", "another street"])
    def test_an_item_announced_before_the_plan_is_placed_once_the_plan_comes(
        self, aws: Cloud, before: Sequence[PlanLine]
    ) -> None:
        import_plan(*before)
        item, stranger = sorted_item(), sorted_item(addressee=an_addressee(street="3 RUE INCONNUE"))
        assert route_of(item) == (UNSORTED if before else "NONE/unsorted")

        import_plan(a_plan_line(), delivery="import/2/1")
        [change] = [event for event in plan_events() if event.correlationid == "import/2/1"]
        work_off(aws, change)

        assert (route_of(item), route_of(stranger)) == (ON_THE_ROUTE, UNSORTED)

    def test_a_change_of_the_plan_looks_only_at_items_of_its_postcodes(self, aws: Cloud) -> None:
        import_plan(a_plan_line(street="RUE LECOURBE"))
        for _ in range(3):
            sorted_item(delivery_postcode="97100")
            sorted_item(addressee=an_addressee(street="3 RUE INCONNUE"))
        import_plan(a_plan_line(postcode="97100", street="RUE NEUVE"), delivery="import/2/1")
        one_of_them = plan_events()[0]

        with aws.counting() as calls:
            work_off(aws, one_of_them)

        looked_at, lists = 3, 2
        assert calls["Query"] == lists + 2 * looked_at

    def test_once_the_addressee_cannot_be_read_the_depot_sorts_it(self, aws: Cloud, clock: FakeClock) -> None:
        import_plan(a_plan_line())
        item = sorted_item()
        clock.advance(days=401)

        deliver(sorting, scan(item, "presented"))

        assert route_of(item) == UNSORTED

    def test_nothing_personal_is_kept(self, aws: Cloud) -> None:
        import_plan(a_plan_line())
        sorted_item(addressee=an_addressee(name="M. SECRET"))
        assert not [row for row in PlaceRow.scan() if "SECRET" in str(row.attribute_values)]

    @pytest.mark.parametrize(
        ("street", "cost"),
        [
            ("12 RUE DE LA PAIX", {"GetItem": 1, "Query": 2, "BatchGetItem": 1, "TransactWriteItems": 1}),
            ("3 RUE INCONNUE", {"GetItem": 2, "Query": 2, "BatchGetItem": 1, "TransactWriteItems": 1}),
        ],
    )
    def test_an_item_costs_six_calls_at_most(self, aws: Cloud, street: str, cost: dict[str, int]) -> None:
        import_plan(a_plan_line())
        event = announced(an_item(), addressee=an_addressee(street=street))
        with aws.counting() as calls:
            deliver(sorting, [event, event])
        assert calls == cost


class TestByScan:
    def test_a_depot_that_scans_an_item_nobody_announced_has_to_sort_it(self, aws: Cloud) -> None:
        item = an_item()
        deliver(sorting, scan(item))
        assert route_of(item) == UNSORTED

    def test_a_depot_that_scans_an_item_overrules_a_plan_for_another(self, aws: Cloud) -> None:
        import_plan(a_plan_line())
        item = sorted_item()

        deliver(sorting, scan(item, depot=ELSEWHERE))
        assert route_of(item) == f"{ELSEWHERE}/unsorted"

        deliver(sorting, scan(item, minutes=2))
        assert route_of(item) == ON_THE_ROUTE

    @pytest.mark.parametrize(
        ("event_type", "status", "route"),
        [
            ("facteo.item.delivered", Status.DELIVERED, None),
            ("facteo.item.returned", Status.RETURNED, None),
            ("facteo.item.held", Status.HELD, HELD),
            ("facteo.item.redirected", Status.REDIRECTED, None),
            ("facteo.item.not-delivered", Status.NOT_DELIVERED, ON_THE_ROUTE),
        ],
    )
    def test_an_item_with_which_the_carrier_is_done_leaves_the_route(
        self, aws: Cloud, event_type: str, status: Status, route: str | None
    ) -> None:
        import_plan(a_plan_line())
        item = sorted_item()

        deliver(sorting, recorded(an_item_event(event_type, item=item, at=clocks.now() + timedelta(minutes=1))))

        assert items.read(item).status is status
        assert route_of(item) == route
        assert [row.item for row in places_on(DEPOT, ROUTE)] == ([item] if route == ON_THE_ROUTE else [])

    @pytest.mark.parametrize("event_type", ["facteo.item.delivered", "facteo.item.scanned"])
    def test_a_corrected_event_moves_no_item(self, aws: Cloud, event_type: str) -> None:
        import_plan(a_plan_line())
        item = sorted_item()
        data = {"step": "at-depot"} if event_type == "facteo.item.scanned" else {}
        [wrong] = recorded(an_item_event(event_type, item=item, data=data, place=f"depot/{ELSEWHERE}"))
        deliver(sorting, [wrong])
        assert route_of(item) != ON_THE_ROUTE

        correction = Corrected(corrects=wrong.id, reason="wrong item")
        items.correct(item, correction, by=MANAGER, correlation_id="c-1")
        deliver(sorting, [event for event in journal.read(f"item/{item}") if event.type == "facteo.item.corrected"])

        assert route_of(item) == ON_THE_ROUTE


class TestRepeats:
    def test_the_same_message_twice_writes_nothing_more(self, aws: Cloud) -> None:
        import_plan(a_plan_line())
        item = an_item()
        messages = [announced(item), *plan_events()]
        deliver(sorting, messages)

        with aws.counting() as calls:
            assert deliver(sorting, messages) == []
        assert "TransactWriteItems" not in calls
        assert route_of(item) == ON_THE_ROUTE

    def test_the_order_of_the_messages_does_not_matter(self, aws: Cloud) -> None:
        import_plan(a_plan_line())
        for order in itertools.permutations(range(3)):
            item = an_item()
            made = announced(item)
            [wrong] = scan(item, depot=ELSEWHERE)
            [right] = scan(item, minutes=2)
            for number in order:
                deliver(sorting, [(made, wrong, right)[number]])
            assert route_of(item) == ON_THE_ROUTE

    def test_one_bad_message_does_not_hold_back_the_others(self, aws: Cloud) -> None:
        import_plan(a_plan_line())
        one, other = an_item(), an_item()
        assert deliver(sorting, [announced(one), "no event", announced(other), "{}"]) == ["m-2", "m-4"]
        assert (route_of(one), route_of(other)) == (ON_THE_ROUTE, ON_THE_ROUTE)


class TestTwoAtOnce:
    def test_two_workers_with_the_same_message_write_once(self, aws: Cloud) -> None:
        import_plan(a_plan_line())
        item = an_item()
        made = announced(item)
        with overtaken(by=lambda: deliver(sorting, [made])):
            assert deliver(sorting, [made]) == []
        row = row_of(item)
        assert row is not None
        assert (row.revision, route_of(item)) == (1, ON_THE_ROUTE)

    def test_a_slow_worker_does_not_undo_what_a_newer_event_said(self, aws: Cloud) -> None:
        """Between any two calls of one worker the item is delivered and another worker takes it off the route."""
        import_plan(a_plan_line())
        for step in itertools.count(1):
            item = sorted_item()
            scan(item, depot=ELSEWHERE)
            later = clocks.now() + timedelta(minutes=2)
            final = an_item_event("facteo.item.delivered", item=item, at=later)

            with after_step(step, lambda: deliver(sorting, recorded(final))) as steps:  # noqa: B023 - used at once
                settling.settle(item)
            if len(steps) < step:
                break
            assert route_of(item) is None, steps.names[step - 1]
        assert step > len(["GetItem", "Query", "TransactWriteItems"])

    def test_a_placement_by_hand_during_a_scan_counts(self, aws: Cloud) -> None:
        item = an_item()
        scan(item, minutes=-1)
        placement = Placement(depot=DEPOT, route="HAND")

        def place() -> None:
            service.place_by_hand(item, placement, by=MANAGER, correlation_id="c-1")

        with overtaken(by=place):
            settling.settle(item)
        assert route_of(item) == f"{DEPOT}/HAND"


class TestPlan:
    def test_the_same_lines_again_change_nothing(self, aws: Cloud) -> None:
        lines = [a_plan_line(), a_plan_line(street="RUE LECOURBE")]
        assert import_plan(*lines) == [Taken.RECORDED] * 2
        assert import_plan(*lines) == [Taken.REPEATED] * 2
        assert import_plan(*lines, delivery="import/2/1") == [Taken.DUPLICATE] * 2
        assert len(plan_events()) == 1

    def test_the_same_stretch_of_a_street_is_replaced(self, aws: Cloud) -> None:
        import_plan(a_plan_line())
        assert import_plan(a_plan_line(street="r. de la paix", route="T13"), delivery="import/2/1") == [Taken.RECORDED]
        assert route_of(sorted_item()) == f"{DEPOT}/T13"

    def test_a_replaced_line_takes_its_items_along(self, aws: Cloud) -> None:
        import_plan(a_plan_line(), a_plan_line(street="RUE LECOURBE"))
        moved, stays = sorted_item(), sorted_item(addressee=an_addressee(street="3 RUE LECOURBE"))
        import_plan(a_plan_line(route="T13"), delivery="import/2/1")

        [change] = [event for event in plan_events() if event.correlationid == "import/2/1"]
        work_off(aws, change)

        assert (route_of(moved), route_of(stays)) == (f"{DEPOT}/T13", ON_THE_ROUTE)

    def test_the_row_of_a_postcode_is_written_only_when_it_changes(self, aws: Cloud) -> None:
        import_plan(a_plan_line())
        with dynamodb.sent("TransactWriteItems") as calls:
            import_plan(a_plan_line(street="RUE LECOURBE"), delivery="import/1/2")
            import_plan(a_plan_line(street="RUE LECOURBE", depot=ELSEWHERE), delivery="import/1/3")
        written = [
            [row["Put"]["Item"]["sk"]["S"] for row in call["TransactItems"] if "sk" in row["Put"]["Item"]]
            for call in calls
        ]
        assert [("depot" in keys) for keys in written] == [False, True]

    def test_of_two_lines_about_one_stretch_the_last_counts_each_time(self, aws: Cloud) -> None:
        lines = [a_plan_line(route="T13"), a_plan_line()]
        assert import_plan(*lines) == [Taken.RECORDED] * 2
        assert import_plan(*lines) == [Taken.REPEATED] * 2
        assert route_of(sorted_item()) == ON_THE_ROUTE
        assert len(plan_events()) == 1
