"""Judging again: what a proof lacked comes late, its drawing comes again, or somebody declares it wrong."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec
import pytest

from chalicelib.attention.tables import AttentionRow
from chalicelib.core import clock as clocks
from chalicelib.core import journal
from chalicelib.core.access import DeviceState
from chalicelib.core.events import Event
from chalicelib.judging.workers import judging
from chalicelib.signatures import rules
from chalicelib.signatures.schemas import Mention
from chalicelib.signatures.tables import ProofRow
from handset import acts
from tests.support.acts import (
    CLIENT,
    HOLDER,
    RECEIVER,
    RegisteredPost,
    a_hand_over,
    an_act,
    judged,
    judgements,
)
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.events import an_item_event, announced, deliver, recorded, sqs_event
from tests.support.factories import a_handset, an_addressee, an_item
from tests.support.races import contended, overtaken
from tests.support.signatures import a_drawing


@pytest.fixture
def post(api: Api) -> RegisteredPost:
    return RegisteredPost(api)


def entries() -> list[tuple[str, str, str]]:
    """The work list of the depot: subject, missing, flags."""
    return [(row.subject, row.missing, row.flags) for row in AttentionRow.query("75015A")]


def taken_in_charge(item: str, at: datetime | None = None) -> Event:
    """The scan of an item as it was taken in charge, by default yesterday, which is synced now."""
    [event] = recorded(an_item_event(item=item, at=at or clocks.now() - timedelta(days=1)))
    return event


def correction(post: RegisteredPost, event: Event) -> Event:
    """Carrier support says that the event did not happen."""
    path = f"/v1/items/{event.subject.removeprefix('item/')}/corrections"
    body = {"corrects": event.id, "reason": "wrong item"}
    assert post.api.as_staff("carrier-support").post(path, body).status == 201
    [made] = [one for one in journal.read(event.subject) if one.type == "facteo.item.corrected"]
    return made


def handled(post: RegisteredPost) -> None:
    """The depot's manager deals with what is on the list."""
    manager = post.api.as_staff("depot-manager")
    [entry] = manager.get("/v1/depots/75015A/attention").body["entries"]
    body = {"note": "asked the carrier"}
    assert manager.post(f"/v1/depots/75015A/attention/{entry['id']}/handling", body).status == 200


class TestLateFacts:
    def test_an_announcement_and_a_scan_that_come_after_the_delivery(
        self, post: RegisteredPost, clock: FakeClock
    ) -> None:
        item = an_item()
        event = post.hand_over(item)
        clock.advance(minutes=5)

        assert deliver(judging, [announced(item, recommendation="R1")]) == []
        assert (set(judgements(event)[-1].missing), judgements(event)[-1].flags) == ({Mention.DEPOSIT_DATE}, ())
        assert entries() == [(f"proof/{event.id}", "deposit-date", "")]
        assert deliver(judging, [taken_in_charge(item)]) == []

        last = judgements(event)[-1]
        assert [one.revision for one in judgements(event)] == [1, 2, 3]
        assert (last.missing, last.guarantee_level, last.price_cents) == ((), "R1", 654)
        assert last.deposited_on == date(2026, 11, 22)
        row = ProofRow.get(event.id)
        assert (row.missing, row.flags) == ("", "")
        assert entries() == []

    def test_what_was_known_at_the_delivery_stays_as_it_was(self, post: RegisteredPost, clock: FakeClock) -> None:
        item = an_item()
        announced(item, recommendation="R1")
        event = post.hand_over(item)
        clock.advance(days=30)
        products = [{"product": "9V", "price_cents": 999}]
        assert post.api.as_staff("ops").put("/v1/clients/999999", CLIENT | {"products": products}).status == 200
        announced(item, recommendation="R1", addressee=an_addressee(street="99 AVENUE FOCH"))

        assert deliver(judging, [taken_in_charge(item, at=event.time)]) == []

        before, after = judgements(event)
        assert (before.missing, after.missing) == ((Mention.DEPOSIT_DATE,), ())
        assert (after.price_cents, after.addressee) == (654, before.addressee)

    def test_a_late_announcement_may_show_that_somebody_else_received(self, post: RegisteredPost) -> None:
        item = an_item()
        event = post.hand_over(item, **post.act(item, receiver=RECEIVER | {"last_name": "DURAND"}))

        assert deliver(judging, [announced(item, recommendation="R1")]) == []

        assert judgements(event)[-1].flags == ("receiver-is-not-addressee",)
        assert entries() == [(f"proof/{event.id}", "deposit-date", "receiver-is-not-addressee")]

    def test_whoever_was_known_at_the_delivery_is_known_though_the_earlier_proof_is_gone(
        self, post: RegisteredPost, clock: FakeClock
    ) -> None:
        earlier, item, carrier = post.hand_over(post.item()), an_item(), a_drawing(seed=500_002)
        clock.advance(days=364)
        announced(item, recommendation="R1")
        act = post.act(
            item,
            procedure="signature-known-person",
            document=None,
            earlier={"item": earlier.subject.removeprefix("item/"), "event": earlier.id},
            carrier_drawing=acts.name_of(msgspec.to_builtins(carrier)),
        )
        event = post.hand_over(item, **act, carrier_drawing=carrier)
        clock.advance(days=3)

        assert deliver(judging, [taken_in_charge(item, at=event.time)]) == []

        assert [one.missing for one in judgements(event)] == [(Mention.DEPOSIT_DATE,), ()]

    def test_what_comes_half_a_year_later_is_about_another_item(self, post: RegisteredPost, clock: FakeClock) -> None:
        item = an_item()
        event = post.hand_over(item)
        clock.advance(days=181)

        assert deliver(judging, [announced(item), taken_in_charge(item)]) == []

        assert judged(event)

    def test_a_complete_proof_is_left_alone(self, post: RegisteredPost, aws: Cloud) -> None:
        item = post.item()
        event = post.hand_over(item)
        fact = announced(item, deposit_slip="9")
        with aws.counting() as calls:
            assert deliver(judging, [fact]) == []
        assert calls == {"Query": 2, "GetItem": 1}

        assert judged(event)

    def test_an_item_that_was_not_handed_over_costs_one_query(self, aws: Cloud) -> None:
        scan = taken_in_charge(an_item())
        with aws.counting() as calls:
            assert deliver(judging, [scan]) == []

        assert calls == {"Query": 1}

    def test_the_same_again_changes_nothing(self, post: RegisteredPost) -> None:
        item = an_item()
        event = post.hand_over(item)
        scan = taken_in_charge(item)

        assert deliver(judging, [scan, scan, event]) == []

        assert [one.revision for one in judgements(event)] == [1, 2]

    def test_two_workers_at_once(self, post: RegisteredPost) -> None:
        for racing in (overtaken, contended):
            item = an_item()
            event = post.hand_over(item)
            announcement, scan = announced(item, recommendation="R1"), taken_in_charge(item)

            with racing(by=lambda scan=scan: deliver(judging, [scan])):
                assert deliver(judging, [announcement]) == []

            assert [set(one.missing) for one in judgements(event)[1:]] == [set()]

    def test_a_fact_that_comes_while_the_proof_is_judged(self, post: RegisteredPost) -> None:
        """The first run has read the journal without the scan: neither may be lost."""
        item = an_item()
        announced(item, recommendation="R1")
        event = post.handed_over(item)

        with overtaken(by=lambda: deliver(judging, [taken_in_charge(item)])):
            assert deliver(judging, [event]) == []

        assert judgements(event)[-1].missing == ()

    def test_one_of_a_handset_that_was_reported_lost_waits(self, post: RegisteredPost) -> None:
        item, lost = an_item(), a_handset(post.api, state=DeviceState.QUARANTINED)
        event = post.handed_over(item, lost)
        scan = taken_in_charge(item)

        assert deliver(judging, [scan]) == []
        assert judgements(event) == []
        assert deliver(judging, [event]) == []
        assert judged(event).deposited_on == date(2026, 11, 22)


class TestProxies:
    def test_a_use_is_noted_once_and_a_revocation_told_once(self, post: RegisteredPost, clock: FakeClock) -> None:
        item = an_item()
        proxy = post.proxy(clock, kind="one-off", item=item, end="2026-12-10")
        post.revoke(proxy)
        clock.advance(minutes=1)
        receiver = HOLDER | {"capacity": "holder", "proxy": proxy}
        event = post.hand_over(item, **post.act(item, receiver=receiver))
        clock.advance(minutes=1)

        assert deliver(judging, [announced(item, recommendation="R1"), taken_in_charge(item)]) == []

        assert [one.flags for one in judgements(event)] == [
            ("item-unknown", "proxy-revoked-unknown-to-device"),
            ("proxy-revoked-unknown-to-device",),
        ]
        types = [one.type for one in (*journal.read(f"proxy/{proxy['id']}"), *journal.read(event.subject))]
        assert (types.count("facteo.proxy.used"), types.count("facteo.proxy.used-after-revocation")) == (1, 1)


class TestWhoHasSeenIt:
    """What somebody has dealt with comes back only with a word that is new."""

    def test_less_is_missing_than_was_seen(self, post: RegisteredPost) -> None:
        item = an_item()
        event = post.hand_over(item)
        handled(post)

        assert deliver(judging, [announced(item, recommendation="R1")]) == []

        assert (len(judgements(event)), entries()) == (2, [])

    def test_something_new_is_to_be_seen(self, post: RegisteredPost) -> None:
        item = an_item()
        event = post.hand_over(item, **post.act(item, receiver=RECEIVER | {"last_name": "DURAND"}))
        handled(post)

        assert deliver(judging, [announced(item, recommendation="R1")]) == []

        assert entries() == [(f"proof/{event.id}", "deposit-date", "receiver-is-not-addressee")]

    def test_somebody_deals_with_it_while_it_is_judged_again(self, post: RegisteredPost) -> None:
        item = an_item()
        event = post.hand_over(item)
        announcement = announced(item, recommendation="R1")

        with overtaken(by=lambda: handled(post)):
            assert judging(sqs_event(announcement), None) == {"batchItemFailures": []}

        assert (len(judgements(event)), entries()) == (2, [])


class TestDrawingReused:
    """The alarm marks every proof of the act that had the drawing first, judged or not."""

    def two_items(self, post: RegisteredPost) -> tuple[list[Event], Event]:
        """One act of two items, which nobody has judged, and the alarm that its drawing raised."""
        drawing, items, other = a_drawing(seed=600_000), [post.item(), post.item()], a_handset(post.api)
        act = an_act(post.handset, *items, drawing=drawing)
        first = [post.handed_over(item, act=act, drawing=drawing) for item in items]
        assert other.sync(a_hand_over(other, an_item(), drawing=drawing)).body["results"][0]["result"] == "refused"
        [alarm] = journal.read(rules.act_subject(act["id"]))
        return first, alarm

    @pytest.mark.parametrize("order", ["proofs first", "alarm first", "alarm in between"])
    def test_in_any_order(self, post: RegisteredPost, order: str) -> None:
        [one, two], alarm = self.two_items(post)
        messages = {
            "proofs first": [one, two, alarm],
            "alarm first": [alarm, one, two],
            "alarm in between": [one, alarm, two],
        }

        for message in (*messages[order], alarm):
            assert deliver(judging, [message]) == []

        for event in (one, two):
            assert (judgements(event)[-1].flags, ProofRow.get(event.id).flags) == (
                ("drawing-reused",),
                "drawing-reused",
            )
            assert len(judgements(event)) == 1
        assert sorted(entries()) == sorted((f"proof/{event.id}", "", "drawing-reused") for event in (one, two))

    def test_a_proof_that_was_judged_before_the_alarm_is_judged_anew(self, post: RegisteredPost) -> None:
        drawing, item, other = a_drawing(seed=600_001), post.item(), a_handset(post.api)
        event = post.hand_over(item, act=(act := an_act(post.handset, item, drawing=drawing)), drawing=drawing)
        assert entries() == []
        other.sync(a_hand_over(other, an_item(), drawing=drawing))
        [alarm] = journal.read(rules.act_subject(act["id"]))

        assert deliver(judging, [alarm, alarm]) == []

        assert [one.flags for one in judgements(event)] == [(), ("drawing-reused",)]
        assert entries() == [(f"proof/{event.id}", "", "drawing-reused")]

    def test_alarm_and_judging_at_once(self, post: RegisteredPost) -> None:
        [one, two], alarm = self.two_items(post)

        with overtaken(by=lambda: deliver(judging, [alarm])):
            assert deliver(judging, [one]) == []

        assert [len(judgements(event)) for event in (one, two)] == [1, 1]
        assert judged(one).flags == ("drawing-reused",)

    def test_after_a_year_the_flag_still_comes_to_the_proof(self, post: RegisteredPost, clock: FakeClock) -> None:
        drawing, item, other = a_drawing(seed=600_002), post.item(), a_handset(post.api)
        event = post.hand_over(item, act=(act := an_act(post.handset, item, drawing=drawing)), drawing=drawing)
        clock.advance(days=400)
        other.sync(a_hand_over(other, an_item(), drawing=drawing))
        [alarm] = journal.read(rules.act_subject(act["id"]))

        assert deliver(judging, [alarm]) == []

        assert ProofRow.get(event.id).flags == "drawing-reused"


class TestCorrections:
    def test_a_handing_over_that_was_declared_wrong_is_flagged(self, post: RegisteredPost) -> None:
        event = post.hand_over(post.item())

        told = correction(post, event)
        assert deliver(judging, [told, told]) == []

        assert [one.flags for one in judgements(event)] == [(), ("hand-over-corrected",)]
        assert entries() == [(f"proof/{event.id}", "", "hand-over-corrected")]

    def test_one_that_was_declared_wrong_before_it_was_judged(self, post: RegisteredPost) -> None:
        event = post.handed_over(post.item())

        for message in (correction(post, event), event):
            assert deliver(judging, [message]) == []

        assert judged(event).flags == ("hand-over-corrected",)

    def test_a_correction_of_anything_else_leaves_the_proof(self, post: RegisteredPost) -> None:
        item = post.item()
        event = post.hand_over(item)
        [scan] = [one for one in journal.read(event.subject) if one.type == "facteo.item.scanned"]

        assert deliver(judging, [correction(post, scan)]) == []

        assert judged(event).flags == ()
