"""Judging: what a proof lacks by the article of its procedure, what is flagged, and that it is done once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from chalicelib.attention.tables import AttentionRow
from chalicelib.core import clock as clocks
from chalicelib.core import events, ids, journal
from chalicelib.core.access import AccessRow, DeviceState
from chalicelib.core.events import Event
from chalicelib.judging.workers import judging
from chalicelib.signatures.schemas import Mention
from chalicelib.signatures.tables import ProofRow
from handset import acts
from tests.support.acts import CLIENT, HOLDER, RECEIVER, RegisteredPost, a_hand_over, an_act, judged
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.events import an_item_event, deliver, recorded
from tests.support.factories import a_handset, an_addressee, an_item
from tests.support.races import overtaken
from tests.support.signatures import a_drawing


@pytest.fixture
def post(api: Api) -> RegisteredPost:
    return RegisteredPost(api)


def missing(event: Event) -> set[Mention]:
    return set(judged(event).missing)


class TestMentions:
    def test_a_complete_proof_of_article_4(self, post: RegisteredPost) -> None:
        event = post.hand_over(post.item())

        assert (missing(event), judged(event).flags) == (set(), ())
        row = ProofRow.get(event.id)
        assert (row.missing, row.flags) == ("", "")
        assert list(AttentionRow.scan()) == []

    def test_what_it_says_comes_from_the_client_and_from_the_taking_in_charge(
        self, post: RegisteredPost, clock: FakeClock
    ) -> None:
        item = post.item()
        clock.advance(days=2)

        found = judged(post.hand_over(item))

        assert found.sender is not None
        assert (found.sender.name, found.price_cents, found.guarantee_level) == ("Vent d'Ouest SARL", 654, "R1")
        assert found.deposited_on == date(2026, 11, 23)
        assert "LEF" not in str(found)

    @pytest.mark.parametrize(
        ("changes", "lacks"),
        [
            ({"document": None}, Mention.DOCUMENT),
            ({"receiver": None}, Mention.RECEIVER_NAME),
            ({"receiver": RECEIVER | {"capacity": "holder"}}, Mention.CAPACITY),
        ],
    )
    def test_what_the_act_lacks(self, post: RegisteredPost, changes: dict[str, Any], lacks: Mention) -> None:
        item = post.item()
        event = post.hand_over(item, **post.act(item, **changes))

        assert lacks in missing(event)
        [entry] = AttentionRow.query("75015A")
        assert (entry.subject, lacks in entry.missing.split()) == (f"proof/{event.id}", True)

    def test_without_a_drawing_the_signature_is_missing(self, post: RegisteredPost) -> None:
        item = post.item()
        act = an_act(post.handset, item)
        sent = a_hand_over(post.handset, item, act=act)
        sent["data"]["drawing"] = None
        post.handset.sync(sent)
        [event] = journal.read_many([(f"item/{item}", sent["id"])])
        deliver(judging, [event])

        assert missing(event) == {Mention.SIGNATURE}

    def test_an_item_that_nobody_announced_lacks_what_its_sender_states(self, post: RegisteredPost) -> None:
        event = post.hand_over(an_item())

        assert missing(event) == {Mention.SENDER, Mention.ADDRESSEE, Mention.DEPOSIT_DATE, Mention.PRICE}
        assert judged(event).flags == ("item-unknown",)

    def test_a_client_without_a_price_for_the_product(self, post: RegisteredPost) -> None:
        post.api.as_staff("ops").put("/v1/clients/999999", CLIENT | {"products": []})

        assert missing(post.hand_over(post.item())) == {Mention.PRICE}

    def test_a_withdrawal_needs_the_day_of_presentation(self, post: RegisteredPost) -> None:
        item = post.item()
        event = post.hand_over(item, **post.act(item, procedure="withdrawal"))

        assert missing(event) == {Mention.PRESENTATION_DATE}

    def test_a_withdrawal_after_a_notice(self, post: RegisteredPost, clock: FakeClock) -> None:
        item = post.item()
        recorded(an_item_event("facteo.item.not-delivered", item=item))
        clock.advance(days=3)

        event = post.hand_over(item, **post.act(item, procedure="withdrawal"))

        assert missing(event) == set()
        assert judged(event).presented_on == date(2026, 11, 23)


class TestKnownPerson:
    """Article 4-1: the same person, the same carrier, the same address, and the carrier's own signature."""

    def known(self, post: RegisteredPost, earlier: Event, **changes: Any) -> Event:
        item = changes.pop("item", None) or post.item()
        drawing, carrier = a_drawing(seed=200_001), a_drawing(seed=200_002)
        act = an_act(
            post.handset,
            item,
            drawing=drawing,
            procedure="signature-known-person",
            document=None,
            earlier={"item": earlier.subject.removeprefix("item/"), "event": earlier.id},
        )
        act["carrier_drawing"] = acts.name_of(msgspec.to_builtins(carrier))
        handset = changes.pop("handset", None)
        return post.hand_over(item, handset, act=act | changes, drawing=drawing, carrier_drawing=carrier)

    def test_whoever_showed_a_document_here_before_needs_none(self, post: RegisteredPost, clock: FakeClock) -> None:
        earlier = post.hand_over(post.item())
        clock.advance(days=30)

        assert (missing(event := self.known(post, earlier)), judged(event).flags) == (set(), ())

    def test_another_person(self, post: RegisteredPost, clock: FakeClock) -> None:
        earlier = post.hand_over(post.item())
        clock.advance(days=1)

        event = self.known(post, earlier, receiver=RECEIVER | {"first_name": "Marie"})
        assert missing(event) == {Mention.EARLIER_PROOF}
        assert judged(event).flags == ("receiver-is-not-addressee", "earlier-proof-not-found")

    def test_a_withdrawal_at_the_office_shows_nobody_at_the_address(
        self, post: RegisteredPost, clock: FakeClock
    ) -> None:
        item = post.item()
        recorded(an_item_event("facteo.item.not-delivered", item=item))
        earlier = post.hand_over(item, **post.act(item, procedure="withdrawal"))
        clock.advance(days=1)

        assert missing(self.known(post, earlier)) == {Mention.EARLIER_PROOF}

    @pytest.mark.parametrize(("released", "flags"), [(False, ("earlier-proof-not-found",)), (True, ())])
    def test_an_earlier_delivery_that_is_held_shows_nobody_before_it_is_released(
        self, post: RegisteredPost, clock: FakeClock, *, released: bool, flags: tuple[str, ...]
    ) -> None:
        row = post.handset.row
        row.update(actions=[AccessRow.state.set(DeviceState.QUARANTINED)])
        earlier = post.handed_over(post.item())
        row.update(actions=[AccessRow.state.set(DeviceState.ENROLLED)])
        clock.advance(days=30)
        if released:
            recorded(events.release(earlier, actor="staff/S1"))

        assert judged(self.known(post, earlier)).flags == flags

    def test_an_earlier_delivery_that_did_not_happen(self, post: RegisteredPost, clock: FakeClock) -> None:
        earlier = post.hand_over(post.item())
        body = {"corrects": earlier.id, "reason": "wrong item"}
        path = f"/v1/items/{earlier.subject.removeprefix('item/')}/corrections"
        assert post.api.as_staff("carrier-support").post(path, body).status == 201
        clock.advance(days=1)

        assert missing(self.known(post, earlier)) == {Mention.EARLIER_PROOF}

    def test_another_address(self, post: RegisteredPost, clock: FakeClock) -> None:
        earlier = post.hand_over(post.item(addressee=an_addressee(street="14 RUE DE LA PAIX")))
        clock.advance(days=1)
        assert missing(self.known(post, earlier)) == {Mention.EARLIER_PROOF}

    def test_another_carrier(self, post: RegisteredPost, api: Api, clock: FakeClock) -> None:
        other = a_handset(api, carrier="C1002")
        item = post.item()
        earlier = post.hand_over(item, other)
        clock.advance(days=1)

        assert missing(self.known(post, earlier)) == {Mention.EARLIER_PROOF}

    def test_an_earlier_delivery_without_a_document(self, post: RegisteredPost, clock: FakeClock) -> None:
        item = post.item()
        earlier = post.hand_over(item, **post.act(item, document=None))
        clock.advance(days=1)

        assert missing(self.known(post, earlier)) == {Mention.EARLIER_PROOF}

    def test_an_earlier_proof_that_has_been_erased(self, post: RegisteredPost, clock: FakeClock) -> None:
        earlier = post.hand_over(post.item())
        clock.advance(days=367)

        assert missing(self.known(post, earlier)) >= {Mention.EARLIER_PROOF}


class TestFlags:
    def test_a_second_delivery(self, post: RegisteredPost, clock: FakeClock) -> None:
        item = post.item()
        post.hand_over(item)
        clock.advance(minutes=5)

        assert judged(post.hand_over(item)).flags == ("already-delivered",)

    def test_two_handsets_that_deliver_the_same_item(self, post: RegisteredPost, api: Api, clock: FakeClock) -> None:
        item, other = post.item(), a_handset(api, carrier="C1002")
        first = post.hand_over(item)
        clock.advance(minutes=1)
        second = post.hand_over(item, other)

        assert [judged(first).flags, judged(second).flags] == [(), ("already-delivered",)]

    def test_whoever_syncs_first_the_second_judged_is_flagged(
        self, post: RegisteredPost, api: Api, clock: FakeClock
    ) -> None:
        item, other = post.item(), a_handset(api, carrier="C1002")
        early = a_hand_over(other, item)
        clock.advance(minutes=5)
        late = post.hand_over(item)
        other.sync(early)
        [event] = journal.read_many([(f"item/{item}", early["id"])])
        deliver(judging, [event])

        assert [judged(late).flags, judged(event).flags] == [(), ("already-delivered",)]

    def test_a_delivery_that_was_declared_wrong_is_none(self, post: RegisteredPost, clock: FakeClock) -> None:
        item = post.item()
        first = post.hand_over(item)
        body = {"corrects": first.id, "reason": "wrong item"}
        path = f"/v1/items/{item}/corrections"
        assert post.api.as_staff("carrier-support").post(path, body).status == 201
        clock.advance(minutes=5)

        assert judged(post.hand_over(item)).flags == ()

    def test_an_act_that_was_signed_long_before(self, post: RegisteredPost, clock: FakeClock) -> None:
        item = post.item()
        given = post.act(item)
        clock.advance(days=40)

        assert judged(post.hand_over(item, **given)).flags == ("signed-at-another-time",)

    def test_a_clock_that_was_off_is_seen_on_the_proof(self, post: RegisteredPost) -> None:
        item = post.item()
        wrong = clocks.now() + timedelta(days=3)
        flags = judged(post.hand_over(item, at=wrong)).flags
        assert {"clock-off", "day-changed"} & set(flags)

    def test_somebody_of_another_name(self, post: RegisteredPost) -> None:
        item = post.item()
        stranger = RECEIVER | {"last_name": "DURAND", "first_name": "Paul"}

        assert judged(post.hand_over(item, **post.act(item, receiver=stranger))).flags == ("receiver-is-not-addressee",)

    def test_a_carrier_of_another_depot(self, post: RegisteredPost) -> None:
        item = post.item()
        recorded(an_item_event(item=item, data={"step": "at-depot"}, place="depot/75018A"))

        assert judged(post.hand_over(item)).flags == ("other-depot",)

    @pytest.mark.parametrize(
        ("changes", "flag"),
        [
            ({"procedure": "handshake"}, "procedure-unknown"),
            ({"procedure": "carrier-attestation"}, "procedure-not-in-force"),
            ({"opened_at": "2026-11-23T06:59:59.900+00:00"}, "drawn-outside-the-screen"),
            ({"unable_to_sign": True}, "mark-attested-by-carrier"),
            ({"receiver": RECEIVER | {"capacity": "holder"}}, "proxy-not-named"),
        ],
    )
    def test_what_the_act_says(self, post: RegisteredPost, changes: dict[str, Any], flag: str) -> None:
        item = post.item()
        assert flag in judged(post.hand_over(item, **post.act(item, **changes))).flags


class TestOnce:
    def test_a_repeat_changes_nothing(self, post: RegisteredPost) -> None:
        event = post.hand_over(post.item())

        assert deliver(judging, [event, event]) == []
        assert judged(event)

    def test_two_workers_at_once(self, post: RegisteredPost) -> None:
        event = post.handed_over(post.item())

        with overtaken(by=lambda: deliver(judging, [event])):
            assert deliver(judging, [event]) == []
        assert judged(event)

    def test_a_proof_whose_key_is_gone_is_not_put_together(self, post: RegisteredPost, clock: FakeClock) -> None:
        event = post.handed_over(post.item())
        clock.advance(days=367)

        assert deliver(judging, [event]) == []
        assert list(ProofRow.scan()) == []


class TestProxies:
    """Two times: what was valid when it was handed over, and what the handset knew."""

    def deliver(self, post: RegisteredPost, proxy: dict[str, Any], item: str = "", **changes: Any) -> Event:
        item = item or post.item()
        receiver = HOLDER | {"capacity": "holder", "proxy": proxy} | changes
        return post.hand_over(item, **post.act(item, receiver=receiver))

    def test_a_valid_proxy_makes_a_complete_proof(self, post: RegisteredPost, clock: FakeClock) -> None:
        event = self.deliver(post, post.proxy(clock))

        assert (missing(event), judged(event).flags) == (set(), ())

    def test_revoked_while_the_handset_was_offline(self, post: RegisteredPost, clock: FakeClock) -> None:
        proxy = post.proxy(clock)
        post.revoke(proxy)
        clock.advance(minutes=1)

        event = self.deliver(post, proxy)

        assert judged(event).flags == ("proxy-revoked-unknown-to-device",)
        told = [one for one in journal.read(event.subject) if one.type == "facteo.proxy.used-after-revocation"]
        assert [one.place for one in told] == ["depot/75015A"]

    def test_revoked_and_the_handset_knew(self, post: RegisteredPost, clock: FakeClock) -> None:
        proxy = post.proxy(clock)
        post.revoke(proxy)
        clock.advance(minutes=1)

        event = self.deliver(post, proxy | {"revision": proxy["revision"] + 1})
        assert judged(event).flags == ("proxy-invalid",)

    def test_revoked_after_the_delivery(self, post: RegisteredPost, clock: FakeClock) -> None:
        proxy, item = post.proxy(clock), post.item()
        receiver = HOLDER | {"capacity": "holder", "proxy": proxy}
        sent = a_hand_over(post.handset, item, **post.act(item, receiver=receiver))
        clock.advance(minutes=1)
        post.revoke(proxy)
        clock.advance(hours=2)

        post.handset.sync(sent)
        [event] = journal.read_many([(f"item/{item}", sent["id"])])
        deliver(judging, [event])
        assert judged(event).flags == ()

    def test_somebody_else_at_the_door(self, post: RegisteredPost, clock: FakeClock) -> None:
        event = self.deliver(post, post.proxy(clock), last_name="Durand", first_name="Paul")

        assert judged(event).flags == ("holder-not-named",)

    @pytest.mark.parametrize(
        "changes",
        [
            {"principal": {"last_name": "Martin", "first_name": "Paul"}},
            {"address": {"street": "99 AVENUE FOCH", "postcode": "69006", "town": "LYON"}},
        ],
    )
    def test_a_proxy_of_somebody_else(self, post: RegisteredPost, clock: FakeClock, changes: dict[str, Any]) -> None:
        event = self.deliver(post, post.proxy(clock, **changes))

        assert judged(event).flags == ("proxy-of-another-principal",)
        assert missing(event) == {Mention.CAPACITY}

    def test_a_stranger_does_not_use_a_one_off_proxy_up(self, post: RegisteredPost, clock: FakeClock) -> None:
        item = post.item()
        proxy = post.proxy(clock, kind="one-off", item=item, end="2026-12-10")
        self.deliver(post, proxy, last_name="Durand", first_name="Paul")
        self.deliver(post, proxy, capacity="addressee")

        assert post.api.as_staff("carrier-support").get(f"/v1/proxies/{proxy['id']}").body["state"] == "active"

    def test_a_proxy_that_does_not_exist(self, post: RegisteredPost) -> None:
        event = self.deliver(post, {"id": ids.new(), "revision": 1})

        assert judged(event).flags == ("proxy-unknown",)

    @pytest.mark.parametrize(("revoked", "lacks"), [(False, set()), (True, {Mention.EARLIER_PROOF})])
    def test_a_known_holder_needs_a_mandate_that_is_still_valid(
        self, post: RegisteredPost, clock: FakeClock, revoked: bool, lacks: set[Mention]
    ) -> None:
        proxy = post.proxy(clock)
        earlier = self.deliver(post, proxy)
        if revoked:
            post.revoke(proxy)
        clock.advance(minutes=5)
        item, carrier, unheard_of = post.item(), a_drawing(seed=500_001), proxy | {"revision": 1}
        act = post.act(
            item,
            receiver=HOLDER | {"capacity": "holder", "proxy": proxy if revoked else unheard_of},
            procedure="signature-known-person",
            document=None,
            earlier={"item": earlier.subject.removeprefix("item/"), "event": earlier.id},
            carrier_drawing=acts.name_of(msgspec.to_builtins(carrier)),
        )

        assert missing(post.hand_over(item, **act, carrier_drawing=carrier)) == lacks

    def test_a_one_off_proxy_used_twice_offline(self, post: RegisteredPost, api: Api, clock: FakeClock) -> None:
        item, other = post.item(), a_handset(api, carrier="C1002")
        proxy = post.proxy(clock, kind="one-off", item=item, end="2026-12-10")
        first = self.deliver(post, proxy, item)
        clock.advance(minutes=1)
        act = post.act(item, receiver=HOLDER | {"capacity": "holder", "proxy": proxy}, device=other.device)
        second = post.hand_over(item, other, **act)

        assert judged(first).flags == ()
        assert "proxy-already-used" in judged(second).flags
