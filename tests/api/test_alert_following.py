"""Following a carrier: only while an alert is open, sealed, for a time, and under the carrier's eyes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import ids
from chalicelib.core.keyring import KeyRow
from chalicelib.core.progress import ProgressRow
from chalicelib.erasure.service import ERASURE
from chalicelib.erasure.workers import erase
from tests.support.alerts import ON_CALL, Desk, a_fix, alert_of, kms_away, raised, said
from tests.support.api import Answered, Api
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.cloud import Cloud
from tests.support.events import SCHEDULED, invoke
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import everything_stored


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


@pytest.fixture
def alert(desk: Desk, handset: HeldHandset) -> str:
    """An alert without a position, that somebody has taken."""
    raised_now = raised(handset, fix=None)
    desk.work()
    desk.sent(ON_CALL)
    desk.takes(raised_now)
    desk.work()
    return raised_now


def report(handset: HeldHandset, alert: str, **body: Any) -> Answered:
    return handset.calls().post(f"/v1/alerts/{alert}/positions", body)


def last(desk: Desk, alert: str) -> dict[str, Any]:
    """What the console shows."""
    body: dict[str, Any] = desk.operator.get(f"/v1/alerts/{alert}").body
    return body


class TestWithoutAnAlert:
    def test_no_position_is_taken(self, desk: Desk, api: Api, handset: HeldHandset, alert: str) -> None:
        other = a_handset(api, carrier="C1002")
        before = everything_stored()

        unknown, of_another = report(handset, ids.new(), fixes=[a_fix()]), report(other, alert, fixes=[a_fix()])

        assert [(each.status, each.problem) for each in (unknown, of_another)] == [(404, "not-found")] * 2
        assert everything_stored() == before

    def test_nor_after_the_end(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        desk.closes(alert)
        before = everything_stored()

        answer = report(handset, alert, fixes=[a_fix()])

        assert (answer.status, answer.problem) == (409, "no-open-alert")
        assert everything_stored() == before


class TestPositions:
    def test_they_are_kept_sealed_and_in_order(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        report(handset, alert, fixes=[a_fix(latitude=48.111987), a_fix(latitude=48.222987, longitude=2.222987)])
        clock.advance(seconds=5)
        place = {"text": "7 rue Discrète, 3e étage", "at": clock.at.isoformat()}
        assert report(handset, alert, fixes=[a_fix(latitude=48.333987)], last_place=place).body == {"seconds": 5}

        shown = last(desk, alert)
        assert (shown["fix"]["latitude"], shown["age_seconds"]) == (48.333987, 0)
        assert shown["last_place"]["text"] == "7 rue Discrète, 3e étage"
        way = desk.operator.get(f"/v1/alerts/{alert}/track").body["features"][1]["geometry"]["coordinates"]
        assert way == [[2.3056, 48.111987], [2.222987, 48.222987], [2.3056, 48.333987]]
        stored = everything_stored()
        secrets = ("48.111987", "48.222987", "2.222987", "48.333987", "Discr")
        assert not [secret for secret in secrets if secret in stored]

    def test_one_that_the_handsets_clock_puts_ahead_does_not_stay_the_last(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        ahead = (clock.at + timedelta(days=400)).isoformat()
        report(handset, alert, fixes=[a_fix(latitude=48.1, fixed_at=ahead)])
        assert (last(desk, alert)["fix"]["latitude"], last(desk, alert)["age_seconds"]) == (48.1, 0)

        report(handset, alert, fixes=[a_fix(latitude=48.2)])

        assert last(desk, alert)["fix"]["latitude"] == 48.2

    def test_the_last_known_one_is_shown_with_its_age(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        report(handset, alert, fixes=[a_fix(latitude=48.1)])
        clock.advance(seconds=40)
        report(handset, alert)

        shown = last(desk, alert)
        assert (shown["fix"]["latitude"], shown["age_seconds"]) == (48.1, 40)
        point = desk.operator.get(f"/v1/alerts/{alert}/track").body["features"][0]
        assert (point["properties"]["age_seconds"], point["properties"]["old"]) == (40, False)

    def test_those_of_a_press_that_was_joined_are_the_alerts(
        self, desk: Desk, handset: HeldHandset, alert: str
    ) -> None:
        again = raised(handset, fix=a_fix(latitude=48.1))
        desk.work()
        desk.sent(ON_CALL)
        assert report(handset, again, fixes=[a_fix(latitude=48.2)]).status == 200

        assert last(desk, alert)["fix"]["latitude"] == 48.2
        assert last(desk, again) == last(desk, alert)

    def test_a_report_costs_three_reads_and_a_transaction(self, aws: Cloud, handset: HeldHandset, alert: str) -> None:
        with aws.counting() as calls:
            report(handset, alert, fixes=[a_fix()])
        assert calls == {"GetItem": 2, "BatchGetItem": 1, "TransactWriteItems": 1}

    def test_a_body_that_is_none_is_refused(self, handset: HeldHandset, alert: str) -> None:
        before = everything_stored()
        for body in ({"fixes": [{"latitude": 48.1}]}, {"fixes": [a_fix()] * 101}, {"battery": 101}, {"speed": 3}):
            answer = report(handset, alert, **body)
            assert (answer.status, answer.problem) == (400, "request-invalid"), body
        assert everything_stored() == before


class TestHowOften:
    def test_every_five_seconds_then_fifteen_and_a_minute_with_a_low_battery(
        self, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        told = [report(handset, alert).body["seconds"], report(handset, alert, battery=15).body["seconds"]]
        clock.advance(seconds=119)
        told.append(report(handset, alert).body["seconds"])
        clock.advance(seconds=1)
        told += [report(handset, alert, battery=15).body["seconds"], report(handset, alert, battery=14).body["seconds"]]

        assert told == [5, 5, 5, 15, 60]

    def test_a_low_battery_is_told_once(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        for battery in (16, 14, 13):
            report(handset, alert, battery=battery)
        desk.work()

        assert said(alert).count("low-battery") == 1
        assert last(desk, alert)["alert"]["flags"] == ["low-battery"]
        assert last(desk, alert)["alert"]["battery"] == 13
        assert [line["what"] for line in desk.feed()].count("low-battery") == 1

    def test_contact_is_lost_after_a_gap_and_found_with_the_next_word(
        self, desk: Desk, handset: HeldHandset, alert: str
    ) -> None:
        desk.wait(seconds=50)
        desk.sweep()
        assert last(desk, alert)["alert"]["flags"] == ["contact-lost"]
        assert [line["what"] for line in desk.feed()][-1] == "contact-lost"

        assert report(handset, alert).status == 200
        assert last(desk, alert)["alert"]["flags"] == []


class TestKeys:
    def test_without_kms_it_is_sent_again_but_contact_is_not_lost(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        clock.advance(seconds=20)
        with kms_away():
            answer = report(handset, alert, fixes=[a_fix(latitude=48.1)], battery=50)

        assert (answer.status, answer.problem) == (503, "unavailable")
        kept = alert_of(alert)
        assert (kept.heard_at, kept.battery, kept.whereabouts) == (MONDAY_MORNING + timedelta(seconds=20), 50, None)
        assert report(handset, alert, fixes=[a_fix(latitude=48.1)]).status == 200
        assert last(desk, alert)["fix"]["latitude"] == 48.1

    def test_after_sixty_days_nobody_reads_a_position_any_more(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        report(handset, alert, fixes=[a_fix()], last_place={"text": "7 rue Discrète", "at": clock.at.isoformat()})
        desk.closes(alert)
        clock.advance(days=60)
        assert last(desk, alert)["fix"] is not None
        ProgressRow(ERASURE, through=clock.at).save()

        clock.advance(days=1)

        shown = last(desk, alert)
        assert (shown["fix"], shown["last_place"], shown["age_seconds"], shown["erased"]) == (None, None, None, True)
        assert desk.operator.get(f"/v1/alerts/{alert}/track").body["features"] == []
        assert "rd=N" in desk.operator.get(f"/v1/alerts/{alert}/aml").text
        assert "<circle>" not in desk.operator.get(f"/v1/alerts/{alert}/cap").text
        assert f"alert/{alert}" in {row.subject for row in KeyRow.scan()}, "though its key is still there"
        invoke(erase, SCHEDULED)
        assert f"alert/{alert}" not in {row.subject for row in KeyRow.scan()}
        assert desk.operator.get(f"/v1/alerts/{alert}/report").body["timeline"], "what happened stays provable"


class TestViews:
    def test_the_carrier_sees_who_looked(self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock) -> None:
        views = f"/v1/alerts/{alert}/views"
        assert handset.calls().get(views).body == {"views": []}
        for what, by in (("", "anne"), ("/track", "bruno"), ("/cap", "anne"), ("/aml", "anne")):
            clock.advance(seconds=1)
            desk.api.as_staff("dispatcher", sub=by).get(f"/v1/alerts/{alert}{what}")

        assert handset.calls().get(views).body["views"] == [
            {"by": "staff/anne", "at": "2026-11-23T07:00:01Z", "what": "alert"},
            {"by": "staff/bruno", "at": "2026-11-23T07:00:02Z", "what": "track"},
            {"by": "staff/anne", "at": "2026-11-23T07:00:03Z", "what": "cap"},
            {"by": "staff/anne", "at": "2026-11-23T07:00:04Z", "what": "aml"},
        ]
        assert a_handset(desk.api, carrier="C1002").calls().get(views).status == 404

    def test_what_shows_no_position_is_no_look(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        for path in (f"/v1/alerts/{alert}/report", "/v1/alert-zones/PARIS-SUD/alerts", "/v1/alert-feed/PARIS-SUD"):
            assert desk.operator.get(path).status == 200

        assert handset.calls().get(f"/v1/alerts/{alert}/views").body == {"views": []}

    def test_whoever_may_not_look_sees_nothing(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        stranger = desk.api.as_staff("dispatcher", scope="zone/PARIS-NORD")
        answers = [stranger.get(f"/v1/alerts/{alert}{what}") for what in ("", "/track", "/cap", "/aml")]

        assert [answer.status for answer in answers] == [403] * 4
        assert handset.calls().get(f"/v1/alerts/{alert}/views").body == {"views": []}
