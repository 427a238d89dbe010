"""An act of handing over as a handset sends it: what makes it evidence, and how it is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import cast

import msgspec

from chalicelib.core import clock, events, ids, keyring, telemetry
from chalicelib.core.errors import Problem
from chalicelib.core.events import Event
from chalicelib.core.facts import HandsetFact
from chalicelib.core.public_keys import PublicKey
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork
from chalicelib.items.event_types import HANDED_OVER
from chalicelib.items.schemas import Capacity, HandedOver
from chalicelib.items.service import scanned_subject
from chalicelib.signatures import drawings, rules
from chalicelib.signatures.schemas import Act, Drawing, DrawingReused, HandOver, SignedAct
from chalicelib.signatures.terms import ALARM

MAX_EVENT_BYTES = 2 * drawings.MAX_BYTES + 32 * 1024
"""Two drawings, the signed act, and what is around them."""

REFUSALS_KEPT_FOR = timedelta(days=366)
"""A year, of whatever length: a refused one may be asked for as long as the proof that it might have been."""

_DRAWING = "drawing/"


class ActUnproven(Problem):
    status = 422
    title = "The act of handing over is not signed by this handset's key"


class ActMismatch(Problem):
    status = 422
    title = "The signed act speaks of something else than the event"


class DrawingTooLarge(Problem):
    status = 413
    title = "The drawn signature is too large"


class SignatureDegenerate(Problem):
    status = 422
    title = "What was drawn is not a signature"


class SignatureReused(Problem):
    status = 409
    title = "The same drawn signature stands on another act"


class HandOverEvidence(msgspec.Struct, frozen=True):
    """A handing over whose act was signed by the handset, and whose drawings are what the act says."""

    sent: HandOver
    act: Act

    @property
    def rows(self) -> int:
        """Its key."""
        return 1

    @property
    def claims(self) -> Mapping[str, str]:
        """Nobody signs twice alike: the drawings belong to the words of this act, which may be of several items.

        The owner names them: whoever raises the alarm says whose proofs are to be looked at. A mark that the carrier
        attests may well look like another one: nobody owns it.
        """
        drawn = ((self.sent.drawing, self.act.drawing), (self.sent.carrier_drawing, self.act.carrier_drawing))
        words = hashlib.sha256(self.sent.act.split(".")[1].encode()).hexdigest()
        owner = f"{self.act.id}/{words}/{' '.join(self.act.items)}"
        return {
            f"{_DRAWING}{name}": owner for drawing, name in drawn if drawing and not drawings.why_degenerate(drawing)
        }

    def kept(self, work: UnitOfWork, event: Event) -> Event:
        """The event with all that says who received sealed under a key of its own, for a year from the delivery."""
        delivered_on = rules.delivered_on(event.happened_at, event.receivedat)
        key = keyring.create(work, rules.subject_of(event.id), keep_until=rules.readable_until(delivered_on))
        receiver = self.act.receiver
        body = HandedOver(
            barcode=self.sent.barcode,
            act=self.act.id,
            items=self.act.items,
            procedure=self.act.procedure,
            version=self.act.version,
            recipient=receiver.capacity if receiver else Capacity.ADDRESSEE,
            proxy=receiver.proxy if receiver else None,
            earlier=self.act.earlier,
            delivered_on=delivered_on,
            presented_on=self.act.presented_on,
            drawing=self.act.drawing,
            signed=key.seal(
                SignedAct(act=self.sent.act, drawing=self.sent.drawing, carrier_drawing=self.sent.carrier_drawing)
            ),
        )
        return msgspec.structs.replace(event, data=msgspec.Raw(msgspec.json.encode(body)))

    def clash(self, owners: Mapping[str, str], event: Event) -> tuple[Problem, Event]:
        """A drawing that was taken from elsewhere: the event is refused, and whoever looks at the first act sees it."""
        telemetry.count("SignatureReused")
        first, _, items = sorted(owners.values())[0].split("/")
        body = DrawingReused(
            item=event.subject.removeprefix("item/"),
            act=self.act.id,
            device=event.device,
            items=tuple(items.split()),
            drawings=tuple(sorted(name.removeprefix(_DRAWING) for name in owners)),
        )
        alarm = events.make(
            ALARM,
            rules.act_subject(first),
            body,
            actor=event.actor,
            correlation_id=event.correlationid,
            event_id=ids.derived(clock.now(), "drawing-reused", event.id),
            place=event.place,
        )
        return SignatureReused("Let the person sign anew: a signature is drawn each time.", act=self.act.id), alarm


def examine(body: Schema, event: Event, key: PublicKey) -> HandOverEvidence:
    """The evidence in a handing over.

    Raises ActUnproven, ActMismatch, DrawingTooLarge, and SignatureDegenerate for what is no signature.
    """
    sent = cast(HandOver, body)
    act = _proven(sent.act, key)
    _check_words(act, event)
    for drawing, named in ((sent.drawing, act.drawing), (sent.carrier_drawing, act.carrier_drawing)):
        _check_drawing(drawing, named, excused=act.unable_to_sign and drawing is sent.drawing)
    return HandOverEvidence(sent, act)


HANDSET_FACTS: Mapping[str, HandsetFact] = {
    HANDED_OVER: HandsetFact(
        body=HandOver,
        subject_of=scanned_subject,
        max_bytes=MAX_EVENT_BYTES,
        refusals_kept_for=REFUSALS_KEPT_FOR,
        examine=examine,
    )
}
"""What a carrier's handset may say of a handing over."""


def _proven(compact: str, key: PublicKey) -> Act:
    try:
        payload = key.payload_of(compact)
        act = msgspec.json.decode(payload, type=Act)
        told = msgspec.json.decode(payload)
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise ActUnproven(f"Sign the act with this handset's key, as docs/protocol says: {error}.") from error
    if msgspec.json.encode(told, order="sorted") != payload:
        raise ActUnproven("Sign the canonical JSON of the act (RFC 8785): members in order, no spaces.")
    return act


def _check_words(act: Act, event: Event) -> None:
    item = event.subject.removeprefix("item/")
    differences: Sequence[tuple[str, bool]] = (
        (f"the act names the device {act.device}", act.device != event.device),
        (f"the item {item} is not among the act's items", item not in act.items),
    )
    told = [words for words, wrong in differences if wrong]
    if told:
        raise ActMismatch(f"Send the act that was signed for this item: {'; '.join(told)}.")


def _check_drawing(drawing: Drawing | None, named: str | None, *, excused: bool) -> None:
    if drawing is None or named is None:
        if drawing is not None or named is not None:
            raise ActMismatch("Send the drawing that the act names, and name the drawing that is sent.")
        return
    if drawings.size_of(drawing) > drawings.MAX_BYTES:
        raise DrawingTooLarge(f"A drawing has at most {drawings.MAX_BYTES} bytes.", limit=drawings.MAX_BYTES)
    if drawings.name_of(drawing) != named:
        raise ActMismatch("The act names another drawing: it must be the SHA-256 of these strokes.")
    reason = drawings.why_degenerate(drawing)
    if reason and not excused:
        raise SignatureDegenerate(f"Let the person sign again, or attest that they cannot: {reason}.")
