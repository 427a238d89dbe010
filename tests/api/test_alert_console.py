"""What operators do with an alert over HTTP: look, take, answer, note, hand over, close, and tell the services."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from chalicelib.alerts.ladder import Flag
from chalicelib.core import ids
from tests.support.alerts import (
    ON_CALL,
    ZONE,
    Desk,
    a_fix,
    alert_of,
    events_of,
    kms_away,
    raised,
    said,
)
from tests.support.api import Answered, Api, Caller
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.cloud import Cloud
from tests.support.factories import CARRIER, DEPOT, HeldHandset, a_handset
from tests.support.fleet import everything_stored
from tests.support.races import contended, overtaken

CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"
CHANGES: dict[str, dict[str, str]] = {
    "acknowledgement": {},
    "response": {},
    "notes": {"text": "Rang the depot"},
    "zone": {"zone": "NATIONAL"},
    "closing": {"reason": "rescued"},
}
"""What changes an alert, with a good body."""
LOOKS = ["", "/cap", "/aml", "/track"]
"""What shows a position, behind the address of an alert."""


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


@pytest.fixture
def alert(desk: Desk, handset: HeldHandset) -> str:
    """An alert in its zone, of which those on call were told."""
    found = raised(handset)
    desk.work()
    desk.sent(ON_CALL)
    return found


@pytest.fixture
def bruno(api: Api) -> Caller:
    """Another dispatcher."""
    return api.as_staff("dispatcher", sub="bruno")


def does(who: Caller, alert: str, what: str, **body: Any) -> Answered:
    return who.post(f"/v1/alerts/{alert}/{what}", body or CHANGES[what])


def looks(who: Caller, alert: str, at: str = "") -> Answered:
    answer = who.get(f"/v1/alerts/{alert}{at}")
    assert answer.status == 200, answer.text
    return answer


def views(handset: HeldHandset, alert: str) -> list[dict[str, str]]:
    """Who looked, as the carrier is told."""
    answer = handset.calls().get(f"/v1/alerts/{alert}/views")
    assert answer.status == 200, answer.text
    return list(answer.body["views"])


def reports(handset: HeldHandset, alert: str, *fixes: dict[str, Any], **body: Any) -> Answered:
    return handset.calls().post(f"/v1/alerts/{alert}/positions", {"fixes": list(fixes), **body})


def cap(desk: Desk, alert: str) -> Element:
    """The alert's CAP document."""
    answer = looks(desk.operator, alert, "/cap")
    assert answer.headers["Content-Type"] == "application/cap+xml; charset=utf-8"
    return fromstring(answer.text)  # noqa: S314 - our own document


def in_zone(desk: Desk, zone: str = ZONE) -> list[str]:
    """The ids of a zone's open alerts."""
    return [one["id"] for one in desk.operator.get(f"/v1/alert-zones/{zone}/alerts").body["alerts"]]


class TestTheList:
    def test_has_the_open_alerts_of_a_zone_the_oldest_first(self, desk: Desk, api: Api, alert: str) -> None:
        desk.clock.advance(seconds=1)
        younger = raised(a_handset(api))
        desk.work()
        desk.sent(ON_CALL)
        assert in_zone(desk) == [alert, younger]

        desk.closes(alert)

        assert in_zone(desk) == [younger]
        assert in_zone(desk, "NATIONAL") == []

    def test_says_how_each_stands_and_not_where(self, desk: Desk, alert: str) -> None:
        answer = desk.operator.get(f"/v1/alert-zones/{ZONE}/alerts")
        [told] = answer.body["alerts"]
        assert {name: told[name] for name in ("carrier", "depot", "zone", "state", "step", "owner", "battery")} == {
            "carrier": CARRIER,
            "depot": DEPOT,
            "zone": ZONE,
            "state": "notified",
            "step": 1,
            "owner": "",
            "battery": 80,
        }
        assert "48.84" not in answer.text

    def test_costs_a_query_and_a_read_and_leaves_no_trace(self, desk: Desk, aws: Cloud, alert: str) -> None:
        with aws.counting() as calls:
            assert in_zone(desk) == [alert]
        assert calls == {"Query": 1, "BatchGetItem": 1}
        assert "viewed" not in said(alert)


class TestLooking:
    def test_shows_the_last_position_with_its_age(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        clock.advance(seconds=5)
        place = {"text": "12 rue Lecourbe, hall B", "at": clock.at.isoformat()}
        assert reports(handset, alert, a_fix(latitude=48.85), battery=60, last_place=place).status == 200
        clock.advance(seconds=20)

        told = looks(desk.operator, alert).body

        assert (told["fix"]["latitude"], told["fix"]["radius"], told["age_seconds"]) == (48.85, 12.5, 20)
        assert (told["last_place"]["text"], told["erased"]) == (place["text"], False)
        assert (told["alert"]["id"], told["alert"]["battery"]) == (alert, 60)
        assert told["alert"]["heard_at"] == "2026-11-23T07:00:05Z"

    def test_one_without_a_position_is_shown_too(self, desk: Desk, handset: HeldHandset) -> None:
        alert = raised(handset, fix=None)
        desk.work()
        desk.sent(ON_CALL)
        told = looks(desk.operator, alert).body
        assert (told["fix"], told["age_seconds"], told["erased"]) == (None, None, False)
        assert looks(desk.operator, alert, "/track").body["features"] == []

    def test_is_written_down_and_shown_to_the_carrier(
        self, desk: Desk, handset: HeldHandset, alert: str, bruno: Caller
    ) -> None:
        before = alert_of(alert)
        for at in LOOKS:
            desk.clock.advance(seconds=1)
            looks(bruno if at == "/track" else desk.operator, alert, at)
        looks(desk.operator, alert, "/report")

        assert views(handset, alert) == [
            {"by": "staff/anne", "at": "2026-11-23T07:00:01Z", "what": "alert"},
            {"by": "staff/anne", "at": "2026-11-23T07:00:02Z", "what": "cap"},
            {"by": "staff/anne", "at": "2026-11-23T07:00:03Z", "what": "aml"},
            {"by": "staff/bruno", "at": "2026-11-23T07:00:04Z", "what": "track"},
        ]
        desk.work()
        assert alert_of(alert) == before, "a look changes nothing"
        assert "viewed" not in [line["what"] for line in desk.feed()]

    def test_what_is_not_shown_is_not_written_down(self, api: Api, alert: str) -> None:
        for at, scope in itertools.product(LOOKS, ("depot/75018A", "zone/NATIONAL", "")):
            answer = api.as_staff("dispatcher", scope=scope).get(f"/v1/alerts/{alert}{at}")
            assert (answer.status, answer.problem) == (403, "access-denied")
        assert "viewed" not in said(alert)

    def test_no_other_handset_is_told_who_looked(self, api: Api, desk: Desk, alert: str) -> None:
        looks(desk.operator, alert)
        answer = a_handset(api, carrier="C9").calls().get(f"/v1/alerts/{alert}/views")
        assert (answer.status, answer.problem) == (404, "not-found")

    def test_costs_four_calls(self, desk: Desk, aws: Cloud, alert: str) -> None:
        with aws.counting() as calls:
            looks(desk.operator, alert)
        assert calls == {"GetItem": 1, "BatchGetItem": 1, "Query": 1, "TransactWriteItems": 1}

    def test_after_its_term_no_position_and_no_note_is_there_any_more(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        assert does(desk.operator, alert, "notes").status == 200
        desk.closes(alert)
        clock.advance(days=60)
        assert looks(desk.operator, alert).body["fix"] is not None
        clock.advance(days=1)

        told = looks(desk.operator, alert).body

        assert (told["fix"], told["last_place"], told["notes"], told["erased"]) == (None, None, [], True)
        assert looks(desk.operator, alert, "/track").body["features"] == []
        assert "rd=N;lc=0;pm=N" in looks(desk.operator, alert, "/aml").text
        assert looks(desk.operator, alert, "/report").body["reason"] == "rescued"

    def test_the_alert_itself_is_seen_while_no_key_opens(self, desk: Desk, alert: str) -> None:
        with kms_away():
            told = looks(desk.operator, alert).body
        assert (told["alert"]["carrier"], told["fix"], told["erased"]) == (CARRIER, None, False)


class TestTaking:
    def test_is_told_to_all_and_stops_the_ladder(self, desk: Desk, alert: str) -> None:
        answer = does(desk.operator, alert, "acknowledgement")

        told = answer.body
        assert (answer.status, told["state"], told["owner"]) == (200, "acked", "staff/anne")
        assert told["lease_until"] == "2026-11-23T07:02:00Z"
        desk.wait(seconds=100)
        desk.sent()
        assert [line["what"] for line in desk.feed()] == ["raised", "placed", "notified", "acked"]
        [event] = [each for each in events_of(alert) if each.type == "facteo.alert.acked"]
        assert (event.actor, event.place) == ("staff/anne", f"depot/{DEPOT}")

    def test_said_again_it_prolongs_the_lease_and_tells_nobody(self, desk: Desk, alert: str, clock: FakeClock) -> None:
        desk.takes(alert)
        clock.advance(seconds=30)
        answer = does(desk.operator, alert, "acknowledgement")
        assert (answer.status, answer.body["lease_until"]) == (200, "2026-11-23T07:02:30Z")
        assert said(alert).count("acked") == 1

    def test_without_another_word_it_is_paged_again_after_two_minutes(self, desk: Desk, alert: str) -> None:
        desk.takes(alert)
        desk.wait(seconds=119)
        desk.sent()
        desk.wait(seconds=1)
        [page] = desk.sent(ON_CALL)
        assert page.at == MONDAY_MORNING + timedelta(seconds=120)
        taken = alert_of(alert)
        assert (taken.state, taken.epoch, taken.owner, taken.lease_until) == ("notified", 2, "", None)
        assert [what for what in said(alert) if what != "contact-lost"][-3:] == ["acked", "lease-over", "notified"]

    def test_every_word_of_the_one_who_took_it_prolongs_the_lease(self, desk: Desk, alert: str, bruno: Caller) -> None:
        desk.takes(alert)
        for what in ("notes", "response", "notes"):
            desk.wait(seconds=100)
            assert does(desk.operator, alert, what).status == 200
            desk.wait(seconds=10)
            assert does(bruno, alert, "notes").status == 200
        assert alert_of(alert).lease_until == desk.clock.at + timedelta(seconds=110)
        desk.sent()
        desk.wait(seconds=109)
        desk.sent()
        desk.wait(seconds=1)
        desk.sent(ON_CALL)

    def test_of_two_who_take_it_one_after_the_other_the_second_has_it(
        self, desk: Desk, alert: str, bruno: Caller
    ) -> None:
        desk.takes(alert)
        answer = does(bruno, alert, "acknowledgement")
        assert (answer.status, answer.body["owner"]) == (200, "staff/bruno")
        assert (alert_of(alert).epoch, said(alert).count("acked")) == (1, 2)

    def test_of_two_at_once_both_are_told_and_one_has_it(self, desk: Desk, alert: str, bruno: Caller) -> None:
        others: list[Answered] = []
        with overtaken(by=lambda: others.append(does(bruno, alert, "acknowledgement"))):
            mine = does(desk.operator, alert, "acknowledgement")

        assert [mine.status, *(each.status for each in others)] == [200, 200]
        events = [event for event in events_of(alert) if event.type == "facteo.alert.acked"]
        assert sorted(event.actor for event in events) == ["staff/anne", "staff/bruno"]
        assert alert_of(alert).owner == events[-1].actor
        desk.wait(seconds=60)
        desk.sent()

    def test_the_same_twice_at_once_counts_once(self, desk: Desk, alert: str) -> None:
        with overtaken(by=lambda: does(desk.operator, alert, "acknowledgement")):
            assert does(desk.operator, alert, "acknowledgement").status == 200
        assert said(alert).count("acked") == 1

    def test_help_under_way_is_more_than_taken(self, desk: Desk, alert: str) -> None:
        answers = [does(desk.operator, alert, "response") for _ in range(2)]
        assert [(one.status, one.body["state"], one.body["owner"]) for one in answers] == [
            (200, "responding", "staff/anne")
        ] * 2
        assert does(desk.operator, alert, "acknowledgement").body["state"] == "responding"
        assert said(alert).count("responding") == 1
        taken = alert_of(alert)
        assert taken.acked_at == taken.responding_at == desk.clock.at, "who responds has taken it"


class TestNotes:
    def test_are_read_by_whoever_goes_on_and_nowhere_in_the_clear(self, desk: Desk, alert: str, bruno: Caller) -> None:
        assert does(desk.operator, alert, "notes", text="Appelé le 17, ils arrivent").status == 200
        desk.clock.advance(seconds=4)
        assert does(bruno, alert, "notes", text="Vu sur place").status == 200

        assert looks(desk.operator, alert).body["notes"] == [
            {"by": "staff/anne", "at": "2026-11-23T07:00:00Z", "text": "Appelé le 17, ils arrivent"},
            {"by": "staff/bruno", "at": "2026-11-23T07:00:04Z", "text": "Vu sur place"},
        ]
        assert "arrivent" not in everything_stored()
        assert alert_of(alert).state == "notified", "a note takes nothing"

    def test_may_follow_the_end(self, desk: Desk, alert: str) -> None:
        desk.closes(alert)
        assert does(desk.operator, alert, "notes").status == 200
        assert alert_of(alert).state == "closed"
        desk.work()
        assert desk.feed()[-1]["what"] == "noted"

    def test_have_some_length(self, desk: Desk, alert: str) -> None:
        for text in ("", "x" * 1001):
            assert does(desk.operator, alert, "notes", text=text).problem == "request-invalid"
        assert "noted" not in said(alert)


class TestHandingOver:
    def test_begins_the_ladder_in_the_other_zone(self, desk: Desk, alert: str) -> None:
        desk.takes(alert)
        desk.clock.advance(seconds=30)

        answer = does(desk.operator, alert, "zone")

        told = answer.body
        assert (told["zone"], told["state"], told["epoch"], told["owner"]) == ("NATIONAL", "notified", 2, "")
        desk.work()
        desk.sent(ON_CALL)
        assert (in_zone(desk), in_zone(desk, "NATIONAL")) == ([], [alert])
        assert [line["what"] for line in desk.feed()][-2:] == ["acked", "handed-over"]
        taken_over, notified = desk.feed("NATIONAL")
        assert (taken_over["what"], taken_over["other"], notified["what"]) == ("taken-over", ZONE, "notified")
        reports = [desk.operator.get(f"/v1/alert-zones/{zone}/report").body["actual"] for zone in (ZONE, "NATIONAL")]
        assert [report["alarms"] for report in reports] == [1, 0]

    def test_to_where_it_is_changes_nothing(self, desk: Desk, alert: str) -> None:
        before = said(alert)
        assert does(desk.operator, alert, "zone", zone=ZONE).status == 200
        assert said(alert) == before

    def test_to_a_zone_that_is_not_there_is_refused(self, desk: Desk, alert: str) -> None:
        before = said(alert)
        assert does(desk.operator, alert, "zone", zone="ATLANTIS").problem == "not-found"
        assert said(alert) == before

    def test_twice_at_once_counts_once(self, desk: Desk, alert: str) -> None:
        with overtaken(by=lambda: does(desk.operator, alert, "zone")):
            assert does(desk.operator, alert, "zone").status == 200
        assert (said(alert).count("handed-over"), alert_of(alert).epoch) == (1, 2)
        desk.work()
        desk.sent(ON_CALL)

    def test_while_it_is_taken_the_one_who_took_it_loses_it(self, desk: Desk, alert: str, bruno: Caller) -> None:
        with contended(by=lambda: does(bruno, alert, "acknowledgement")):
            assert does(desk.operator, alert, "zone").status == 200
        desk.work()
        left = alert_of(alert)
        assert (left.zone, left.owner) == ("NATIONAL", "staff/bruno")
        desk.sent()


class TestTheEnd:
    def test_has_one_reason(self, desk: Desk, alert: str) -> None:
        answers = [does(desk.operator, alert, "closing", reason="handed-to-emergency-services") for _ in range(2)]
        assert [(one.status, one.body["state"]) for one in answers] == [(200, "closed")] * 2
        assert answers[1].body["reason"] == "handed-to-emergency-services"
        assert said(alert).count("closed") == 1
        assert does(desk.operator, alert, "closing", reason="rescued").problem == "alert-closed"

    def test_is_no_cancellation_unless_the_carrier_asked_for_it(
        self, desk: Desk, handset: HeldHandset, alert: str
    ) -> None:
        answer = does(desk.operator, alert, "closing", reason="cancelled")
        assert (answer.status, answer.problem) == (409, "conflict")
        calls = handset.calls()
        assert calls.put("/v1/alert-pins", {"pin": "2468", "duress_pin": "1357"}).status == 204
        assert calls.post(f"/v1/alerts/{alert}/cancellation", {"pin": "2468"}).status == 200
        assert alert_of(alert).flags == {Flag.CANCEL_ASKED}

        assert does(desk.operator, alert, "closing", reason="cancelled").body["reason"] == "cancelled"

    def test_is_final(self, desk: Desk, alert: str) -> None:
        desk.closes(alert)
        before = said(alert)
        for what in sorted({*CHANGES} - {"notes", "closing"}):
            answer = does(desk.operator, alert, what)
            assert (answer.status, answer.problem) == (409, "alert-closed")
            assert "2026-11-23 07:00 UTC: rescued" in answer.body["detail"]
        assert said(alert) == before

    def test_and_a_taking_at_once_come_to_an_end(self, desk: Desk, alert: str, bruno: Caller) -> None:
        with overtaken(by=lambda: does(bruno, alert, "closing")):
            assert does(desk.operator, alert, "acknowledgement").problem == "alert-closed"
        assert said(alert)[-1] == "closed"

    def test_a_press_after_it_is_an_alert_of_its_own(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        desk.closes(alert)
        following = raised(handset)
        desk.work()
        desk.sent(ON_CALL)
        told = looks(desk.operator, following).body["alert"]
        assert (told["state"], told["follows"]) == ("notified", alert)
        assert alert_of(alert).state == "closed"

    def test_of_a_press_that_was_joined_and_all_before_goes_to_the_alert(
        self, desk: Desk, handset: HeldHandset, alert: str
    ) -> None:
        press = raised(handset)
        desk.work()
        desk.sent(ON_CALL)
        for what in CHANGES:
            answer = does(desk.operator, press, what)
            assert (answer.status, answer.body["id"]) == (200, alert)
        assert alert_of(alert).state == "closed"


class TestWhoMay:
    def test_whoever_may_not_changes_nothing(self, api: Api, desk: Desk, alert: str) -> None:
        before = said(alert)
        strangers = [api.as_staff("dispatcher", scope=scope) for scope in ("zone/PARIS-NORD", "depot/75018A")]
        for what in CHANGES:
            assert does(desk.operator, ids.new(), what).problem == "not-found"
            for stranger in (*strangers, api.as_staff("auditor")):
                assert does(stranger, alert, what).problem == "access-denied"
        assert said(alert) == before

    def test_before_its_zone_is_known_an_alert_is_the_national_desks(
        self, api: Api, desk: Desk, handset: HeldHandset
    ) -> None:
        alert = raised(handset)
        national, zonal = (api.as_staff("dispatcher", scope=f"zone/{zone}") for zone in ("NATIONAL", ZONE))
        assert does(zonal, alert, "acknowledgement").problem == "access-denied"
        assert does(national, alert, "acknowledgement").body["zone"] == ""

        desk.work()

        desk.sent()
        assert (alert_of(alert).zone, alert_of(alert).state) == (ZONE, "acked")
        assert does(national, alert, "response").problem == "access-denied"
        assert does(zonal, alert, "response").status == 200


class TestHandedToOthers:
    def test_cap_follows_the_alert(self, desk: Desk, alert: str) -> None:
        documents = [cap(desk, alert)]
        desk.clock.advance(seconds=5)
        desk.takes(alert)
        documents.append(cap(desk, alert))
        desk.clock.advance(seconds=5)
        desk.closes(alert, "false-alarm")
        documents.append(cap(desk, alert))

        assert [each.findtext(f"{CAP}msgType") for each in documents] == ["Alert", "Update", "Cancel"]
        assert [each.findtext(f"{CAP}status") for each in documents] == ["Actual"] * 3
        assert documents[0].findtext(f".//{CAP}circle") == "48.843200,2.305600 0.013"
        first = documents[0].findtext(f"{CAP}identifier")
        assert first
        assert first in str(documents[1].findtext(f"{CAP}references"))

    def test_a_drill_says_so(self, desk: Desk, handset: HeldHandset) -> None:
        for purpose, status in (("self-test", "Test"), ("exercise", "Exercise")):
            alert = raised(handset, purpose=purpose)
            desk.work()
            assert cap(desk, alert).findtext(f"{CAP}status") == status
        desk.sent(ON_CALL)

    def test_aml_is_one_text_with_the_last_position(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        clock.advance(seconds=5)
        reports(handset, alert, a_fix(latitude=48.5, radius=20))
        answer = looks(desk.operator, alert, "/aml")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.text.startswith('A"ML=1;lt=+48.50000;lg=+002.30560;top=20261123070005;rd=20;')
        assert len(answer.text) <= 160

    def test_the_track_has_every_position_in_the_order_of_reception(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        for number in (1, 2):
            clock.advance(seconds=5)
            reports(handset, alert, a_fix(latitude=48.0 + number), a_fix(latitude=48.5 + number))

        point, line = looks(desk.operator, alert, "/track").body["features"]

        latitudes = [latitude for _, latitude in line["geometry"]["coordinates"]]
        assert latitudes == [48.8432, 49.0, 49.5, 50.0, 50.5]
        assert point["geometry"] == {"type": "Point", "coordinates": [2.3056, 50.5]}
        assert (point["properties"]["age_seconds"], point["properties"]["old"]) == (0, False)

    def test_a_joined_press_brings_its_position_along(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        clock.advance(seconds=5)
        press = raised(handset, fix=a_fix(latitude=47.0))
        desk.work()
        desk.sent(ON_CALL)
        assert looks(desk.operator, alert).body["fix"]["latitude"] == 47.0
        clock.advance(seconds=5)
        assert reports(handset, press, a_fix(latitude=46.0)).status == 200
        assert looks(desk.operator, press).body["fix"]["latitude"] == 46.0
        [_, line] = looks(desk.operator, alert, "/track").body["features"]
        assert [latitude for _, latitude in line["geometry"]["coordinates"]] == [48.8432, 47.0, 46.0]


class TestReports:
    def test_of_an_alert_has_every_delay_and_no_position(
        self, desk: Desk, handset: HeldHandset, alert: str, bruno: Caller
    ) -> None:
        desk.wait(seconds=4)
        desk.takes(alert)
        looks(bruno, alert)
        desk.wait(seconds=6)
        reports(handset, alert, a_fix())
        does(desk.operator, alert, "response")
        desk.wait(seconds=20)
        desk.closes(alert)

        answer = looks(desk.operator, alert, "/report")

        assert [line["what"] for line in answer.body["timeline"]] == [
            *("raised", "placed", "notified", "acked", "located", "responding", "closed")
        ]
        assert answer.body["delays"] == {
            "alarmed_ms": 0,
            "feed_ms": 0,
            "notified_ms": 0,
            "seen_ms": None,
            "acked_ms": 4000,
            "responding_ms": 10_000,
            "closed_ms": 30_000,
        }
        assert [line["since_previous_ms"] for line in answer.body["timeline"]][-2:] == [0, 20_000]
        assert "48.84" not in answer.text

    def test_of_a_centre_counts_what_was_meant(self, desk: Desk, api: Api, alert: str, clock: FakeClock) -> None:
        slow, drill = raised(a_handset(api)), raised(a_handset(api), purpose="exercise")
        raised(a_handset(api), purpose="self-test")
        desk.work()
        desk.sent(ON_CALL, ON_CALL)
        clock.advance(seconds=8)
        desk.takes(alert)
        desk.takes(drill)
        desk.wait(seconds=20)
        desk.takes(slow)
        desk.channels.taken.clear()
        assert desk.operator.get(f"/v1/alert-zones/{ZONE}/report").body["actual"]["alarms"] == 0, "none is over"
        for one in (alert, slow, drill):
            desk.closes(one)

        told = desk.operator.get(f"/v1/alert-zones/{ZONE}/report").body

        assert (told["actual"]["alarms"], told["exercises"]["alarms"], told["self_tests"]) == (2, 1, 1)
        assert [(share["seconds"], share["per_cent"], share["reached"]) for share in told["actual"]["targets"]] == [
            (10, 50.0, False),
            (40, 100.0, True),
        ]
        assert told["actual"]["reasons"] == {"rescued": 2}
        clock.advance(days=366)
        assert desk.operator.get(f"/v1/alert-zones/{ZONE}/report").body["actual"]["alarms"] == 0

    def test_cost_little(self, desk: Desk, aws: Cloud, alert: str) -> None:
        desk.closes(alert)
        with aws.counting() as calls:
            looks(desk.operator, alert, "/report")
        assert calls == {"GetItem": 1, "Query": 1}
        with aws.counting() as calls:
            desk.operator.get(f"/v1/alert-zones/{ZONE}/report")
        assert calls == {"Query": 1}


class TestFollowing:
    """What a handset says and asks between the raise and the end costs little too."""

    def test_a_report_costs_three_reads_and_a_transaction(self, aws: Cloud, handset: HeldHandset, alert: str) -> None:
        with aws.counting() as calls:
            assert reports(handset, alert, a_fix()).body == {"seconds": 5}
        assert calls == {"GetItem": 2, "BatchGetItem": 1, "TransactWriteItems": 1}

    def test_a_report_that_meets_an_operator_is_kept_with_what_they_did(
        self, desk: Desk, handset: HeldHandset, alert: str
    ) -> None:
        with overtaken(by=lambda: desk.takes(alert)):
            assert reports(handset, alert, a_fix(latitude=45.0)).status == 200
        assert looks(desk.operator, alert).body["fix"]["latitude"] == 45.0
        assert alert_of(alert).state == "acked"
        assert [what for what in said(alert) if what != "viewed"][-2:] == ["acked", "located"]

    def test_a_report_that_meets_the_end_is_refused(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        with overtaken(by=lambda: does(desk.operator, alert, "closing")):
            answer = reports(handset, alert, a_fix())
        assert (answer.status, answer.problem) == (409, "no-open-alert")
        assert "located" not in said(alert)
