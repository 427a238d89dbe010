"""The bodies of an act of handing over, of its proof, and of what is asked about them."""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Annotated

from msgspec import Meta

from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import END, Schema, Sealed
from chalicelib.items.schemas import Barcode, Capacity, EarlierProof, ItemNumber, ProxyUsed

Moment = Annotated[datetime, Meta(tz=True)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}" + END)]
Coordinate = Annotated[int, Meta(ge=0, le=65_535)]
EventId = Annotated[str, Meta(pattern=UUID7_PATTERN)]
MIN_CHECK = 3
PersonName = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^\S(.*\S)?" + END)]


class Point(Schema, frozen=True, array_like=True):
    """`[x, y, t]` or `[x, y, t, p]`: 0 to 65535 over the pad, milliseconds since the first point, pressure 0 to 255."""

    x: Coordinate
    y: Coordinate
    t: Annotated[int, Meta(ge=0, le=3_600_000)]
    p: Annotated[int, Meta(ge=0, le=255)] = 0


class Pad(Schema, frozen=True):
    """What was signed on: its size in pixels, its density, and the handset's model."""

    width: Annotated[int, Meta(ge=1, le=20_000)]
    height: Annotated[int, Meta(ge=1, le=20_000)]
    dpi: Annotated[int, Meta(ge=1, le=2_000)]
    model: Annotated[str, Meta(max_length=40)] = ""


class Drawing(Schema, frozen=True):
    """A signature as it was drawn: strokes of points. Images are not taken: they are drawn from the strokes, by us.

    It is named by the SHA-256 of its strokes as JSON without spaces, four numbers for each point: `[[[x,y,t,p]]]`.
    """

    pad: Pad
    strokes: Annotated[tuple[tuple[Point, ...], ...], Meta(min_length=1, max_length=500)]


class Document(enum.StrEnum):
    """A kind of identity document. Which are accepted, and since when, is a table (`procedures.DOCUMENTS`)."""

    IDENTITY_CARD = "identity-card"
    PASSPORT = "passport"
    DRIVING_LICENCE = "driving-licence"
    RESIDENCE_PERMIT = "residence-permit"
    DIGITAL_IDENTITY = "digital-identity"


class Receiver(Schema, frozen=True):
    """Who received an item, as they stated (personal data), and as whom."""

    last_name: PersonName
    first_name: PersonName
    capacity: Capacity = Capacity.ADDRESSEE
    proxy: ProxyUsed | None = None


class Act(Schema, frozen=True):
    """What a handset's key signs of one act of handing over: a JWS (RFC 7515, ES256) of its canonical JSON (RFC 8785).

    `items` are those on the screen, in that order; `shown` is the SHA-256 of the text beside the pad, `drawing` that of
    the recipient's strokes in canonical JSON, `carrier_drawing` that of the carrier's (article 4-1). The screen was
    open from `opened_at` to `signed_at`. `unable_to_sign`: the carrier attests a mark that is less than a signature.
    """

    id: EventId
    device: str
    procedure: Annotated[str, Meta(max_length=40)]
    version: Annotated[int, Meta(ge=1)]
    items: Annotated[tuple[ItemNumber, ...], Meta(min_length=1, max_length=50)]
    nonce: Annotated[str, Meta(min_length=16, max_length=64)]
    shown: Sha256
    opened_at: Moment
    signed_at: Moment
    receiver: Receiver | None = None
    document: Document | None = None
    earlier: EarlierProof | None = None
    drawing: Sha256 | None = None
    carrier_drawing: Sha256 | None = None
    presented_on: date | None = None
    unable_to_sign: bool = False


class HandOver(Schema, frozen=True):
    """`facteo.item.handed-over` as a handset sends it: the signed act, and what was drawn."""

    barcode: Barcode
    act: Annotated[str, Meta(max_length=16_384)]
    drawing: Drawing | None = None
    carrier_drawing: Drawing | None = None


class SignedAct(Schema, frozen=True):
    """What is sealed of an act: the JWS and the drawings."""

    act: str
    drawing: Drawing | None = None
    carrier_drawing: Drawing | None = None


class DrawingReused(Schema, frozen=True):
    """`facteo.proof.drawing-reused`, of the act that had the drawing first: another act came with the same strokes.

    `item`, `act` and `device` are those of the other act; `items` are those of the first.
    """

    item: str
    act: str
    device: str
    items: tuple[str, ...]
    drawings: tuple[str, ...]


class Mention(enum.StrEnum):
    """What the arrêté of 7 February 2007 wants a proof of delivery to say."""

    SENDER = "sender"
    ADDRESSEE = "addressee"
    DEPOSIT_DATE = "deposit-date"
    GUARANTEE_LEVEL = "guarantee-level"
    PRICE = "price"
    PROVIDER = "provider"
    ITEM = "item"
    RECEIVER_NAME = "receiver-name"
    CAPACITY = "capacity"
    SIGNATURE = "signature"
    DOCUMENT = "document"
    EARLIER_PROOF = "earlier-proof"
    CARRIER_STATEMENT = "carrier-statement"
    CARRIER_SIGNATURE = "carrier-signature"
    PRESENTATION_DATE = "presentation-date"
    DELIVERY_DATE = "delivery-date"


class Party(Schema, frozen=True):
    """A person or company on a document: the name, and the lines of the address."""

    name: str
    lines: tuple[str, ...] = ()


class Proof(Schema, frozen=True):
    """A proof of delivery with all that it says. Money in cents of euro. What is None or empty is not known.

    `items` are all that the person received by the same act, in the order of the screen; each has its own proof.
    `missing` are the mentions that its procedure demands and that it lacks, `flags` what needs a human's eye.
    `subcontractor` is who delivered on behalf of the provider, if somebody did (article 3).
    """

    id: str
    item: str
    procedure: str
    version: int
    delivered_at: datetime
    delivered_on: date
    carrier: str
    device: str
    readable_until: date
    items: tuple[str, ...] = ()
    missing: tuple[Mention, ...] = ()
    flags: tuple[str, ...] = ()
    sender: Party | None = None
    addressee: Party | None = None
    provider: Party | None = None
    subcontractor: Party | None = None
    deposited_on: date | None = None
    guarantee_level: str = ""
    price_cents: int | None = None
    receiver: Receiver | None = None
    document: Document | None = None
    earlier: EarlierProof | None = None
    statement: str = ""
    presented_on: date | None = None
    act: SignedAct | None = None
    registered: bool = True
    verification_code: str = ""


class Judged(Schema, frozen=True):
    """`facteo.proof.judged`: what a proof says beside the act, as it was known then, and what it lacks.

    It is judged again if what it lacked comes late, or somebody must know more of it: the last `revision` counts. The
    addressee is sealed under the proof's key, so that it can be read as long as the rest of the proof.
    """

    revision: int
    item: str
    act: str
    registered: bool
    missing: tuple[Mention, ...]
    flags: tuple[str, ...]
    provider: Party
    sender: Party | None
    deposited_on: date | None
    guarantee_level: str
    price_cents: int | None
    presented_on: date | None
    acknowledgement_of_receipt: bool
    addressee: Sealed | None
    subcontractor: Party | None = None


class UsedAfterRevocation(Schema, frozen=True):
    """`facteo.proxy.used-after-revocation`, of the item: the principal and the depot are to be told.

    The proxy had ended when the item was handed over, and the handset could not know it.
    """

    proof: str
    proxy: ProxyUsed


class Reason(enum.StrEnum):
    """Why somebody reads a proof."""

    SENDER_REQUEST = "sender-request"
    ADDRESSEE_REQUEST = "addressee-request"
    CLAIM = "claim"
    COURT_ORDER = "court-order"
    INTERNAL_INVESTIGATION = "internal-investigation"


class ReadProof(Schema, frozen=True):
    """Why a proof is to be read, and for a sender or addressee how their identity was checked (article 6)."""

    reason: Reason
    details: Annotated[str, Meta(min_length=3, max_length=200)]
    identity_checked: Annotated[str, Meta(max_length=200)] = ""

    def __post_init__(self) -> None:
        asked_by_a_party = self.reason in {Reason.SENDER_REQUEST, Reason.ADDRESSEE_REQUEST}
        if asked_by_a_party and len(self.identity_checked.strip()) < MIN_CHECK:
            raise ValueError("say in identity_checked how the identity of who asks was checked (article 6)")


class ProofRead(Schema, frozen=True):
    """`facteo.proof.read`: somebody was shown a proof, and why. The words of it are sealed under the proof's key."""

    reason: Reason
    words: Sealed


class Reading(Schema, frozen=True):
    """One reading of a proof, for the auditor. `words` is null once the proof's key is gone."""

    at: datetime
    actor: str
    reason: Reason
    words: ReadProof | None


class Readings(Schema, frozen=True):
    """Who read a proof, the first first."""

    readings: tuple[Reading, ...]


class ProofAnswer(Schema, frozen=True):
    """A proof for whoever may read it: as data, as a page to hand out, and the drawing. PDF in base64.

    `acknowledgement` is the avis de réception, if the sender paid for one.
    """

    proof: Proof
    document: str
    acknowledgement: str | None
    drawing: str | None


class ProofSummary(Schema, frozen=True):
    """That a proof exists, and its state, without a word of who received."""

    id: str
    item: str
    delivered_on: date
    readable_until: date
    depot: str
    complete: bool
    missing: tuple[Mention, ...]
    flags: tuple[str, ...]


class Proofs(Schema, frozen=True):
    """The proofs of an item, the first first."""

    proofs: tuple[ProofSummary, ...]


class Verification(Schema, frozen=True):
    """What the code on a document confirms to whoever holds it."""

    item: str
    delivered_on: date
    complete: bool
