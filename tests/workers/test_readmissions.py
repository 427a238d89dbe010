"""What a quarantined handset sends is held, and released once somebody says that it was found: all, and once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.connectors.relay import readmitting, service, sweep
from chalicelib.connectors.relay.subscriptions import is_relayed
from chalicelib.connectors.relay.workers import readmit, relay
from chalicelib.connectors.relay.workers import sweep as sweeper
from chalicelib.connectors.tracking.workers import tracking
from chalicelib.core import clock as clocks
from chalicelib.core import events, ids, journal
from chalicelib.core.events import Event
from chalicelib.core.progress import ProgressRow
from chalicelib.core.transaction import MAX_ITEMS
from chalicelib.fleet import holding
from chalicelib.fleet.event_types import RELEASES
from chalicelib.fleet.tables import LossLinesRow
from chalicelib.items.event_types import DELIVERED, HANDED_OVER
from chalicelib.judging.workers import judging
from chalicelib.rounds import settling
from chalicelib.rounds.tables import PlaceRow
from chalicelib.signatures.tables import ProofRow
from tests.support import entries
from tests.support.acts import a_hand_over
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.commands import a_wipe, fetched, reported
from tests.support.events import SCHEDULED, an_item_event, announced, deliver, invoke, recorded, stream_event
from tests.support.factories import ITEM, HeldHandset, an_item
from tests.support.fleet import NewHandset, events_of_device
from tests.support.losses import a_case, does
from tests.support.races import overtaken
from tests.workers.test_tracking import codes

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
    """When it comes: nobody has judged it before."""
    item = an_item()
    announced(item)
    sent = a_hand_over(handset, item)
    sync(handset, sent)
    does(post, lost, "found")
    assert deliver(readmit, releases(handset, lost)) == []
    [message] = {one["Body"] for one in aws.messages("judging")}
    assert json.loads(message)["type"] == HANDED_OVER

    assert deliver(judging, [message]) == []

    assert (ProofRow.get(sent["id"]).item, ProofRow.get(sent["id"]).flags) == (item, "")


class TestWhatIsHeldCountsForNothing:
    """Whoever reads an item's history themselves, and is not brought its events."""

    def test_the_public_is_not_told_what_a_thief_says(self, post: Api, handset: HeldHandset, lost: str) -> None:
        item = an_item()
        announced(item, client="999999", reference="R")
        sync(handset, delivery(handset, item))
        assert tracked(post, item) == ["DR1"]
        assert post.as_staff("auditor").get(f"/v1/items/{item}").body["status"] == "announced"

    def test_of_an_item_of_which_only_a_thief_spoke_the_public_knows_nothing(
        self, post: Api, handset: HeldHandset, lost: str
    ) -> None:
        item = an_item()
        sync(handset, delivery(handset, item))
        assert post.as_client("tracking.read").get(f"/v1/suivi/{item}").status == 404

    def test_staff_see_it_marked(self, post: Api, handset: HeldHandset, lost: str) -> None:
        item = an_item()
        announced(item)
        sync(handset, delivery(handset, item))
        shown = {one["type"]: one["quarantined"] for one in history(post, item)}
        assert shown == {"facteo.item.announced": False, DELIVERED: True}

    def test_it_gets_nobody_a_sight_of_the_addressee(self, post: Api, handset: HeldHandset, lost: str) -> None:
        item = an_item()
        announced(item)
        sync(handset, delivery(handset, item))
        manager = post.as_staff("depot-manager", scope=f"depot/{handset.row.depot}")
        assert manager.get(f"/v1/items/{item}").body["addressee"] is None

    def test_an_item_stays_on_its_route(self, post: Api, handset: HeldHandset, lost: str) -> None:
        item = an_item()
        recorded(an_item_event(item=item, data={"step": "at-depot"}))
        sync(handset, delivery(handset, item))
        settling.settle(item)
        assert PlaceRow.get(f"item/{item}", "place").route

    def test_a_second_delivery_is_no_doubt_about_a_true_one(self, post: Api, handset: HeldHandset, lost: str) -> None:
        item, carrier = an_item(), NewHandset(post).enrolled()
        announced(item)
        sync(handset, delivery(handset, item))
        [event] = journal.read_many([(f"item/{item}", sync(carrier, a_hand_over(carrier, item))[0])])
        assert deliver(judging, [event]) == []
        assert ProofRow.get(event.id).flags == ""

    def test_a_late_fact_judges_no_hand_over_that_is_held(self, post: Api, handset: HeldHandset, lost: str) -> None:
        item = an_item()
        sync(handset, a_hand_over(handset, item))
        assert deliver(judging, [announced(item)]) == []
        assert list(ProofRow.scan()) == []

    def test_it_can_be_corrected_before_it_is_released(
        self, aws: Cloud, post: Api, handset: HeldHandset, lost: str
    ) -> None:
        item = an_item()
        announced(item)
        [sent] = sync(handset, delivery(handset, item))
        correction = {"corrects": sent, "reason": "the thief's"}
        assert post.as_staff("carrier-support").post(f"/v1/items/{item}/corrections", correction).status == 201
        found(post, handset, lost)
        assert post.as_staff("auditor").get(f"/v1/items/{item}").body["status"] == "announced"


class TestWhatIsReleasedCounts:
    def test_for_the_public_and_for_staff(self, post: Api, handset: HeldHandset, lost: str) -> None:
        item = an_item()
        announced(item)
        sync(handset, delivery(handset, item))
        found(post, handset, lost)
        assert tracked(post, item)[0] == "DI1"
        assert [(one["type"], one["quarantined"]) for one in history(post, item)] == [
            ("facteo.item.announced", False),
            (DELIVERED, False),
        ]

    def test_for_an_announcement_that_comes_later(self, aws: Cloud, post: Api, handset: HeldHandset, lost: str) -> None:
        item = an_item()
        sync(handset, handset.event(item=item, data={"step": "at-depot"}))
        found(post, handset, lost)
        assert deliver(tracking, [message["Body"] for message in aws.messages("tracking")]) == []
        assert codes() == []
        made = announced(item, client="999999", reference="R")
        for _ in range(2):
            assert deliver(tracking, [made]) == []
            assert sorted(codes()) == ["AARCFM", "COMCFM"]

    def test_for_a_replay_once(self, aws: Cloud, post: Api, handset: HeldHandset, lost: str, clock: FakeClock) -> None:
        since = clocks.now() - timedelta(hours=1)
        sent = sync(handset, handset.event(item=an_item()))
        found(post, handset, lost)
        aws.messages("tracking")
        clock.advance(hours=2)
        told = list(sweep.replay("tracking", since, since + timedelta(hours=2)))
        assert sum(one.sent for one in told) == 1
        assert released(aws, "tracking") == sent

    def test_for_the_sweeper_where_the_stream_brought_no_marker(
        self, aws: Cloud, post: Api, handset: HeldHandset, lost: str, clock: FakeClock
    ) -> None:
        ProgressRow(sweep.SWEEPER, through=clocks.now()).save()
        sent = sync(handset, handset.event(item=an_item()))
        found(post, handset, lost)
        aws.messages("tracking")
        clock.advance(minutes=20)
        invoke(sweeper, SCHEDULED)
        assert released(aws, "tracking") == sent

    def test_its_marker_is_brought_to_nobody(self, aws: Cloud, post: Api, handset: HeldHandset, lost: str) -> None:
        sync(handset, handset.event(item=ITEM))
        found(post, handset, lost)
        aws.messages("tracking")
        assert invoke(relay, stream_event(*markers(ITEM))) == []
        assert aws.messages("tracking") == []

    def test_the_marker_says_who_found_it_and_is_written_once(self, post: Api, handset: HeldHandset, lost: str) -> None:
        [sent] = sync(handset, handset.event())
        does(post, lost, "found")
        told = releases(handset, lost)
        with overtaken(by=lambda: deliver(readmit, told)):
            assert deliver(readmit, told) == []
        [marker], [event] = markers(ITEM), journal.read(f"item/{ITEM}")
        assert marker.body(events.Released).event == sent
        assert (marker.actor, marker.place, marker.correlationid) == (told[0].actor, event.place, event.correlationid)

    def test_what_was_stamped_by_a_clock_a_little_ahead(
        self, aws: Cloud, post: Api, handset: HeldHandset, lost: str, clock: FakeClock
    ) -> None:
        clock.advance(seconds=40)
        sent = sync(handset, handset.event())
        clock.advance(seconds=-40)
        found(post, handset, lost)
        assert (released(aws, "tracking"), held(handset)) == (sent, [])


def delivery(handset: HeldHandset, item: str) -> dict[str, Any]:
    return handset.event(DELIVERED, item=item, data={"recipient": "addressee"})


def found(post: Api, handset: HeldHandset, lost: str) -> None:
    """The handset is found, and what it sent is released."""
    assert does(post, lost, "found").status < 300
    assert deliver(readmit, releases(handset, lost)) == []


def markers(item: str) -> list[Event]:
    rows = journal.JournalRow.query(f"item/{item}", consistent_read=True)
    return [events.decode(row.event) for row in rows if row.type == events.RELEASED]


def history(post: Api, item: str) -> Any:
    return post.as_staff("auditor").get(f"/v1/items/{item}").body["events"]


def tracked(post: Api, item: str) -> list[str]:
    """The codes that the public is shown, the latest first."""
    answer = post.as_client("tracking.read").get(f"/v1/suivi/{item}")
    assert answer.status == 200, answer.text
    return [one["code"] for one in answer.body["shipment"]["event"]]


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


def test_what_was_told_of_a_door_is_released_too(post: Api, aws: Cloud, handset: HeldHandset, lost: str) -> None:
    entries.two_buildings()
    sent = sync(handset, entries.used(handset))
    does(post, lost, "found")
    assert deliver(readmit, releases(handset, lost)) == []
    assert released(aws, "entries") == sent
