"""A handing over, killed everywhere on its way to a proof, and a proof killed while it is read."""

from __future__ import annotations

from typing import Any

from chalicelib.core import journal
from chalicelib.core.events import Event
from chalicelib.judging.workers import judging
from tests.support.acts import RegisteredPost, a_hand_over, an_act
from tests.support.api import Api
from tests.support.crashes import Everywhere, Scenario
from tests.support.events import deliver
from tests.support.factories import HeldHandset
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
