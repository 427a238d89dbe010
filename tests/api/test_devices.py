"""The devices: looked up by those whose depots they are in, and retired for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pynamodb.connection import Connection

from chalicelib.core import ids
from chalicelib.fleet import service
from chalicelib.fleet.schemas import DeviceRetired
from chalicelib.fleet.tables import DeviceRow
from tests.support.api import Answered, Api, Caller
from tests.support.cloud import Cloud
from tests.support.factories import HeldHandset
from tests.support.fleet import (
    HERE,
    OURS,
    THEIRS,
    THERE,
    NewHandset,
    a_carrier,
    a_ticket,
    events_of_device,
    retire,
)
from tests.support.races import overtaken

DISPATCH = Connection.dispatch
RETIRED = "facteo.device.retired"
READERS = {"fleet-admin", "depot-manager", "security-officer", "dispatcher"}


@pytest.fixture
def handset(newcomer: NewHandset) -> HeldHandset:
    """The newcomer, enrolled for our carrier."""
    return newcomer.enrolled()


def manager(post: Api, depot: str = HERE) -> Caller:
    return post.as_staff("depot-manager", scope=f"depot/{depot}")


def ids_in(answer: Answered) -> list[str]:
    assert answer.status == 200, answer.text
    return [device["device"] for device in answer.body["devices"]]


def retirements(device: str) -> list[str]:
    """The reasons of all its retirements."""
    return [event.body(DeviceRetired).reason for event in events_of_device(device) if event.type == RETIRED]


def one_table_at_a_time(connection: Connection, operation: str, parameters: dict[str, Any]) -> Any:
    """What DynamoDB does when it is busy: it answers a part, and names the rest."""
    if operation != "BatchGetItem":
        return DISPATCH(connection, operation, parameters)
    (table, asked), *others = parameters["RequestItems"].items()
    answer = DISPATCH(connection, operation, {"RequestItems": {table: asked}})
    return answer | {"UnprocessedKeys": dict(others)}


class TestReading:
    def test_a_device_is_read_with_how_far_its_events_have_come(self, post: Api, handset: HeldHandset) -> None:
        handset.sync(handset.event(), handset.event())

        device = manager(post).get(f"/v1/devices/{handset.device}").body

        assert (device["device"], device["state"], device["generation"]) == (handset.device, "enrolled", 1)
        assert (device["carrier"], device["depot"], device["acknowledged_through"]) == (OURS, HERE, 2)

    def test_it_is_found_by_depot_carrier_and_serial_number(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset
    ) -> None:
        NewHandset(post).enrolled(THEIRS)
        read = manager(post).get(f"/v1/devices/{handset.device}").body
        for wanted in ({"depot": HERE}, {"carrier": OURS}, {"serial": newcomer.serial.lower()}):
            assert manager(post).get("/v1/devices", **wanted).body == {"devices": [read], "next": ""}

    def test_a_read_costs_two_dynamodb_calls_at_most(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset, aws: Cloud
    ) -> None:
        NewHandset(post).enrolled()
        costs = []
        for query in ({"depot": HERE}, {"carrier": OURS}, {"serial": newcomer.serial}, {}):
            with aws.counting() as calls:
                answer = manager(post).get("/v1/devices" if query else f"/v1/devices/{handset.device}", **query)
            assert answer.status == 200
            costs.append(dict(calls))
        listed = {"Query": 1, "BatchGetItem": 1}
        assert costs == [listed, listed, {"GetItem": 1, "BatchGetItem": 1}, {"BatchGetItem": 1}]

    def test_what_is_not_there(self, post: Api) -> None:
        admin = post.as_staff("fleet-admin")
        assert admin.get(f"/v1/devices/{ids.new()}").problem == "not-found"
        assert admin.get("/v1/devices/7").problem == "not-found"
        for wanted in ({"depot": "99999A"}, {"carrier": "C404"}, {"serial": "unheard of"}):
            assert admin.get("/v1/devices", **wanted).body == {"devices": [], "next": ""}

    @pytest.mark.parametrize(
        "wanted",
        [
            {},
            {"depot": HERE, "carrier": OURS},
            {"state": "enrolled"},
            {"depot": HERE, "state": "broken"},
            {"depot": "x" * 3000},
            {"carrier": "C1\n"},
            {"serial": " "},
            {"depot": HERE, "after": "x"},
            {"model": "Galaxy"},
        ],
    )
    def test_a_search_that_cannot_be_understood(self, post: Api, wanted: dict[str, str]) -> None:
        answer = post.as_staff("fleet-admin").get("/v1/devices", **wanted)
        assert (answer.status, answer.problem) == (400, "request-invalid")

    def test_what_dynamodb_left_over_is_asked_for_again(
        self, post: Api, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = NewHandset(post).enrolled()
        monkeypatch.setattr(Connection, "dispatch", one_table_at_a_time)
        assert ids_in(manager(post).get("/v1/devices", depot=HERE)) == sorted([handset.device, other.device])


class TestPages:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "PAGE", 2)

    def pages(self, post: Api, **wanted: str) -> Iterator[list[str]]:
        after: dict[str, str] = {}
        while True:
            answer = manager(post).get("/v1/devices", **wanted, **after)
            yield ids_in(answer)
            if not answer.body["next"]:
                return
            after = {"after": answer.body["next"]}

    @pytest.mark.parametrize("wanted", [{"depot": HERE}, {"carrier": OURS}])
    def test_pages_hold_each_device_once(self, post: Api, wanted: dict[str, str]) -> None:
        devices = sorted(NewHandset(post).enrolled().device for _ in range(5))
        assert list(self.pages(post, **wanted)) == [devices[:2], devices[2:4], devices[4:]]

    @pytest.mark.parametrize("wanted", [{"depot": HERE}, {"carrier": OURS}])
    def test_a_state_leaves_gaps_and_no_device_out(self, post: Api, wanted: dict[str, str]) -> None:
        devices = sorted(NewHandset(post).enrolled().device for _ in range(5))
        for device in devices[:3]:
            retire(post, device)
        assert list(self.pages(post, **wanted, state="enrolled")) == [[], [devices[3]], [devices[4]]]
        assert list(self.pages(post, **wanted, state="retired")) == [devices[:2], [devices[2]], []]
        assert list(self.pages(post, **wanted, state="quarantined")) == [[], [], []]


class TestAccess:
    def test_only_the_named_roles(self, post: Api, handset: HeldHandset) -> None:
        roles = READERS | {"ops", "auditor", "store-manager", "carrier-support", "building-manager"}
        path = f"/v1/devices/{handset.device}"

        read = {role for role in roles if post.as_staff(role).get(path).status == 200}
        found = {role for role in roles if post.as_staff(role).get("/v1/devices", depot=HERE).status == 200}
        refused = {
            role
            for role in sorted(roles - {"fleet-admin", "depot-manager"})
            if post.as_staff(role).post(f"{path}/retirement", {"reason": "because"}).status == 403
        }

        assert read == found == READERS
        assert refused == roles - {"fleet-admin", "depot-manager"}
        assert post.as_nobody().get(path).status == 401
        assert handset.calls().get(path).status == 401
        assert retirements(handset.device) == []

    def test_another_depots_devices_are_refused_or_left_out(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset
    ) -> None:
        theirs = manager(post, THERE)
        refused = [
            theirs.get(f"/v1/devices/{handset.device}"),
            theirs.get("/v1/devices", depot=HERE),
            theirs.post(f"/v1/devices/{handset.device}/retirement", {"reason": "because"}),
        ]
        assert {answer.problem for answer in refused} == {"access-denied"}
        assert ids_in(theirs.get("/v1/devices", carrier=OURS)) == []
        assert ids_in(theirs.get("/v1/devices", serial=newcomer.serial)) == []
        assert retirements(handset.device) == []

    def test_a_carrier_s_devices_of_two_depots_are_shown_to_each_as_far_as_they_are_theirs(
        self, post: Api, handset: HeldHandset
    ) -> None:
        post.as_staff("depot-manager").put(f"/v1/carriers/{OURS}", a_carrier(THERE))
        moved = NewHandset(post).enrolled()
        assert ids_in(manager(post).get("/v1/devices", carrier=OURS)) == [handset.device]
        assert ids_in(manager(post, THERE).get("/v1/devices", carrier=OURS)) == [moved.device]
        both = post.as_staff("dispatcher", scope="zone/PARIS-SUD zone/PARIS-NORD")
        assert ids_in(both.get("/v1/devices", carrier=OURS)) == sorted([handset.device, moved.device])


class TestEnrolledElsewhere:
    def test_it_leaves_the_old_carrier_s_and_depot_s_lists(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset
    ) -> None:
        retire(post, handset.device)
        new = NewHandset(post, serial=newcomer.serial).enrolled(THEIRS)

        assert new.device == handset.device
        for depot, carrier, found in ((HERE, OURS, []), (THERE, THEIRS, [new.device])):
            assert ids_in(manager(post, depot).get("/v1/devices", depot=depot)) == found
            assert ids_in(post.as_staff("fleet-admin").get("/v1/devices", carrier=carrier)) == found
        assert ids_in(manager(post, THERE).get("/v1/devices", serial=newcomer.serial)) == [new.device]
        assert manager(post).get(f"/v1/devices/{new.device}").problem == "access-denied"

    def test_an_index_that_lags_behind_shows_nothing_that_is_no_longer_there(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset
    ) -> None:
        retire(post, handset.device)
        NewHandset(post, serial=newcomer.serial).enrolled(THEIRS)
        row = DeviceRow.get(f"device/{handset.device}", "device")
        row.group = f"depot/{HERE}"
        row.save()
        assert ids_in(post.as_staff("fleet-admin").get("/v1/devices", depot=HERE)) == []


class TestRetirement:
    def test_the_key_is_refused_at_the_next_request(self, post: Api, handset: HeldHandset) -> None:
        assert handset.sync(handset.event()).status == 200

        answer = manager(post).post(f"/v1/devices/{handset.device}/retirement", {"reason": "Broken screen"})

        assert (answer.status, answer.body["state"], answer.body["retired_for"]) == (200, "retired", "Broken screen")
        assert answer.body == manager(post).get(f"/v1/devices/{handset.device}").body
        refused = handset.sync(handset.event())
        assert (refused.status, refused.problem) == (403, "device-blocked")
        event = next(event for event in events_of_device(handset.device) if event.type == RETIRED)
        assert (event.actor, event.place) == ("staff/s-1", f"depot/{HERE}")
        assert event.body(DeviceRetired) == DeviceRetired(generation=1, reason="Broken screen")

    def test_twice_is_as_once_and_the_first_reason_stays(self, post: Api, handset: HeldHandset) -> None:
        first, again = retire(post, handset.device, "Broken screen"), retire(post, handset.device, "Lost after all")
        assert again.body == first.body
        assert retirements(handset.device) == ["Broken screen"]

    @pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x" * 201}, {"reason": "broken", "wipe": True}])
    def test_a_reason_is_given(self, post: Api, handset: HeldHandset, body: dict[str, Any]) -> None:
        answer = manager(post).post(f"/v1/devices/{handset.device}/retirement", body)
        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert handset.row.state == "enrolled"

    def test_a_device_that_is_not_there(self, post: Api) -> None:
        assert retire(post, ids.new()).problem == "not-found"

    def test_two_at_once_leave_one_retirement(self, post: Api, handset: HeldHandset) -> None:
        with overtaken(by=lambda: retire(post, handset.device, "Lost")):
            answer = retire(post, handset.device, "Broken screen")
        assert (answer.status, answer.body["retired_for"]) == (200, "Lost")
        assert retirements(handset.device) == ["Lost"]

    def test_a_sync_under_way_records_nothing_more(self, post: Api, handset: HeldHandset) -> None:
        with overtaken(by=lambda: retire(post, handset.device)):
            answer = handset.sync(handset.event())
        assert (answer.status, answer.problem) == (403, "device-blocked")
        assert handset.row.acknowledged_through == 0

    def test_a_sync_that_comes_in_between_is_kept(self, post: Api, handset: HeldHandset) -> None:
        with overtaken(by=lambda: handset.sync(handset.event())):
            answer = retire(post, handset.device)
        assert (answer.body["state"], handset.row.state) == ("retired", "retired")
        assert handset.row.acknowledged_through == 1

    def test_a_device_that_went_to_another_depot_meanwhile_is_that_depot_s_to_retire(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset
    ) -> None:
        code = a_ticket(post, THEIRS)["code"]

        def move() -> None:
            retire(post, handset.device, "Goes to the north")
            assert NewHandset(post, serial=newcomer.serial).asks(code).status == 201

        with overtaken(by=move):
            answer = manager(post).post(f"/v1/devices/{handset.device}/retirement", {"reason": "Broken screen"})
        assert (answer.status, answer.problem) == (403, "access-denied")
        assert retirements(handset.device) == ["Goes to the north"]
        assert (handset.row.state, handset.row.generation) == ("enrolled", 2)
