"""The sweeper and replays: what the relay never took reaches every consumer, and a new one gets everything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from chalicelib.connectors.relay import service, subscriptions, sweep
from chalicelib.connectors.relay.sweep import NotReplayable
from chalicelib.connectors.relay.workers import relay
from chalicelib.connectors.relay.workers import sweep as sweeper
from chalicelib.connectors.tracking.tables import LineRow
from chalicelib.connectors.tracking.workers import tracking
from chalicelib.core import inbox, queues
from chalicelib.core.events import Event
from chalicelib.core.progress import ProgressRow
from chalicelib.core.queues import NotQueued, Outgoing
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.cloud import Cloud
from tests.support.events import SCHEDULED, an_item_event, announced, deliver, invoke, recorded, stream_event

CONSUMERS = tuple(subscriptions.SUBSCRIPTIONS)
DAY_END = MONDAY_MORNING + timedelta(hours=25)


@pytest.fixture
def day(aws: Cloud, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Four events an hour until DAY_END, which no relay took. It is ten minutes after that."""
    happened = []
    monkeypatch.setattr(sweep, "STEP", timedelta(hours=1))
    while clock.at < DAY_END:
        kind = "facteo.item.redirected" if len(happened) % 10 == 9 else "facteo.item.scanned"
        data = {"step": ("taken-in-charge", "at-depot")[len(happened) % 2]}
        happened += recorded(an_item_event(kind, data=data))
        clock.advance(minutes=15)
    clock.advance(minutes=10)
    return happened


@pytest.fixture(autouse=True)
def near(aws: Cloud) -> None:
    """The sweeper has come up to this morning."""
    ProgressRow("sweeper", through=MONDAY_MORNING).save()


def run_sweeper() -> None:
    invoke(sweeper, SCHEDULED)


def queued(aws: Cloud, consumer: str) -> list[str]:
    """The ids of the events in a consumer's queue, which is empty then."""
    return sorted(msgspec.json.decode(message["Body"])["id"] for message in aws.messages(consumer))


def ids_of(events: Sequence[Event]) -> list[str]:
    return sorted(event.id for event in events)


def refuse(bad: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """No queue takes this event, and none ever will."""
    send = queues.send

    def refusing(queue: str, messages: Sequence[Outgoing]) -> None:
        if any(bad.id in message.attributes.values() for message in messages):
            raise NotQueued("InvalidMessageContents", for_ever=True)
        send(queue, messages)

    monkeypatch.setattr(queues, "send", refusing)


class TestSweeper:
    def test_what_a_pass_follows_and_what_a_door_says_is_swept_too(self, aws: Cloud, clock: FakeClock) -> None:
        suspended, shown = recorded(
            an_item_event("facteo.pass.suspended", subject="device/d1"),
            an_item_event("facteo.pass.used", subject="pass/00000000000000c1"),
        )
        clock.advance(minutes=15)
        run_sweeper()

        assert (queued(aws, "passes"), queued(aws, "entries")) == ([suspended.id], [shown.id])

    @pytest.mark.parametrize("consumer", CONSUMERS)
    def test_after_25_hours_without_a_relay_every_consumer_gets_every_event(
        self, day: list[Event], aws: Cloud, consumer: str
    ) -> None:
        run_sweeper()
        assert queued(aws, consumer) == ids_of([event for event in day if subscriptions.is_relayed(consumer, event)])

    def test_what_it_relayed_it_does_not_relay_again(self, day: list[Event], aws: Cloud, clock: FakeClock) -> None:
        run_sweeper()
        aws.messages("tracking")
        ProgressRow("sweeper", through=MONDAY_MORNING).save()
        run_sweeper()
        assert queued(aws, "tracking") == []

    def test_what_the_relay_took_is_left_alone(self, aws: Cloud, clock: FakeClock) -> None:
        taken, missed = recorded(an_item_event(), an_item_event())
        invoke(relay, stream_event(taken))
        assert queued(aws, "tracking") == [taken.id]
        clock.advance(minutes=20)

        run_sweeper()

        assert queued(aws, "tracking") == [missed.id]

    def test_the_relay_has_ten_minutes(self, aws: Cloud, clock: FakeClock) -> None:
        [event] = recorded(an_item_event())
        for minutes, expected in ((10, []), (0.001, [event.id])):
            clock.advance(minutes=minutes)
            run_sweeper()
            assert queued(aws, "tracking") == expected

    def test_quarantined_events_are_dealt_with_and_not_sent(self, aws: Cloud, clock: FakeClock) -> None:
        recorded(an_item_event(quarantined=True))
        clock.advance(minutes=20)
        run_sweeper()
        assert queued(aws, "tracking") == []

    def test_an_event_that_no_queue_takes_holds_back_no_other(
        self, aws: Cloud, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bad, good = recorded(an_item_event(), an_item_event())
        refuse(bad, monkeypatch)
        clock.advance(minutes=20)
        run_sweeper()
        assert queued(aws, "tracking") == [good.id]

    def test_in_an_outage_of_the_queues_it_stands_still(
        self, aws: Cloud, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [event] = recorded(an_item_event())
        clock.advance(minutes=20)

        def out_of_order(*_: Any) -> None:
            raise NotQueued("InternalError", for_ever=False)

        with monkeypatch.context() as broken:
            broken.setattr(queues, "send", out_of_order)
            with pytest.raises(NotQueued):
                run_sweeper()
        run_sweeper()
        assert queued(aws, "tracking") == [event.id]

    def test_a_run_ends_in_time_and_the_next_goes_on(
        self, day: list[Event], aws: Cloud, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        missed = service.missed

        def slow(found: Sequence[Event]) -> list[Event]:
            clock.advance(seconds=30)
            return missed(found)

        monkeypatch.setattr(service, "missed", slow)
        run_sweeper()
        first = queued(aws, "tracking")
        assert 0 < len(first) < len(day)
        while more := (run_sweeper(), queued(aws, "tracking"))[1]:
            first += more
        assert sorted(first) == ids_of(day)


class TestReplay:
    def test_a_new_consumer_is_filled_from_the_beginning(
        self, day: list[Event], aws: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_sweeper()
        for consumer in CONSUMERS:
            aws.messages(consumer)
        monkeypatch.setitem(subscriptions.SUBSCRIPTIONS, "archive", subscriptions.ITEM_FACTS)  # type: ignore[arg-type]
        monkeypatch.setattr(service, "queue_of", lambda _: os.environ["FACTEO_SORTING_QUEUE"])

        parts = list(sweep.replay("archive", MONDAY_MORNING, DAY_END))

        assert sum(part.sent for part in parts) == len(day)
        assert queued(aws, "sorting") == ids_of(day)

    def test_a_consumer_that_has_dealt_with_it_drops_the_repeat(self, aws: Cloud, clock: FakeClock) -> None:
        [event] = recorded(an_item_event())
        told = announced()
        clock.advance(minutes=20)
        for _ in range(2):
            list(sweep.replay("tracking", MONDAY_MORNING, MONDAY_MORNING + timedelta(minutes=10)))
            assert queued(aws, "tracking") == ids_of([told, event])
            assert deliver(tracking, [told, event]) == []
        assert len(list(LineRow.scan(LineRow.pk.startswith("line/")))) == 2

    def test_only_what_was_received_in_that_time(self, day: list[Event], aws: Cloud) -> None:
        since, until = MONDAY_MORNING + timedelta(minutes=30), MONDAY_MORNING + timedelta(hours=2)
        list(sweep.replay("tracking", since, until))
        assert queued(aws, "tracking") == ids_of([event for event in day if since <= event.receivedat < until])

    def test_a_dry_run_counts_and_sends_nothing(self, day: list[Event], aws: Cloud) -> None:
        asked = ("tracking", MONDAY_MORNING, DAY_END)
        counted = list(sweep.replay(*asked, dry_run=True))
        assert queued(aws, "tracking") == []
        assert ProgressRow.find("replay/tracking") is None
        assert sum(part.sent for part in counted) == len(day)
        assert list(sweep.replay(*asked)) == counted

    def test_one_that_was_interrupted_goes_on_where_it_stopped(self, day: list[Event], aws: Cloud) -> None:
        asked = ("tracking", MONDAY_MORNING, DAY_END)
        begun = sweep.replay(*asked)
        for _ in range(3):
            next(begun)
        begun.close()
        assert next(sweep.replay("tracking", MONDAY_MORNING, DAY_END - timedelta(hours=1))).since == MONDAY_MORNING
        counted = list(sweep.replay(*asked, dry_run=True))
        assert counted[0].since == MONDAY_MORNING + timedelta(hours=2)
        assert list(sweep.replay(*asked)) == counted

    @pytest.mark.parametrize("killed_at_its_end", [False, True])
    def test_one_that_came_to_its_end_can_be_done_again(
        self, day: list[Event], aws: Cloud, *, killed_at_its_end: bool
    ) -> None:
        asked = ("tracking", MONDAY_MORNING, MONDAY_MORNING + timedelta(hours=2))
        for _ in range(2):
            assert sum(part.sent for part in sweep.replay(*asked)) == 2 * 4
            assert ProgressRow.find("replay/tracking") is None
            if killed_at_its_end:
                ProgressRow("replay/tracking", through=asked[2], since=asked[1], until=asked[2]).save()

    def test_an_event_that_no_queue_takes_holds_back_no_other(
        self, day: list[Event], aws: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refuse(day[6], monkeypatch)
        parts = list(sweep.replay("tracking", MONDAY_MORNING, MONDAY_MORNING + timedelta(hours=3)))
        assert [(part.found, part.sent) for part in parts] == [(4, 4), (4, 3), (4, 4)]
        assert queued(aws, "tracking") == ids_of([*day[:6], *day[7:12]])

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_what_may_still_be_on_its_way_is_not_replayed(self, aws: Cloud, clock: FakeClock, *, dry_run: bool) -> None:
        recorded(an_item_event())
        clock.advance(minutes=20)
        ten_minutes_ago = clock.at - timedelta(minutes=10)
        with pytest.raises(NotReplayable, match="may still be on its way"):
            list(sweep.replay("tracking", MONDAY_MORNING, ten_minutes_ago + timedelta(seconds=1), dry_run=dry_run))
        assert queued(aws, "tracking") == []
        [part] = sweep.replay("tracking", MONDAY_MORNING, ten_minutes_ago, dry_run=dry_run)
        assert part.sent == 1

    @pytest.mark.parametrize("consumer", ["tracking", "judging"])
    def test_a_consumer_is_not_sent_what_it_has_forgotten_to_have_dealt_with(
        self, aws: Cloud, clock: FakeClock, consumer: str
    ) -> None:
        recorded(an_item_event("facteo.item.redirected"))
        until = MONDAY_MORNING + timedelta(hours=1)
        clock.advance(days=inbox.KEPT_FOR.days - 14)
        assert sum(part.sent for part in sweep.replay(consumer, MONDAY_MORNING, until)) == 1
        clock.advance(seconds=1)
        with pytest.raises(NotReplayable, match=f"{consumer} knows for 386 days"):
            list(sweep.replay(consumer, MONDAY_MORNING, until))
        assert sum(part.sent for part in sweep.replay("sorting", MONDAY_MORNING, until)) == 1

    def test_the_end_comes_after_the_beginning(self, day: list[Event]) -> None:
        with pytest.raises(NotReplayable, match="not after the beginning"):
            list(sweep.replay("tracking", MONDAY_MORNING, MONDAY_MORNING))

    def test_there_is_no_such_consumer(self, aws: Cloud) -> None:
        with pytest.raises(KeyError):
            list(sweep.replay("nobody", MONDAY_MORNING, datetime.now(MONDAY_MORNING.tzinfo)))
