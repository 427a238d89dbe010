"""The judge held against a product that is broken on purpose: it must say what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from chalicelib.alerts import channels, console, feed, ladder, messages, paging, pins, store, ticking
from chalicelib.alerts.ladder import Move
from chalicelib.alerts.messages import Action
from chalicelib.alerts.policies import Channel, Plan, Way
from chalicelib.core import aws
from tests.reliability import faults, people
from tests.reliability.days import lived
from tests.reliability.faults import NO_TIMERS, NOTHING, THIRTY_PER_CENT
from tests.reliability.figures import of_day
from tests.reliability.judge import Verdict

ONLY_CHANNELS = faults.Plan(channels=0.7)
ONLY_SLOW = faults.Plan(messages=0.6)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Verdict]:
    """What the judge says of a day after something was replaced."""

    def live(where: Any, name: str, ours: Any, plan: faults.Plan = NOTHING, carriers: int = 8, **told: Any) -> Verdict:
        monkeypatch.setattr(where, name, ours)
        longest = timedelta(minutes=told.pop("minutes", 10))
        return lived(7, plan, carriers, within=60, longest=longest, silence=timedelta(seconds=60), **told).verdict

    return live


Broken = Callable[..., Verdict]


def test_an_alert_that_is_answered_and_not_written(broken: Broken) -> None:
    verdict = broken(store, "add", lambda *_, **__: None)
    assert verdict.check("no alert is lost").faults


def test_a_press_that_is_refused(broken: Broken) -> None:
    def refuse(*_: Any, **__: Any) -> Move:
        raise RuntimeError("broken on purpose")

    assert broken(ladder, "raised", refuse, carriers=2).check("every press is accepted").faults


def test_an_alert_that_nobody_hears_of(broken: Broken) -> None:
    verdict = broken(ladder, "_climbed", lambda alert, *_: Move(alert), answers=False, minutes=3)
    assert verdict.check("every alarm reaches somebody").faults


def test_duress_that_is_taken_for_the_good_pin(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "KNOWS_PINS", 1.0)
    verdict = broken(pins, "entered", lambda *_: pins.Entered(pins.Which.GOOD))
    assert verdict.check("duress escalates").faults


def test_a_gap_in_the_feed(broken: Broken) -> None:
    counter = feed._counter

    def skipping(zone: str, last: int, before: Any) -> Any:
        return counter(zone, last + (last % 5 == 0), before)

    assert broken(feed, "_counter", skipping).check("the feed has no gap").faults


def test_a_line_that_is_in_the_feed_twice(broken: Broken) -> None:
    fitting, left = feed._fitting, [3]

    def keeping(found: Any, zone: str) -> Any:
        batch = fitting(found, zone)
        if not batch.kept or not left[0]:
            return batch
        left[0] -= 1
        again = [(held, msgspec.structs.replace(alert, outbox=held.alert.outbox)) for held, alert in batch.kept]
        return batch._replace(kept=again)

    assert broken(feed, "_fitting", keeping).check("the feed has each event once").faults


def test_a_page_without_a_row(broken: Broken) -> None:
    closing = console.close

    def telling(alert_id: str, *given: Any, **told: Any) -> Any:
        answer = closing(alert_id, *given, **told)
        alert = store.existing(alert_id).alert
        message = messages.message_of(alert, Action.TRIGGER, 0)
        channels.send(Way(channel=Channel.SMS, to="+33600000002"), message)
        return answer

    assert broken(console, "close", telling).check("no page without its row").faults


def test_a_channel_that_is_called_again_by_the_sdk(broken: Broken) -> None:
    verdict = broken(aws, "call_once", aws.client, ONLY_CHANNELS)
    assert verdict.check("nobody is paged twice").faults


def test_a_page_that_is_sent_again_because_nobody_knows(broken: Broken) -> None:
    def undone(row: Any) -> bool:
        return row.state in {paging.PageState.PLANNED, paging.PageState.SENDING, paging.PageState.UNKNOWN}

    assert broken(paging, "_is_undone", undone, ONLY_CHANNELS).check("nobody is paged twice").faults


def test_a_page_that_is_said_to_be_sent_and_was_not(broken: Broken) -> None:
    assert broken(paging, "_call", lambda *_: None).check("rows tell the truth").faults


def test_a_ladder_that_falls_silent(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    offset = Plan.offset

    def ending(plan: Plan, step: int) -> timedelta:
        return offset(plan, step) if step < 2 else timedelta(days=step)

    monkeypatch.setattr(paging, "_hurried", lambda *_: False)
    verdict = broken(Plan, "offset", ending, ONLY_CHANNELS, answers=False, minutes=5)
    assert verdict.check("a further page follows").faults


def test_a_page_that_goes_out_whoever_has_taken_the_alert(broken: Broken) -> None:
    begun = paging._begun

    def anyway(alert: Any, page: Any, state: Any) -> Any:
        held = begun(alert, page, state)
        if held is None and state is paging.PageState.PLANNED:
            held = msgspec.structs.replace(page, rounds=page.rounds + 1)
            with paging.transaction() as work:
                work.put(paging._row(held, paging.PageState.SENDING))
        return held

    verdict = broken(paging, "_begun", anyway, THIRTY_PER_CENT, carriers=30)
    assert verdict.check("nothing is sent once it is taken").faults
    assert verdict.check("nothing is sent after CLOSED").faults


def test_a_webhook_that_cannot_tell_repeats(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = iter(range(10**6))
    monkeypatch.setattr(messages.Message, "dedup_key", property(lambda one: f"{one.alert}/{next(keys)}"))
    verdict = broken(paging, "WEBHOOK_ROUNDS", 20)
    assert verdict.check("webhooks have each event once").faults


def test_no_sweeper_and_no_timers(broken: Broken) -> None:
    verdict = broken(ticking, "sweep", lambda: None, NO_TIMERS, carriers=20)
    late = [max(found) for name, found in verdict.seconds.items() if name.endswith("late by")]
    assert max(late) > 15


def test_the_same_days_without_a_break_are_right() -> None:
    """What the breaks are seen against; how long a break takes to be seen is not what is tested here."""
    for plan in (NOTHING, ONLY_CHANNELS, ONLY_SLOW):
        day = lived(7, plan, 10, within=60, silence=timedelta(seconds=60))
        assert day.verdict.faults == []
        assert of_day(day).alerts >= 10
