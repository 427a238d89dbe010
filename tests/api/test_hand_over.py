"""Handing over against signature: the act as evidence, sealed, and nobody else's."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from chalicelib.core import clock as clocks
from chalicelib.core import events, journal, keyring
from chalicelib.core.events import Event
from chalicelib.core.journal import EventIdRow
from chalicelib.core.keyring import KeyRow
from chalicelib.items import rules as item_rules
from chalicelib.items.schemas import HandedOver, Status
from chalicelib.signatures import rules
from chalicelib.signatures.schemas import DrawingReused, SignedAct
from chalicelib.sync.schemas import RefusedEvent, SentEvent
from handset import acts
from handset.signing import HandsetKey
from tests.support.acts import a_hand_over, an_act
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.factories import ITEM, HeldHandset, a_handset, an_item
from tests.support.races import overtaken
from tests.support.signatures import a_drawing, a_line


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


def told(answer: Any) -> list[str]:
    """The result of each event, or the problem with which it was refused."""
    results = answer.body["results"]
    return [(one["problem"] or {"type": one["result"]})["type"].removeprefix("/problems/") for one in results]


def events_of(item: str = ITEM) -> list[Event]:
    return journal.read(f"item/{item}")


def opened(event: Event) -> SignedAct:
    return keyring.key_of(f"proof/{event.id}").open(event.body(HandedOver).signed, SignedAct)


class TestKeeping:
    def test_a_hand_over_is_a_delivery(self, handset: HeldHandset) -> None:
        assert told(handset.sync(a_hand_over(handset))) == ["recorded"]

        assert item_rules.fold(ITEM, events_of()).status is Status.DELIVERED

    def test_it_costs_three_dynamodb_calls(self, handset: HeldHandset, aws: Cloud) -> None:
        keyring.shared_key("warm", keep_until=clocks.today())
        with aws.counting() as calls:
            handset.sync(a_hand_over(handset))

        assert calls == {"GetItem": 1, "BatchGetItem": 1, "TransactWriteItems": 1}

    def test_who_received_is_sealed_and_what_was_signed_comes_back_word_for_word(self, handset: HeldHandset) -> None:
        event = a_hand_over(handset)
        handset.sync(event)

        [kept] = events_of()
        assert "LEFÈVRE" not in events.encode(kept)
        assert "Hélène" not in events.encode(kept)
        assert opened(kept).act == event["data"]["act"]
        assert msgspec.to_builtins(opened(kept).drawing) == event["data"]["drawing"]

    def test_it_is_read_for_a_year_from_the_delivery_and_no_day_longer(
        self, handset: HeldHandset, clock: FakeClock
    ) -> None:
        handset.sync(a_hand_over(handset))
        [kept] = events_of()
        clock.advance(days=365)
        assert opened(kept).act

        clock.advance(days=1)
        with pytest.raises(keyring.KeyGone):
            opened(kept)

    def test_one_signature_for_several_items_gives_each_a_proof_of_its_own(self, handset: HeldHandset) -> None:
        items, drawing = [an_item(), an_item(), an_item()], a_drawing()
        act = an_act(handset, *items, drawing=drawing)

        answer = handset.sync(*(a_hand_over(handset, item, act=act, drawing=drawing) for item in items))

        assert told(answer) == ["recorded"] * 3
        kept = [events_of(item)[0] for item in items]
        assert {event.body(HandedOver).act for event in kept} == {act["id"]}
        assert all(keyring.key_of(f"proof/{event.id}").subject == f"proof/{event.id}" for event in kept)
        KeyRow.get(f"proof/{kept[0].id}").delete()
        assert all(opened(event).act for event in kept[1:])
        with pytest.raises(keyring.KeyGone):
            opened(kept[0])

    def test_the_same_again_changes_nothing(self, handset: HeldHandset) -> None:
        event = a_hand_over(handset)

        assert [told(handset.sync(event)), told(handset.sync(event))] == [["recorded"], ["duplicate"]]
        assert len(events_of()) == 1

    def test_a_clock_of_another_age_does_not_keep_a_proof_for_ever(self, handset: HeldHandset) -> None:
        handset.sync(a_hand_over(handset, at=clocks.now() + timedelta(days=4000)))

        [kept] = events_of()
        assert kept.body(HandedOver).delivered_on == clocks.today()


class TestEvidence:
    """What is no evidence is refused with a reason, and kept sealed as refused."""

    def refused(self, handset: HeldHandset, event: dict[str, Any]) -> str:
        [problem] = told(handset.sync(event))
        assert events_of() == []
        return problem

    def test_an_act_that_another_key_signed(self, handset: HeldHandset) -> None:
        event = a_hand_over(handset)
        event["data"]["act"] = acts.signed(an_act(handset, drawing=a_drawing()), HandsetKey.generate(), handset.device)

        assert self.refused(handset, event) == "act-unproven"

    @pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256"])
    def test_an_act_of_another_algorithm(self, handset: HeldHandset, algorithm: str) -> None:
        event = a_hand_over(handset)
        head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).rstrip(b"=").decode()
        event["data"]["act"] = f"{head}.{event['data']['act'].partition('.')[2]}"

        assert self.refused(handset, event) == "act-unproven"

    @pytest.mark.parametrize("act", ["", "x", "a.b.c", "..", "é.é.é", "." * 100])
    def test_an_act_that_is_none(self, handset: HeldHandset, act: str) -> None:
        event = a_hand_over(handset)
        event["data"]["act"] = act

        assert self.refused(handset, event) == "act-unproven"

    def test_an_act_that_is_not_canonical(self, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(acts, "canonical", lambda content: json.dumps(content).encode())

        assert self.refused(handset, a_hand_over(handset)) == "act-unproven"

    @pytest.mark.parametrize(
        "changes",
        [
            {"device": "019ac9a0-0000-7000-8000-0000000000d1"},
            {"items": ["9V00000000031"]},
            {"drawing": "0" * 64},
            {"drawing": None},
            {"carrier_drawing": "0" * 64},
        ],
    )
    def test_an_act_that_speaks_of_something_else(self, handset: HeldHandset, changes: dict[str, Any]) -> None:
        drawing = a_drawing()
        event = a_hand_over(handset, act=an_act(handset, drawing=drawing) | changes, drawing=drawing)

        assert self.refused(handset, event) == "act-mismatch"

    @pytest.mark.parametrize("drawing", [a_line(points=9, y=5000), a_line(duration=199, y=5000), a_line(x=10, y=10)])
    def test_a_drawing_that_is_no_signature(self, handset: HeldHandset, drawing: Any) -> None:
        assert self.refused(handset, a_hand_over(handset, drawing=drawing)) == "signature-degenerate"

    def test_a_mark_that_the_carrier_attests_is_taken(self, handset: HeldHandset) -> None:
        cross = a_line(points=4, y=5000)
        act = an_act(handset, drawing=cross, unable_to_sign=True)

        assert told(handset.sync(a_hand_over(handset, act=act, drawing=cross))) == ["recorded"]

    def test_two_marks_may_look_alike(self, api: Api) -> None:
        cross, items = a_line(points=4, y=5000), (an_item(), an_item())
        for item in items:
            handset = a_handset(api)
            act = an_act(handset, item, drawing=cross, unable_to_sign=True)
            assert told(handset.sync(a_hand_over(handset, item, act=act, drawing=cross))) == ["recorded"]

    def test_a_drawing_of_more_than_64_kib(self, handset: HeldHandset) -> None:
        assert (
            self.refused(handset, a_hand_over(handset, drawing=a_drawing(strokes=60, points=60))) == "drawing-too-large"
        )

    @pytest.mark.parametrize("image", ["data:image/png;base64,iVBORw0KGgo=", {"svg": "<svg/>"}, [[1.5, 2.5, 3]]])
    def test_an_image_is_no_drawing(self, handset: HeldHandset, image: Any) -> None:
        event = a_hand_over(handset)
        event["data"]["drawing"] = image

        assert self.refused(handset, event) == "event-malformed"

    @pytest.mark.parametrize(
        ("event_type", "data", "days"),
        [
            ("facteo.item.handed-over", {"act": "a.b.c"}, 366),
            ("facteo.item.handed-over", {"barcode": None}, 366),
            ("facteo.item.scanned", {"step": "teleported"}, 90),
            ("facteo.item.teleported", {}, 90),
            (["facteo.item.handed-over"], {}, 90),
        ],
    )
    def test_what_was_refused_is_read_for_a_year_as_a_proof_is_and_other_refusals_for_a_quarter(
        self, handset: HeldHandset, clock: FakeClock, event_type: Any, data: dict[str, Any], days: int
    ) -> None:
        event = handset.event(event_type, data=data)
        assert handset.sync(event).body["results"][0]["result"] == "refused"
        [refused] = journal.read(f"device/{handset.device}")
        sealed, key = refused.body(RefusedEvent).sent, f"refusal/{event['id']}"

        clock.advance(days=days)
        assert json.loads(keyring.key_of(key).open(sealed, SentEvent).text) == event
        clock.advance(days=1)
        with pytest.raises(keyring.KeyGone):
            keyring.key_of(key)


class TestReplayedStrokes:
    def test_the_same_strokes_on_another_act_are_refused_and_raise_an_alarm(self, api: Api) -> None:
        mine, theirs = a_handset(api), a_handset(api)
        drawing, other = a_drawing(), an_item()
        first = an_act(mine, drawing=drawing)
        mine.sync(a_hand_over(mine, act=first, drawing=drawing))

        answer = theirs.sync(a_hand_over(theirs, other, drawing=drawing))

        assert told(answer) == ["signature-reused"]
        assert events_of(other) == []
        [alarm] = journal.read(rules.act_subject(first["id"]))
        assert alarm.type == "facteo.proof.drawing-reused"
        assert (alarm.body(DrawingReused).item, alarm.body(DrawingReused).items) == (other, (ITEM,))

    def test_the_same_strokes_under_the_same_act_id_are_another_act(self, api: Api) -> None:
        mine, theirs = a_handset(api), a_handset(api)
        drawing, other = a_drawing(), an_item()
        first = an_act(mine, drawing=drawing)
        mine.sync(a_hand_over(mine, act=first, drawing=drawing))

        copied = an_act(theirs, other, drawing=drawing, id=first["id"])
        assert told(theirs.sync(a_hand_over(theirs, other, act=copied, drawing=drawing))) == ["signature-reused"]

    def test_asked_again_the_answer_and_the_alarm_are_the_same(self, handset: HeldHandset) -> None:
        drawing = a_drawing()
        act = an_act(handset, drawing=drawing)
        handset.sync(a_hand_over(handset, act=act, drawing=drawing))
        replayed = a_hand_over(handset, an_item(), drawing=drawing)

        assert [told(handset.sync(replayed)), told(handset.sync(replayed))] == [["signature-reused"]] * 2
        assert len(journal.read(rules.act_subject(act["id"]))) == 1

    def test_in_one_batch_the_first_counts(self, handset: HeldHandset) -> None:
        drawing = a_drawing()
        both = [a_hand_over(handset, an_item(), drawing=drawing) for _ in range(2)]

        assert told(handset.sync(*both)) == ["recorded", "signature-reused"]
        assert told(handset.sync(*both)) == ["duplicate", "signature-reused"]

    def test_of_two_at_once_one_is_refused(self, api: Api) -> None:
        mine, theirs = a_handset(api), a_handset(api)
        drawing, items = a_drawing(), (an_item(), an_item())
        answers: list[Any] = []

        with overtaken(by=lambda: answers.append(theirs.sync(a_hand_over(theirs, items[0], drawing=drawing)))):
            answers.append(mine.sync(a_hand_over(mine, items[1], drawing=drawing)))

        assert [told(answer) for answer in answers] == [["recorded"], ["signature-reused"]]

    def test_the_claim_says_nothing_of_who_signed(self, handset: HeldHandset) -> None:
        handset.sync(a_hand_over(handset))

        [claim] = [row for row in EventIdRow.scan() if row.id.startswith("drawing/")]
        assert claim.fingerprint == ""
