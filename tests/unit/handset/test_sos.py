"""The alert button against the API over real HTTP: pressed once it is raised once, whatever breaks on the way."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.alerts import aml as ours
from chalicelib.alerts.schemas import Fix, Flag, Method, State
from chalicelib.core import ids
from handset import aml, sos
from handset.client import Handset
from handset.sos import SelfTestUnanswered, Sensed, Sos
from handset.transport import NoNetwork, Refused
from tests.support.alerts import ON_CALL, ZONE, Desk, alert_of, said
from tests.support.api import Answered
from tests.support.bridge import NO_NETWORK, Bridge, lost
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.fleet import retire

NUMBER = "+33612345678"
PIN, DURESS = "2580", "1379"
FORBIDDEN = Answered(403, {"Content-Type": "application/json"}, '{"message": "Forbidden"}')
BROKEN = Answered(502, {"Content-Type": "application/json"}, '{"message": "Internal server error"}')
THROTTLED = Answered(429, {"Content-Type": "application/json"}, '{"message": "Too Many Requests"}')
NOT_THERE = Answered(404, {"Content-Type": "text/html"}, "<html>Log in first</html>")
CHANGED = Answered(409, {"Content-Type": "application/problem+json"}, '{"type": "/problems/changed-meanwhile"}')
PAGE_OF_A_HOTEL = Answered(200, {"Content-Type": "text/html"}, "<html>Welcome</html>")


class Held:
    """A handset in somebody's hand: its button, the time, the texts that it sent, and where it is."""

    def __init__(self, handset: Handset, clock: FakeClock, desk: Desk) -> None:
        self.handset, self.clock, self.desk = handset, clock, desk
        self.texts: list[str] = []
        self.pauses: list[float] = []
        self.steps = 0
        self.button = Sos(handset, text=self.texts.append, pause=self.pause)

    def pause(self, seconds: float) -> None:
        """The handset waits: behind the API everything goes on."""
        self.pauses.append(seconds)
        self.desk.wait(seconds=seconds)

    def sense(self) -> Sensed:
        """The carrier goes north."""
        self.steps += 1
        return Sensed(self.fix(latitude=48.84 + self.steps / 1000), battery=80)

    def fix(self, latitude: float = 48.84) -> sos.Fix:
        return sos.fix(latitude, 2.3, self.clock(), radius=12.2)

    def raised(self, **said: Any) -> str:
        """An alert that the back office has, and the operators too."""
        alert = self.button.press(self.sense(), **said)
        self.button.send(alert)
        self.desk.work()
        return alert


@pytest.fixture
def held(handset: Handset, clock: FakeClock, desk: Desk) -> Held:
    return Held(handset, clock, desk)


def offline(held: Held) -> Sos:
    """The same handset where nothing answers."""
    away = Handset(held.handset.folder, NO_NETWORK, held.clock)
    return Sos(away, text=held.texts.append, pause=held.pause)


def alerts(bridge: Bridge) -> list[dict[str, Any]]:
    """The open alerts of the zone."""
    found: list[dict[str, Any]] = bridge.api.as_staff("dispatcher").get(f"/v1/alert-zones/{ZONE}/alerts").body["alerts"]
    return found


class TestRaising:
    def test_a_press_is_raised_with_what_the_handset_knows(self, bridge: Bridge, held: Held) -> None:
        place = {"text": "12 RUE LECOURBE, 2e étage", "at": held.clock().isoformat()}
        alert = held.button.press(Sensed(held.fix(), 63, place), silent=True)

        told = held.button.send(alert)

        assert (told["id"], told["status"]) == (alert, "raised")
        held.desk.work()
        seen = bridge.api.as_staff("dispatcher").get(f"/v1/alerts/{alert}").body
        assert (seen["fix"]["latitude"], seen["last_place"]["text"]) == (48.84, place["text"])
        assert (seen["alert"]["silent"], seen["alert"]["battery"], seen["alert"]["flags"]) == (True, 63, [])
        held.desk.sent(ON_CALL)

    def test_nothing_needs_to_be_known(self, held: Held) -> None:
        alert = held.button.press()
        assert held.button.send(alert)["status"] == "raised"
        held.desk.work()
        held.desk.sent(ON_CALL)

    @pytest.mark.parametrize("instead", [BROKEN, FORBIDDEN, THROTTLED, PAGE_OF_A_HOTEL])
    def test_it_is_sent_again_under_its_id_until_the_back_office_says_that_it_has_it(
        self, bridge: Bridge, held: Held, instead: Answered
    ) -> None:
        bridge.instead = [instead] * 6
        alert = held.button.press(held.sense())

        assert held.button.send(alert)["status"] == "raised"

        assert held.pauses == [1, 2, 4, 8, 15, 15]
        tries = [request for request in bridge.received if request.method == "PUT"]
        assert {(request.path, request.body) for request in tries} == {(f"/v1/alerts/{alert}", tries[0].body)}
        assert [request.status for request in tries][-1] == 201
        held.desk.work()
        held.desk.sent(ON_CALL)

    def test_when_the_answer_is_lost_it_is_raised_once(self, bridge: Bridge, held: Held) -> None:
        bridge.changes.append(lost)
        alert = held.button.press(held.sense())
        held.button.send(alert)
        held.desk.work()
        assert [one["id"] for one in alerts(bridge)] == [alert]
        assert said(alert) == ["raised", "placed", "notified"]
        held.desk.sent(ON_CALL)

    def test_pressed_without_network_it_is_on_the_disk_and_goes_out_after_the_handset_was_off(
        self, bridge: Bridge, held: Held
    ) -> None:
        alert = offline(held).press(held.sense())
        with pytest.raises(NoNetwork):
            offline(held).send(alert, tries=2)
        held.clock.advance(minutes=5)

        again = Sos(Handset(held.handset.folder, bridge.connect_to, held.clock))

        assert again.current == alert
        again.send(alert)
        stored = alert_of(alert)
        assert (stored.raised_at, Flag.LATE in stored.flags) == (MONDAY_MORNING, True)
        held.desk.work()
        held.desk.sent(ON_CALL)

    def test_the_file_of_a_press_is_its_owners_only_and_goes_with_the_alert(self, held: Held) -> None:
        alert = held.raised()
        held.desk.sent(ON_CALL)
        [path] = held.handset.folder.glob("sos-*.json")
        assert path.stat().st_mode & 0o077 == 0
        held.desk.closes(alert)
        assert held.button.status(alert)["status"] == "closed"
        assert (held.button.current, list(held.handset.folder.glob("sos-*"))) == (None, [])

    def test_each_press_has_an_id_of_its_own_and_belongs_to_the_alert_that_is_open(
        self, bridge: Bridge, held: Held
    ) -> None:
        first = held.raised()
        held.desk.sent(ON_CALL)
        held.clock.advance(seconds=3)
        second = held.raised()
        assert second != first
        assert [one["id"] for one in alerts(bridge)] == [first]
        assert alert_of(second).joined_to == first
        assert held.button.report(second, held.sense()) == 5
        held.desk.sent(ON_CALL)

    def test_a_handset_with_a_clock_of_another_year_raises_too(self, held: Held, bridge: Bridge) -> None:
        wrong = Handset(held.handset.folder, bridge.connect_to, lambda: MONDAY_MORNING - timedelta(days=400))
        button = Sos(wrong)
        assert button.send(button.press(), tries=1)["status"] == "raised"
        held.desk.work()
        held.desk.sent(ON_CALL)

    def test_under_an_id_that_another_handset_used_it_takes_another_one(
        self, held: Held, bridge: Bridge, clock: FakeClock, tmp_path: Path
    ) -> None:
        theirs = held.raised()
        held.desk.sent(ON_CALL)
        other = Sos(bridge.enrol(tmp_path / "other", clock, serial="S-2"))
        taken = held.handset.folder / f"sos-{theirs}.json"
        (tmp_path / "other" / taken.name).write_text(taken.read_text())

        ours = other.send(theirs)["id"]

        assert ours != theirs
        assert other.current == ours
        held.desk.work()
        assert {one["id"] for one in alerts(bridge)} == {theirs, ours}
        held.desk.sent(ON_CALL)

    def test_a_retired_handset_is_told_so(self, held: Held, bridge: Bridge) -> None:
        assert retire(bridge.api, held.handset.enrolment["device"]).status == 200
        with pytest.raises(Refused, match="403"):
            held.button.send(held.button.press())
        assert held.texts == []


class TestTexts:
    def test_a_text_goes_out_after_the_first_try_in_vain_and_then_each_minute(self, held: Held) -> None:
        away = offline(held)
        alert = away.press(held.sense())
        with pytest.raises(NoNetwork):
            away.send(alert, tries=10)
        assert (held.clock.at - MONDAY_MORNING).total_seconds() == 1 + 2 + 4 + 8 + 5 * 15
        assert [ours.read(text).alert for text in held.texts] == [alert, alert]

    def test_it_raises_the_alert_that_the_press_then_is(self, bridge: Bridge, held: Held) -> None:
        device = held.handset.enrolment["device"]
        admin = bridge.api.as_staff("fleet-admin")
        assert admin.put(f"/v1/alert-numbers/{device}", {"number": NUMBER}).status == 200
        away = offline(held)
        alert = away.press(held.sense())
        with pytest.raises(NoNetwork):
            away.send(alert, tries=1)

        assert held.desk.text(NUMBER, *held.texts) == []
        told = held.button.send(alert)

        assert told["status"] == "raised"
        assert [one["id"] for one in alerts(bridge)] == [alert]
        seen = bridge.api.as_staff("dispatcher").get(f"/v1/alerts/{alert}").body
        assert (seen["fix"]["latitude"], seen["fix"]["radius"]) == (48.841, 12.2)
        held.desk.sent(ON_CALL)

    def test_the_newest_position_goes_with_it(self, held: Held, bridge: Bridge) -> None:
        alert = held.raised()
        held.desk.sent(ON_CALL)
        bridge.instead = [BROKEN]
        with pytest.raises(NoNetwork):
            held.button.report(alert, Sensed(held.fix(latitude=47.2)))
        told = ours.read(*held.texts)
        assert told.fix is not None
        assert (told.alert, told.fix.latitude, told.incomplete) == (alert, 47.2, False)

    @pytest.mark.parametrize("purpose", ["exercise", "self-test"])
    def test_what_is_not_meant_is_never_texted(self, held: Held, purpose: str) -> None:
        away = offline(held)
        with pytest.raises(NoNetwork):
            away.send(away.press(purpose=purpose), tries=2)
        assert held.texts == []

    @pytest.mark.parametrize("method", Method)
    @pytest.mark.parametrize("radius", [None, 0, 12.2, 999_999.5])
    @pytest.mark.parametrize(("latitude", "longitude"), [(48.8432, 2.3056), (-90, -180), (-0.000004, 0.0), (90, 179.9)])
    def test_a_handset_writes_what_the_back_office_writes(
        self, method: Method, radius: float | None, latitude: float, longitude: float
    ) -> None:
        alert = "01a20719-c8a0-7000-8000-0000000000e7"
        at = datetime.fromisoformat("2026-11-23T08:00:00+01:00")
        found = sos.fix(latitude, longitude, at, radius=radius, method=method)
        theirs = Fix(latitude=latitude, longitude=longitude, fixed_at=at, radius=radius, confidence=68, method=method)
        text = aml.text_of(alert, at, found)
        assert text == ours.text_of(alert, theirs)
        assert len(text) <= aml.LONGEST
        assert ours.read(text).incomplete is False

    def test_without_a_position_it_tells_when_the_button_was_pressed(self) -> None:
        alert = "01a20719-c8a0-7000-8000-0000000000e7"
        assert aml.text_of(alert, ids.moment(alert), None) == ours.text_of(alert, None)


class TestFollowing:
    def test_it_reports_as_often_as_it_is_asked_until_the_alert_is_closed(self, bridge: Bridge, held: Held) -> None:
        alert = held.raised()
        held.desk.sent(ON_CALL)
        held.desk.takes(alert)
        passed: list[float] = []

        def pause(seconds: float) -> None:
            passed.append(seconds)
            held.clock.advance(seconds=seconds)
            if len(passed) == 30:
                held.desk.closes(alert)

        Sos(held.handset, pause=pause).follow(alert, held.sense)

        assert (passed[0], passed[-1], passed.count(5)) == (5, 15, 24)
        assert held.button.current is None
        track = bridge.api.as_staff("dispatcher").get(f"/v1/alerts/{alert}/track").body
        assert len(track["features"][1]["geometry"]["coordinates"]) == 31

    def test_positions_that_did_not_get_through_go_with_the_next_report(self, bridge: Bridge, held: Held) -> None:
        alert = held.raised()
        held.desk.sent(ON_CALL)
        bridge.instead = [BROKEN, BROKEN]
        for _ in range(2):
            with pytest.raises(NoNetwork):
                held.button.report(alert, held.sense())
        assert held.button.report(alert, held.sense()) == 5
        assert held.button.report(alert, held.sense()) == 5
        reports = [json.loads(request.body) for request in bridge.received if request.path.endswith("/positions")]
        assert [len(report["fixes"]) for report in reports] == [1, 2, 3, 1]

    @pytest.mark.parametrize("instead", [BROKEN, FORBIDDEN, THROTTLED, NOT_THERE, CHANGED, PAGE_OF_A_HOTEL])
    def test_only_the_back_office_ends_it(self, bridge: Bridge, held: Held, instead: Answered) -> None:
        alert = held.raised()
        held.desk.sent(ON_CALL)
        held.desk.takes(alert)
        bridge.instead = [instead]
        passed: list[float] = []

        def pause(seconds: float) -> None:
            passed.append(seconds)
            if len(passed) == 2:
                held.desk.closes(alert)

        Sos(held.handset, pause=pause).follow(alert, held.sense)

        tried = [json.loads(each.body) for each in bridge.received if each.path.endswith("/positions")]
        assert [len(report["fixes"]) for report in tried] == [1, 2, 1]
        assert passed == [sos.REPORT_AGAIN, 5]
        assert held.button.current is None

    def test_a_retired_handset_follows_no_more(self, bridge: Bridge, held: Held) -> None:
        alert = held.raised()
        held.desk.sent(ON_CALL)
        assert retire(bridge.api, held.handset.enrolment["device"]).status == 200
        with pytest.raises(Refused, match="403"):
            held.button.follow(alert, held.sense)

    def test_of_a_long_time_without_network_the_newest_hundred_are_kept(self, held: Held, bridge: Bridge) -> None:
        alert = held.raised()
        held.desk.sent(ON_CALL)
        bridge.instead = [BROKEN] * 120
        for _ in range(120):
            with pytest.raises(NoNetwork):
                held.button.report(alert, held.sense())
        held.button.report(alert, held.sense())
        sent = json.loads(bridge.received[-1].body)["fixes"]
        assert (len(sent), sent[-1]["latitude"]) == (100, 48.84 + held.steps / 1000)

    def test_a_low_battery_is_asked_less_often(self, held: Held) -> None:
        alert = held.raised()
        held.desk.sent(ON_CALL)
        assert held.button.report(alert, Sensed(held.fix(), battery=9)) == 60

    def test_where_nobody_raised_an_alert_no_position_is_sent(self, held: Held, bridge: Bridge) -> None:
        assert held.button.current is None
        with pytest.raises(FileNotFoundError):
            held.button.report("01a20719-c8a0-7000-8000-0000000000e7", held.sense())
        assert [request for request in bridge.received if "positions" in request.path] == []

    def test_the_carrier_reads_who_looked(self, held: Held) -> None:
        alert = held.raised()
        held.desk.sent(ON_CALL)
        assert held.button.views(alert) == []
        assert held.desk.operator.get(f"/v1/alerts/{alert}").status == 200
        [view] = held.button.views(alert)
        assert (view["by"], view["what"]) == ("staff/anne", "alert")


class TestPins:
    @pytest.fixture(autouse=True)
    def _pins(self, held: Held) -> None:
        held.button.set_pins(PIN, DURESS)

    @pytest.mark.parametrize("pin", [PIN, DURESS])
    def test_after_either_pin_it_shows_cancelled_and_goes_on_for_a_quarter_of_an_hour(
        self, held: Held, pin: str
    ) -> None:
        alert = held.raised()
        told = held.button.cancel(alert, pin)
        assert told["status"] == "cancelled"
        held.desk.closes(alert, "rescued")
        began = held.clock.at

        Sos(held.handset, pause=lambda seconds: held.clock.advance(seconds=seconds) and None).follow(alert, held.sense)

        assert timedelta(minutes=15) < held.clock.at - began <= timedelta(minutes=15, seconds=15)
        held.desk.sent(ON_CALL)

    def test_what_the_operators_see_differs(self, held: Held) -> None:
        good = held.raised()
        held.button.cancel(good, PIN)
        assert Flag.CANCEL_ASKED in alert_of(good).flags
        held.desk.closes(good, "cancelled")
        forced = held.raised()
        held.button.cancel(forced, DURESS)
        assert (alert_of(forced).flags, alert_of(forced).epoch) == (frozenset({Flag.DURESS}), 2)
        held.desk.sent(ON_CALL, ON_CALL)

    def test_wrong_pins_are_refused_and_then_locked_with_a_word_about_it(self, held: Held) -> None:
        alert = held.raised()
        for _ in range(5):
            with pytest.raises(Refused, match="403 The PIN is wrong"):
                held.button.cancel(alert, "0000")
        with pytest.raises(Refused, match="429 Too many wrong PINs"):
            held.button.cancel(alert, "0000")
        assert alert_of(alert).state is State.NOTIFIED
        held.desk.sent(ON_CALL)

    def test_they_are_changed_with_one_of_the_former_ones(self, held: Held) -> None:
        with pytest.raises(Refused, match="403"):
            held.button.set_pins("1111", "2222", "0000")
        held.button.set_pins("1111", "2222", PIN)
        with pytest.raises(Refused, match="The two PINs are the same"):
            held.button.set_pins("1111", "1111", "1111")


class TestSelfTest:
    def test_it_tells_how_long_it_took(self, held: Held, bridge: Bridge) -> None:
        clock, pause = held.clock, held.pause

        def later(seconds: float) -> None:
            clock.advance(milliseconds=1400)
            pause(seconds)

        milliseconds = Sos(held.handset, pause=later).self_test(Sensed(held.fix()))

        assert milliseconds == 1400
        assert held.button.current is None
        assert alerts(bridge) == []
        assert [line["purpose"] for line in held.desk.feed()] == ["self-test"] * 3

    def test_an_answer_that_is_lost_does_not_spoil_it(self, held: Held, bridge: Bridge) -> None:
        bridge.changes.append(lost)
        assert held.button.self_test() == 0

    def test_one_that_does_not_come_back_is_told(self, held: Held) -> None:
        with pytest.raises(SelfTestUnanswered, match="within 30 s"):
            offline(held).self_test()
        with pytest.raises(SelfTestUnanswered):
            Sos(held.handset, pause=lambda seconds: held.clock.advance(seconds=seconds) and None).self_test()


def test_a_handset_that_was_enrolled_again_still_sends_what_was_pressed(
    bridge: Bridge, held: Held, tmp_path: Path
) -> None:
    alert = held.button.press(held.sense())
    assert retire(bridge.api, held.handset.enrolment["device"]).status == 200
    again = Sos(bridge.enrol(held.handset.folder, held.clock))
    assert again.current == alert
    assert again.send(alert)["status"] == "raised"
    held.desk.work()
    held.desk.sent(ON_CALL)
