"""Held items: what a depot has to send back and when, and what an item's history says of its holding."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from chalicelib.core import journal
from chalicelib.rounds import service
from chalicelib.rounds.workers import sorting
from tests.support.acts import a_hand_over
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.events import deliver
from tests.support.factories import CARRIER, DEPOT, ROUTE, HeldHandset, a_handset, a_plan_line
from tests.support.races import overtaken
from tests.support.sorting import happens, import_plan, sorted_item

PATH = f"/v1/depots/{DEPOT}/held"
OTHER_DEPOT = "75018A"


@pytest.fixture
def post(api: Api) -> Api:
    """A zone with a depot and another one outside of it."""
    ops = api.as_staff("ops")
    ops.put("/v1/zones/SUD", {"name": "Paris Sud"})
    ops.put(f"/v1/depots/{DEPOT}", {"name": "Paris", "zone": "SUD", "address": {"postcode": "75015", "town": "Paris"}})
    return api


@pytest.fixture
def handset(post: Api) -> HeldHandset:
    return a_handset(post)


def hold(**changes: Any) -> str:
    """A new registered item that waits at the depot from today on."""
    item = sorted_item(recommendation="R1")
    deliver(sorting, happens("held", item, **changes))
    return item


def listed(api: Api, **query: str) -> list[str]:
    answer = api.as_staff("depot-manager", scope=f"depot/{DEPOT}").get(PATH, **query)
    assert answer.status == 200
    return [one["item"] for one in answer.body["items"]]


def history(api: Api, item: str) -> Any:
    return api.as_staff("auditor").get(f"/v1/items/{item}").body


class TestList:
    def test_says_of_each_item_until_when_it_waits_and_when_it_goes_back(self, post: Api) -> None:
        item = hold()
        assert post.as_staff("depot-manager").get(PATH).body["items"] == [
            {
                "item": item,
                "presented_on": "2026-11-23",
                "last_day": "2026-12-08",
                "return_due_on": "2026-12-09",
            }
        ]

    def test_the_first_to_go_back_come_first_and_until_leaves_out_those_after(
        self, post: Api, clock: FakeClock
    ) -> None:
        early = hold()
        clock.advance(days=1)
        late = hold()

        assert listed(post) == [early, late]
        assert listed(post, until="2026-12-09") == [early, late]
        assert listed(post, until="2026-12-08") == [early]
        assert listed(post, until="2026-12-07") == []

    @pytest.mark.parametrize("until", [None, "2026-12-08"])
    def test_comes_page_by_page_with_one_query_each(
        self, post: Api, clock: FakeClock, aws: Cloud, monkeypatch: pytest.MonkeyPatch, until: str | None
    ) -> None:
        monkeypatch.setattr(service, "PAGE", 2)
        waiting = sorted(hold() for _ in range(3))
        clock.advance(days=1)
        waiting += sorted(hold() for _ in range(2))
        manager = post.as_staff("depot-manager", scope=f"depot/{DEPOT}")

        pages: list[Sequence[str]] = []
        query = wanted = {"until": until} if until else {}
        while not pages or "after" in query:
            with aws.counting() as calls:
                page = manager.get(PATH, **query).body
            assert calls == {"Query": 1}
            pages.append([one["item"] for one in page["items"]])
            query = wanted | ({"after": page["after"]} if page["after"] else {})

        assert pages == ([waiting[:2], waiting[2:3]] if until else [waiting[:2], waiting[2:4], waiting[4:]])

    def test_has_no_other_depots_items_and_none_that_is_not_held(self, post: Api) -> None:
        sorted_item()
        hold(place=f"depot/{OTHER_DEPOT}")
        assert listed(post) == []

    @pytest.mark.parametrize(
        ("roles", "scope", "status"),
        [
            (("depot-manager",), f"depot/{DEPOT}", 200),
            (("depot-manager",), "zone/SUD", 200),
            (("depot-manager",), f"depot/{OTHER_DEPOT}", 403),
            (("auditor", "carrier-support", "dispatcher", "fleet-admin", "ops"), "*", 403),
        ],
    )
    def test_only_for_the_managers_of_the_depot(self, post: Api, roles: Sequence[str], scope: str, status: int) -> None:
        assert post.as_staff(*roles, scope=scope).get(PATH).status == status

    @pytest.mark.parametrize("query", [{"until": "tomorrow"}, {"until": "2026-02-30"}, {"from": "2026-12-08"}])
    def test_a_bad_question_is_a_clear_problem(self, post: Api, query: dict[str, str]) -> None:
        answer = post.as_staff("depot-manager").get(PATH, **query)
        assert (answer.status, answer.problem) == (400, "request-invalid")


class TestTerm:
    def test_after_the_term_an_item_is_due_and_leaves_the_list_when_it_goes_back(
        self, post: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        item = sorted_item(recommendation="R1")
        clock.advance(minutes=1)
        handset.sync(handset.event("facteo.item.not-delivered", item=item, data={"cause": "absent"}))
        clock.advance(minutes=1)
        told = {"place": "post-office-after-notice", "until": "2026-12-05"}
        handset.sync(handset.event("facteo.item.held", item=item, data=told))
        deliver(sorting, journal.read(f"item/{item}"))

        clock.advance(days=15)
        assert history(post, item)["holding"] == {
            "presented_on": "2026-11-23",
            "last_day": "2026-12-08",
            "return_due_on": "2026-12-09",
            "state": "held",
        }
        clock.advance(days=1)
        assert history(post, item)["holding"]["state"] == "due-for-return"
        assert listed(post, until="2026-12-08") == [item]

        handset.sync(handset.event("facteo.item.returned", item=item, data={"cause": "not-collected"}))
        deliver(sorting, journal.read(f"item/{item}"))

        returned = history(post, item)
        assert (returned["status"], returned["holding"]["state"]) == ("returned", "returned")
        assert listed(post) == []

    def test_a_withdrawal_delivers_the_item(self, post: Api, handset: HeldHandset, clock: FakeClock) -> None:
        item = hold()
        clock.advance(days=3)
        handset.sync(a_hand_over(handset, item))
        deliver(sorting, journal.read(f"item/{item}"))

        withdrawn = history(post, item)
        assert (withdrawn["status"], withdrawn["final"]) == ("delivered", True)
        assert withdrawn["holding"]["state"] == "withdrawn"
        assert listed(post) == []

    def test_an_item_that_was_never_held_has_none(self, post: Api) -> None:
        assert history(post, sorted_item())["holding"] is None

    def test_it_is_in_nobodys_bundle(self, post: Api, handset: HeldHandset) -> None:
        import_plan(a_plan_line())
        manager = post.as_staff("depot-manager")
        manager.put(f"/v1/carriers/{CARRIER}", {"first_name": "Zoé", "last_name": "Martin", "depot": DEPOT})
        duty = {"depot": DEPOT, "route": ROUTE, "starts": "06:30", "ends": "13:00"}
        manager.put(f"/v1/carriers/{CARRIER}/duties/{date(2026, 11, 23)}", duty)
        item, waits = sorted_item(), hold()

        assert [one["item"] for one in handset.calls().get("/v1/round").body["items"]] == [item]
        assert manager.put(f"/v1/items/{waits}/placement", {"depot": DEPOT, "route": ROUTE}).status == 200
        assert [one["item"] for one in handset.calls().get("/v1/round").body["items"]] == [item]

    def test_placed_elsewhere_while_it_is_held_it_waits_there(self, post: Api, clock: FakeClock) -> None:
        """A depot's manager hands a held item to another depot, while a worker settles it."""
        item = hold()
        clock.advance(minutes=5)
        place = {"depot": OTHER_DEPOT, "route": ROUTE}
        manager = post.as_staff("depot-manager", scope=f"depot/{DEPOT} depot/{OTHER_DEPOT}")

        with overtaken(by=lambda: deliver(sorting, journal.read(f"item/{item}"))):
            assert manager.put(f"/v1/items/{item}/placement", place).status == 200

        assert listed(post) == []
        there = post.as_staff("depot-manager", scope="*").get(f"/v1/depots/{OTHER_DEPOT}/held").body["items"]
        assert [(one["item"], one["last_day"]) for one in there] == [(item, "2026-12-08")]
