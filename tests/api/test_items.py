"""Items over HTTP: their history for staff, corrections, and tracking for the post's own site."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.core import ids, journal
from chalicelib.core.access import ROLES
from chalicelib.core.events import Event
from chalicelib.items import rules
from chalicelib.items.suivi import MAX_ITEMS
from tests.support.api import Answered, Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.events import an_item_event, announced, recorded
from tests.support.factories import DEPOT, ITEM, a_handset, an_item
from tests.support.races import overtaken

S10 = "RB123456785GB"


def events_of(item: str = ITEM) -> list[Event]:
    return journal.read(f"item/{item}")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def delivered() -> Event:
    """An announced item that a carrier of the depot 75015A delivered a minute later."""
    made = announced()
    [event] = recorded(an_item_event("facteo.item.delivered", at=made.time + timedelta(minutes=1)))
    return event


class TestHistory:
    def test_says_what_happened_who_did_it_when_and_where(self, api: Api, clock: FakeClock) -> None:
        """A handset whose clock is three hours ahead scans an announced item, and syncs ten minutes later."""
        made, handset = announced(), a_handset(api)
        happened = clock.advance(minutes=1)
        scan = handset.event(time=(happened + timedelta(hours=3)).isoformat())
        received = clock.advance(minutes=10)
        handset.sync(scan)

        answer = api.as_staff("auditor").get(f"/v1/items/{ITEM}")

        assert answer.status == 200
        assert (answer.body["item"], answer.body["status"], answer.body["final"]) == (ITEM, "out-for-delivery", False)
        first, second = answer.body["events"]
        assert (first["id"], first["actor"], first["device_time"]) == (made.id, "legacy/announcements", None)
        assert second["id"] == scan["id"]
        assert second["type"] == "facteo.item.scanned"
        assert (second["actor"], second["place"]) == ("carrier/C1001", "depot/75015A")
        assert moment(second["at"]) == happened
        assert moment(second["device_time"]) == happened + timedelta(hours=3)
        assert moment(second["received_at"]) == received
        assert second["data"]["step"] == "out-for-delivery"
        assert second["flags"] == ["clock-off"]

    def test_contradictions_are_shown(self, api: Api, clock: FakeClock) -> None:
        final = delivered()
        [late] = recorded(an_item_event(at=final.time + timedelta(minutes=1), data={"step": "presented"}))

        body = api.as_staff("dispatcher").get(f"/v1/items/{ITEM}").body

        assert (body["status"], body["final"], body["contradictions"]) == ("delivered", True, [late.id])

    @pytest.mark.parametrize("item", ["9V00000000024", "not-a-number", "9V", "9V20524752032%0A"])
    def test_of_an_item_that_nobody_knows_there_is_none(self, api: Api, item: str) -> None:
        announced()
        answer = api.as_staff("auditor").get(f"/v1/items/{item}")
        assert (answer.status, answer.problem) == (404, "not-found")

    def test_only_the_named_roles(self, api: Api) -> None:
        announced()
        allowed = {role for role in ROLES if api.as_staff(role).get(f"/v1/items/{ITEM}").status == 200}

        assert allowed == {"auditor", "carrier-support", "depot-manager", "dispatcher"}
        assert api.as_nobody().get(f"/v1/items/{ITEM}").status == 401
        assert a_handset(api).calls().get(f"/v1/items/{ITEM}").status == 401

    @pytest.mark.parametrize(
        ("roles", "scope", "cost"),
        [
            (("carrier-support",), "", {"Query": 1, "BatchGetItem": 1}),
            (("depot-manager",), f"depot/{DEPOT}", {"Query": 1, "BatchGetItem": 1}),
            (("depot-manager",), "depot/75018A", {"Query": 1}),
            (("auditor",), "*", {"Query": 1}),
        ],
    )
    def test_costs_two_calls_at_most(
        self, api: Api, aws: Cloud, roles: tuple[str, ...], scope: str, cost: dict[str, int]
    ) -> None:
        delivered()
        with aws.counting() as calls:
            assert api.as_staff(*roles, scope=scope).get(f"/v1/items/{ITEM}").status == 200
        assert calls == cost


class TestAddressee:
    def sees(self, api: Api, *roles: str, scope: str = "") -> bool:
        answer = api.as_staff(*roles, scope=scope).get(f"/v1/items/{ITEM}")
        assert len(answer.body["events"]) == len(events_of()), "the history is whole for all of them"
        assert ("LEFÈVRE" in answer.text) == (answer.body["addressee"] is not None)
        return answer.body["addressee"] is not None

    def test_support_sees_it_and_neither_dispatchers_nor_auditors(self, api: Api) -> None:
        delivered()
        assert self.sees(api, "carrier-support")
        assert not self.sees(api, "dispatcher", "auditor", scope="*")

    def test_a_manager_sees_it_once_the_item_has_been_in_their_depot(self, api: Api, clock: FakeClock) -> None:
        announced()
        assert self.sees(api, "depot-manager", scope="*")
        assert not self.sees(api, "depot-manager", scope=f"depot/{DEPOT}")

        recorded(an_item_event(at=clock.advance(minutes=1), data={"step": "at-depot"}))
        assert self.sees(api, "depot-manager", scope=f"depot/{DEPOT}")
        assert not self.sees(api, "depot-manager", scope="depot/75018A")
        assert self.sees(api, "depot-manager", "carrier-support", scope="depot/75018A")

    def test_a_manager_does_not_get_to_see_it_by_claiming_the_item(self, api: Api) -> None:
        announced()
        placement = {"depot": "75018A", "route": "T1"}
        assert api.as_staff("depot-manager").put(f"/v1/items/{ITEM}/placement", placement).status == 200

        assert not self.sees(api, "depot-manager", scope="depot/75018A")

    def test_the_manager_of_a_zone_sees_those_of_its_depots(self, api: Api) -> None:
        delivered()
        ops = api.as_staff("ops")
        ops.put("/v1/zones/SUD", {"name": "Paris Sud"})
        address = {"postcode": "75015", "town": "Paris"}
        ops.put(f"/v1/depots/{DEPOT}", {"name": "Paris 15", "zone": "SUD", "address": address})

        assert self.sees(api, "depot-manager", scope="zone/SUD")
        assert not self.sees(api, "depot-manager", scope="zone/NORD")

    def test_after_its_retention_it_is_gone_and_what_happened_stays(self, api: Api, clock: FakeClock) -> None:
        delivered()
        clock.advance(days=rules.ADDRESSEE_KEPT_FOR.days)
        assert self.sees(api, "carrier-support")

        clock.advance(days=1)
        assert not self.sees(api, "carrier-support")


class TestCorrections:
    PATH = f"/v1/items/{ITEM}/corrections"

    def correct(self, api: Api, event_id: str, reason: str = "wrong item") -> Answered:
        return api.as_staff("depot-manager").post(self.PATH, {"corrects": event_id, "reason": reason})

    def test_a_corrected_event_is_marked_and_counts_no_more(self, api: Api, clock: FakeClock) -> None:
        wrong = delivered()
        clock.advance(minutes=5)

        answer = self.correct(api, wrong.id)

        assert (answer.status, answer.body["status"], answer.body["final"]) == (201, "announced", False)
        _, voided, correction = answer.body["events"]
        assert (voided["id"], voided["voided_by"]) == (wrong.id, correction["id"])
        assert (correction["type"], correction["actor"]) == ("facteo.item.corrected", "staff/s-1")
        assert api.as_staff("depot-manager").get(f"/v1/items/{ITEM}").body["events"] == answer.body["events"]

    def test_said_again_the_answer_is_the_same_and_nothing_is_written(self, api: Api, aws: Cloud) -> None:
        wrong = delivered()
        first = self.correct(api, wrong.id)

        with aws.counting() as calls:
            again = self.correct(api, wrong.id, "said in other words")

        assert (again.status, again.body) == (201, first.body)
        assert calls == {"Query": 1}

    @pytest.mark.parametrize(
        ("body", "status", "problem"),
        [
            ({"corrects": "019ac9a0-0000-7000-8000-00000000ffff", "reason": "wrong item"}, 404, "not-found"),
            ({"corrects": "no id", "reason": "wrong item"}, 404, "not-found"),
            ({"corrects": "of another item", "reason": "wrong item"}, 404, "not-found"),
            ({"corrects": "the correction", "reason": "wrong item"}, 409, "conflict"),
            ({"corrects": "the delivery", "reason": "x"}, 400, "request-invalid"),
            ({"reason": "wrong item"}, 400, "request-invalid"),
        ],
    )
    def test_what_cannot_be_corrected_is_a_clear_problem_and_changes_nothing(
        self, api: Api, body: dict[str, Any], status: int, problem: str
    ) -> None:
        wrong, other = delivered(), announced(an_item())
        self.correct(api, wrong.id)
        [correction] = [event for event in events_of() if event.type == "facteo.item.corrected"]
        named = {"of another item": other.id, "the correction": correction.id, "the delivery": wrong.id}
        body = body | ({"corrects": named.get(body["corrects"], body["corrects"])} if "corrects" in body else {})

        answer = api.as_staff("carrier-support").post(self.PATH, body)

        assert (answer.status, answer.problem) == (status, problem)
        assert len(events_of()) == 3

    def test_only_the_named_roles(self, api: Api) -> None:
        body = {"corrects": delivered().id, "reason": "wrong item"}
        refused = {role for role in ROLES if api.as_staff(role).post(self.PATH, body).status == 403}

        assert refused == ROLES - {"carrier-support", "depot-manager"}
        assert api.as_nobody().post(self.PATH, body).status == 401

    @pytest.mark.parametrize(
        ("role", "scope", "status"),
        [
            ("depot-manager", f"depot/{DEPOT}", 201),
            ("depot-manager", "depot/75018A", 403),
            ("depot-manager", "", 403),
            ("carrier-support", "", 201),
        ],
    )
    def test_a_manager_corrects_what_happened_in_their_depots(
        self, api: Api, role: str, scope: str, status: int
    ) -> None:
        body = {"corrects": delivered().id, "reason": "wrong item"}
        assert api.as_staff(role, scope=scope).post(self.PATH, body).status == status
        assert len(events_of()) == (3 if status == 201 else 2)

    def test_what_a_sender_said_is_for_support_to_correct(self, api: Api) -> None:
        body = {"corrects": announced().id, "reason": "wrong item"}
        assert api.as_staff("depot-manager", scope=f"depot/{DEPOT}").post(self.PATH, body).problem == "access-denied"
        assert api.as_staff("carrier-support", scope="").post(self.PATH, body).status == 201

    def test_no_handset_can_make_its_event_uncorrectable(self, api: Api) -> None:
        """Whatever ids it gives to later events: the id of a correction is nobody's to guess."""
        wrong = delivered()
        for guess in (wrong.id, "facteo.item.corrected"):
            recorded(an_item_event(id=ids.derived(ids.moment(wrong.id), "facteo.item.corrected", guess)))
        assert self.correct(api, wrong.id).status == 201

    def test_two_at_once_leave_one_correction(self, api: Api) -> None:
        wrong = delivered()

        with overtaken(by=lambda: self.correct(api, wrong.id, "the first of two")):
            answer = self.correct(api, wrong.id)

        assert answer.status == 201
        [reason] = [entry["data"]["reason"] for entry in answer.body["events"] if "reason" in entry["data"]]
        assert reason == "the first of two"
        assert len(events_of()) == 3


class TestSuivi:
    def test_only_systems_with_the_scope(self, api: Api) -> None:
        path = f"/v1/suivi/{ITEM}"
        assert api.as_nobody().get(path).status == 401
        assert api.as_client("other.read").get(path).problem == "access-denied"
        assert api.as_staff(*ROLES).get(path).problem == "access-denied"

    @pytest.mark.parametrize(
        ("query", "lang", "label"), [({}, "fr_FR", "livré"), ({"lang": "en_GB"}, "en_GB", "delivered")]
    )
    def test_one_item_in_french_or_english(self, api: Api, query: dict[str, str], lang: str, label: str) -> None:
        delivered()

        answer = api.as_client("tracking.read").get(f"/v1/suivi/{ITEM}", **query)

        assert (answer.status, answer.body["returnCode"], answer.body["lang"]) == (200, 200, lang)
        shipment = answer.body["shipment"]
        assert (shipment["idShip"], shipment["isFinal"]) == (ITEM, True)
        assert [event["code"] for event in shipment["event"]] == ["DI1", "DR1"]
        assert label in shipment["event"][0]["label"].lower()
        assert "LEFÈVRE" not in answer.text
        assert "PAIX" not in answer.text

    @pytest.mark.parametrize("typed", ["rb123456785gb", "RB%20123%20456%20785%20GB", "rb-123456785-gb"])
    def test_a_number_is_found_however_it_is_typed(self, api: Api, typed: str) -> None:
        recorded(an_item_event(item=S10))
        assert api.as_client("tracking.read").get(f"/v1/suivi/{typed}").body["shipment"]["idShip"] == S10

    def test_several_items_are_an_array_each_with_its_own_code(self, api: Api, aws: Cloud) -> None:
        delivered()
        recorded(an_item_event(item=S10))

        with aws.counting() as calls:
            answer = api.as_client("tracking.read").get(f"/v1/suivi/{S10},9V00000000024,1234567891011,,{ITEM}")

        assert answer.status == 207
        assert [one["returnCode"] for one in answer.body] == [200, 404, 400, 400, 200]
        assert [one["shipment"]["idShip"] for one in answer.body if "shipment" in one] == [S10, ITEM]
        assert calls == {"Query": 3}

    @pytest.mark.parametrize(("item", "status"), [("9V00000000024", 404), ("1234567891011", 400), ("x", 400)])
    def test_one_that_is_not_known_says_so_in_the_same_shape(self, api: Api, item: str, status: int) -> None:
        answer = api.as_client("tracking.read").get(f"/v1/suivi/{item}")

        assert (answer.status, answer.body["returnCode"], answer.body["idShip"]) == (status, status, item)
        assert answer.body["returnMessage"]

    @pytest.mark.parametrize(
        ("items", "problem"), [(",".join([S10] * (MAX_ITEMS + 1)), "request-invalid"), ("9" * 301, "not-found")]
    )
    def test_too_many_are_refused_without_looking(self, api: Api, aws: Cloud, items: str, problem: str) -> None:
        with aws.counting() as calls:
            answer = api.as_client("tracking.read").get(f"/v1/suivi/{items}")
        assert answer.problem == problem
        assert not calls
