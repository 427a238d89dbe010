"""The morning's bundle of a carrier, and the items that a depot's manager sorts by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.core import clock as clocks
from chalicelib.core import journal, keyring
from chalicelib.core.events import Event
from chalicelib.items import rules as item_rules
from chalicelib.rounds import plan, service
from chalicelib.rounds.carried import BundleTaken
from chalicelib.rounds.tables import PlaceRow, places_on
from chalicelib.rounds.workers import sorting
from tests.support.api import Answered, Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.events import an_item_event, announced, deliver, recorded
from tests.support.factories import CARRIER, DEPOT, ROUTE, HeldHandset, a_handset, a_plan_line, an_addressee, an_item
from tests.support.races import overtaken

OTHER_DEPOT = "75018A"
TODAY = "2026-11-23"
ADDRESS = {"postcode": "75015", "town": "Paris"}
RANKS = {"RUE LECOURBE": 300, "RUE DE LA PAIX": 100, "QUAI BRANLY": 200}


@pytest.fixture
def post(api: Api) -> Api:
    """A depot with a carrier who has a round today, and a sorting plan of three streets."""
    ops = api.as_staff("ops")
    ops.put("/v1/zones/SUD", {"name": "Paris Sud"})
    for depot in (DEPOT, OTHER_DEPOT):
        ops.put(f"/v1/depots/{depot}", {"name": "Paris", "zone": "SUD", "address": ADDRESS})
    carrier = {"first_name": "Zoé", "last_name": "Martin", "depot": DEPOT}
    api.as_staff("depot-manager").put(f"/v1/carriers/{CARRIER}", carrier)
    on_duty(api, TODAY)
    lines = [a_plan_line(street=street, rank=rank) for street, rank in RANKS.items()]
    plan.import_plan(lines, actor="legacy/sorting-plan", correlation_id="import/1/1")
    return api


@pytest.fixture
def handset(post: Api) -> HeldHandset:
    return a_handset(post)


def on_duty(api: Api, day: str, route: str = ROUTE) -> None:
    duty = {"depot": DEPOT, "route": route, "starts": "06:30", "ends": "13:00"}
    assert api.as_staff("depot-manager").put(f"/v1/carriers/{CARRIER}/duties/{day}", duty).status == 200


def on_the_round(street: str = "12 RUE DE LA PAIX", **changes: Any) -> str:
    """A new item, announced for that street and sorted."""
    item = an_item()
    deliver(sorting, [announced(item, addressee=an_addressee(street=street), **changes)])
    return item


def happens(event_type: str, item: str) -> None:
    [event] = recorded(an_item_event(event_type, item=item, at=clocks.now() + timedelta(minutes=1)))
    deliver(sorting, [event])


def bundle(handset: HeldHandset) -> Answered:
    answer = handset.calls().get("/v1/round")
    assert answer.status == 200
    return answer


def items_in(answer: Answered) -> list[str]:
    return [one["item"] for one in answer.body["items"]]


def bundled() -> list[BundleTaken]:
    """What the journal says was given out, by its number."""
    taken = [event.body(BundleTaken) for event in journal.read(f"round/{DEPOT}/{ROUTE}/{TODAY}")]
    return sorted(taken, key=lambda one: one.snapshot)


class TestBundle:
    def test_has_the_items_in_the_order_of_delivery(self, handset: HeldHandset) -> None:
        last, first, second = (on_the_round(f"7 {street}") for street in RANKS)

        answer = bundle(handset)

        assert items_in(answer) == [first, second, last]
        assert answer.body["round"] == {"depot": DEPOT, "route": ROUTE, "day": TODAY}
        assert datetime.fromisoformat(answer.body["server_time"]) == clocks.now()

    def test_says_of_each_item_what_its_delivery_needs(self, post: Api, handset: HeldHandset) -> None:
        registered = on_the_round(
            product="6A", cash_on_delivery_cents=1250, recommendation="R2", acknowledgement_of_receipt=True
        )
        unannounced = an_item()
        happens("facteo.item.scanned", unannounced)
        post.as_staff("depot-manager").put(f"/v1/items/{unannounced}/placement", {"depot": DEPOT, "route": ROUTE})

        unknown, known = bundle(handset).body["items"]

        assert known.pop("addressee")["name"] == "Mme Hélène LEFÈVRE"
        assert known == {
            "item": registered,
            "rank": 100,
            "product": "6A",
            "signature_required": True,
            "cash_on_delivery_cents": 1250,
            "recommendation": "R2",
            "acknowledgement_of_receipt": True,
        }
        assert (unknown["item"], unknown["rank"], unknown["addressee"]) == (unannounced, 0, None)

    def test_tells_for_which_products_a_signature_is_due(self, handset: HeldHandset) -> None:
        due = {on_the_round(product=product): product == "6C" for product in ("6A", "6C", "XX")}
        assert {one["item"]: one["signature_required"] for one in bundle(handset).body["items"]} == due

    @pytest.mark.parametrize(("days", "due"), [(-1, False), (0, True), (14, True), (15, False)])
    def test_has_what_was_announced_from_its_hand_over_on_for_two_weeks(
        self, post: Api, handset: HeldHandset, clock: FakeClock, days: int, due: bool
    ) -> None:
        """What never came does not stay on the round for ever; what comes late is on it again."""
        handed_over_on = clock.at.date() - timedelta(days=days)
        item = on_the_round(handed_over_on=handed_over_on)
        assert items_in(bundle(handset)) == ([item] if due else [])
        happens("facteo.item.scanned", item)
        assert items_in(bundle(handset)) == [item]

    def test_never_has_another_routes_items(self, post: Api, handset: HeldHandset) -> None:
        mine, other_route, other_depot = (on_the_round() for _ in range(3))
        manager = post.as_staff("depot-manager")
        manager.put(f"/v1/items/{other_route}/placement", {"depot": DEPOT, "route": "T13"})
        manager.put(f"/v1/items/{other_depot}/placement", {"depot": OTHER_DEPOT, "route": ROUTE})
        on_the_round("3 RUE INCONNUE")

        assert items_in(bundle(handset)) == [mine]

    def test_loses_an_item_that_was_delivered(self, handset: HeldHandset) -> None:
        done, open_ = on_the_round(), on_the_round()
        happens("facteo.item.delivered", done)
        assert items_in(bundle(handset)) == [open_]

    def test_keeps_an_item_whose_addressee_may_no_longer_be_read(
        self, post: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        item = on_the_round()
        happens("facteo.item.scanned", item)
        later = clock.advance(days=item_rules.ADDRESSEE_KEPT_FOR.days + 1)
        on_duty(post, later.date().isoformat())

        answer = bundle(handset)

        assert items_in(answer) == [item]
        assert answer.body["items"][0]["addressee"] is None

    def test_of_a_hundred_items_costs_twelve_calls_at_most(self, handset: HeldHandset, aws: Cloud) -> None:
        """The handset, its duty, the places, the items' keys, the proxies and redirections at their addresses, three
        keys that many share, the round's row, the pass; one write.
        """
        on_the_round()
        bundle(handset)
        for _ in range(99):
            on_the_round()
        keyring.forget()

        with aws.counting() as calls:
            answer = bundle(handset)
        assert len(items_in(answer)) == 100
        assert calls == {"GetItem": 5, "Query": 1, "BatchGetItem": 5, "TransactWriteItems": 1}

        with aws.counting() as calls:
            bundle(handset)
        assert calls == {"GetItem": 4, "Query": 1, "BatchGetItem": 3}

    @pytest.mark.parametrize("late", [False, True], ids=["yesterday only", "after midnight in Paris"])
    def test_without_a_duty_today_there_is_no_round(self, api: Api, post: Api, clock: FakeClock, late: bool) -> None:
        handset = a_handset(api)
        clock.at = datetime(2026, 11, 23, 23, 30, tzinfo=UTC) if late else datetime(2026, 11, 24, 7, 0, tzinfo=UTC)

        answer = handset.calls().get("/v1/round")

        assert (answer.status, answer.problem) == (404, "no-round-today")

    @pytest.mark.parametrize("state", ["quarantined", "wiping", "retired"])
    def test_a_blocked_handset_gets_nothing(self, post: Api, state: str) -> None:
        on_the_round()
        answer = a_handset(post, state=state).calls().get("/v1/round")
        assert (answer.status, answer.problem) == (403, "device-blocked")
        assert bundled() == []

    def test_staff_and_strangers_get_none(self, post: Api) -> None:
        assert post.as_staff("depot-manager").get("/v1/round").status == 401
        assert post.as_nobody().get("/v1/round").status == 401


class TestSnapshots:
    def test_the_number_grows_only_with_a_new_content(self, handset: HeldHandset) -> None:
        one = on_the_round()
        assert [bundle(handset).body["snapshot"] for _ in range(2)] == [1, 1]

        two = on_the_round()
        assert bundle(handset).body["snapshot"] == 2
        happens("facteo.item.delivered", one)
        happens("facteo.item.not-delivered", two)
        assert [bundle(handset).body["snapshot"] for _ in range(2)] == [3, 3]
        assert [(taken.snapshot, set(taken.items)) for taken in bundled()] == [(1, {one}), (2, {one, two}), (3, {two})]

    def test_what_a_carrier_knew_can_be_told_from_an_event(self, handset: HeldHandset, clock: FakeClock) -> None:
        item = on_the_round()
        snapshot = bundle(handset).body["snapshot"]
        unknown = on_the_round()
        clock.advance(minutes=1)
        handset.sync(*(handset.event(item=one, snapshot=snapshot) for one in (item, unknown)))

        known = {taken.snapshot: taken.items for taken in bundled()}
        for one, knew in ((item, True), (unknown, False)):
            [scan] = [event for event in journal.read(f"item/{one}") if event.type == "facteo.item.scanned"]
            assert (one in known[scan.snapshot]) is knew

    def test_what_the_handset_has_is_not_sent_again(self, handset: HeldHandset) -> None:
        on_the_round()
        etag = bundle(handset).headers["ETag"]

        same = handset.calls().request("GET", "/v1/round", If_None_Match=etag)
        assert (same.status, same.text, same.headers["ETag"]) == (304, "", etag)

        on_the_round()
        changed = handset.calls().request("GET", "/v1/round", If_None_Match=etag)
        assert (changed.status, len(items_in(changed))) == (200, 2)
        assert changed.headers["ETag"] != etag

    def test_two_handsets_at_once_get_the_same_number(self, post: Api, handset: HeldHandset) -> None:
        on_the_round()
        other, numbers = a_handset(post), []

        with overtaken(by=lambda: numbers.append(bundle(other).body["snapshot"])):
            numbers.append(bundle(handset).body["snapshot"])

        assert numbers == [1, 1]
        assert len(bundled()) == 1

    def test_two_contents_at_once_get_two_numbers(self, post: Api, handset: HeldHandset) -> None:
        item, stray = on_the_round(), on_the_round("3 RUE INCONNUE")
        other, answers = a_handset(post), []

        def bundle_one_more() -> None:
            post.as_staff("depot-manager").put(f"/v1/items/{stray}/placement", {"depot": DEPOT, "route": ROUTE})
            answers.append(bundle(other))

        with overtaken(by=bundle_one_more):
            answers.append(bundle(handset))

        assert [(answer.body["snapshot"], len(items_in(answer))) for answer in answers] == [(1, 2), (2, 1)]
        assert bundled()[1].items == (item,)


class TestUnsorted:
    PATH = f"/v1/depots/{DEPOT}/unsorted"

    def test_lists_the_items_on_no_route_page_by_page(
        self, post: Api, aws: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service, "PAGE", 2)
        on_the_round()
        strays = sorted(on_the_round("3 RUE INCONNUE") for _ in range(5))
        manager = post.as_staff("depot-manager", scope=f"depot/{DEPOT}")

        pages: list[Sequence[str]] = []
        query: dict[str, str] = {}
        while not pages or query:
            with aws.counting() as calls:
                page = manager.get(self.PATH, **query).body
            assert calls == {"Query": 1}
            pages.append([one["item"] for one in page["items"]])
            assert all(one["place"] == {"depot": DEPOT, "route": "unsorted", "rank": 0} for one in page["items"])
            query = {"after": page["after"]} if page["after"] else {}

        assert pages == [strays[:2], strays[2:4], strays[4:]]

    @pytest.mark.parametrize(
        ("roles", "scope", "status"),
        [
            (("depot-manager",), f"depot/{DEPOT}", 200),
            (("depot-manager",), "zone/SUD", 200),
            (("depot-manager",), "*", 200),
            (("depot-manager",), f"depot/{OTHER_DEPOT}", 403),
            (("depot-manager",), "zone/NORD", 403),
            (("depot-manager",), "", 403),
            (("auditor", "carrier-support", "dispatcher", "fleet-admin", "ops"), "*", 403),
        ],
    )
    def test_only_for_the_managers_of_the_depot(self, post: Api, roles: Sequence[str], scope: str, status: int) -> None:
        assert post.as_staff(*roles, scope=scope).get(self.PATH).status == status

    def test_bad_addresses_are_clear_problems(self, post: Api, handset: HeldHandset) -> None:
        manager = post.as_staff("depot-manager")
        assert manager.get("/v1/depots/75015%0A/unsorted").problem == "not-found"
        assert manager.get(self.PATH, before="x").problem == "request-invalid"
        assert post.as_nobody().get(self.PATH).status == handset.calls().get(self.PATH).status == 401


class TestPlacement:
    def place(self, api: Api, item: str, scope: str = f"depot/{DEPOT}", **body: Any) -> Answered:
        placement = {"depot": DEPOT, "route": ROUTE, "rank": 50} | body
        return api.as_staff("depot-manager", scope=scope).put(f"/v1/items/{item}/placement", placement)

    def placements(self, item: str) -> list[Event]:
        return [event for event in journal.read(f"item/{item}") if event.type == "facteo.item.placed"]

    def test_puts_an_item_on_a_route(self, post: Api, handset: HeldHandset) -> None:
        planned, stray = on_the_round(), on_the_round("3 RUE INCONNUE")

        answer = self.place(post, stray)

        assert (answer.status, answer.body) == (200, {"depot": DEPOT, "route": ROUTE, "rank": 50})
        assert items_in(bundle(handset)) == [stray, planned]
        assert service.unsorted(DEPOT, None).items == ()
        [event] = self.placements(stray)
        assert (event.actor, event.place) == ("staff/s-1", f"depot/{DEPOT}")

    def test_nobody_takes_an_item_out_of_a_depot_that_is_not_theirs(self, post: Api, clock: FakeClock) -> None:
        item, unseen = on_the_round(), an_item()
        clock.advance(minutes=1)
        recorded(an_item_event(item=unseen, place=f"depot/{DEPOT}"))

        for number in (item, unseen):
            answer = self.place(post, number, scope=f"depot/{OTHER_DEPOT}", depot=OTHER_DEPOT)
            assert (answer.status, answer.problem) == (403, "access-denied")
            assert self.placements(number) == []
        assert self.place(post, item, scope=f"depot/{OTHER_DEPOT} depot/{DEPOT}", depot=OTHER_DEPOT).status == 200

    def test_stays_where_staff_put_it_whatever_the_plan_says(self, post: Api, clock: FakeClock) -> None:
        item = on_the_round()
        clock.advance(minutes=5)
        self.place(post, item, route="T13")
        happens("facteo.item.not-delivered", item)
        assert [row.item for row in places_on(DEPOT, "T13")] == [item]

    def test_said_again_nothing_is_written(self, post: Api, aws: Cloud) -> None:
        item = on_the_round()
        first = self.place(post, item)

        with aws.counting() as calls:
            again = self.place(post, item)

        assert (again.status, again.body) == (200, first.body)
        assert calls == {"Query": 1, "GetItem": 1}
        assert len(self.placements(item)) == 1

    @pytest.mark.parametrize(
        ("body", "status", "problem"),
        [
            ({"depot": OTHER_DEPOT}, 403, "access-denied"),
            ({"route": "unsorted"}, 400, "request-invalid"),
            ({"route": "T12\n"}, 400, "request-invalid"),
            ({"rank": 1_000_000}, 400, "request-invalid"),
            ({"floor": 3}, 400, "request-invalid"),
        ],
    )
    def test_bad_input_is_a_clear_problem_and_changes_nothing(
        self, post: Api, body: dict[str, Any], status: int, problem: str
    ) -> None:
        item = on_the_round()
        answer = self.place(post, item, **body)
        assert (answer.status, answer.problem) == (status, problem)
        assert self.placements(item) == []
        assert [row.item for row in places_on(DEPOT, ROUTE)] == [item]

    def test_an_item_that_nobody_knows_cannot_be_placed(self, post: Api) -> None:
        assert self.place(post, "9V00000000024").problem == "not-found"
        assert list(PlaceRow.scan(PlaceRow.sk == "place")) == []

    def test_only_managers(self, post: Api, handset: HeldHandset) -> None:
        path, body = f"/v1/items/{on_the_round()}/placement", {"depot": DEPOT, "route": ROUTE}
        others = post.as_staff("auditor", "carrier-support", "dispatcher", "fleet-admin", "ops")
        assert others.put(path, body).problem == "access-denied"
        assert post.as_nobody().put(path, body).status == handset.calls().put(path, body).status == 401

    def test_of_two_at_once_the_later_one_counts_and_both_are_kept(self, post: Api, clock: FakeClock) -> None:
        item = on_the_round()

        def other() -> None:
            self.place(post, item, route="T13")
            clock.advance(seconds=1)

        with overtaken(by=other):
            assert self.place(post, item).status == 200
        assert len(self.placements(item)) == 2
        assert [row.item for row in places_on(DEPOT, ROUTE)] == [item]

    def test_the_same_twice_at_once_is_kept_once(self, post: Api) -> None:
        item = on_the_round()
        with overtaken(by=lambda: self.place(post, item)):
            assert self.place(post, item).status == 200
        assert len(self.placements(item)) == 1
