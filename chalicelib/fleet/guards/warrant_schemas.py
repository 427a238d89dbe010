"""Warrants: the text that is approved, and what is kept and told of it."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import Schema
from chalicelib.fleet.commands.kinds import Kind
from chalicelib.fleet.commands.schemas import MOST_DEVICES, Parameters, Reason
from chalicelib.fleet.guards.schemas import AllowedCredential, Approval, Why
from chalicelib.fleet.schemas import DeviceId

WarrantId = Annotated[str, Meta(pattern=UUID7_PATTERN)]


class WarrantState(enum.StrEnum):
    """Where a warrant stands."""

    AWAITING = "awaiting-approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """Nobody approved it in time."""


class TextTarget(Schema, frozen=True):
    """An enrolment of a device, in a warrant's text."""

    device: str
    generation: int


class WarrantText(Schema, frozen=True):
    """What two people approve: docs/protocol/commands.md, section 4."""

    approvers_version: int
    expires_at: datetime
    id: str
    kind: Kind
    parameters: Parameters
    reason: str
    requested_at: datetime
    requested_by: str
    targets: tuple[TextTarget, ...]
    witnessed: bool
    type: Literal["facteo.warrant"] = "facteo.warrant"


class WarrantTarget(Schema, frozen=True):
    """An enrolment that a warrant is for, and what became of it: the command it got, or why it got none (`skipped`);
    and whether that command was called off with the warrant.
    """

    device: str
    generation: int
    depot: str
    zone: str
    command: str = ""
    skipped: str = ""
    called_off: bool = False


class RequestWarrant(Schema, frozen=True):
    """Asks two people to approve that handsets are wiped or given up: each is named. `witnessed`: somebody saw it
    stolen, so that there is no time for second thoughts.
    """

    devices: Annotated[tuple[DeviceId, ...], Meta(min_length=1, max_length=MOST_DEVICES)]
    kind: Kind
    reason: Reason
    parameters: Parameters = Parameters()
    witnessed: bool = False


class EndWarrant(Schema, frozen=True):
    """Why a warrant is rejected or called off: kept as it is, it names nobody."""

    reason: Why


class Warrant(Schema, frozen=True):
    """A warrant as it is kept. `text` is what is approved, byte by byte (base64url)."""

    id: str
    state: WarrantState
    text: str
    approvers_version: int
    kind: Kind
    parameters: Parameters
    reason: str
    witnessed: bool
    requested_by: str
    requested_at: datetime
    approve_by: datetime
    targets: tuple[WarrantTarget, ...]
    approvals: tuple[Approval, ...] = ()
    cooling_until: datetime | None = None


class WarrantTold(Schema, frozen=True):
    """A warrant as staff see it: the text to be approved, its SHA-256 (`challenge`, base64url), by whose passkeys
    (`credentials`), and how many approvals are missing.
    """

    id: str
    state: WarrantState
    kind: Kind
    parameters: Parameters
    reason: str
    witnessed: bool
    requested_by: str
    requested_at: datetime
    approve_by: datetime
    cooling_until: datetime | None
    targets: tuple[WarrantTarget, ...]
    approvers_version: int
    text: str
    challenge: str
    rp_id: str
    credentials: tuple[AllowedCredential, ...]
    approved_by: tuple[str, ...]
    missing: int


class Warrants(Schema, frozen=True):
    """Warrants that wait for approvals or cool off, the oldest first, and where to go on reading."""

    warrants: tuple[WarrantTold, ...]
    after: str | None = None


class WarrantRequested(Schema, frozen=True):
    """`facteo.warrant.requested`. `text` is the SHA-256 (hex) of what is to be approved."""

    kind: Kind
    reason: str
    witnessed: bool
    targets: tuple[TextTarget, ...]
    text: str


class WarrantChanged(Schema, frozen=True):
    """`facteo.warrant.confirmed` (by one), `.approved`, `.rejected`, `.cancelled`, `.cancelled-in-part` (for some of
    its depots), `.expired`. `why` is what whoever did it said.
    """

    state: WarrantState
    approved_by: tuple[str, ...]
    targets: tuple[WarrantTarget, ...]
    why: str = ""
