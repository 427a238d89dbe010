"""What happens next to an alert: the rules one by one, then whatever order things may come in."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chalicelib.alerts import ladder
from chalicelib.alerts.ladder import AlertClosed
from chalicelib.alerts.policies import Plan, Timers
from chalicelib.alerts.schemas import TAKEN, UNTAKEN, Alert, Flag, Purpose, Reason, State, Trigger
from chalicelib.core.errors import Conflict
from tests.support.alert_stories import COLLEAGUE, OPERATOR, Story, an_alert
from tests.support.clock import MONDAY_MORNING

AUTOMATIC = [trigger for trigger in Trigger if trigger is not Trigger.MANUAL]
PRESS = "019aaf3c-5000-7abc-8def-0123456789ab"


def seconds(story: Story) -> float | None:
    """For when the next timer is set, in seconds after the raise."""
    due = ladder.timer_at(story.alert)
    return None if due is None else (due - MONDAY_MORNING).total_seconds()


def a_press(**changes: Any) -> Alert:
    return an_alert(id=PRESS, **changes)


def alive(story: Story, until: float, every: float = 15) -> None:
    """The handset reports all the time, so that contact is not lost."""
    while story.now < MONDAY_MORNING + timedelta(seconds=until):
        after = (story.now - MONDAY_MORNING).total_seconds() + every
        story.heard(min(after, until))


# --- raised -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("silent", [True, False])
def test_a_press_is_an_alert_at_once(*, silent: bool) -> None:
    story = Story(silent=silent)
    assert (story.alert.state, seconds(story)) == (State.RAISED, 0)
    assert story.tick(0) == ["notified"]
    assert (story.alert.state, story.pages, seconds(story)) == (State.NOTIFIED, ["step-0"], 10)


@pytest.mark.parametrize("trigger", AUTOMATIC)
def test_an_automatic_alert_waits_for_its_carrier(trigger: Trigger) -> None:
    story = Story(trigger=trigger)
    assert (story.alert.state, seconds(story)) == (State.PRE_ALARM, 30)
    assert story.tick(29.9) == []
    assert story.tick(30) == ["pre-alarm-over", "notified"]
    assert (story.alert.state, story.pages, seconds(story)) == (State.NOTIFIED, ["step-0"], 40)


def test_a_pre_alarm_fires_without_its_handset_and_late_as_if_in_time() -> None:
    story = Story(trigger=Trigger.FALL)
    assert story.tick(60) == ["pre-alarm-over", "contact-lost", "notified"]
    assert story.asked == [(0, 1, 2)]
    assert seconds(story) == 70


def test_the_carrier_ends_a_pre_alarm_alone() -> None:
    story = Story(trigger=Trigger.FALL)
    story.take(ladder.cancel_asked(story.alert, story.at(20)))
    assert (story.alert.state, story.alert.reason) == (State.CLOSED, Reason.CANCELLED)
    assert story.alert.reason is Reason.CANCELLED
    assert story.tick(3600) == []
    assert story.pages == []


def test_duress_in_a_pre_alarm_raises_it_at_once() -> None:
    story = Story(trigger=Trigger.FALL)
    story.take(ladder.duress(story.alert, story.at(5)))
    assert story.tick(5) == ["notified"]
    assert story.tick(30) == ["notified"]
    assert "pre-alarm-over" not in story.said


# --- climbed ------------------------------------------------------------------------------------------------


def test_each_step_in_its_time_and_then_without_an_end() -> None:
    story = Story()
    fired = []
    for second in range(1000):
        if second % 15 == 0:
            story.heard(second)
        if "notified" in story.tick(second):
            fired.append(second)
    assert fired == [0, 10, 20, 40, 90, *range(150, 1000, 60)]
    assert story.pages == [f"step-{step}" for step in range(len(fired))]
    assert story.alert.epoch == 1


def test_after_a_month_it_still_climbs() -> None:
    story = Story()
    month = 30 * 86_400
    assert "notified" in story.tick(month)
    assert seconds(story) is not None
    assert story.tick(month + 60) == ["notified"]


def test_steps_that_are_late_are_fired_as_one() -> None:
    story = Story()
    story.tick(0)
    assert story.tick(41) == ["sla-breached", "notified"]
    assert story.asked == [(0,), (1, 2, 3)]
    assert story.told[-1].body.with_ == ("step-1", "step-2", "step-3")
    assert (story.told[-1].body.step, seconds(story)) == (4, 90)


def test_the_same_tick_twice_does_nothing_more() -> None:
    story = Story()
    story.tick(10)
    before = story.alert
    assert story.tick(10) == []
    assert story.alert == before


@pytest.mark.parametrize(("second", "breached"), [(39, False), (40, True)])
def test_nobody_took_it_for_40_seconds(second: int, *, breached: bool) -> None:
    story = Story()
    for moment in (0, 10, 20, second):
        story.tick(moment)
    assert (Flag.SLA_BREACHED in story.alert.flags) is breached


def test_40_seconds_are_not_counted_anew_nor_after_it_was_taken() -> None:
    pressed = Story()
    pressed.tick(0)
    pressed.take(ladder.pressed_again(pressed.alert, a_press(), pressed.at(35)))
    assert "sla-breached" in pressed.tick(40) + pressed.tick(45)
    taken = Story()
    taken.take(ladder.acked(taken.alert, taken.at(5), by=OPERATOR))
    alive(taken, 125)
    taken.tick(126)
    assert "sla-breached" not in taken.tick(300)


def test_pages_are_looked_at_again_only_where_there_are_some() -> None:
    story = Story()
    assert ladder.ticked(story.alert, lambda _: (), story.at(0)).alert.pages_due is None
    story.tick(0)
    assert story.alert.pages_due == story.at(5)


def test_a_step_that_reached_nobody_brings_the_next_one_forward_once() -> None:
    story = Story()
    story.tick(0)
    story.take(ladder.hurried(story.alert, 1, 1, story.at(2), up_to=1))
    assert seconds(story) == 2
    assert story.tick(2) == ["notified"]
    assert (story.asked, seconds(story)) == ([(0,), (1,)], 12)
    assert ladder.hurried(story.alert, 1, 1, story.at(3), up_to=1) is None


def test_a_step_that_reaches_nobody_is_hurried_past() -> None:
    story = Story()
    story.tick(0)
    story.take(ladder.hurried(story.alert, 1, 1, story.at(2), up_to=2))
    assert story.tick(2) == ["notified"]
    assert (story.asked, seconds(story)) == ([(0,), (1, 2)], 22)


def test_who_was_told_of_a_ladder_that_went_on_hurries_nothing() -> None:
    story = Story()
    story.tick(0)
    assert ladder.hurried(story.alert, 2, 1, story.at(1), up_to=1) is None
    story.take(ladder.acked(story.alert, story.at(1), by=OPERATOR))
    assert ladder.hurried(story.alert, 1, 1, story.at(2), up_to=1) is None


def test_a_repeat_that_reaches_nobody_is_repeated_after_ten_seconds_and_not_faster() -> None:
    story = Story()
    story.tick(90)
    assert story.alert.step == 5
    story.take(ladder.hurried(story.alert, 1, 5, story.at(91), up_to=5))
    assert seconds(story) == 101
    assert story.tick(100) == []
    assert story.tick(101) == ["notified"]


def test_hurry_never_delays_a_step() -> None:
    story = Story()
    story.tick(90)
    assert ladder.hurried(story.alert, 1, 5, story.at(149), up_to=5) is None


# --- seen, taken, left --------------------------------------------------------------------------------------


def test_seen_is_not_taken() -> None:
    story = Story()
    story.tick(0)
    story.take(ladder.seen(story.alert, story.at(1), by=COLLEAGUE))
    assert (story.alert.state, story.alert.seen_at) == (State.SEEN, story.now)
    assert ladder.seen(story.alert, story.at(2), by=OPERATOR) is None
    assert story.tick(10) == ["notified"]
    assert (story.alert.state, ladder.wants_pages(story.alert)) == (State.SEEN, True)


def test_a_console_that_shows_what_is_taken_or_over_changes_nothing() -> None:
    story = Story()
    story.take(ladder.acked(story.alert, story.at(1), by=OPERATOR))
    assert ladder.seen(story.alert, story.at(2), by=COLLEAGUE) is None
    story.take(ladder.closed(story.alert, Reason.RESCUED, story.at(3), by=OPERATOR))
    assert ladder.seen(story.alert, story.at(4), by=COLLEAGUE) is None


def test_who_takes_it_stops_the_ladder_for_as_long_as_the_lease() -> None:
    story = Story()
    story.tick(0)
    story.take(ladder.acked(story.alert, story.at(8), by=OPERATOR))
    assert (story.alert.state, story.alert.owner, seconds(story)) == (State.ACKED, OPERATOR, 128)
    assert not ladder.wants_pages(story.alert)
    alive(story, 127)
    assert story.tick(127) == []
    assert story.tick(128) == ["lease-over", "notified"]
    assert (story.alert.epoch, story.alert.owner, seconds(story)) == (2, "", 138)
    assert story.pages == ["step-0", "step-0"]


def test_taking_it_again_says_nothing_and_renews_the_lease() -> None:
    story = Story()
    story.take(ladder.acked(story.alert, story.at(8), by=OPERATOR))
    story.take(ladder.responding(story.alert, story.at(10), by=OPERATOR))
    for again, at in ((ladder.responding, 11), (ladder.acked, 12)):
        move = again(story.alert, story.at(at), by=OPERATOR)
        assert (move.said, move.alert.lease_until) == ((), story.at(at + 120))
    assert story.alert.acked_at == story.at(8)


def test_another_may_take_it_over() -> None:
    story = Story()
    story.take(ladder.acked(story.alert, story.at(8), by=OPERATOR))
    story.take(ladder.acked(story.alert, story.at(60), by=COLLEAGUE))
    assert (story.alert.owner, seconds(story)) == (COLLEAGUE, 180)
    assert story.alert.acked_at == story.at(8)


def test_responding_takes_it_as_well() -> None:
    story = Story()
    story.take(ladder.responding(story.alert, story.at(8), by=OPERATOR))
    assert (story.alert.state, story.alert.acked_at, seconds(story)) == (State.RESPONDING, story.now, 128)
    assert story.tick(128) == ["lease-over", "contact-lost", "notified"]


def test_a_note_of_its_owner_renews_the_lease_and_no_other() -> None:
    story = Story()
    story.take(ladder.acked(story.alert, story.at(0), by=OPERATOR))
    story.take(ladder.noted(story.alert, story.at(60), by=COLLEAGUE))
    assert seconds(story) == 120
    story.take(ladder.noted(story.alert, story.at(60), by=OPERATOR))
    assert seconds(story) == 180


def test_another_zone_begins_its_own_ladder() -> None:
    story = Story()
    story.take(ladder.acked(story.alert, story.at(5), by=OPERATOR))
    plan = Plan(offsets=(0, 30), timers=Timers(repeat=20))
    story.take(ladder.handed_over(story.alert, "Z75", plan, story.at(10), by=OPERATOR))
    assert story.said[-2:] == ["handed-over", "taken-over"]
    assert (story.told[-2].body.other, story.told[-1].body.other) == ("Z75", "Z33")
    assert (story.alert.zone, story.alert.state, story.alert.epoch) == ("Z75", State.NOTIFIED, 2)
    assert story.tick(10) == ["notified"]
    assert seconds(story) == 40
    assert ladder.handed_over(story.alert, "Z75", plan, story.at(11), by=OPERATOR) is None


# --- the carrier's word -------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [True, False])
def test_a_new_press_begins_the_ladder_anew(*, taken: bool) -> None:
    story = Story()
    story.tick(10)
    if taken:
        story.take(ladder.acked(story.alert, story.at(12), by=OPERATOR))
    story.take(ladder.pressed_again(story.alert, a_press(battery=9), story.at(30)))
    assert (story.alert.state, story.alert.epoch, story.alert.step) == (State.NOTIFIED, 2, 0)
    assert story.alert.owner == ""
    assert story.tick(30) == ["notified"]
    assert (story.pages[-1], seconds(story)) == ("step-0", 40)


def test_a_new_press_tells_more_and_never_less() -> None:
    story = Story(battery=40, silent=True, whereabouts="here")
    story.take(ladder.pressed_again(story.alert, a_press(), story.at(30)))
    assert (story.alert.battery, story.alert.silent, story.alert.whereabouts) == (40, True, "here")
    press = a_press(battery=30, whereabouts="there", heard_at=story.now, flags=frozenset({Flag.LATE}))
    story.take(ladder.pressed_again(story.alert, press, story.at(40)))
    assert (story.alert.battery, story.alert.whereabouts) == (30, "there")
    assert Flag.LATE in story.alert.flags
    loud = Story()
    loud.take(ladder.pressed_again(loud.alert, a_press(silent=True), loud.at(30)))
    assert loud.alert.silent


def test_a_press_that_is_meant_makes_an_exercise_one() -> None:
    story = Story(purpose=Purpose.EXERCISE)
    story.take(ladder.pressed_again(story.alert, a_press(), story.at(30)))
    assert story.alert.purpose is Purpose.ACTUAL
    story.take(ladder.pressed_again(story.alert, a_press(purpose=Purpose.EXERCISE), story.at(40)))
    assert story.alert.purpose is Purpose.ACTUAL


def test_an_operator_confirms_a_cancel() -> None:
    story = Story()
    story.tick(0)
    with pytest.raises(Conflict, match="did not cancel it"):
        ladder.closed(story.alert, Reason.CANCELLED, story.at(3), by=OPERATOR)
    story.take(ladder.cancel_asked(story.alert, story.at(5)))
    assert (story.alert.state, story.said[-1]) == (State.NOTIFIED, "cancel-asked")
    assert story.tick(10) == ["notified"]
    assert ladder.cancel_asked(story.alert, story.at(11)).said == ()
    story.take(ladder.closed(story.alert, Reason.CANCELLED, story.at(12), by=OPERATOR))
    assert (story.alert.state, story.alert.reason) == (State.CLOSED, Reason.CANCELLED)


@pytest.mark.parametrize("cancelled", [True, False])
def test_duress_escalates_whatever_was_asked_before(*, cancelled: bool) -> None:
    story = Story()
    story.take(ladder.acked(story.alert, story.at(5), by=OPERATOR))
    if cancelled:
        story.take(ladder.cancel_asked(story.alert, story.at(8)))
    story.take(ladder.duress(story.alert, story.at(10)))
    assert (story.alert.state, story.alert.epoch) == (State.NOTIFIED, 2)
    assert story.alert.flags == {Flag.DURESS}
    assert story.tick(10) == ["notified"]
    with pytest.raises(Conflict, match="did not cancel it"):
        ladder.closed(story.alert, Reason.CANCELLED, story.at(12), by=OPERATOR)


def test_under_duress_the_good_pin_cancels_nothing_and_duress_is_said_once() -> None:
    story = Story()
    story.take(ladder.duress(story.alert, story.at(10)))
    assert ladder.cancel_asked(story.alert, story.at(12)) == ladder.Move(story.alert)
    assert ladder.duress(story.alert, story.at(13)) == ladder.Move(story.alert)


@pytest.mark.parametrize("flags", [frozenset(), frozenset({Flag.DURESS})])
def test_who_presses_again_does_not_want_to_cancel_any_more(flags: frozenset[Flag]) -> None:
    story = Story()
    story.take(ladder.cancel_asked(story.alert, story.at(5)))
    story.take(ladder.pressed_again(story.alert, a_press(flags=flags), story.at(30)))
    assert story.alert.flags == flags
    with pytest.raises(Conflict, match="did not cancel it"):
        ladder.closed(story.alert, Reason.CANCELLED, story.at(31), by=OPERATOR)


# --- the handset --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("battery", "gap"), [(None, 45), (15, 45), (14, 90), (0, 90)])
def test_a_handset_that_says_nothing_is_lost(battery: int | None, gap: int) -> None:
    story = Story(battery=battery)
    assert "contact-lost" not in story.tick(gap - 1)
    assert ladder.contact_lost_at(story.alert) == MONDAY_MORNING + timedelta(seconds=gap)
    assert "contact-lost" in story.tick(gap)
    assert "contact-lost" not in story.tick(2 * gap)
    story.heard(300)
    assert Flag.CONTACT_LOST not in story.alert.flags
    assert "contact-lost" in story.tick(300 + gap)


def test_lost_contact_lowers_nothing() -> None:
    story = Story()
    story.take(ladder.acked(story.alert, story.at(1), by=OPERATOR))
    assert story.tick(45) == ["contact-lost"]
    assert (story.alert.state, story.alert.owner) == (State.ACKED, OPERATOR)


def test_a_low_battery_is_said_once() -> None:
    story = Story(battery=20)
    story.heard(5, battery=15)
    assert "low-battery" not in story.said
    story.heard(10, battery=14)
    story.heard(15, battery=13)
    story.heard(20)
    assert story.said.count("low-battery") == 1
    assert story.alert.battery == 13


@pytest.mark.parametrize(
    ("after", "battery", "wanted"), [(0, 80, 5), (119, None, 5), (120, 80, 15), (0, 14, 60), (600, 0, 60)]
)
def test_how_often_a_handset_reports(after: int, battery: int | None, wanted: int) -> None:
    story = Story()
    assert ladder.next_report(story.alert, battery, story.at(after)) == wanted
    story.take(ladder.closed(story.alert, Reason.RESCUED, story.at(after), by=OPERATOR))
    assert ladder.next_report(story.alert, battery, story.at(after)) == wanted


# --- exercises and the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", Trigger)
def test_a_self_test_ends_with_its_first_tick_and_pages_nobody(trigger: Trigger) -> None:
    story = Story(purpose=Purpose.SELF_TEST, trigger=trigger)
    assert seconds(story) == 0
    assert story.tick(0.4) == ["closed"]
    assert (story.alert.state, story.alert.reason, story.pages) == (State.CLOSED, Reason.SELF_TEST, [])
    assert story.asked == []


def test_an_exercise_goes_the_whole_way() -> None:
    story = Story(purpose=Purpose.EXERCISE)
    story.tick(0)
    assert story.tick(10) == ["notified"]
    assert story.pages == ["step-0", "step-1"]


@pytest.mark.parametrize("reason", [Reason.RESCUED, Reason.FALSE_ALARM, Reason.HANDED_TO_SERVICES])
def test_closed_never_moves(reason: Reason) -> None:
    story = Story(webhooks=True)
    story.tick(0)
    story.take(ladder.acked(story.alert, story.at(4), by=OPERATOR))
    story.take(ladder.closed(story.alert, reason, story.at(5), by=OPERATOR))
    over = story.alert
    assert (ladder.timer_at(over), ladder.wants_pages(over), ladder.to_settle(over)) == (None, False, "closed")
    assert story.tick(86_400) == []
    assert ladder.closed(over, reason, story.now, by=COLLEAGUE) is None
    for act in (ladder.acked, ladder.responding):
        with pytest.raises(AlertClosed, match="It was closed at 2026-11-23 07:00 UTC"):
            act(over, story.now, by=OPERATOR)
    with pytest.raises(AlertClosed):
        ladder.handed_over(over, "Z75", Plan(), story.now, by=OPERATOR)
    with pytest.raises(AlertClosed):
        ladder.closed(over, Reason.CANCELLED, story.now, by=OPERATOR)
    with pytest.raises(AlertClosed):
        ladder.pressed_again(over, a_press(), story.now)
    for move in (
        ladder.cancel_asked(over, story.now),
        ladder.duress(over, story.now),
        ladder.heard(over, story.now, battery=3),
    ):
        assert move == ladder.Move(over)
    assert story.take(ladder.noted(over, story.now, by=OPERATOR)) is not None
    assert (story.alert.state, story.alert.lease_until) == (State.CLOSED, None)


def test_what_was_joined_goes_on_elsewhere() -> None:
    story = Story()
    story.take(ladder.joined(story.alert, PRESS, "Z33", story.at(1)))
    assert story.tick(600) == []
    with pytest.raises(AlertClosed, match=f"part of the alert {PRESS}"):
        ladder.acked(story.alert, story.now, by=OPERATOR)
    assert ladder.due_at(msgspec.structs.replace(story.alert, outbox=()), story.now) is None


def test_what_is_over_and_told_is_due_no_more() -> None:
    story = Story()
    story.take(ladder.closed(story.alert, Reason.RESCUED, story.at(5), by=OPERATOR))
    assert ladder.due_at(story.alert, story.now) == story.at(10)
    assert ladder.due_at(msgspec.structs.replace(story.alert, outbox=()), story.now) is None


def test_what_has_no_zone_is_due_at_once() -> None:
    alert = ladder.raised(an_alert(trigger=Trigger.FALL), MONDAY_MORNING).alert
    assert ladder.due_at(alert, MONDAY_MORNING) == MONDAY_MORNING


def test_every_event_is_a_line_for_the_feed() -> None:
    story = Story()
    story.tick(0)
    story.take(ladder.acked(story.alert, story.at(3), by=OPERATOR))
    lines = story.alert.outbox
    assert [(line.number, line.what, line.by) for line in lines] == [
        (event.body.number, event.what, event.by) for event in story.told
    ]
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1].state is State.ACKED


# --- whatever happens ---------------------------------------------------------------------------------------

operators = st.sampled_from([OPERATOR, COLLEAGUE])
batteries = st.none() | st.integers(0, 100)
plans = st.builds(
    lambda later, repeat: Plan(offsets=(0, *sorted(later)), timers=Timers(repeat=repeat)),
    st.sets(st.integers(1, 120), max_size=4),
    st.integers(10, 120),
)


class AnyLife(RuleBasedStateMachine):
    """An alert to which anything happens, in any order and at any time."""

    @initialize(trigger=st.sampled_from(Trigger), purpose=st.sampled_from(Purpose), battery=batteries, plan=plans)
    def raise_it(self, trigger: Trigger, purpose: Purpose, battery: int | None, plan: Plan) -> None:
        self.story = Story(trigger=trigger, purpose=purpose, battery=battery, plan=plan)
        self.after = 0.0
        self.before = self.story.alert
        self.closed_with = self.paged = 0
        self.fired: set[tuple[int, int]] = set()
        self.presses = 0

    def _act(self, act: Any, *args: Any, **options: Any) -> None:
        """Do something now; what cannot be done any more may only be refused because it is over."""
        try:
            self.story.take(act(self.story.alert, *args, self.story.now, **options))
        except AlertClosed:
            assert not self.story.alert.is_open
        except Conflict:
            assert Flag.CANCEL_ASKED not in self.story.alert.flags

    @rule(wait=st.sampled_from([0.0, 0.5, 1, 5, 10, 15, 29, 30, 45, 60, 90, 120, 600]))
    def wait(self, wait: float) -> None:
        self.after += wait
        self.story.at(self.after)

    @rule()
    def tick(self) -> None:
        asked = len(self.story.asked)
        self.story.tick(self.after)
        for steps in self.story.asked[asked:]:
            fired = {(self.story.alert.epoch, step) for step in steps}
            assert len(fired) == len(steps)
            assert not fired & self.fired
            self.fired |= fired
        due = ladder.timer_at(self.story.alert)
        assert due is None or due > self.story.now
        assert ladder.ticked(self.story.alert, _nobody, self.story.now) == ladder.Move(self.story.alert)

    @rule(battery=batteries)
    def hear(self, battery: int | None) -> None:
        self.story.heard(self.after, battery)

    @rule(by=operators)
    def see(self, by: str) -> None:
        self._act(ladder.seen, by=by)

    @rule(by=operators)
    def acknowledge(self, by: str) -> None:
        self._act(ladder.acked, by=by)

    @rule(by=operators)
    def respond(self, by: str) -> None:
        self._act(ladder.responding, by=by)

    @rule(by=operators)
    def note(self, by: str) -> None:
        self._act(ladder.noted, by=by)

    @rule(by=operators, zone=st.sampled_from(["Z33", "Z75"]), plan=plans)
    def hand_over(self, by: str, zone: str, plan: Plan) -> None:
        self._act(ladder.handed_over, zone, plan, by=by)

    @rule(flags=st.frozensets(st.sampled_from(Flag)), battery=batteries, silent=st.booleans())
    def press_again(self, flags: frozenset[Flag], battery: int | None, *, silent: bool) -> None:
        self.presses += 1
        press = an_alert(id=f"press-{self.presses}", flags=flags, battery=battery, silent=silent)
        self._act(ladder.pressed_again, press)

    @rule()
    def good_pin(self) -> None:
        self._act(ladder.cancel_asked)

    @rule()
    def duress_pin(self) -> None:
        self._act(ladder.duress)

    @rule(back=st.integers(0, 1))
    def hurry(self, back: int) -> None:
        alert = self.story.alert
        self._act(partial(ladder.hurried, up_to=alert.step - back), alert.epoch, alert.step - back)

    @precondition(lambda self: self.after > 100)
    @rule(by=operators, reason=st.sampled_from(Reason))
    def close(self, by: str, reason: Reason) -> None:
        self._act(ladder.closed, reason, by=by)

    @invariant()
    def numbers_and_epochs_only_go_up(self) -> None:
        alert = self.story.alert
        assert [event.body.number for event in self.story.told] == list(range(1, alert.number + 1))
        epochs = [event.body.epoch for event in self.story.told]
        assert epochs == sorted(epochs)
        assert alert.epoch >= self.before.epoch
        assert alert.epoch > self.before.epoch or alert.step >= self.before.step

    @invariant()
    def what_is_open_is_looked_at_again(self) -> None:
        alert = self.story.alert
        due, timer = ladder.due_at(alert, self.story.now), ladder.timer_at(alert)
        assert (timer is not None) is alert.is_open
        if timer is not None:
            assert due is not None
            assert due <= timer
            assert ladder.ticked(alert, _nobody, timer).said
        if timer is not None and alert.state in UNTAKEN:
            longest = alert.plan.offset(alert.step) - alert.plan.offset(max(alert.step - 1, 0))
            assert timer <= self.story.now + longest

    @invariant()
    def only_what_nobody_took_is_paged(self) -> None:
        alert = self.story.alert
        assert ladder.wants_pages(alert) is (alert.state in UNTAKEN)
        assert bool(alert.owner) is (alert.state in TAKEN) or alert.state is State.CLOSED

    @invariant()
    def duress_is_never_forgotten_nor_cancelled(self) -> None:
        alert = self.story.alert
        assert Flag.DURESS not in self.before.flags or Flag.DURESS in alert.flags
        assert not {Flag.DURESS, Flag.CANCEL_ASKED} <= alert.flags

    @invariant()
    def closed_is_closed(self) -> None:
        alert = self.story.alert
        if self.before.state is State.CLOSED:
            assert alert.state is State.CLOSED
            assert set(self.story.said[self.closed_with :]) <= {"noted"}
            assert len(self.story.pages) == self.paged
        elif alert.state is State.CLOSED:
            self.closed_with, self.paged = len(self.story.told), len(self.story.pages)
            assert self.story.said[-1] == "closed"
        self.before = alert


def _nobody(_: object) -> tuple[str, ...]:
    return ()


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
