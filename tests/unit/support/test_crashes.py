"""The crash suite can fail: use cases that lose and double are found out, and only those."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

import pytest

from chalicelib.core import aws as clients
from chalicelib.core.events import Event
from chalicelib.core.journal import EventIdRow
from tests.support import crashes, figures, stored
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.crashes import Figures, Killed, Scenario, after_step, before_step, die, losing_answer
from tests.support.events import an_item_event, recorded

Work = Callable[[Event], None]


def send(event: Event) -> None:
    """A message for the event, which a consumer tells from its repeat."""
    clients.client("sqs").send_message(
        QueueUrl=os.environ["FACTEO_TRACKING_QUEUE"], MessageBody=f'{{"id":"{event.id}"}}'
    )


def note(event: Event) -> None:
    """A row of the event's: written twice it is the same."""
    EventIdRow(f"done/{event.id}", subject="item/1", fingerprint="").save()


def add(event: Event) -> None:
    """A row more each time."""
    EventIdRow(f"{EventIdRow.count()}", subject=event.subject, fingerprint="").save()


def once(work: Work) -> Work:
    """Only if it was not noted yet."""

    def done(event: Event) -> None:
        if EventIdRow.find(f"done/{event.id}") is None:
            work(event)

    return done


def both(first: Work, second: Work) -> Work:
    def done(event: Event) -> None:
        first(event)
        second(event)

    return done


def figures_of(work: Work, clock: FakeClock) -> Figures:
    return crashes.everywhere(Scenario("it", lambda: recorded(an_item_event())[0], work), clock)


class TestEverywhere:
    @pytest.mark.parametrize(
        ("work", "paths", "lost", "doubled"),
        [
            (once(both(send, note)), 8, 0, 0),
            (once(both(note, send)), 8, 2, 0),
            (note, 3, 0, 0),
            (both(add, note), 8, 0, 5),
        ],
        ids=["sends, then marks", "marks, then sends", "the same row each time", "a row more each time"],
    )
    @pytest.mark.usefixtures("aws")
    def test_counts_what_a_crash_loses_and_doubles(
        self, clock: FakeClock, work: Work, paths: int, lost: int, doubled: int
    ) -> None:
        counted = figures_of(work, clock)
        assert (counted.paths, counted.lost, counted.doubled) == (paths, lost, doubled)
        assert bool(counted.faults) == bool(lost or doubled)

    def test_says_where_and_what(self, aws: Cloud, clock: FakeClock) -> None:
        after, before = figures_of(once(both(note, send)), clock).faults
        assert after.splitlines()[0] == "it: killed after PutItem (step 2)"
        assert before.splitlines() == [
            "it: killed before SendMessage (step 3)",
            '  lost: message in facteo-test-tracking: {"id":"<id>"}',
        ]

    def test_work_that_cannot_be_done_again_is_told(self, aws: Cloud, clock: FakeClock) -> None:
        def stubborn(event: Event) -> None:
            assert EventIdRow.find(f"done/{event.id}") is None
            note(event)

        with pytest.raises(AssertionError, match=r"it: killed after PutItem \(step 2\): the work could not be done"):
            figures_of(stubborn, clock)

    def test_a_scenario_that_changes_nothing_is_an_error(self, aws: Cloud, clock: FakeClock) -> None:
        with pytest.raises(AssertionError, match="changes nothing"):
            figures_of(lambda event: None, clock)

    def test_each_path_starts_from_the_same(self, aws: Cloud, clock: FakeClock) -> None:
        """Rows, messages, objects and the clock are those that were arranged, whatever a path before did."""
        started = clock.at

        def work(event: Event) -> None:
            assert (stored.waiting("tracking"), clock.at) == ([], started)
            clients.client("s3").put_object(Bucket=os.environ["FACTEO_BUCKET"], Key=event.id, Body=b"x")
            send(event)

        def again(event: Event) -> None:
            clock.advance(minutes=1)
            with suppress(AssertionError):
                work(event)

        scenario = Scenario("it", lambda: recorded(an_item_event())[0], work, again)
        assert crashes.everywhere(scenario, clock).paths == 6


class TestSteps:
    def test_before_a_step_nothing_of_it_has_happened_and_after_it_all(self, aws: Cloud) -> None:
        [event] = recorded(an_item_event())
        with pytest.raises(Killed), before_step(1, die):
            note(event)
        assert EventIdRow.find(f"done/{event.id}") is None
        with pytest.raises(Killed), after_step(1, die):
            note(event)
        assert EventIdRow.find(f"done/{event.id}") is not None

    def test_the_dead_do_nothing_any_more(self, aws: Cloud) -> None:
        [event] = recorded(an_item_event())

        def dying() -> None:
            try:
                send(event)
            finally:
                note(event)

        with pytest.raises(Killed), after_step(1, die):
            dying()
        assert EventIdRow.find(f"done/{event.id}") is None

    def test_what_is_done_at_a_step_is_no_step(self, aws: Cloud) -> None:
        [event] = recorded(an_item_event())
        with after_step(1, lambda: note(event)) as steps:
            send(event)
        assert steps.names == ["SendMessage"]

    def test_a_lost_answer_is_asked_for_again(self, aws: Cloud) -> None:
        [event] = recorded(an_item_event())
        with losing_answer(1) as requests:
            send(event)
        assert requests.names == ["SendMessage"] * 2
        assert len(stored.waiting("tracking")) == 2


class TestFacts:
    def test_a_fact_is_the_same_whichever_ids_and_moments_it_was_given(self, aws: Cloud, clock: FakeClock) -> None:
        empty = stored.save()
        recorded(an_item_event())
        first = stored.facts()
        stored.restore(empty)
        clock.advance(hours=1)
        recorded(an_item_event())
        assert sorted(first) == sorted(stored.facts()) != []

    def test_another_content_is_another_fact(self, aws: Cloud) -> None:
        recorded(an_item_event(), an_item_event(data={"step": "at-depot"}))
        rows = [fact for fact in stored.facts() if "journal" in fact]
        assert len(set(rows)) == 2

    def test_messages_count_once_for_each_event(self, aws: Cloud) -> None:
        [event] = recorded(an_item_event())
        send(event)
        send(event)
        send(an_item_event())
        assert len([fact for fact in stored.facts() if fact.startswith("message")]) == 2


class TestReport:
    def test_has_a_line_for_each_scenario_and_their_sum(self) -> None:
        assert figures.told([("sync", 34, 0, 0), ("relay", 12, 1, 2)]) == [
            "crash: relay 12 paths killed, lost 1, doubled 2",
            "crash: sync 34 paths killed, lost 0, doubled 0",
            "crash: 46 paths killed, lost 1, doubled 2",
        ]

    def test_is_silent_without_scenarios(self) -> None:
        assert figures.told([]) == []
