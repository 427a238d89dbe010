"""A handing over, killed everywhere on its way to a proof, and a proof killed while it is read."""

from __future__ import annotations

from typing import Any

from chalicelib.core import journal
from chalicelib.core.events import Event
from chalicelib.judging.workers import judging
from chalicelib.signatures import rules
from tests.support.acts import HOLDER, RegisteredPost, a_hand_over, an_act
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.crashes import Everywhere, Scenario
from tests.support.events import announced, deliver
from tests.support.factories import HeldHandset, a_handset, an_item
from tests.support.signatures import a_drawing


def test_one_signature_for_two_items(api: Api, everywhere: Everywhere) -> None:
    post = RegisteredPost(api)

    def arrange() -> tuple[HeldHandset, list[dict[str, Any]]]:
        items, handset = [post.item(), post.item()], post.handset
        drawing = a_drawing(seed=400_000 + handset.sequence)
        act = an_act(handset, *items, drawing=drawing)
        return handset, [a_hand_over(handset, item, act=act, drawing=drawing) for item in items]

    def send(given: tuple[HeldHandset, list[dict[str, Any]]]) -> None:
        handset, events = given
        assert handset.sync(*events).status == 200

    everywhere(Scenario("hand over", arrange, send))


def test_judging(api: Api, everywhere: Everywhere) -> None:
    post = RegisteredPost(api)

    def arrange() -> list[Event]:
        item = post.item()
        sent = a_hand_over(post.handset, item)
        assert post.handset.sync(sent).body["results"][0]["result"] == "recorded"
        return journal.read_many([(f"item/{item}", sent["id"])])

    def judge(events: list[Event]) -> None:
        assert deliver(judging, events) == []

    everywhere(Scenario("judging", arrange, judge))


def test_judging_again(api: Api, everywhere: Everywhere, clock: FakeClock) -> None:
    """By a one-off proxy that had been taken back: its use and the revocation are noted once."""
    post = RegisteredPost(api)

    def arrange() -> list[Event]:
        item = an_item()
        proxy = post.proxy(clock, kind="one-off", item=item, end="2026-12-10")
        post.revoke(proxy)
        clock.advance(minutes=1)
        post.hand_over(item, **post.act(item, receiver=HOLDER | {"capacity": "holder", "proxy": proxy}))
        clock.advance(minutes=1)
        return [announced(item, recommendation="R1")]

    def judge(facts: list[Event]) -> None:
        assert deliver(judging, facts) == []

    everywhere(Scenario("judging again", arrange, judge))


def test_a_drawing_that_came_again(api: Api, everywhere: Everywhere) -> None:
    """On an act of three items: one that was judged and whose entry waits, one that was judged, one that was not."""
    post, other = RegisteredPost(api), a_handset(api)

    def arrange() -> list[Event]:
        items, drawing = [an_item(), post.item(), post.item()], a_drawing(seed=700_001)
        act = an_act(post.handset, *items, drawing=drawing)
        events = [post.handed_over(item, act=act, drawing=drawing) for item in items]
        assert deliver(judging, events[:2]) == []
        other.sync(a_hand_over(other, an_item(), drawing=drawing))
        return journal.read(rules.act_subject(act["id"]))

    def judge(alarms: list[Event]) -> None:
        assert deliver(judging, alarms) == []

    everywhere(Scenario("drawing reused", arrange, judge))


def test_dealing_with_what_was_raised(api: Api, everywhere: Everywhere) -> None:
    post, manager = RegisteredPost(api), api.as_staff("depot-manager", sub="manager-1")

    def arrange() -> str:
        post.hand_over(an_item())
        [entry] = manager.get("/v1/depots/75015A/attention").body["entries"]
        return str(entry["id"])

    def handle(entry: str) -> None:
        body = {"note": "asked the carrier"}
        assert manager.post(f"/v1/depots/75015A/attention/{entry}/handling", body).status == 200

    everywhere(Scenario("attention, handling", arrange, handle))
