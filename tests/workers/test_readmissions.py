"""What a quarantined handset sends is held, and released once somebody says that it was found: all, and once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.connectors.relay import readmitting, service
from chalicelib.connectors.relay.subscriptions import is_relayed
from chalicelib.connectors.relay.workers import readmit, relay
from chalicelib.core import ids, journal
from chalicelib.core.events import Event
from chalicelib.core.transaction import MAX_ITEMS
from chalicelib.fleet import holding
from chalicelib.fleet.event_types import RELEASES
from chalicelib.fleet.tables import LossLinesRow
from chalicelib.items.event_types import HANDED_OVER
from chalicelib.judging.workers import judging
from chalicelib.signatures.tables import ProofRow
from tests.support.acts import a_hand_over
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.commands import a_wipe, fetched, reported
from tests.support.events import announced, deliver, invoke, stream_event
from tests.support.factories import ITEM, HeldHandset, an_item
from tests.support.fleet import NewHandset, events_of_device
from tests.support.losses import a_case, does
from tests.support.races import overtaken

A_MONTH = timedelta(days=30)
"""So wrong may a thief set the clock."""


@pytest.fixture
def handset(newcomer: NewHandset) -> HeldHandset:
    """The newcomer, enrolled for our carrier."""
    return newcomer.enrolled()


@pytest.fixture
def lost(post: Api, handset: HeldHandset) -> str:
    """The case of the handset."""
    return a_case(post, handset)


def held(handset: HeldHandset) -> list[str]:
    """The ids of the events that wait."""
    rows = LossLinesRow.query(f"held/{handset.device}/{handset.generation}", consistent_read=True)
    return [row.sk for row in rows]


def sync(handset: HeldHandset, *events: Any) -> list[str]:
    """Send the events; their ids, in order."""
    answer = handset.sync(*events)
    assert {one["result"] for one in answer.body["results"]} <= {"recorded", "duplicate"}
    return sorted(event["id"] for event in events)


def releases(handset: HeldHandset, lost: str) -> list[Event]:
    """What tells that a handset was found, as the relay brings it."""
    so_far = [*events_of_device(handset.device), *journal.read(f"loss/{lost}")]
    return [event for event in so_far if is_relayed("readmissions", event)]


def released(aws: Cloud, queue: str) -> list[str]:
    return sorted({json.loads(message["Body"])["id"] for message in aws.messages(queue)})


class TestHolding:
    def test_each_event_of_a_quarantined_handset_is_held_and_relayed_to_nobody(
        self, aws: Cloud, handset: HeldHandset, lost: str
    ) -> None:
        sent = sync(handset, handset.event(), handset.event())

        assert held(handset) == sent
        assert invoke(relay, stream_event(*journal.read_with_held(f"item/{ITEM}"))) == []
        assert aws.messages("tracking") == []

    def test_of_an_enrolled_one_none_is(self, handset: HeldHandset) -> None:
        sync(handset, handset.event())
        assert held(handset) == []

    def test_sent_again_it_is_held_once(self, handset: HeldHandset, lost: str) -> None:
        event = handset.event()
        assert sync(handset, event) == sync(handset, event) == held(handset)

    def test_what_is_refused_is_not_held(self, handset: HeldHandset, lost: str) -> None:
        refused = handset.event("facteo.item.unheard-of")
        assert handset.sync(refused).body["results"][0]["result"] == "refused"
        assert held(handset) == []

    def test_a_full_batch_fits_into_as_few_transactions_as_may_be(
        self, aws: Cloud, handset: HeldHandset, lost: str
    ) -> None:
        events = [handset.event(item=an_item()) for _ in range(100)]
        with aws.counting() as calls:
            sync(handset, *events)
        assert calls["TransactWriteItems"] == -(-100 * 3 // (MAX_ITEMS - 1))
        assert len(held(handset)) == 100

    def test_found_while_it_syncs_nothing_is_held(self, post: Api, handset: HeldHandset, lost: str) -> None:
        with overtaken(by=lambda: does(post, lost, "found")):
            sync(handset, handset.event())
        [event] = journal.read(f"item/{ITEM}")
        assert (event.quarantined, held(handset)) == (False, [])

    def test_lost_while_it_syncs_it_is_held(self, post: Api, handset: HeldHandset) -> None:
        with overtaken(by=lambda: a_case(post, handset)):
            sent = sync(handset, handset.event())
        assert held(handset) == sent


class TestReleasing:
    def test_once_it_is_found_whoever_takes_such_events_is_given_them(
        self, aws: Cloud, post: Api, handset: HeldHandset, lost: str
    ) -> None:
        sent = sync(handset, handset.event(), handset.event(data={"step": "at-depot"}))
        does(post, lost, "found")

        assert deliver(readmit, releases(handset, lost)) == []

        assert released(aws, "tracking") == released(aws, "sorting") == sent
        assert released(aws, "judging") == []
        assert held(handset) == []

    def test_the_relay_brings_what_releases(self, aws: Cloud, post: Api, handset: HeldHandset, lost: str) -> None:
        does(post, lost, "found")
        everything = [*events_of_device(handset.device), *journal.read(f"loss/{lost}")]
        assert invoke(relay, stream_event(*everything)) == []
        told = [json.loads(message["Body"])["type"] for message in aws.messages("readmissions")]
        assert sorted(told) == sorted(RELEASES)

    def test_also_of_one_that_must_enrol_again(self, aws: Cloud, post: Api, handset: HeldHandset, lost: str) -> None:
        sent = sync(handset, handset.event())
        a_wipe(handset)
        reported(handset, fetched(handset)[0], "accepted")
        does(post, lost, "found")
        assert deliver(readmit, releases(handset, lost)) == []
        assert released(aws, "tracking") == sent

    def test_also_of_one_that_had_been_given_up(self, aws: Cloud, post: Api, handset: HeldHandset, lost: str) -> None:
        sent = sync(handset, handset.event())
        does(post, lost, "closed", {"reason": "not-found"})
        assert releases(handset, lost) == []
        does(post, lost, "found")
        assert deliver(readmit, releases(handset, lost)) == []
        assert released(aws, "tracking") == sent

    def test_told_again_nothing_more_is_sent(self, aws: Cloud, post: Api, handset: HeldHandset, lost: str) -> None:
        sync(handset, handset.event())
        does(post, lost, "found")
        told = releases(handset, lost)
        assert deliver(readmit, told) == []
        aws.messages("tracking")
        assert deliver(readmit, told) == []
        assert aws.messages("tracking") == []

    def test_what_came_in_a_later_loss_is_held_still(
        self, aws: Cloud, post: Api, handset: HeldHandset, lost: str, clock: FakeClock
    ) -> None:
        first = sync(handset, handset.event())
        does(post, lost, "found")
        told = releases(handset, lost)
        clock.advance(minutes=1)
        a_case(post, handset)
        clock.advance(minutes=1)
        later = sync(handset, handset.event(id=ids.new(clock() - A_MONTH)))

        assert deliver(readmit, told) == []

        assert released(aws, "tracking") == first
        assert held(handset) == later

    def test_many_go_page_by_page(
        self, aws: Cloud, post: Api, handset: HeldHandset, lost: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(holding, "PAGE", 7)
        sent = sync(handset, *(handset.event(item=an_item()) for _ in range(20)))
        does(post, lost, "found")
        assert deliver(readmit, releases(handset, lost)[:1]) == []
        assert released(aws, "tracking") == sent
        assert held(handset) == []

    @pytest.mark.parametrize("steps", range(1, 7))
    def test_dying_in_the_middle_it_loses_nothing(
        self, aws: Cloud, post: Api, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch, steps: int
    ) -> None:
        monkeypatch.setattr(holding, "PAGE", 2)
        lost = a_case(post, handset)
        sent = sync(handset, *(handset.event(item=an_item()) for _ in range(6)))
        does(post, lost, "found")
        [told, *_] = releases(handset, lost)
        with monkeypatch.context() as broken:
            dies_after(broken, steps)
            assert deliver(readmit, [told]) == ["m-1"]

        assert deliver(readmit, [told]) == []

        assert (released(aws, "tracking"), released(aws, "sorting"), held(handset)) == (sent, sent, [])

    def test_a_handset_that_was_never_lost_has_nothing_to_release(self, aws: Cloud, handset: HeldHandset) -> None:
        event = events_of_device(handset.device)[0]
        assert deliver(readmit, [event]) == []
        assert aws.messages("tracking") == []


def test_a_released_hand_over_is_judged_like_any_other(post: Api, handset: HeldHandset, lost: str, aws: Cloud) -> None:
    """When it comes: nobody has judged it before, and its word about another handing over proves nothing."""
    item = an_item()
    announced(item)
    sent = a_hand_over(handset, item)
    sync(handset, sent)
    does(post, lost, "found")
    assert deliver(readmit, releases(handset, lost)) == []
    [message] = {one["Body"] for one in aws.messages("judging")}
    assert json.loads(message)["type"] == HANDED_OVER

    assert deliver(judging, [message]) == []

    assert ProofRow.get(sent["id"]).item == item


def dies_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Sending and noting what is sent work so often, and then the function is killed."""
    left = [steps]

    def dying(step: Any) -> Any:
        def once(*args: Any, **kwargs: Any) -> Any:
            if not left[0]:
                raise RuntimeError
            left[0] -= 1
            return step(*args, **kwargs)

        return once

    monkeypatch.setattr(service, "send", dying(service.send))
    monkeypatch.setattr(readmitting.holding, "release", dying(holding.release))
