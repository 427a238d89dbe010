"""Commands: as they are kept, ordered, reported and told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from chalicelib.core.access import DeviceState
from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import Schema
from chalicelib.fleet.commands.kinds import Capability, Kind, Ownership
from chalicelib.fleet.commands.states import Proof, State, What
from chalicelib.fleet.guards.schemas import Approved
from chalicelib.fleet.schemas import DeviceId

CommandId = Annotated[str, Meta(pattern=UUID7_PATTERN)]
Reason = Annotated[str, Meta(min_length=3, max_length=200)]
"""Shown to the carrier, and kept as it is for ever: it names nobody."""
Code = Annotated[str, Meta(max_length=40, pattern=r"^[a-z0-9-]*(?![\s\S])")]
Jws = Annotated[str, Meta(max_length=20_000)]

MOST_DEVICES = 10
"""In one request: a list of them, never a search."""


class Parameters(Schema, frozen=True, omit_defaults=True):
    """What a command is told besides its kind; `rules.PARAMETERS` says which kind takes which."""

    seconds: Annotated[int, Meta(ge=5, le=300)] | None = None
    text: Annotated[str, Meta(min_length=1, max_length=500)] | None = None
    phone: Annotated[str, Meta(pattern=r"^\+[0-9]{6,15}(?![\s\S])")] | None = None
    void: tuple[str, ...] | None = None
    external_storage: bool | None = None
    esim: bool | None = None


class Order(Schema, frozen=True):
    """What a handset obeys, under our signature: docs/protocol/commands.md, section 2."""

    id: str
    device: str
    generation: int
    number: int
    kind: Kind
    parameters: Parameters
    reason: str
    issued_at: datetime
    expires_at: datetime | None
    warrant: Approved | None
    type: Literal["facteo.order"] = "facteo.order"


class Evidence(Schema, frozen=True):
    """What is known of a wipe, since when, by whom, and how."""

    proof: Proof
    at: datetime
    by: str
    how: str


class Wiping(Schema, frozen=True):
    """What the handset said right before: how many events went up first, how many died (None: it could not read them),
    and when it signed the request, to the second.
    """

    report: str
    signed_at: datetime
    sent: int | None
    lost: int | None


class Command(Schema, frozen=True):
    """A command as it is kept. `order` is the signed order; `warrant` the id of what lets it destroy."""

    id: str
    device: str
    generation: int
    number: int
    kind: Kind
    parameters: Parameters
    reason: str
    requested_by: str
    requested_at: datetime
    state: State
    order: str
    warrant: str = ""
    not_before: datetime | None = None
    expires_at: datetime | None = None
    attempts: int = 0
    leased_until: datetime | None = None
    not_now: int = 0
    retry_at: datetime | None = None
    code: str = ""
    accepted_at: datetime | None = None
    over_at: datetime | None = None
    wiping: Wiping | None = None
    evidence: Evidence | None = None


class Box(Schema, frozen=True):
    """What is open for a device's enrolment, and what is known of it.

    `loss` is its loss case that was not closed as found. `shut` is the warrant by which it may do no more than obey,
    until a person lets it in again: neither silence nor its own word does. `signed`: it has signed that it will
    destroy. `locked`: something that locks it may have reached it. `warrants` are all that were approved for it, `void`
    those that were taken back. `unproven` is the last wipe of which nobody knows whether it happened.
    """

    device: str
    generation: int
    carrier: str
    depot: str
    number: int = 0
    ownership: Ownership = Ownership.COMPANY
    android: int | None = None
    capabilities: tuple[Capability, ...] | None = None
    loss: str = ""
    shut: str = ""
    signed: bool = False
    locked: bool = False
    warrants: tuple[str, ...] = ()
    void: tuple[str, ...] = ()
    unproven: str = ""
    open: tuple[Command, ...] = ()


class Filed(Schema, frozen=True):
    """Where a command is found: in its device's box, or here once it is over."""

    device: str
    depot: str
    over: Command | None = None


class RequestCommand(Schema, frozen=True):
    """A command for up to ten handsets."""

    devices: Annotated[tuple[DeviceId, ...], Meta(min_length=1, max_length=MOST_DEVICES)]
    kind: Kind
    reason: Reason
    parameters: Parameters = Parameters()


class CommandTold(Schema, frozen=True):
    """A command as staff see it. `shown` says it in words: a wipe that was only claimed is never called wiped."""

    id: str
    device: str
    generation: int
    kind: Kind
    parameters: Parameters
    reason: str
    requested_by: str
    requested_at: datetime
    state: State
    shown: str
    warrant: str
    not_before: datetime | None
    expires_at: datetime | None
    attempts: int
    not_now: int
    retry_at: datetime | None
    code: str
    accepted_at: datetime | None
    over_at: datetime | None
    events_sent: int | None
    events_lost: int | None
    evidence: Evidence | None


class Commands(Schema, frozen=True):
    """Commands, and where to go on reading."""

    commands: tuple[CommandTold, ...]
    after: str | None = None


class Orders(Schema, frozen=True):
    """What a handset is to do, the most urgent first: compact JWS, each of an Order."""

    orders: tuple[str, ...]


class Reported(Schema, frozen=True):
    """A report as compact JWS, signed with the enrolment's key."""

    report: Jws


class Detail(Schema, frozen=True):
    """What a report tells besides: docs/protocol/commands.md, section 3."""

    retry_at: Annotated[datetime, Meta(tz=True)] | None = None
    sent: Annotated[int, Meta(ge=0)] | None = None
    lost: Annotated[int, Meta(ge=0)] | None = None
    battery: Annotated[int, Meta(ge=0, le=100)] | None = None
    storage_free_mb: Annotated[int, Meta(ge=0)] | None = None
    os_patch: Annotated[str, Meta(max_length=20)] | None = None
    app_version: Annotated[str, Meta(max_length=80)] | None = None
    waiting: Annotated[int, Meta(ge=0)] | None = None


class Report(Schema, frozen=True):
    """What a handset says of an order: the payload of what it signs."""

    id: Annotated[str, Meta(pattern=UUID7_PATTERN)]
    command: CommandId
    order: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?![\s\S])")]
    number: int
    at: Annotated[datetime, Meta(tz=True)]
    what: What
    code: Code = ""
    detail: Detail = Detail()


class ReportAnswer(Schema, frozen=True):
    """Where the command stands by now. Only `accepted` lets a handset obey."""

    state: State


class CommandRequested(Schema, frozen=True):
    """`facteo.command.requested`."""

    device: str
    generation: int
    number: int
    kind: Kind
    reason: str
    warrant: str
    not_before: datetime | None
    expires_at: datetime | None


class CommandMoved(Schema, frozen=True):
    """`facteo.command.delivered`, `.queued`, `.cancelled`, `.expired`, `.superseded`, `.unanswered`."""

    device: str
    generation: int
    kind: Kind
    state: State
    attempts: int


class CommandReported(Schema, frozen=True):
    """`facteo.command.reported`: what a handset signed of it, and where this led. `late`: it changed nothing."""

    device: str
    generation: int
    kind: Kind
    what: What
    code: str
    state: State
    late: bool
    report: str


class WipeEvidence(Schema, frozen=True):
    """`facteo.command.wipe-evidence`: what is known of a wipe by now."""

    device: str
    generation: int
    kind: Kind
    proof: Proof
    how: str


class DeviceStateChanged(Schema, frozen=True):
    """`facteo.device.quarantined`, `.wiping`, `.readmitted`."""

    generation: int
    state: DeviceState
    loss: str
