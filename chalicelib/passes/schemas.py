"""Passes as they are kept, and what handsets say of them and are told.

The function that takes what handsets send loads no more than this: what staff, doors and the registry say is in modules
of their own.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated

from msgspec import Meta, field

from chalicelib.core.schemas import END, Schema, Sealed

PassId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}" + END)]
ShownTo = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}" + END)]
"""A reader's id, 8 bytes in hex; zeros for any reader."""
Challenge = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}" + END)]


class Service(enum.IntEnum):
    """What a pass is for, as readers know it. HELP opens a door once."""

    MAIL = 1
    PARCELS = 2
    HELP = 3


class Status(enum.IntEnum):
    """What a pass is worth. An index that nobody has is valid, so that the list does not tell how many there are."""

    VALID = 0
    REVOKED = 1
    SUSPENDED = 2


class Reason(enum.StrEnum):
    """Why a handset's pass is suspended."""

    ROBBERY = "robbery"
    DURESS = "duress"
    LOSS = "loss"
    OTHER = "other"


class Ended(enum.StrEnum):
    """Why a pass ended before its time."""

    REPLACED = "replaced"
    DUTY_CHANGED = "duty-changed"
    ENROLMENT_ENDED = "enrolment-ended"
    ALERT_CLOSED = "alert-closed"


class Suspension(Schema, frozen=True):
    """Why, by whom and since when a handset's pass opens nothing; and the alert with whose end that ends."""

    reason: Reason
    by: str
    at: datetime
    alert: str = ""


class Held(Schema, frozen=True):
    """A pass that was issued. `id`, 8 bytes in hex; `kid`, the key that signed it; `slot`, its index in list 0.

    One that was `given_back` is not taken along any more. It stays what the handset holds: it is suspended and ended as
    ever, and given again if somebody asks.
    """

    id: str
    kid: str
    generation: int
    carrier: str
    depot: str
    route: str
    day: date
    service: Service
    not_before: datetime
    expires_at: datetime
    slot: int
    token: bytes
    alert: str = ""
    given_back: bool = False


class Holder(Schema, frozen=True):
    """What a handset holds: its pass, and what suspends it by its causes (`staff`, `alert/<id>`, `loss`); and, for an
    alert of somebody else, a pass that opens one door once.
    """

    held: Held | None = None
    help: Held | None = None
    suspensions: Mapping[str, Suspension] = field(default_factory=dict)

    @property
    def passes(self) -> tuple[Held, ...]:
        """Both, as far as they are there."""
        return tuple(one for one in (self.held, self.help) if one is not None)


class Mark(Schema, frozen=True):
    """What a status list says of an index, until its pass has expired."""

    status: Status
    until: datetime


class SealedOfDay(Schema, frozen=True):
    """What tells where a carrier was on a day, sealed under that day's key. So the journal and rows keep it."""

    day: date
    sealed: Sealed


class PassUsed(Schema, frozen=True):
    """`facteo.pass.used`: the pass was shown to a reader; its id in hex, zeros for a code that any may read.

    `challenge` is SHA-256 (hex) of nonce and reader's id; of a code, of slot and id as they stand in it.
    """

    id: PassId = field(name="pass")
    reader: ShownTo
    challenge: Challenge


class PassReceipt(Schema, frozen=True):
    """`facteo.pass.receipt`: what a reader gave, in base64."""

    receipt: Annotated[bytes, Meta(min_length=1, max_length=255)]


class PassTold(Schema, frozen=True):
    """A pass. `token` (base64) is what readers are shown: docs/protocol/pass.md."""

    id: str
    service: Service
    not_before: datetime
    expires_at: datetime
    token: bytes

    @classmethod
    def of(cls, held: Held) -> PassTold:
        """What a handset is told of its pass: nothing of what suspends it."""
        return cls(
            id=held.id,
            service=held.service,
            not_before=held.not_before,
            expires_at=held.expires_at,
            token=held.token,
        )


class PassEnded(Schema, frozen=True):
    """`facteo.pass.ended`: before its time. The status list says so."""

    id: str
    why: Ended


class PassGivenBack(Schema, frozen=True):
    """`facteo.pass.given-back`: at the end of a shift, by the handset, which forgets it."""

    id: str
