"""A handset checks in: cheaply, and with all that it has to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from chalicelib.core import access, clock, ids
from chalicelib.core import aws as cloud
from chalicelib.core.access import DeviceState
from chalicelib.core.settings import physical_name
from chalicelib.core.transaction import transaction
from chalicelib.fleet import records
from chalicelib.fleet.checkins.schemas import CheckIn, Health, KeptUse, Network, PersonalUse, Said
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.commands.kinds import Kind
from chalicelib.fleet.commands.schemas import Command, Evidence, Parameters, Wiping
from chalicelib.fleet.commands.states import Proof, State
from chalicelib.fleet.tables import CheckInRow
from tests.support.api import Answered, Api
from tests.support.cloud import Cloud, start_cold
from tests.support.commands import a_report, a_wipe, fetched, payload, reported, send, sweep
from tests.support.commands import told as ordered_told
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import NewHandset, retire
from tests.support.losses import a_case

PATH = "/v1/check-ins"
WHOLE: dict[str, Any] = {
    "battery": {"percent": 81, "charging": False, "health": "good"},
    "storage_free_mb": 20480,
    "os_patch": "2026-10-05",
    "app_version": "1.4.0",
    "network": "4g",
    "outbox": 3,
    "policy": 12,
    "personal": {"month": "2026-11", "call_seconds": 1830, "sms": 41},
}


def checks_in(handset: HeldHandset, **told: Any) -> Answered:
    return handset.calls().post(PATH, {"outbox": 0} | told)


def usage(handset: HeldHandset) -> dict[str, Any]:
    answer = handset.calls().get("/v1/policy/usage")
    assert answer.status == 200, answer.text
    return dict(answer.body)


def set_state(handset: HeldHandset, state: DeviceState) -> None:
    with transaction() as work:
        access.set_state(work, handset.row, state)


@contextmanager
def units_written() -> Iterator[list[float]]:
    """What DynamoDB would charge for each write of a check-in, by the size of the item that is there afterwards."""
    charged: list[float] = []
    yield charged
    for item in cloud.client("dynamodb").scan(TableName=physical_name("check-ins"))["Items"]:
        size = sum(len(name) + len(next(iter(value.values())).encode()) for name, value in item.items())
        charged.append(-(-size // 1024))


def announce_a_wipe(handset: HeldHandset) -> str:
    """The handset has said that it is about to wipe; the id of the command."""
    now, before = clock.now(), boxes.load(handset.device)
    command = Command(
        id=ids.new(),
        device=handset.device,
        generation=1,
        number=1,
        kind=Kind.CONTAINER_WIPE,
        parameters=Parameters(),
        reason="Stolen",
        requested_by="staff/1",
        requested_at=now,
        state=State.WIPE_CLAIMED,
        order="",
        wiping=Wiping(report=ids.new(), signed_at=now, sent=0, lost=0),
        evidence=Evidence(proof=Proof.ANNOUNCED, at=now, by="carrier/1", how="report"),
    )
    with transaction() as work:
        records.save(work, boxes.key_of(handset.device), boxes.replace(before.box, command), instead_of=before.revision)
        boxes.file(work, before.box, command, instead_of=0)
    set_state(handset, DeviceState.WIPING)
    return command.id


class TestTheAnswer:
    def test_it_says_all_that_the_handset_has_to_know(self, api: Api) -> None:
        handset = a_handset(api, assurance="tee", commands_waiting=2)
        assert checks_in(handset, **WHOLE).body == {
            "server_time": "2026-11-23T07:00:00Z",
            "lease_until": "2026-11-26T07:00:00Z",
            "commands_waiting": 2,
            "policy": 0,
            "next_check_in_seconds": 900,
        }

    @pytest.mark.parametrize(("assurance", "hours"), [("none", 8), ("software", 8), ("tee", 72), ("strongbox", 72)])
    def test_the_better_a_key_is_kept_the_longer_the_lease(self, api: Api, assurance: str, hours: int) -> None:
        answer = checks_in(a_handset(api, assurance=assurance))
        until = datetime.fromisoformat(answer.body["lease_until"])
        assert (until - api.clock()).total_seconds() == hours * 3600

    @pytest.mark.parametrize(("state", "withheld"), [("quarantined", True), ("wiping", True), ("wiping", False)])
    def test_a_blocked_handset_is_answered_and_gets_no_lease(self, api: Api, state: str, withheld: bool) -> None:
        answer = checks_in(a_handset(api, state=state, lease_withheld=withheld))
        assert (answer.status, answer.body["lease_until"]) == (200, None)

    def test_the_lease_of_a_quarantined_one_is_put_off_unless_it_is_withheld(self, api: Api) -> None:
        handset = a_handset(api, state="quarantined")
        assert checks_in(handset).body["lease_until"] == "2026-11-23T15:00:00Z"
        assert handset.calls().post("/v1/lease").problem == "device-blocked"

    @pytest.mark.parametrize("told", [{}, {"outbox": None}])
    def test_one_whose_outbox_cannot_be_read_is_answered(self, api: Api, told: dict[str, Any]) -> None:
        answer = a_handset(api).calls().post(PATH, told)
        assert (answer.status, bool(answer.body["lease_until"])) == (200, True)

    def test_a_retired_one_is_not_answered(self, newcomer: NewHandset) -> None:
        handset = newcomer.enrolled()
        retire(newcomer.api, handset.device)
        assert checks_in(handset).problem == "device-blocked"

    def test_the_emptier_the_battery_the_later_it_is_to_come(self, api: Api) -> None:
        handset = a_handset(api)
        seconds = [
            checks_in(handset, battery={"percent": percent}).body["next_check_in_seconds"] for percent in (50, 20, 5)
        ]
        assert seconds == [900, 1800, 3600]

    @pytest.mark.parametrize(
        "told",
        [
            {"outbox": -1},
            {"battery": {"percent": 101}},
            {"battery": {"percent": 50, "health": "fine"}},
            {"os_patch": "2026-13-01"},
            {"app_version": "=1+1"},
            {"app_version": "1" * 41},
            {"personal": {"month": "2026-13", "call_seconds": 1, "sms": 1}},
            {"personal": {"month": "2026-11", "call_seconds": 1, "sms": 1, "called": ["+33612345678"]}},
            {"position": {"latitude": 48.8, "longitude": 2.3}},
        ],
    )
    def test_what_cannot_be_understood_changes_nothing(self, api: Api, told: dict[str, Any]) -> None:
        handset = a_handset(api)
        assert checks_in(handset, **told).problem == "request-invalid"
        assert CheckInRow.find(handset.device) is None


class TestItsCost:
    def test_it_is_one_read_and_one_write(self, api: Api, aws: Cloud) -> None:
        handset = a_handset(api)
        checks_in(handset)
        with aws.counting() as calls:
            checks_in(handset, **WHOLE)
        assert calls == {"GetItem": 1, "UpdateItem": 1}

    def test_a_process_looks_for_a_new_policy_every_five_minutes(self, api: Api, aws: Cloud) -> None:
        handset = a_handset(api)
        checks_in(handset)
        for minutes, queries in ((4, 0), (1, 1)):
            api.clock.advance(minutes=minutes)
            with aws.counting() as calls:
                checks_in(handset)
            assert calls["Query"] == queries

    def test_the_longest_one_costs_one_write_unit(self, api: Api) -> None:
        handset = a_handset(api)
        longest = {
            "battery": {"percent": 100, "charging": True, "health": max(Health, key=len)},
            "storage_free_mb": 10**13,
            "os_patch": "2026-10-05",
            "app_version": "9" * 40,
            "network": max(Network, key=len),
            "outbox": 1_000_000,
            "policy": 99_999_999,
        }
        with units_written() as charged:
            for month in ("2026-10", "2026-11"):
                use = {"month": month, "call_seconds": 31 * 24 * 3600, "sms": 1_000_000}
                assert checks_in(handset, **longest, personal=use).status == 200
        assert charged == [1]


class TestWhatIsKept:
    def test_the_last_one_counts(self, api: Api) -> None:
        handset = a_handset(api)
        checks_in(handset, **WHOLE)
        api.clock.advance(minutes=15)
        checks_in(handset, outbox=1)
        row = CheckInRow.get(handset.device)
        assert row.seen_at == clock.stamp(api.clock())
        assert row.holds(Said).told == CheckIn(outbox=1)

    def test_the_same_again_changes_nothing(self, api: Api) -> None:
        handset = a_handset(api)
        answers = [checks_in(handset, **WHOLE).body for _ in range(2)]
        assert answers[0] == answers[1]


class TestAWipeThatFailed:
    def test_the_old_key_is_seen_again(self, newcomer: NewHandset) -> None:
        handset = newcomer.enrolled()
        command = announce_a_wipe(handset)
        newcomer.api.clock.advance(minutes=1)

        assert checks_in(handset).status == 200

        filed = records.load(boxes.filed_key(command), boxes.Filed)
        assert filed is not None
        assert filed.record.over is not None
        assert filed.record.over.evidence is not None
        assert filed.record.over.evidence.proof is Proof.FAILED

    def test_the_old_key_is_seen_again_after_nobody_knew_for_three_days(self, newcomer: NewHandset) -> None:
        handset, post = newcomer.enrolled(), newcomer.api
        a_case(post, handset)
        wipe = a_wipe(handset)
        [given] = [one for one in fetched(handset) if payload(one)["kind"] == "container-wipe"]
        reported(handset, given, "accepted")
        post.clock.advance(seconds=20)
        send(handset, a_report(given, "wiping", detail={"sent": 0, "lost": 0}))
        post.clock.advance(hours=73)
        sweep()
        assert ordered_told(post, wipe)["evidence"]["proof"] == "unconfirmed"

        assert checks_in(handset).status == 200

        assert ordered_told(post, wipe)["evidence"]["proof"] == "failed"

    def test_the_box_is_read_of_none_but_those_that_may_not_do_as_they_like(self, api: Api, aws: Cloud) -> None:
        costs = []
        for state in DeviceState.ENROLLED, DeviceState.QUARANTINED, DeviceState.WIPING:
            handset = a_handset(api, state=state.value)
            checks_in(handset)
            with aws.counting() as calls:
                checks_in(handset)
            costs.append(calls["BatchGetItem"])
        assert costs == [0, 1, 1]


class TestPersonalUse:
    def said(self, handset: HeldHandset, month: str, seconds: int, sms: int = 0) -> None:
        use = {"month": month, "call_seconds": seconds, "sms": sms}
        assert checks_in(handset, personal=use).status == 200

    def test_a_carrier_sees_what_is_left(self, api: Api) -> None:
        handset = a_handset(api)
        self.said(handset, "2026-11", 1830, 41)
        assert usage(handset) == {
            "allowed_call_seconds": 7200,
            "allowed_sms": None,
            "this_month": {
                "month": "2026-11",
                "call_seconds": 1830,
                "sms": 41,
                "call_seconds_left": 5370,
                "sms_left": None,
            },
            "last_month": {
                "month": "2026-10",
                "call_seconds": 0,
                "sms": 0,
                "call_seconds_left": 7200,
                "sms_left": None,
            },
        }

    def test_the_month_changes_at_midnight_in_paris(self, api: Api) -> None:
        handset = a_handset(api)
        api.clock.at = datetime(2026, 11, 30, 22, 59, tzinfo=UTC)
        self.said(handset, "2026-11", 600)
        assert usage(handset)["this_month"]["call_seconds"] == 600
        api.clock.advance(minutes=1)
        self.said(handset, "2026-11", 660)
        self.said(handset, "2026-12", 5)
        found = usage(handset)
        assert [found[name]["month"] for name in ("this_month", "last_month")] == ["2026-12", "2026-11"]
        assert [found[name]["call_seconds"] for name in ("this_month", "last_month")] == [5, 660]

    def test_a_month_takes_the_place_of_the_one_before_the_last(self, api: Api) -> None:
        handset = a_handset(api)
        self.said(handset, "2026-10", 100)
        api.clock.at = datetime(2026, 12, 2, tzinfo=UTC)
        assert usage(handset)["this_month"]["call_seconds"] == 0
        self.said(handset, "2026-12", 7)
        assert usage(handset)["this_month"]["call_seconds"] == 7

    def test_a_wrong_month_closes_no_container(self, api: Api) -> None:
        handset = a_handset(api)
        for month in ("2026-09", "2026-12"):
            use = {"month": month, "call_seconds": 9, "sms": 9}
            assert checks_in(handset, personal=use).body["lease_until"]
        assert not any(CheckInRow.get(handset.device).uses)

    def test_a_total_goes_in_the_second_month_after_its_own_if_no_other_is_told(self, api: Api) -> None:
        handset = a_handset(api)
        self.said(handset, "2026-10", 4711)
        self.said(handset, "2026-11", 60)
        for day, left in ((30, 2), (31, 1)):
            api.clock.at = datetime(2026, 11, day, tzinfo=UTC) if day < 31 else datetime(2026, 12, 1, tzinfo=UTC)
            checks_in(handset)
            assert sum(use is not None for use in CheckInRow.get(handset.device).uses) == left

    def test_no_total_outlives_the_last_check_in_by_more_than_two_months(self, api: Api) -> None:
        handset = a_handset(api)
        self.said(handset, "2026-11", 60)
        assert CheckInRow.get(handset.device).expires_at - api.clock() == timedelta(days=62)

    def test_a_check_in_without_it_leaves_it_as_it_was(self, api: Api) -> None:
        handset = a_handset(api)
        self.said(handset, "2026-11", 60)
        checks_in(handset)
        assert usage(handset)["this_month"]["call_seconds"] == 60

    def test_who_had_the_handset_before_is_none_of_the_next_ones_business(self, newcomer: NewHandset) -> None:
        former = newcomer.enrolled()
        self.said(former, "2026-11", 60)
        retire(newcomer.api, former.device)
        again = NewHandset(newcomer.api, serial=newcomer.serial).enrolled()
        assert (again.device, again.generation) == (former.device, 2)
        assert usage(again)["this_month"]["call_seconds"] == 0

    def test_it_has_no_member_for_who_was_called(self) -> None:
        members = {field.name for field in msgspec.structs.fields(PersonalUse)}
        assert members == {"month", "call_seconds", "sms"}
        assert {field.name for field in msgspec.structs.fields(KeptUse)} == {"generation", "use"}

    def test_it_costs_one_call(self, api: Api, aws: Cloud) -> None:
        handset = a_handset(api)
        start_cold()
        for costs in ({"BatchGetItem": 1, "Query": 1}, {"BatchGetItem": 1}):
            with aws.counting() as calls:
                usage(handset)
            assert calls == costs

    @pytest.mark.parametrize("state", ["quarantined", "wiping"])
    def test_a_blocked_handset_is_shown_nothing(self, api: Api, state: str) -> None:
        assert a_handset(api, state=state).calls().get("/v1/policy/usage").problem == "device-blocked"
