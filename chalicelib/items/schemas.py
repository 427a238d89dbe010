"""What is said of a postal item: the bodies of its events, and what a reader of its history gets back."""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import END, Schema, Sealed

ItemNumber = Annotated[str, Meta(pattern=r"^[0-9A-Z]{11,28}" + END)]
"""The number of an item as it is kept: capitals and digits only."""
Text35 = Annotated[str, Meta(max_length=35)]


class Step(enum.StrEnum):
    """Where a scan happens on an item's way."""

    TAKEN_IN_CHARGE = "taken-in-charge"
    AT_DEPOT = "at-depot"
    OUT_FOR_DELIVERY = "out-for-delivery"
    PRESENTED = "presented"


class Recipient(enum.StrEnum):
    """Who, or what, took the item in without a signature."""

    ADDRESSEE = "addressee"
    LETTER_BOX = "letter-box"
    CARETAKER = "caretaker"
    NEIGHBOUR = "neighbour"


class Cause(enum.StrEnum):
    """Why an item was not delivered, or why it goes back."""

    ABSENT = "absent"
    NO_ACCESS = "no-access"
    ADDRESS_INCOMPLETE = "address-incomplete"
    ADDRESS_INFORMATION_MISSING = "address-information-missing"
    UNKNOWN_AT_ADDRESS = "unknown-at-address"
    REFUSED = "refused"
    REFUSED_DAMAGED = "refused-damaged"
    REFUSED_LATE = "refused-late"
    REFUSED_PAYMENT = "refused-payment"
    NOT_FOUND = "not-found"
    NOT_COLLECTED = "not-collected"
    POSTE_RESTANTE_EXPIRED = "poste-restante-expired"
    DECEASED = "deceased"
    MOVED = "moved"
    FORWARDING_EXPIRED = "forwarding-expired"
    FORWARDING_FORBIDDEN = "forwarding-forbidden"
    BOX_NOT_EMPTIED = "box-not-emptied"
    OUTSIDE_DISTRICT = "outside-district"
    SENDER_REQUEST = "sender-request"


class HeldAt(enum.StrEnum):
    """Where a held item (instance) waits for its addressee."""

    POST_OFFICE = "post-office"
    POST_OFFICE_AFTER_NOTICE = "post-office-after-notice"
    PICKUP_POINT = "pickup-point"


class Barcode(Schema, frozen=True):
    """What the carrier's handset read, before anything was made of it."""

    raw: Annotated[str, Meta(min_length=1, max_length=512)]
    symbology: Annotated[str, Meta(max_length=32)] = "unknown"
    manual_entry: bool = False


class Addressee(Schema, frozen=True):
    """Who an item is for and where (personal data: stored sealed only). Lines as in NF Z10-011."""

    name: Annotated[str, Meta(max_length=37)] = ""
    company: Text35 = ""
    apartment: Text35 = ""
    building: Text35 = ""
    street: Text35 = ""
    hamlet: Text35 = ""
    postcode: Annotated[str, Meta(max_length=9)] = ""
    town: Text35 = ""
    country: Annotated[str, Meta(min_length=2, max_length=2)] = "FR"
    door_code: Annotated[str, Meta(max_length=8)] = ""
    building_code: Annotated[str, Meta(max_length=8)] = ""
    intercom: Annotated[str, Meta(max_length=30)] = ""
    instructions: Annotated[str, Meta(max_length=75)] = ""
    phone: Annotated[str, Meta(max_length=20)] = ""
    mobile: Annotated[str, Meta(max_length=20)] = ""
    email: Annotated[str, Meta(max_length=80)] = ""


class Announcement(Schema, frozen=True):
    """A sender's announcement of one item, as read from a legacy file. Money in cents, weight in grams."""

    item: str
    client: str
    deposit_slip: str
    product: str
    reference: str
    handed_over_on: date
    weight_grams: int
    delivery_postcode: str
    addressee: Addressee
    cash_on_delivery_cents: int = 0
    insured_value_cents: int = 0
    recommendation: str = ""
    acknowledgement_of_receipt: bool = False
    pickup_point: str = ""


class Announced(Schema, frozen=True):
    """`facteo.item.announced`: the announcement with its addressee sealed under the item's data key."""

    item: str
    client: str
    deposit_slip: str
    product: str
    reference: str
    handed_over_on: date
    weight_grams: int
    delivery_postcode: str
    addressee: Sealed
    cash_on_delivery_cents: int = 0
    insured_value_cents: int = 0
    recommendation: str = ""
    acknowledgement_of_receipt: bool = False
    pickup_point: str = ""


class Scanned(Schema, frozen=True):
    """`facteo.item.scanned`: the item was seen at a step of its way (flashage)."""

    barcode: Barcode
    step: Step


class Delivered(Schema, frozen=True):
    """`facteo.item.delivered`: handed over without a signature."""

    barcode: Barcode
    recipient: Recipient = Recipient.ADDRESSEE


class Capacity(enum.StrEnum):
    """As whom somebody received an item against signature."""

    ADDRESSEE = "addressee"
    HOLDER = "holder"


class ProxyUsed(Schema, frozen=True):
    """The proxy by which a holder received, in the revision that the handset knew."""

    id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{8,40}" + END)]
    revision: Annotated[int, Meta(ge=1)]


class EarlierProof(Schema, frozen=True):
    """The handing over at which the same carrier saw the same person's document at the same address (article 4-1)."""

    item: ItemNumber
    event: Annotated[str, Meta(pattern=UUID7_PATTERN)]


class HandedOver(Schema, frozen=True):
    """`facteo.item.handed-over`: handed over against signature. Who received is sealed under the key of this proof.

    `act` is the act of signing, which may be of several `items`; `drawing` names the strokes. The key's subject is
    `proof/<id of the event>`.
    """

    barcode: Barcode
    act: str
    items: tuple[str, ...]
    procedure: str
    version: int
    recipient: Capacity
    proxy: ProxyUsed | None
    earlier: EarlierProof | None
    delivered_on: date
    presented_on: date | None
    drawing: str | None
    signed: Sealed


class NotDelivered(Schema, frozen=True):
    """`facteo.item.not-delivered`: an attempt that failed, and why."""

    barcode: Barcode
    cause: Cause


class Held(Schema, frozen=True):
    """`facteo.item.held`: kept for the addressee (instance). `until` is the last day that the customer was told."""

    barcode: Barcode
    place: HeldAt
    until: date | None = None


class Returned(Schema, frozen=True):
    """`facteo.item.returned`: on its way back to the sender."""

    barcode: Barcode
    cause: Cause


class RedirectionUsed(Schema, frozen=True):
    """The contract by which an item was redirected, in the revision that the handset knew."""

    id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{8,40}" + END)]
    revision: Annotated[int, Meta(ge=1)]


class Redirected(Schema, frozen=True):
    """`facteo.item.redirected`: forwarded to another address at the addressee's request (réexpédition).

    `redirection` is the contract, where there is one; the event's snapshot says what else the handset knew.
    """

    barcode: Barcode
    redirection: RedirectionUsed | None = None


class Corrected(Schema, frozen=True):
    """`facteo.item.corrected`: the named event of this item did not happen. What did comes as its own event."""

    corrects: str
    reason: Annotated[str, Meta(min_length=3, max_length=200)]


ItemFact = Announced | Scanned | Delivered | HandedOver | NotDelivered | Held | Returned | Redirected | Corrected

EVENT_TYPES: dict[str, type[Schema]] = {
    "facteo.item.announced": Announced,
    "facteo.item.scanned": Scanned,
    "facteo.item.delivered": Delivered,
    "facteo.item.handed-over": HandedOver,
    "facteo.item.not-delivered": NotDelivered,
    "facteo.item.held": Held,
    "facteo.item.returned": Returned,
    "facteo.item.redirected": Redirected,
    "facteo.item.corrected": Corrected,
}


class Status(enum.StrEnum):
    """What an item is, as its events say."""

    UNKNOWN = "unknown"
    ANNOUNCED = "announced"
    TAKEN_IN_CHARGE = "taken-in-charge"
    AT_DEPOT = "at-depot"
    OUT_FOR_DELIVERY = "out-for-delivery"
    PRESENTED = "presented"
    NOT_DELIVERED = "not-delivered"
    HELD = "held"
    REDIRECTED = "redirected"
    RETURNED = "returned"
    DELIVERED = "delivered"


class HistoryEntry(Schema, frozen=True):
    """One event of an item's history: what, when (the handset's time, the corrected one, ours), who and where.

    `quarantined`: the handset that sent it was reported lost and not found yet. It counts for nothing so far.
    """

    id: str
    type: str
    at: datetime
    device_time: datetime | None
    received_at: datetime
    actor: str
    data: msgspec.Raw
    place: str = ""
    voided_by: str | None = None
    flags: tuple[str, ...] = ()
    quarantined: bool = False


class HoldingState(enum.StrEnum):
    """What became of a held item: it waits, its term is over, somebody has it, or it went on elsewhere."""

    HELD = "held"
    DUE_FOR_RETURN = "due-for-return"
    WITHDRAWN = "withdrawn"
    RETURNED = "returned"
    REDIRECTED = "redirected"


class Holding(Schema, frozen=True):
    """How long an item waits (or waited) for its addressee, in days of Paris; `last_day` still counts.

    It is worked out from what happened. What the customer was told stands in the event's own `until`.
    """

    presented_on: date
    last_day: date
    return_due_on: date
    state: HoldingState


class ItemHistory(Schema, frozen=True):
    """Everything known of an item. `contradictions` holds ids of events that came after a final one; `holding` is None
    for an item that was never held."""

    item: str
    status: Status
    final: bool
    events: tuple[HistoryEntry, ...]
    contradictions: tuple[str, ...] = ()
    announcement: Announced | None = None
    addressee: Addressee | None = None
    holding: Holding | None = None
