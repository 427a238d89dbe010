"""Proofs: how long they are read, what they lack, and what about them needs a human's eye. Pure decisions."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from chalicelib.core.clock import PARIS
from chalicelib.core.events import Event
from chalicelib.items import handover
from chalicelib.items import rules as item_rules
from chalicelib.items.event_types import DELIVERED, HANDED_OVER, RETURNED
from chalicelib.items.schemas import (
    EVENT_TYPES,
    Addressee,
    Announced,
    Capacity,
    Cause,
    HandedOver,
    Held,
    NotDelivered,
    Redirected,
    Scanned,
    Step,
)
from chalicelib.signatures import drawings, procedures
from chalicelib.signatures.schemas import Act, Judged, Mention, Proof, SignedAct

JUDGED: Final = "facteo.proof.judged"

LATEST_SYNC = timedelta(days=60)
"""A handset that says that it delivered longer ago than this has a wrong clock."""


SIGNED_WITHIN = timedelta(minutes=10)
"""An act is recorded when it is signed: by the same clock, whatever that says."""


def subject_of(event_id: str) -> str:
    """The journal's and the keyring's name for the proof that an event of handing over gives."""
    return f"proof/{event_id}"


def act_subject(act: str) -> str:
    """The journal's name for an act of signing."""
    return f"act/{act}"


def act_of(compact: str) -> Act:
    """The act in a JWS that was verified when it came."""
    payload = compact.split(".")[1]
    return msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=Act)


def delivered_on(happened_at: datetime, received_at: datetime) -> date:
    """The day of delivery in Paris; a clock that cannot be right gives the nearest day that can."""
    received_on = received_at.astimezone(PARIS).date()
    return max(min(happened_at.astimezone(PARIS).date(), received_on), received_on - LATEST_SYNC)


def readable_until(delivered_on: date) -> date:
    """The last day on which a proof can be read: a year from the delivery (article 6)."""
    try:
        return delivered_on.replace(year=delivered_on.year + 1)
    except ValueError:
        return date(delivered_on.year + 1, 3, 1)


NO_MANDATE: Final[frozenset[str]] = frozenset(
    {
        "holder-not-named",
        "proxy-invalid",
        "proxy-of-another-principal",
        "proxy-out-of-scope",
        "proxy-unknown",
    }
)
"""Flags of a proxy by which nobody could receive."""

REVOKED: Final = "proxy-revoked-unknown-to-device"
MANDATE_ENDED: Final = NO_MANDATE | {REVOKED}
"""Flags of a mandate that is not, or no longer, valid."""


def latest(history: Sequence[Event]) -> Judged | None:
    """What was judged last of the proof with that history."""
    judged = [event.body(Judged) for event in history if event.type == JUDGED]
    return max(judged, key=lambda one: one.revision, default=None)


# --- what a proof lacks ---------------------------------------------------------------------------------

_SAYS: Final[Mapping[Mention, Callable[[Proof], object]]] = {
    Mention.SENDER: lambda proof: proof.sender and proof.sender.lines,
    Mention.ADDRESSEE: lambda proof: proof.addressee and proof.addressee.lines,
    Mention.DEPOSIT_DATE: lambda proof: proof.deposited_on,
    Mention.GUARANTEE_LEVEL: lambda proof: proof.guarantee_level or not proof.registered,
    Mention.PRICE: lambda proof: proof.price_cents is not None,
    Mention.PROVIDER: lambda proof: proof.provider and proof.provider.lines,
    Mention.ITEM: lambda proof: proof.item,
    Mention.RECEIVER_NAME: lambda proof: proof.receiver,
    Mention.CAPACITY: lambda proof: (
        proof.receiver
        and (proof.receiver.capacity is Capacity.ADDRESSEE or proof.receiver.proxy)
        and not NO_MANDATE & set(proof.flags)
    ),
    Mention.SIGNATURE: lambda proof: proof.act and proof.act.drawing,
    Mention.DOCUMENT: lambda proof: proof.document and procedures.is_accepted(proof.document, proof.delivered_on),
    Mention.EARLIER_PROOF: lambda proof: proof.earlier and NOT_IDENTIFIED not in proof.flags,
    Mention.CARRIER_STATEMENT: lambda proof: proof.statement,
    Mention.CARRIER_SIGNATURE: lambda proof: proof.act and proof.act.carrier_drawing,
    Mention.PRESENTATION_DATE: lambda proof: proof.presented_on,
    Mention.DELIVERY_DATE: lambda proof: proof.delivered_on,
}
"""Mention → whether a proof says it."""

NOT_IDENTIFIED: Final = "earlier-proof-not-found"
"""Nothing shows that this carrier saw this person's document at this address before."""


def missing(proof: Proof) -> tuple[Mention, ...]:
    """The mentions that the proof's procedure demands and that it lacks; of an unknown procedure all of article 4."""
    procedure = procedures.find(proof.procedure, proof.version) or procedures.PROCEDURES[0]
    return tuple(mention for mention in procedure.mentions if not _SAYS[mention](proof))


# --- what needs a human's eye ---------------------------------------------------------------------------


class Case(NamedTuple):
    """A handing over with what is known beside it: all events of its item, its announcement, and to whom it goes.

    `reused`: the act's drawing came again on another act.
    """

    event: Event
    body: HandedOver
    act: Act
    signed: SignedAct
    history: Sequence[Event]
    announced: Announced | None
    addressee: Addressee | None
    reused: bool = False

    @property
    def item(self) -> str:
        """The item's number."""
        return self.event.subject.removeprefix("item/")

    @property
    def others(self) -> list[Event]:
        """The item's other events that nobody declared wrong, in order."""
        return [event for event in item_rules.standing(self.history) if event.id != self.event.id]


DRAWING_REUSED: Final = "drawing-reused"
"""The drawing came again on another act."""
HAND_OVER_CORRECTED: Final = "hand-over-corrected"
"""Somebody declared that it did not happen."""


def flags(case: Case) -> tuple[str, ...]:
    """Words for a human about a handing over: none of them undoes what happened."""
    return tuple(word for word, holds in _FLAGS.items() if holds(case))


def deposited_on(history: Sequence[Event]) -> date | None:
    """The day in Paris on which the item was taken in charge."""
    for event in item_rules.standing(history):
        fact = item_rules.fact_of(event)
        if isinstance(fact, Scanned) and fact.step is Step.TAKEN_IN_CHARGE:
            return event.happened_at.astimezone(PARIS).date()
    return None


def presented_on(history: Sequence[Event], stated: date | None) -> date | None:
    """The day in Paris of the first presentation in vain, at the last address; else the day that the handset stated."""
    days: list[date] = []
    for event in item_rules.standing(history):
        fact = item_rules.fact_of(event)
        if isinstance(fact, Redirected):
            days.clear()
        elif isinstance(fact, Held) or (isinstance(fact, NotDelivered) and fact.cause is Cause.ABSENT):
            days.append(event.happened_at.astimezone(PARIS).date())
    return days[0] if days else stated


def _item_unknown(case: Case) -> bool:
    """Nobody has said anything of the item, but for this and what was judged of it."""
    told = (event for event in case.history if event.type in EVENT_TYPES and event.id != case.event.id)
    return case.announced is None and not any(told)


def _procedure_out_of_force(case: Case) -> bool:
    procedure = procedures.find(case.act.procedure, case.act.version)
    return procedure is not None and not procedures.holds_on(procedure, case.body.delivered_on)


def _already_final(case: Case) -> bool:
    """Somebody else delivered it, whoever synced first, or it had been returned before."""
    delivered = any(event.type in {DELIVERED, HANDED_OVER} for event in case.others)
    happened_at = case.event.happened_at
    return delivered or any(event.type == RETURNED and event.happened_at <= happened_at for event in case.others)


def _at_another_depot(case: Case) -> bool:
    """The last depot that scanned the item as arrived is not the one whose carrier handed it over."""
    arrivals = [event.place for event in case.others if _is_arrival(event)]
    return bool(arrivals) and arrivals[-1] != case.event.place


def _is_arrival(event: Event) -> bool:
    fact = item_rules.fact_of(event)
    return isinstance(fact, Scanned) and fact.step is Step.AT_DEPOT and bool(event.place)


def _drawn_outside_the_screen(case: Case) -> bool:
    drawing = case.signed.drawing
    return drawing is not None and not drawings.fits_screen(drawing, case.act.opened_at, case.act.signed_at)


def _held_by_nobody(case: Case) -> bool:
    return case.body.recipient is Capacity.HOLDER and case.body.proxy is None


_FLAGS: Final[Mapping[str, Callable[[Case], bool]]] = {
    "item-unknown": _item_unknown,
    "already-delivered": _already_final,
    "other-depot": _at_another_depot,
    "signed-at-another-time": lambda case: abs(case.event.time - case.act.signed_at) > SIGNED_WITHIN,
    "delivery-date-doubtful": lambda case: case.event.happened_at.astimezone(PARIS).date() != case.body.delivered_on,
    "procedure-unknown": lambda case: procedures.find(case.act.procedure, case.act.version) is None,
    "procedure-not-in-force": _procedure_out_of_force,
    "drawn-outside-the-screen": _drawn_outside_the_screen,
    "carrier-drew-for-receiver": lambda case: (
        case.act.drawing is not None and case.act.drawing == case.act.carrier_drawing
    ),
    "mark-attested-by-carrier": lambda case: case.act.unable_to_sign,
    "proxy-not-named": _held_by_nobody,
    "in-person-only": lambda case: (
        case.body.recipient is Capacity.HOLDER and handover.in_person(case.item, case.announced)
    ),
    DRAWING_REUSED: lambda case: case.reused,
    HAND_OVER_CORRECTED: lambda case: case.event.id not in {one.id for one in item_rules.standing(case.history)},
}
"""Word → whether it holds."""
