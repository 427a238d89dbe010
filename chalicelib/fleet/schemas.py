"""Tickets, enrolments and devices as staff and handsets see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from chalicelib.core.access import DeviceState
from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.public_keys import PublicKey
from chalicelib.core.schemas import Schema
from chalicelib.fleet.attestation import Assurance
from chalicelib.fleet.commands.kinds import Capability, Ownership
from chalicelib.fleet.guards.schemas import Approved
from chalicelib.people.ids import CarrierId, DepotId

DeviceId = Annotated[str, Meta(pattern=UUID7_PATTERN)]
Serial = Annotated[str, Meta(max_length=80, pattern=r"\S")]
Text = Annotated[str, Meta(min_length=1, max_length=80)]
Certificate = Annotated[bytes, Meta(max_length=8192)]


class TicketRequest(Schema, frozen=True):
    """Whose handset is to be enrolled, and whether it is the company's or their own. The depot is the carrier's."""

    carrier: CarrierId
    ownership: Ownership = Ownership.COMPANY


class QRCode(Schema, frozen=True):
    """The same QR code as a drawing (SVG) and as an image (PNG in base64)."""

    svg: str
    png: bytes


class QRContent(Schema, frozen=True):
    """What the QR code says: the API's address, the ticket's code, and the challenge for the key's attestation."""

    url: str
    code: str
    challenge: str


class Ticket(Schema, frozen=True):
    """A one-time enrolment ticket. `code` is shown once, here; only its hash is kept."""

    ticket: str
    carrier: str
    depot: str
    expires_at: datetime
    content: QRContent
    qr: QRCode


class Hardware(Schema, frozen=True):
    """What the handset says of itself. Of the serial number only a hash is kept. `capabilities` are what it can be told
    to do; one that says nothing of them is taken to have all, and may answer that it has not.
    """

    serial: Serial
    manufacturer: Text
    model: Text
    os_version: Text
    app_version: Text
    capabilities: tuple[Capability, ...] | None = None


class EnrolmentRequest(Schema, frozen=True):
    """A handset's request to be enrolled, signed with the key it brings.

    `attestation` is the Android Key Attestation chain, leaf first, each certificate as DER in base64; a handset that
    cannot attest its key leaves it empty.
    """

    code: Annotated[str, Meta(max_length=200)]
    public_key: PublicKey
    hardware: Hardware
    attestation: Annotated[tuple[Certificate, ...], Meta(max_length=10)] = ()


class Policy(Schema, frozen=True):
    """What a handset keeps to. Seconds, bytes and counts."""

    version: int
    batch_events: int
    batch_bytes: int
    sync_every_seconds: int
    clock_tolerance_seconds: int


class Statement(Schema, frozen=True):
    """What the back office states of an enrolment, under its signature. `approvers_digest` is the SHA-256 (hex) of the
    text of the set of approvers that came with it; empty if none did.
    """

    device: str
    generation: int
    carrier: str
    depot: str
    assurance: Assurance
    key_thumbprint: str
    enrolled_at: datetime
    policy: Policy
    approvers_digest: str = ""


class Enrolment(Schema, frozen=True):
    """The answer to an enrolment. `statement` is a Statement as compact JWS, signed by one of `server_keys`.

    `approvers` is the set by which the handset judges warrants from now on, if there is one.
    """

    device: str
    generation: int
    source: str
    assurance: Assurance
    policy: Policy
    server_keys: tuple[dict[str, str], ...]
    statement: str
    approvers: Approved | None = None


class Device(Schema, frozen=True):
    """A device as staff see it."""

    device: str
    state: DeviceState
    generation: int
    carrier: str
    depot: str
    assurance: Assurance
    manufacturer: str
    model: str
    os_version: str
    app_version: str
    enrolled_at: datetime
    acknowledged_through: int
    retired_for: str = ""


class Devices(Schema, frozen=True):
    """Devices by their id. `next` is the `after` of the next page, empty on the last one.

    What is left out (by `state`, or as another depot's) makes a page shorter, down to an empty one with a `next`.
    """

    devices: tuple[Device, ...]
    next: str = ""


class DeviceSearch(Schema, frozen=True):
    """Exactly one of depot, carrier or serial; `state` leaves out the others; `after` is the page before's `next`."""

    depot: DepotId | None = None
    carrier: CarrierId | None = None
    serial: Serial | None = None
    state: DeviceState | None = None
    after: DeviceId | None = None


class Retirement(Schema, frozen=True):
    """Why a device is retired."""

    reason: Annotated[str, Meta(min_length=3, max_length=200)]


class TicketIssued(Schema, frozen=True):
    """`facteo.enrolment-ticket.issued`."""

    carrier: str
    depot: str
    expires_at: datetime


class DeviceEnrolled(Schema, frozen=True):
    """`facteo.device.enrolled`: a new generation of the device, with nothing inherited from the one before."""

    ticket: str
    generation: int
    carrier: str
    depot: str
    assurance: Assurance
    key_thumbprint: str


class DeviceRetired(Schema, frozen=True):
    """`facteo.device.retired`: its key is refused for ever."""

    generation: int
    reason: str
