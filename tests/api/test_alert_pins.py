"""PINs: one says that it is nothing, the other calls for help; nobody but an operator ends an alert."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.alerts.schemas import Flag, Reason, State
from chalicelib.core import journal
from tests.support.alerts import ON_CALL, Desk, a_fix, alert_of, raised, said
from tests.support.api import Answered, Api
from tests.support.clock import FakeClock
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import HERE, OURS, THERE, NewHandset, everything_stored

GOOD, DURESS, WRONG = "1357", "2468", "9999"

pytestmark = pytest.mark.usefixtures("light_pins")


@pytest.fixture
def handset(api: Api, light_pins: None) -> HeldHandset:
    """A handset whose carrier has two PINs."""
    held = a_handset(api)
    assert set_pins(held).status == 204
    return held


@pytest.fixture
def alert(desk: Desk, handset: HeldHandset) -> str:
    """An alert that was paged once."""
    raised_now = raised(handset)
    desk.work()
    desk.sent(ON_CALL)
    return raised_now


def set_pins(handset: HeldHandset, pin: str = GOOD, duress_pin: str = DURESS, **more: Any) -> Answered:
    return handset.calls().put("/v1/alert-pins", {"pin": pin, "duress_pin": duress_pin, **more})


def enter(handset: HeldHandset, alert: str, pin: str) -> Answered:
    return handset.calls().post(f"/v1/alerts/{alert}/cancellation", {"pin": pin})


def closing(desk: Desk, alert: str, reason: str) -> Answered:
    return desk.operator.post(f"/v1/alerts/{alert}/closing", {"reason": reason})


class TestGood:
    def test_the_ladder_goes_on_until_an_operator_confirms(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        refused = closing(desk, alert, "cancelled")
        assert (refused.status, refused.problem) == (409, "conflict"), "the carrier did not ask for it"

        answer = enter(handset, alert, GOOD)

        assert (answer.status, answer.body["status"]) == (200, "cancelled")
        desk.wait(seconds=10)
        [page] = desk.sent(ON_CALL)
        assert page.message.flags == (Flag.CANCEL_ASKED,)
        assert alert_of(alert).state is State.NOTIFIED
        assert closing(desk, alert, "cancelled").status == 200
        kept = alert_of(alert)
        assert (kept.state, kept.reason) == (State.CLOSED, Reason.CANCELLED)
        assert said(alert)[-3:] == ["cancel-asked", "notified", "closed"]

    def test_in_the_pre_alarm_it_is_over_at_once(self, desk: Desk, handset: HeldHandset) -> None:
        fall = raised(handset, trigger="fall")
        desk.wait(seconds=20)

        assert enter(handset, fall, GOOD).body["status"] == "cancelled"

        assert (alert_of(fall).state, alert_of(fall).reason) == (State.CLOSED, Reason.CANCELLED)
        desk.wait(seconds=60)
        desk.sent()

    def test_what_is_sent_for_a_quarter_of_an_hour_is_dropped_once_it_is_confirmed(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        path = f"/v1/alerts/{alert}/positions"
        enter(handset, alert, GOOD)
        closing(desk, alert, "cancelled")
        desk.work()
        before = everything_stored()

        clock.advance(minutes=15)
        assert handset.calls().post(path, {"fixes": [a_fix()]}).status == 200
        assert everything_stored() == before
        clock.advance(seconds=1)
        late = handset.calls().post(path, {"fixes": [a_fix()]})
        assert (late.status, late.problem) == (409, "no-open-alert")

    def test_said_twice_it_is_noted_once(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        first, second = enter(handset, alert, GOOD), enter(handset, alert, GOOD)

        assert first.body == second.body
        assert said(alert).count("cancel-asked") == 1

    def test_another_press_takes_it_back(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        enter(handset, alert, GOOD)
        raised(handset)
        desk.work()
        desk.sent(ON_CALL)

        assert Flag.CANCEL_ASKED not in alert_of(alert).flags
        refused = closing(desk, alert, "cancelled")
        assert (refused.status, refused.problem) == (409, "conflict")

    def test_any_handset_of_the_carrier_knows_them_and_nobody_elses_alert(
        self, desk: Desk, api: Api, handset: HeldHandset, alert: str
    ) -> None:
        theirs, strangers = a_handset(api), a_handset(api, carrier="C1002")
        assert enter(theirs, alert, GOOD).status == 404, "it is the other handset's"
        assert enter(strangers, alert, GOOD).status == 404
        own = raised(theirs)
        assert enter(theirs, own, GOOD).status == 200
        desk.work()
        desk.sent(ON_CALL)


class TestWrong:
    def test_nothing_happens(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        before = alert_of(alert)
        answer = enter(handset, alert, WRONG)

        assert (answer.status, answer.problem) == (403, "pin-wrong")
        assert alert_of(alert) == before
        for pin in ("", "12", "123456789", "abcd", "1357\n"):
            assert enter(handset, alert, pin).status == 400, pin
        assert alert_of(alert) == before

    def test_after_five_no_pin_is_taken_for_a_while_but_duress_is_heard(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        assert [enter(handset, alert, WRONG).status for _ in range(5)] == [403] * 5

        good, duress = enter(handset, alert, GOOD), enter(handset, alert, DURESS)

        assert [(each.status, each.problem, each.headers["Retry-After"]) for each in (good, duress)] == [
            (429, "pin-locked", "901")
        ] * 2
        assert good.text == duress.text
        assert said(alert)[-1] == "duress"
        desk.work()
        [page] = desk.sent(ON_CALL)
        assert page.message.flags == (Flag.DURESS,)
        assert handset.calls().get(f"/v1/alerts/{alert}/status").body["status"] == "raised"
        clock.advance(minutes=15)
        assert enter(handset, alert, GOOD).status == 200

    def test_without_pins_only_an_operator_ends_it(self, desk: Desk, api: Api, light_pins: None) -> None:
        without = a_handset(api, carrier="C1002")
        alert = raised(without)

        answer = enter(without, alert, GOOD)

        assert (answer.status, answer.problem) == (409, "pins-missing")
        desk.work()
        desk.sent(ON_CALL)
        desk.closes(alert, "false-alarm")


class TestDuress:
    def test_the_ladder_begins_anew_at_once(
        self, desk: Desk, handset: HeldHandset, alert: str, clock: FakeClock
    ) -> None:
        desk.takes(alert)
        clock.advance(seconds=30)

        answer = enter(handset, alert, DURESS)

        assert (answer.status, answer.body["status"]) == (200, "cancelled")
        desk.work()
        [page] = desk.sent(ON_CALL)
        assert (page.at, page.message.flags) == (clock.at, (Flag.DURESS,))
        assert "SOUS CONTRAINTE" in page.message.headline
        assert "N'appelez pas le facteur" in page.message.text
        kept = alert_of(alert)
        assert (kept.state, kept.epoch, kept.owner) == (State.NOTIFIED, 2, "")
        refused = closing(desk, alert, "cancelled")
        assert (refused.status, refused.problem) == (409, "conflict")

    def test_in_the_pre_alarm_it_is_an_alarm_at_once(self, desk: Desk, handset: HeldHandset) -> None:
        fall = raised(handset, trigger="fall")
        desk.work()
        desk.sent()

        assert enter(handset, fall, DURESS).body["status"] == "cancelled"
        desk.work()
        desk.sent(ON_CALL)

    def test_after_the_end_it_is_a_new_alert(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        desk.closes(alert)

        assert enter(handset, alert, DURESS).body["status"] == "cancelled"
        desk.work()

        [page] = desk.sent(ON_CALL)
        new = alert_of(page.message.alert)
        assert (new.id != alert, new.flags, new.silent, new.follows) == (True, {Flag.DURESS}, True, alert)
        assert alert_of(alert).state is State.CLOSED
        assert handset.calls().post(f"/v1/alerts/{alert}/positions", {"fixes": [a_fix(latitude=48.1)]}).status == 200
        assert desk.operator.get(f"/v1/alerts/{new.id}").body["fix"]["latitude"] == 48.1

    def test_on_a_self_test_help_is_called(self, desk: Desk, handset: HeldHandset) -> None:
        """Whoever shows that it is only a test may be made to end it by PIN."""
        alert = raised(handset, purpose="self-test")
        assert enter(handset, alert, DURESS).body["status"] == "cancelled"
        desk.work()

        [page] = desk.sent(ON_CALL)
        assert page.message.purpose == "actual"


class TestSetting:
    def test_they_are_changed_with_one_of_them_only(self, desk: Desk, handset: HeldHandset, alert: str) -> None:
        for current in ({}, {"current_pin": WRONG}):
            refused = set_pins(handset, "1111", "2222", **current)
            assert (refused.status, refused.problem) == (403, "pin-wrong"), current
        alike = set_pins(handset, "1111", "1111", current_pin=GOOD)
        assert (alike.status, alike.problem) == (400, "pins-alike")

        changed = set_pins(handset, "1111", "2222", current_pin=GOOD)

        assert (changed.status, changed.text) == (204, "")
        assert enter(handset, alert, GOOD).status == 403
        assert enter(handset, alert, "1111").status == 200

    def test_whoever_changes_them_under_duress_calls_for_help(self, desk: Desk, handset: HeldHandset) -> None:
        answer = set_pins(handset, "1111", "2222", current_pin=DURESS)

        assert (answer.status, answer.text) == (204, "")
        desk.work()
        [page] = desk.sent(ON_CALL)
        called = alert_of(page.message.alert)
        assert (called.flags, called.silent, called.device) == ({Flag.DURESS}, True, handset.device)

        assert set_pins(handset, "3333", "4444", current_pin=GOOD).problem == "pin-wrong", "it seems to be replaced"

    def test_staff_reset_them_for_their_own_carriers(self, post: Api) -> None:
        handset = NewHandset(post).enrolled(OURS)
        set_pins(handset)
        path = f"/v1/alert-pins/{OURS}/reset"

        assert post.as_staff("depot-manager", scope=f"depot/{THERE}").post(path).problem == "access-denied"
        for _ in range(2):
            assert post.as_staff("depot-manager", scope=f"depot/{HERE}").post(path).status == 204
        assert [event.type for event in journal.read(f"alert-pins/{OURS}")].count("facteo.alert-pins.reset") == 1
        assert post.as_staff("depot-manager").post("/v1/alert-pins/NOBODY/reset").problem == "not-found"

        assert set_pins(handset, "3333", "4444").status == 204, "the carrier chooses new ones, without the old ones"

    def test_nobody_finds_a_pin_in_what_is_stored(self, desk: Desk, api: Api) -> None:
        held = a_handset(api, carrier="C1003")
        set_pins(held, "71350264", "80462153")

        stored = everything_stored()
        assert not [pin for pin in ("71350264", "80462153") if pin in stored]
        [said_once] = [event.type for event in journal.read("alert-pins/C1003")]
        assert said_once == "facteo.alert-pins.set"

    def test_a_blocked_handset_sets_none(self, desk: Desk, api: Api) -> None:
        assert set_pins(a_handset(api, state="quarantined", carrier="C1004")).status == 403
