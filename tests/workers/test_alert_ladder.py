"""The ladder in its time: steps by timers, by the sweeper where those are lost, and whoever is to hear of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.alerts import store, ticking, zones
from chalicelib.alerts.workers import alert_events, alert_timers
from chalicelib.people import lookup
from tests.support.alerts import (
    ON_CALL,
    ZONE,
    Desk,
    alert_of,
    events_of,
    kms_away,
    raised,
    said,
)
from tests.support.api import Api
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.cloud import Cloud
from tests.support.events import deliver, invoke, stream_event
from tests.support.factories import HeldHandset, a_handset
from tests.support.races import contended, overtaken

ROOM, MANAGER = "sms:+33600000001", "sms:+33600000002"
OFFSETS = [0, 10, 20, 40, 90, 150, 210]
"""When the steps of the default ladder are due, in seconds."""


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


def fired(alert: str) -> list[float]:
    """When steps were fired, in seconds since Monday morning."""
    events = [event for event in events_of(alert) if event.type == "facteo.alert.notified"]
    return [(event.time - MONDAY_MORNING).total_seconds() for event in events]


def lateness(alert: str) -> float:
    """By how many seconds the latest step was late, of those that were due until now."""
    return max(moment - due for moment, due in zip(fired(alert), OFFSETS, strict=False))


def timer(alert: str) -> list[str]:
    return deliver(alert_timers, [f'{{"alert":"{alert}"}}'])


def is_due() -> list[str]:
    """Whatever the sweeper would look at now."""
    shards = [store.due(shard, MONDAY_MORNING + timedelta(days=9)) for shard in range(store.SHARDS)]
    return [alert for shard in shards for alert, _ in shard]


class TestByTimers:
    def test_every_step_comes_at_its_second_and_there_is_no_end(self, desk: Desk, handset: HeldHandset) -> None:
        desk.has_policy()
        alert = raised(handset)
        desk.wait(seconds=230)
        assert fired(alert) == OFFSETS
        both = {page.at for page in desk.channels.taken if page.told == ROOM}
        assert sorted((moment - MONDAY_MORNING).total_seconds() for moment in both) == [0, 10, 90, 150, 210]
        assert "sla-breached" in said(alert)
        assert [line["step"] for line in desk.feed() if line["what"] == "notified"] == [1, 2, 3, 4, 5, 6, 7]
        desk.channels.taken.clear()

    def test_one_that_comes_twice_or_too_early_does_nothing(self, desk: Desk, handset: HeldHandset) -> None:
        alert = raised(handset)
        desk.work()
        before = alert_of(alert)
        for _ in range(3):
            assert timer(alert) == []
        assert alert_of(alert) == before
        desk.clock.advance(seconds=10)
        for _ in range(3):
            assert timer(alert) == []
        desk.work()
        desk.sent(ON_CALL, ON_CALL)
        assert fired(alert) == [0, 10]

    def test_of_an_alert_that_is_not_there_it_does_nothing(self, desk: Desk) -> None:
        assert timer("019ac9a0-0000-7000-8000-0000000000ff") == []

    def test_two_at_once_fire_a_step_once(self, desk: Desk, handset: HeldHandset) -> None:
        alert = raised(handset)
        desk.work()
        desk.clock.advance(seconds=10)
        with overtaken(by=lambda: timer(alert)):
            assert timer(alert) == []
        with contended(by=lambda: timer(alert)):
            desk.clock.advance(seconds=10)
            assert timer(alert) == []
        desk.work()
        assert fired(alert) == [0, 10, 20]
        desk.sent(ON_CALL, ON_CALL, ON_CALL)

    def test_a_handset_that_is_destroyed_still_calls_for_help(self, desk: Desk, handset: HeldHandset) -> None:
        alert = raised(handset, trigger="fall")
        desk.wait(seconds=29)
        desk.sent()
        assert alert_of(alert).state == "pre-alarm"
        desk.wait(seconds=1)
        [page] = desk.sent(ON_CALL)
        assert page.at == MONDAY_MORNING + timedelta(seconds=30)
        assert said(alert) == ["raised", "placed", "pre-alarm-over", "notified"]

    def test_steps_that_are_late_come_as_one_and_page_each_contact_once(self, desk: Desk, handset: HeldHandset) -> None:
        desk.has_policy()
        alert = raised(handset)
        desk.clock.advance(seconds=45)
        desk.work()
        desk.sent(ROOM, MANAGER)
        assert (fired(alert), alert_of(alert).step) == ([45], 4)


class TestBySweeping:
    @pytest.fixture(autouse=True)
    def no_timers(self, desk: Desk) -> None:
        desk.lost = {"alert-timers"}

    def test_without_any_timer_no_step_is_later_than_fifteen_seconds(self, desk: Desk, handset: HeldHandset) -> None:
        alert = raised(handset)
        desk.work()
        for _ in range(4):
            desk.sweep_for_a_minute()
            desk.clock.advance(seconds=10)
        assert len(fired(alert)) == len(OFFSETS)
        assert 5 <= lateness(alert) <= 15
        desk.channels.taken.clear()

    def test_without_one_run_either_none_is_later_than_seventy_five(self, desk: Desk, handset: HeldHandset) -> None:
        alert = raised(handset)
        desk.work()
        desk.clock.advance(seconds=60)
        desk.sweep_for_a_minute()
        assert alert_of(alert).step >= 5
        [_, *later] = fired(alert)
        assert later[0] - 10 <= 75
        desk.channels.taken.clear()

    def test_a_raise_of_which_the_stream_told_nothing_is_found(self, desk: Desk, handset: HeldHandset) -> None:
        alert = raised(handset)
        desk.clock.advance(seconds=5)
        desk.sweep()
        desk.sent(ON_CALL)
        assert (alert_of(alert).zone, alert_of(alert).state) == (ZONE, "notified")

    def test_it_says_each_time_that_it_lives_and_how_late_things_are(
        self, desk: Desk, handset: HeldHandset, capsys: pytest.CaptureFixture[str]
    ) -> None:
        raised(handset)
        desk.clock.advance(seconds=8)
        capsys.readouterr()
        desk.sweep_for_a_minute()
        told = capsys.readouterr().out
        assert told.count('"AlertSweeperRan":[1.0]') == 6
        assert '"AlertStepLate":[8.0]' in told
        desk.channels.taken.clear()

    def test_it_does_not_say_so_while_it_cannot_look(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def blind(*_: Any) -> Any:
            raise ConnectionError

        monkeypatch.setattr(store, "due", blind)
        desk.sweep_for_a_minute()
        assert "AlertSweeperRan" not in capsys.readouterr().out

    def test_what_breaks_for_one_alert_or_shard_holds_up_no_other(
        self, desk: Desk, api: Api, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken, whole = raised(handset), raised(a_handset(api))
        tick, due = ticking.tick, store.due

        def breaking(alert: str) -> Any:
            if alert == broken:
                raise ConnectionError
            return tick(alert)

        def failing(shard: int, until: Any) -> Any:
            if not (found := due(shard, until)):
                raise ConnectionError
            return found

        monkeypatch.setattr(ticking, "tick", breaking)
        monkeypatch.setattr(store, "due", failing)
        desk.clock.advance(seconds=6)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(desk, "_stream", lambda: False)
            desk.sweep()
        assert (alert_of(broken).zone, alert_of(whole).zone) == ("", ZONE)
        monkeypatch.undo()
        desk.sweep()
        desk.channels.taken.clear()

    def test_a_look_costs_eight_queries(self, aws: Cloud, desk: Desk) -> None:
        with aws.counting() as calls:
            desk.sweep()
        assert {name: number for name, number in calls.items() if name != "Scan"} == {"Query": 8}

    @pytest.mark.parametrize("reason", ["rescued", "false-alarm"])
    def test_what_is_over_and_told_is_looked_at_no_more(self, desk: Desk, handset: HeldHandset, reason: str) -> None:
        alert = raised(handset)
        desk.work()
        desk.sent(ON_CALL)
        assert is_due() == [alert]
        desk.closes(alert, reason)
        desk.clock.advance(seconds=10)
        desk.sweep()
        assert is_due() == [], "its pages were looked at once more"

    def test_what_was_over_before_anybody_found_its_zone_is_told_too(self, desk: Desk, handset: HeldHandset) -> None:
        alert = raised(handset, trigger="fall")
        national = desk.operator.post(f"/v1/alerts/{alert}/closing", {"reason": "false-alarm"})
        assert national.status == 200
        desk.work()
        desk.clock.advance(seconds=10)
        desk.sweep()
        assert is_due() == []
        assert [line["what"] for line in desk.feed()] in (["raised", "closed"], ["raised", "closed", "placed"])


class TestWhoHears:
    def test_of_a_depot_that_nobody_knows_the_nation_does(self, desk: Desk, api: Api) -> None:
        desk.has_policy("NATIONAL")
        alert = raised(a_handset(api, depot="99999Z"))
        desk.work()
        desk.sent(ROOM)
        assert (alert_of(alert).zone, len(desk.feed("NATIONAL"))) == ("NATIONAL", 3)

    def test_while_no_policy_can_be_read_whoever_is_on_call(self, desk: Desk, handset: HeldHandset) -> None:
        desk.has_policy()
        zones.forget()
        with kms_away():
            alert = raised(handset)
            desk.work()
            desk.sent(ON_CALL)
        desk.wait(seconds=10)
        desk.sent(ROOM, MANAGER)
        assert fired(alert) == [0, 10]

    def test_one_that_was_read_before_holds_while_none_can_be(
        self, desk: Desk, api: Api, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.has_policy()
        raised(handset)
        desk.work()
        desk.sent(ROOM)
        monkeypatch.setattr(zones, "_read", _broken)
        desk.wait(seconds=40)
        desk.sent(ROOM, MANAGER, MANAGER, MANAGER)

    def test_while_nobody_can_tell_the_zone_somebody_does(
        self, desk: Desk, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lookup, "depot", _broken)
        monkeypatch.setattr(desk, "failed", [])
        alert = raised(handset)
        assert invoke(alert_events, stream_event(*events_of(alert))) != [], "it is tried again"
        desk.clock.advance(seconds=10)
        assert invoke(alert_events, stream_event(*events_of(alert))) == []
        assert alert_of(alert).zone == "NATIONAL"
        desk.work()
        desk.sent(ON_CALL)


class TestPressedAgain:
    def test_it_is_the_same_alert_and_the_ladder_begins_anew(self, desk: Desk, handset: HeldHandset) -> None:
        desk.has_policy()
        alert = raised(handset)
        desk.wait(seconds=15)
        desk.takes(alert)
        desk.sent(ROOM, ROOM, MANAGER)
        press = raised(handset)
        desk.work()
        desk.sent(ROOM)
        again = alert_of(alert)
        assert (again.epoch, again.step, again.owner) == (2, 1, "")
        assert (alert_of(press).state, alert_of(press).joined_to) == ("joined", alert)
        assert handset.calls().get(f"/v1/alerts/{press}/status").body["status"] == "raised"

    def test_what_comes_again_of_it_begins_nothing(self, desk: Desk, handset: HeldHandset, clock: FakeClock) -> None:
        alert, press = raised(handset), raised(handset)
        desk.work()
        desk.channels.taken.clear()
        clock.advance(seconds=3)
        for one in (alert, press):
            assert handset.calls().put(f"/v1/alerts/{one}", {}).status == 200
            assert invoke(alert_events, stream_event(*events_of(one))) == []
        desk.work()
        desk.sent()
        assert said(alert).count("pressed-again") == 1

    @pytest.mark.parametrize("racing", [overtaken, contended])
    def test_two_presses_at_once_are_one_alert(self, desk: Desk, handset: HeldHandset, racing: Any) -> None:
        presses = [raised(handset), raised(handset)]
        events = [events_of(press) for press in presses]
        with racing(by=lambda: invoke(alert_events, stream_event(*events[1]))):
            assert invoke(alert_events, stream_event(*events[0])) == []
        desk.work()
        states = sorted(alert_of(press).state for press in presses)
        assert states == ["joined", "notified"]
        [going_on] = [alert_of(press) for press in presses if alert_of(press).state == "notified"]
        assert going_on.epoch == 2
        desk.channels.taken.clear()

    def test_no_drill_takes_a_press_that_is_meant(self, desk: Desk, handset: HeldHandset) -> None:
        drill = raised(handset, purpose="exercise")
        desk.work()
        alert = raised(handset)
        desk.work()
        desk.sent(ON_CALL, ON_CALL)
        assert [alert_of(one).state for one in (drill, alert)] == ["notified", "notified"]


def test_a_self_test_goes_as_far_as_the_feed_and_pages_nobody(desk: Desk, handset: HeldHandset) -> None:
    alert = raised(handset, purpose="self-test")
    desk.clock.advance(seconds=1.5)
    desk.work()
    told = handset.calls().get(f"/v1/alerts/{alert}/status").body
    assert (told["status"], told["delay_ms"]) == ("closed", 1500)
    assert [line["what"] for line in desk.feed()] == ["raised", "placed", "closed"]
    desk.wait(seconds=60)
    desk.sent()
    assert is_due() == []


def _broken(*_: Any, **__: Any) -> Any:
    raise ConnectionError
