"""The handset hands over against signature, network or not: one act, an event for each item, all or none of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from chalicelib.core import journal
from chalicelib.items.schemas import HandedOver
from handset import acts
from handset.client import Handset, Synced
from handset.outbox import Event
from tests.support.bridge import NO_NETWORK, Bridge
from tests.support.clock import FakeClock
from tests.support.factories import ITEM, an_item
from tests.support.signatures import a_drawing

RECEIVER = {"last_name": "LEFÈVRE", "first_name": "Hélène"}
TEXT = ["Remise contre signature", "Mme Hélène LEFÈVRE"]


def drawn(seed: int) -> dict[str, Any]:
    """A drawing as a pad gives it."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(a_drawing(seed=seed)))
    return found


def hand_over(handset: Handset, clock: FakeClock, *items: str, seed: int = 1, **said: Any) -> list[Event]:
    """A handing over to Hélène Lefèvre, whose screen was open for twenty seconds."""
    drawing = drawn(seed)
    return handset.hand_over(items, RECEIVER, drawing, text=TEXT, opened_at=clock.at - timedelta(seconds=20), **said)


def act_in(event: Event) -> dict[str, Any]:
    """What was signed."""
    payload = event["data"]["act"].split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return found


def test_what_was_handed_over_offline_is_recorded_at_the_next_sync(
    bridge: Bridge, handset: Handset, clock: FakeClock
) -> None:
    offline = Handset(handset.folder, NO_NETWORK, clock)
    items = [ITEM, an_item()]
    sent = hand_over(offline, clock, *items, document="identity-card")
    assert offline.outbox.all() == sent
    offline.outbox.close()

    assert handset.sync() == Synced(recorded=2)

    kept = [event for item in items for event in journal.read(f"item/{item}")]
    assert [event.id for event in kept] == [event["id"] for event in sent]
    assert {(event.body(HandedOver).act, event.body(HandedOver).items) for event in kept} == {
        (act_in(sent[0])["id"], tuple(items))
    }


def test_one_act_is_in_each_event_with_the_drawing(handset: Handset, clock: FakeClock) -> None:
    events = hand_over(handset, clock, ITEM, an_item(), an_item())

    assert len({event["data"]["act"] for event in events}) == 1
    assert len({event["id"] for event in events}) == 3
    assert [event["sequence"] for event in events] == [1, 2, 3]
    assert {acts.name_of(event["data"]["drawing"]) for event in events} == {act_in(events[0])["drawing"]}


def test_the_act_says_what_was_on_the_screen_and_who_received(handset: Handset, clock: FakeClock) -> None:
    [event] = hand_over(handset, clock, ITEM, document="passport", unable_to_sign=True)

    told = act_in(event)
    assert (told["device"], told["items"]) == (handset.enrolment["device"], [ITEM])
    assert (told["procedure"], told["version"]) == ("signature-id", 1)
    assert (told["receiver"], told["document"], told["unable_to_sign"]) == (RECEIVER, "passport", True)
    assert told["shown"] == acts.shown(TEXT)
    opened, signed = (datetime.fromisoformat(told[name]) for name in ("opened_at", "signed_at"))
    assert (signed, signed - opened) == (clock.at, timedelta(seconds=20))


def test_each_act_has_an_id_and_a_nonce_of_its_own(handset: Handset, clock: FakeClock) -> None:
    told = [act_in(hand_over(handset, clock, ITEM, seed=seed)[0]) for seed in (1, 2)]

    assert len({act["id"] for act in told}) == len({act["nonce"] for act in told}) == 2


def test_the_carrier_signs_too_for_somebody_known(bridge: Bridge, handset: Handset, clock: FakeClock) -> None:
    carriers = drawn(9)
    [first] = hand_over(handset, clock, ITEM, document="identity-card")
    earlier = {"item": ITEM, "event": first["id"]}

    [event] = hand_over(
        handset,
        clock,
        an_item(),
        seed=2,
        carrier_drawing=carriers,
        earlier=earlier,
        procedure="signature-known-person",
    )

    assert act_in(event)["carrier_drawing"] == acts.name_of(carriers)
    assert handset.sync() == Synced(recorded=2)


def test_without_a_drawing_it_is_recorded_all_the_same(bridge: Bridge, handset: Handset, clock: FakeClock) -> None:
    [event] = handset.hand_over([ITEM], RECEIVER, None, text=TEXT, opened_at=clock.at)

    assert act_in(event)["drawing"] is None
    assert handset.sync() == Synced(recorded=1)


class Dies(Exception):  # noqa: N818
    """The handset was killed."""


def dying(clock: FakeClock, after: int) -> Iterator[datetime]:
    """The clock of a handset that is killed when it looks at it the next time after so many."""
    for _ in range(after):
        yield clock.at
    raise Dies


def test_of_one_signature_all_events_are_kept_or_none(handset: Handset, clock: FakeClock) -> None:
    handset.outbox.close()
    items, looks = [ITEM, an_item(), an_item()], 0
    while True:
        times = dying(clock, after=looks)
        killed = Handset(handset.folder, NO_NETWORK, lambda times=times: next(times))  # type: ignore[misc]
        try:
            hand_over(killed, clock, *items)
            break
        except Dies:
            killed.outbox.close()
            again = Handset(handset.folder, NO_NETWORK, clock)
            assert again.outbox.all() == []
            again.outbox.close()
        looks += 1

    assert looks > len(items), "it was killed between the events, too"
    assert [event["sequence"] for event in killed.outbox.all()] == [1, 2, 3]
