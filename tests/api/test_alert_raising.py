"""Raising an alert: nothing is a reason to refuse one, and nothing is in its way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient

from chalicelib.alerts.schemas import Flag, Purpose, State, Trigger
from chalicelib.core import ids
from handset.signing import HandsetKey
from tests.support import cloud
from tests.support.alerts import (
    ON_CALL,
    Desk,
    a_fix,
    alert_of,
    an_alert_body,
    kms_away,
    raise_alert,
    raised,
    said,
)
from tests.support.api import Answered, Api
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.cloud import Cloud
from tests.support.factories import CARRIER, DEPOT, HeldHandset, a_handset
from tests.support.fleet import everything_stored
from tests.support.races import contended, overtaken

ALERT = "019aaf3c-4c58-7abc-8def-0123456789ab"
PATH = f"/v1/alerts/{ALERT}"
YEAR = 365 * 24 * 3600
ROOM, MANAGER = "sms:+33600000001", "sms:+33600000002"


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


def status_of(handset: HeldHandset, alert: str) -> str:
    return str(handset.calls().get(f"/v1/alerts/{alert}/status").body["status"])


def flags_of(alert: str) -> set[str]:
    return {flag.value for flag in alert_of(alert).flags}


@contextmanager
def writing() -> Iterator[list[tuple[str, str]]]:
    """The items that are written or checked within the block: table and key."""
    written: list[tuple[str, str]] = []
    call = BaseClient._make_api_call
    keys = {model.table: model._hash_key_attribute().attr_name for model in cloud.all_models()}

    def called(client: Any, operation: str, parameters: Any) -> Any:
        items = [change for item in parameters.get("TransactItems", []) for change in item.values()]
        for change in items if operation == "TransactWriteItems" else [parameters]:
            if found := change.get("Item") or change.get("Key"):
                name = change["TableName"]
                written.append((name, json.dumps(found[keys[name.removeprefix("facteo-test-")]])))
        return call(client, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", called):
        yield written


class TestAnswer:
    def test_it_is_answered_once_it_is_written(self, handset: HeldHandset) -> None:
        answer = handset.calls().put(PATH, an_alert_body(silent=True, battery=73))

        assert answer.status == 201
        assert answer.body == {
            "id": ALERT,
            "status": "raised",
            "received_at": "2026-11-23T07:00:00Z",
            "delay_ms": None,
        }
        kept = alert_of(ALERT)
        assert (kept.device, kept.carrier, kept.depot, kept.generation) == (handset.device, CARRIER, DEPOT, 1)
        assert (kept.state, kept.trigger, kept.silent, kept.battery) == (State.RAISED, Trigger.MANUAL, True, 73)
        assert kept.flags == frozenset()
        assert said(ALERT) == ["raised"]

    def test_it_reaches_who_is_on_call(self, desk: Desk, handset: HeldHandset) -> None:
        alert = raised(handset)
        desk.work()

        [page] = desk.sent(ON_CALL)
        assert page.message.alert == alert
        assert [line["what"] for line in desk.feed()] == ["raised", "placed", "notified"]

    def test_nobody_reads_where_the_carrier_is_in_what_is_stored(self, handset: HeldHandset) -> None:
        place = {"text": "7 rue Discrète, 3e étage", "at": "2026-11-23T06:58:00Z"}
        raised(handset, fix=a_fix(latitude=48.123987, longitude=2.987123), last_place=place)

        stored = everything_stored()
        assert not [secret for secret in ("48.123987", "2.987123", "Discr") if secret in stored]


GARBAGE = [
    b"",
    b"null",
    b"[]",
    b"\xff\xfe{",
    b'{"trigger": "man',
    b"{" * 200_000,
    b'{"raised_at": 1e400}',
    b"0" * 2**21,
]
WRONG: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"mood": "afraid"}, {"battery": 80}),
    ({"battery": "forty"}, {"battery": None}),
    ({"battery": 400}, {"battery": None}),
    ({"battery": "40"}, {"battery": 40}),
    ({"trigger": "earthquake"}, {"trigger": Trigger.MANUAL}),
    ({"trigger": ["fall"]}, {"trigger": Trigger.MANUAL}),
    ({"silent": "true"}, {"silent": True}),
    ({"purpose": 7}, {"purpose": Purpose.ACTUAL}),
    ({"raised_at": "this morning"}, {"raised_at": MONDAY_MORNING}),
    ({"fix": "rue Lecourbe"}, {"whereabouts": None}),
    ({"fix": {"latitude": 48.8}}, {"whereabouts": None}),
]
"""A part of a body that is not as it should be, and what is kept of it."""


class TestBody:
    def test_of_garbage_nothing_is_known_and_it_is_raised(self, handset: HeldHandset) -> None:
        for body in GARBAGE:
            alert = ids.new()
            answer = handset.calls().put(f"/v1/alerts/{alert}", body)

            assert (answer.status, answer.body["status"]) == (201, "raised"), body[:20]
            assert flags_of(alert) == {"incomplete"}, body[:20]
            assert alert_of(alert).raised_at == MONDAY_MORNING, "when it was signed"

    def test_what_is_wrong_is_left_out_and_the_rest_kept(self, handset: HeldHandset) -> None:
        for wrong, kept in WRONG:
            alert = alert_of(raised(handset, **({"silent": True} | wrong)))

            assert {name: getattr(alert, name) for name in ("silent", *kept)} == {"silent": True, **kept}, wrong
            assert alert.flags == {Flag.INCOMPLETE}, wrong

    def test_a_position_that_is_half_wrong_is_kept(self, desk: Desk, handset: HeldHandset) -> None:
        raised(handset, ALERT, fix=a_fix(latitude=48.5, radius="wide", method="dowsing"))
        desk.work()
        desk.sent(ON_CALL)

        seen = desk.operator.get(PATH).body
        assert (seen["fix"]["latitude"], seen["fix"]["radius"], seen["fix"]["method"]) == (48.5, None, "unknown")
        assert seen["alert"]["flags"] == ["incomplete"]

    def test_whatever_its_content_type(self, handset: HeldHandset) -> None:
        body = json.dumps({"battery": 12}).encode()
        answer = handset.calls().request("PUT", PATH, body, Content_Type="text/plain")

        assert answer.status == 201
        assert alert_of(ALERT).battery == 12
        assert flags_of(ALERT) == {"low-battery"}


class TestWhoAndWhen:
    def test_any_clock_will_do(self, handset: HeldHandset) -> None:
        for off in (-30 * YEAR, -YEAR, -3600, 3600, 70 * YEAR):
            assert raise_alert(handset, caller=handset.calls(clock_off_by=off)).status == 201, off

    def test_blocked_handsets_may_and_retired_ones_may_not(self, api: Api) -> None:
        retired = raise_alert(a_handset(api, state="retired"))
        assert (retired.status, retired.problem) == (403, "device-blocked")
        assert "alert/" not in everything_stored()

        for state in ("enrolled", "quarantined", "wiping"):
            assert raise_alert(a_handset(api, state=state)).status == 201, state

    def test_nobody_may_for_another(self, api: Api, handset: HeldHandset) -> None:
        stranger = api.as_handset(HandsetKey.generate(), handset.device)
        nobody = api.as_handset(HandsetKey.generate(), ids.new())
        answers = [raise_alert(handset, caller=caller) for caller in (stranger, nobody, api.as_nobody())]

        assert [answer.status for answer in answers] == [401, 401, 401]
        assert "alert/" not in everything_stored()

    def test_an_id_that_is_no_uuid7_is_none(self, handset: HeldHandset) -> None:
        for alert in ("019aaf3c", "019aaf3c-4c58-4abc-8def-0123456789ab", ALERT.upper()):
            assert raise_alert(handset, alert).status == 404, alert

    def test_it_is_late_if_the_handset_could_not_send_it(self, handset: HeldHandset, clock: FakeClock) -> None:
        """Whatever its clock says: it is the same at both moments."""
        for off, waited, late in ((0, 0, 0), (0, 60, 0), (0, 61, 1), (3600, 0, 0), (3600, 61, 1), (-30, 40, 0)):
            pressed, alert = clock.at + timedelta(seconds=off - waited), ids.new()
            raise_alert(handset, alert, caller=handset.calls(clock_off_by=off), raised_at=pressed.isoformat())

            assert flags_of(alert) == ({"late"} if late else set()), (off, waited)

    def test_it_is_late_if_it_was_long_on_its_way(self, handset: HeldHandset) -> None:
        for seconds, late in ((60, False), (61, True)):
            raise_alert(handset, alert := ids.new(), caller=handset.calls(clock_off_by=-seconds), raised_at=None)

            assert (Flag.LATE in alert_of(alert).flags) is late, seconds

    def test_a_late_one_goes_the_whole_way(self, desk: Desk, handset: HeldHandset, clock: FakeClock) -> None:
        raised(handset, raised_at=(clock.at - timedelta(hours=2)).isoformat())
        desk.work()

        [page] = desk.sent(ON_CALL)
        assert page.message.flags == (Flag.LATE,)


def nothing(_: Desk, __: str) -> None:
    """Nothing happens between the two."""


def acked(desk: Desk, alert: str) -> None:
    desk.work()
    desk.takes(alert)
    desk.sent(ON_CALL)


def closed(desk: Desk, alert: str) -> None:
    acked(desk, alert)
    desk.closes(alert)


class TestReplay:
    @pytest.mark.parametrize(
        ("meanwhile", "status"),
        [(nothing, "raised"), (acked, "taken"), (closed, "closed")],
        ids=["at-once", "acked", "closed"],
    )
    def test_the_same_press_changes_nothing(
        self, desk: Desk, handset: HeldHandset, meanwhile: Callable[[Desk, str], None], status: str
    ) -> None:
        first = raise_alert(handset, ALERT)
        meanwhile(desk, ALERT)
        before = everything_stored()

        again = [raise_alert(handset, ALERT), raise_alert(handset, ALERT, battery=3), handset.calls().put(PATH, b"")]

        assert [answer.status for answer in again] == [200, 200, 200]
        assert [answer.body for answer in again] == [{**first.body, "status": status}] * 3
        assert everything_stored() == before
        if meanwhile is nothing:
            desk.work()
            desk.sent(ON_CALL)

    def test_a_press_that_was_joined_is_told_as_the_alert_goes_on(self, desk: Desk, handset: HeldHandset) -> None:
        first, second = raised(handset), ids.new()
        desk.work()
        raise_alert(handset, second)
        desk.work()
        desk.takes(first)
        desk.sent(ON_CALL, ON_CALL)

        answer = raise_alert(handset, second)
        assert (answer.status, answer.body["id"], answer.body["status"]) == (200, second, "taken")

    def test_the_id_of_another_handsets_alert_is_refused(self, api: Api, handset: HeldHandset) -> None:
        raised(handset, ALERT)
        before = everything_stored()
        other = a_handset(api, carrier="C1002")
        stored_with_other = everything_stored()

        answer = raise_alert(other, ALERT)

        assert (answer.status, answer.problem) == (409, "alert-id-taken")
        assert handset.device not in answer.text
        assert everything_stored() == stored_with_other != before


class TestAtOnce:
    def test_the_same_press_twice_is_one_alert(self, handset: HeldHandset) -> None:
        for race in (contended, overtaken):
            first, second = self.at_once(race, handset, handset, alert := ids.new())

            assert sorted((first.status, second.status)) == [200, 201]
            assert first.body == second.body
            assert said(alert) == ["raised"]

    def test_of_two_handsets_with_one_id_one_is_refused(self, api: Api, handset: HeldHandset) -> None:
        other = a_handset(api, carrier="C1002")
        for race in (contended, overtaken):
            answers = self.at_once(race, handset, other, alert := ids.new())

            assert sorted((answer.status, answer.problem) for answer in answers) == [(201, ""), (409, "alert-id-taken")]
            assert said(alert) == ["raised"]

    @staticmethod
    def at_once(race: Any, one: HeldHandset, other: HeldHandset, alert: str) -> list[Answered]:
        answers: list[Answered] = []
        with race(by=lambda: answers.append(raise_alert(other, alert))):
            answers.append(raise_alert(one, alert))
        return answers

    def test_two_presses_of_a_handset_are_not_in_each_others_way(self, handset: HeldHandset) -> None:
        raised(handset)
        answers: list[Answered] = []
        with contended(by=lambda: answers.append(raise_alert(handset))), writing() as written:
            answers.append(raise_alert(handset))

        assert [answer.status for answer in answers] == [201, 201]
        assert len(written) == len(set(written))


class TestCosts:
    def test_two_calls_of_dynamodb(self, aws: Cloud, handset: HeldHandset) -> None:
        raised(handset)
        with aws.counting() as calls:
            raised(handset, ALERT)
        assert calls == {"BatchGetItem": 1, "TransactWriteItems": 1}

        with aws.counting() as calls:
            raise_alert(handset, ALERT)
        assert calls == {"BatchGetItem": 1}

    def test_three_for_the_first_of_a_process(self, aws: Cloud, handset: HeldHandset) -> None:
        raised(handset)
        cloud.start_cold()
        with aws.counting() as calls:
            raised(handset)
        assert calls.total() <= 3

    def test_no_row_that_another_carriers_raise_writes(self, api: Api, handset: HeldHandset) -> None:
        other = a_handset(api, carrier="C1002")
        raised(handset)
        with writing() as mine:
            raised(handset)
        with writing() as theirs:
            raised(other)

        assert len(mine) == len(theirs) >= 4
        assert not set(mine) & set(theirs)


def test_without_kms_it_is_raised_and_the_position_follows(desk: Desk, handset: HeldHandset) -> None:
    with kms_away():
        answer = raise_alert(handset, ALERT)
        assert (answer.status, answer.body["status"]) == (201, "raised")
        desk.work()
        desk.sent(ON_CALL)
    assert flags_of(ALERT) == {"incomplete"}
    assert desk.operator.get(PATH).body["fix"] is None

    assert handset.calls().post(f"{PATH}/positions", {"fixes": [a_fix(latitude=48.5)]}).status == 200
    assert desk.operator.get(PATH).body["fix"]["latitude"] == 48.5


class TestAutomatic:
    def test_the_carrier_has_half_a_minute(self, handset: HeldHandset) -> None:
        for trigger in ("fall", "no-motion", "missed-check-in", "lost-link"):
            answer = raise_alert(handset, alert := ids.new(), trigger=trigger)

            assert (answer.status, answer.body["status"]) == (201, "pre-alarm"), trigger
            kept = alert_of(alert)
            assert (kept.state, kept.trigger) == (State.PRE_ALARM, trigger)
            assert kept.pre_alarm_until == MONDAY_MORNING + timedelta(seconds=30), trigger

    def test_then_it_is_an_alarm_whatever_became_of_the_handset(self, desk: Desk, handset: HeldHandset) -> None:
        raised(handset, ALERT, trigger="fall")
        desk.wait(seconds=29)
        desk.sent()
        assert status_of(handset, ALERT) == "pre-alarm"

        desk.wait(seconds=1)

        [page] = desk.sent(ON_CALL)
        assert page.at == MONDAY_MORNING + timedelta(seconds=30)
        assert said(ALERT) == ["raised", "placed", "pre-alarm-over", "notified"]
        assert status_of(handset, ALERT) == "raised"

    def test_a_lost_timer_is_caught_by_the_sweeper(self, desk: Desk, handset: HeldHandset) -> None:
        desk.lost.add("alert-timers")
        raised(handset, trigger="no-motion")
        desk.wait(seconds=36)
        desk.sent()

        desk.sweep()

        desk.sent(ON_CALL)

    def test_lasts_as_long_as_the_zone_wants(self, desk: Desk, handset: HeldHandset) -> None:
        desk.has_policy(timers={"pre_alarm": 120})
        raise_alert(handset, ALERT, trigger="fall")
        desk.wait(seconds=119)
        assert (status_of(handset, ALERT), desk.sent()) == ("pre-alarm", [])
        desk.wait(seconds=1)
        assert status_of(handset, ALERT) == "raised"
        desk.channels.taken.clear()


class TestPressedAgain:
    def test_another_press_joins_the_open_alert_and_the_ladder_begins_anew(
        self, desk: Desk, handset: HeldHandset
    ) -> None:
        first = raised(handset, ALERT)
        desk.work()
        desk.takes(first)
        desk.sent(ON_CALL)
        assert status_of(handset, first) == "taken"

        second = raised(handset, battery=9)
        desk.work()

        [page] = desk.sent(ON_CALL)
        assert page.message.alert == first
        assert said(first)[-2:] == ["pressed-again", "notified"]
        assert said(second) == ["raised", "joined"]
        alert = alert_of(first)
        assert (alert.epoch, alert.owner, alert.battery) == (2, "", 9)
        assert flags_of(first) == {"low-battery"}
        assert [status_of(handset, press) for press in (first, second)] == ["raised", "raised"]

    def test_what_one_press_is_told_the_other_is_too(self, desk: Desk, handset: HeldHandset) -> None:
        first = raised(handset)
        desk.work()
        second = raised(handset)
        desk.work()
        desk.sent(ON_CALL, ON_CALL)

        desk.takes(second)
        assert [status_of(handset, press) for press in (first, second)] == ["taken", "taken"]
        desk.closes(second)
        assert [status_of(handset, press) for press in (first, second)] == ["closed", "closed"]

    def test_two_presses_before_anybody_looked_are_one_alert_paged_once(self, desk: Desk, handset: HeldHandset) -> None:
        presses = [raised(handset), raised(handset)]
        desk.work()

        open_ones = desk.operator.get("/v1/alert-zones/PARIS-SUD/alerts").body["alerts"]
        assert len(open_ones) == 1
        assert {alert_of(press).state for press in presses} == {State.NOTIFIED, State.JOINED}
        [page] = desk.sent(ON_CALL)
        assert page.message.alert == open_ones[0]["id"]

    def test_after_the_end_it_is_a_new_alert(self, desk: Desk, handset: HeldHandset) -> None:
        first = raised(handset)
        desk.work()
        desk.sent(ON_CALL)
        desk.closes(first)

        second = raised(handset)
        desk.work()

        [page] = desk.sent(ON_CALL)
        assert page.message.alert == second
        assert alert_of(second).follows == first
        assert (alert_of(first).state, alert_of(second).state) == (State.CLOSED, State.NOTIFIED)
        assert alert_of(first).epoch == 1

    def test_another_handset_of_the_depot_has_an_alert_of_its_own(
        self, desk: Desk, api: Api, handset: HeldHandset
    ) -> None:
        presses = {raised(handset), raised(a_handset(api, carrier="C1002"))}
        desk.work()

        assert {page.message.alert for page in desk.sent(ON_CALL, ON_CALL)} == presses


class TestAnotherCarrierWithTheSameHandset:
    """It was retired and enrolled again while its alert was open."""

    @pytest.fixture
    def before(self, desk: Desk, handset: HeldHandset) -> str:
        alert = raised(handset)
        desk.work()
        desk.sent(ON_CALL)
        return alert

    @pytest.fixture
    def other(self, api: Api, handset: HeldHandset, before: str) -> HeldHandset:
        return a_handset(api, handset.device, carrier="C2002", generation=2)

    def test_has_an_alert_of_their_own(self, desk: Desk, other: HeldHandset, before: str) -> None:
        alert = raised(other)
        desk.work()
        [page] = desk.sent(ON_CALL)
        assert (page.message.alert, alert_of(alert).carrier) == (alert, "C2002")
        assert [alert_of(one).epoch for one in (alert, before)] == [1, 1]

    def test_has_nothing_to_do_with_the_one_before(self, other: HeldHandset, before: str) -> None:
        calls = other.calls()
        assert calls.get(f"/v1/alerts/{before}/status").problem == "not-found"
        assert calls.get(f"/v1/alerts/{before}/views").problem == "not-found"
        assert calls.post(f"/v1/alerts/{before}/positions", {}).problem == "not-found"
        assert calls.post(f"/v1/alerts/{before}/cancellation", {"pin": "1357"}).problem == "not-found"
        assert calls.put(f"/v1/alerts/{before}", {}).problem == "alert-id-taken"


class TestDrills:
    def test_a_self_test_goes_to_the_consoles_and_comes_back_with_its_delay(
        self, desk: Desk, handset: HeldHandset, clock: FakeClock
    ) -> None:
        answer = raise_alert(handset, ALERT, purpose="self-test")
        assert (answer.status, answer.body["delay_ms"]) == (201, None)
        clock.advance(milliseconds=1240)
        desk.work()

        told = handset.calls().get(f"{PATH}/status").body
        assert told == {"id": ALERT, "status": "closed", "received_at": "2026-11-23T07:00:00Z", "delay_ms": 1240}
        assert [line["what"] for line in desk.feed()] == ["raised", "placed", "closed"]
        assert {line["purpose"] for line in desk.feed()} == {"self-test"}
        assert alert_of(ALERT).reason == "self-test"
        desk.sent()

    def test_an_exercise_goes_the_whole_way_and_says_so(self, desk: Desk, handset: HeldHandset) -> None:
        raised(handset, ALERT, purpose="exercise")
        desk.wait(seconds=10)

        pages = desk.sent(ON_CALL, ON_CALL)
        assert all(page.message.headline.startswith("EXERCICE - ") for page in pages)
        desk.takes(ALERT)
        desk.closes(ALERT, "false-alarm")

    def test_no_press_that_is_meant_is_joined_to_a_drill(self, desk: Desk, handset: HeldHandset) -> None:
        exercise, _ = raised(handset, purpose="exercise"), raised(handset, purpose="self-test")
        meant = raised(handset)
        desk.work()

        pages = desk.sent(ON_CALL, ON_CALL)
        assert {page.message.alert: page.message.purpose for page in pages} == {exercise: "exercise", meant: "actual"}
        assert alert_of(meant).follows == ""

    def test_a_self_test_leaves_an_open_alert_alone(self, desk: Desk, handset: HeldHandset) -> None:
        meant = raised(handset)
        desk.work()
        desk.takes(meant)
        desk.work()
        before = alert_of(meant)
        raised(handset, purpose="self-test")
        desk.work()

        assert alert_of(meant) == before
        desk.sent(ON_CALL)
