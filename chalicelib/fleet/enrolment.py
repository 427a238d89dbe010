"""Enrolment: a one-time ticket, and a key that the handset made and never gives away."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from chalicelib.core import access, clock, events, http_signatures, ids, settings, signing
from chalicelib.core.access import AccessRow, DeviceState
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import RequestInvalid
from chalicelib.core.later import later
from chalicelib.core.public_keys import PublicKey
from chalicelib.core.transaction import retried, transaction
from chalicelib.fleet import attestation, qr, rules
from chalicelib.fleet.attestation import Assurance, AttestationPolicy, AttestationRefused
from chalicelib.fleet.commands import boxes, renewing
from chalicelib.fleet.commands import rules as command_rules
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.kinds import Ownership
from chalicelib.fleet.commands.schemas import Box
from chalicelib.fleet.google_roots import TRUSTED_ROOTS
from chalicelib.fleet.guards import passkeys
from chalicelib.fleet.own_settings import EnrolmentSettings
from chalicelib.fleet.rules import (
    AlreadyEnrolled,
    AttestationInvalid,
    HandsetUnderReview,
    KeyRefused,
    TicketUnknown,
    TicketUsed,
)
from chalicelib.fleet.schemas import (
    DeviceEnrolled,
    Enrolment,
    EnrolmentRequest,
    QRContent,
    Statement,
    Ticket,
    TicketIssued,
    TicketRequest,
)
from chalicelib.fleet.tables import CarrierDeviceRow, DeviceRow, HardwareRow, KeySeenRow, TicketRow
from chalicelib.people import lookup as people

if TYPE_CHECKING:
    from chalicelib.fleet.guards import approvers
else:
    (approvers,) = later("chalicelib.fleet.guards", "approvers")

_SECRET_BYTES = 24
_CHALLENGE_BYTES = 32
_COORDINATE_BYTES = 32


class Newcomer(msgspec.Struct, frozen=True):
    """A handset whose ticket and key have been checked."""

    request: EnrolmentRequest
    ticket: TicketRow
    thumbprint: str
    assurance: Assurance
    correlation_id: str


def issue_ticket(wanted: TicketRequest, *, by: StaffMember, correlation_id: str) -> Ticket:
    """A ticket that lets one handset enrol for a carrier, at the carrier's present depot, within the hour.

    Raises NotFound, or AccessDenied for another depot's carrier.
    """
    carrier, depot = wanted.carrier, people.carrier(wanted.carrier).depot
    people.require_depot(by, depot)
    ticket, secret = ids.new(), secrets.token_urlsafe(_SECRET_BYTES)
    expires_at = clock.now() + rules.TICKET_VALID_FOR
    content = QRContent(
        url=settings.load(EnrolmentSettings).public_url,
        code=f"{ticket}.{secret}",
        challenge=signing.base64url(secrets.token_bytes(_CHALLENGE_BYTES)),
    )
    row = TicketRow(
        f"ticket/{ticket}",
        "ticket",
        secret_hash=rules.hashed(secret),
        challenge=content.challenge,
        carrier=carrier,
        depot=depot,
        valid_until=expires_at.isoformat(),
        ownership=wanted.ownership.value,
        expires_at=expires_at + rules.TICKET_KEPT_FOR,
    )
    issued = TicketIssued(carrier=carrier, depot=depot, expires_at=expires_at)
    event = events.make(
        "facteo.enrolment-ticket.issued",
        f"enrolment-ticket/{ticket}",
        issued,
        actor=by.actor,
        correlation_id=correlation_id,
        place=f"depot/{depot}",
    )
    with transaction() as work:
        work.put(row)
        work.append(event)
    return Ticket(
        ticket=ticket,
        carrier=carrier,
        depot=depot,
        expires_at=expires_at,
        content=content,
        qr=qr.draw(msgspec.json.encode(content).decode()),
    )


def enrol(request: EnrolmentRequest, call: Call) -> Enrolment:
    """Enrol a handset: the ticket is used up, and the handset's key signs for it from now on.

    The same handset asking again with the same ticket and key gets the same enrolment. Raises TicketUnknown,
    TicketExpired, TicketUsed, KeyRefused, AlreadyEnrolled, HandsetUnderReview, AttestationInvalid, or IdentityRequired
    if the request is not signed with the key that it brings.
    """
    thumbprint = _thumbprint(request.public_key)
    http_signatures.verify(call, lambda key_id: request.public_key if key_id == thumbprint else None)
    return retried(lambda: _enrol(request, thumbprint, call.correlation_id))


def _thumbprint(key: PublicKey) -> str:
    """The name of a key (RFC 7638). Raises RequestInvalid for another spelling of it: a key is to have one name."""
    point = key.opened().public_numbers()
    x, y = (signing.base64url(number.to_bytes(_COORDINATE_BYTES, "big")) for number in (point.x, point.y))
    if (key.x, key.y) != (x, y):
        raise RequestInvalid("Write x and y of the public key as 32 bytes each, in base64url without padding.")
    return signing.thumbprint(msgspec.structs.asdict(key))


def _enrol(request: EnrolmentRequest, thumbprint: str, correlation_id: str) -> Enrolment:
    ticket = _ticket(request.code)
    if ticket.used_by is not None:
        return _same_again(ticket, thumbprint)
    rules.check_validity(datetime.fromisoformat(ticket.valid_until), clock.now())
    assurance = _assurance(request, ticket.challenge)
    newcomer = Newcomer(request, ticket, thumbprint, assurance, correlation_id)
    seen = HardwareRow.find(rules.hardware_key(request.hardware.serial), "hardware")
    former = boxes.load(seen.device) if seen else None
    _require_over(former)
    row = _device_row(newcomer, former)
    _write(newcomer, row, former)
    return _answer(row)


def _require_over(former: Held | None) -> None:
    """Raise HandsetUnderReview for a handset that was lost and not found, AlreadyEnrolled for one that is enrolled."""
    if former is None:
        return
    if former.box.loss:
        raise HandsetUnderReview("Somebody must first close its loss case as found.", loss_case=former.box.loss)
    if former.state is not DeviceState.RETIRED:
        raise AlreadyEnrolled("Have your depot retire its former enrolment first.", device=former.device)


def _ticket(code: str) -> TicketRow:
    ticket_id, secret = rules.split_code(code)
    ticket = TicketRow.find(f"ticket/{ticket_id}", "ticket")
    if ticket is None:
        raise TicketUnknown("Ask your depot for a new QR code.")
    rules.check_secret(secret, ticket.secret_hash)
    return ticket


def _same_again(ticket: TicketRow, thumbprint: str) -> Enrolment:
    """The answer that was lost on its way, as long as that enrolment is the device's present one."""
    row = DeviceRow.find(f"device/{ticket.device}", "device")
    if ticket.used_by != thumbprint or row is None or row.key_thumbprint != thumbprint or row.retired_for:
        raise TicketUsed("A ticket enrols one handset once. Ask your depot for a new QR code.")
    return _answer(row)


def _assurance(request: EnrolmentRequest, challenge: str) -> Assurance:
    """How well the key is kept. A handset without a chain is let in, and said to have none."""
    if not request.attestation:
        return Assurance.NONE
    known = settings.load(EnrolmentSettings)
    policy = AttestationPolicy(
        package=known.attestation_package,
        signer_digests=frozenset(known.attestation_signers.split()),
        roots=TRUSTED_ROOTS,
    )
    try:
        return attestation.verify(
            request.attestation, challenge=challenge.encode(), key=request.public_key.opened(), policy=policy
        )
    except AttestationRefused as refusal:
        raise AttestationInvalid(str(refusal), reason=refusal.reason) from refusal


def _device_row(newcomer: Newcomer, former: Held | None) -> DeviceRow:
    device = former.device if former else ids.new()
    hardware = rules.HardwareWithoutSerial.of(newcomer.request.hardware)
    return DeviceRow(
        f"device/{device}",
        "device",
        group=f"depot/{newcomer.ticket.depot}",
        device=device,
        generation=int(former.entry.generation) + 1 if former else 1,
        carrier=newcomer.ticket.carrier,
        depot=newcomer.ticket.depot,
        assurance=newcomer.assurance.value,
        key_thumbprint=newcomer.thumbprint,
        hardware=msgspec.json.encode(hardware).decode(),
        enrolled_at=clock.stamp(clock.now()),
    )


def _write(newcomer: Newcomer, row: DeviceRow, former: Held | None) -> None:
    """Use up the ticket and let the device in, together or not at all.

    The ticket comes first, since the first refusal is the one that is told: a handset that asks twice at once is to
    find its ticket used by itself, rather than its key known.
    """
    ticket, request, correlation_id = newcomer.ticket, newcomer.request, newcomer.correlation_id
    ticket.used_by, ticket.device = newcomer.thumbprint, row.device
    hardware = HardwareRow(rules.hardware_key(request.hardware.serial), "hardware", device=row.device)
    key = KeySeenRow(f"key/{newcomer.thumbprint}", "key", device=row.device)
    entry = AccessRow(
        row.device,
        generation=row.generation,
        state=DeviceState.ENROLLED.value,
        key=msgspec.json.encode(request.public_key).decode(),
        carrier=row.carrier,
        depot=row.depot,
        assurance=row.assurance,
    )
    with transaction() as work:
        work.put(ticket, when=TicketRow.used_by.does_not_exist())
        work.put(key, unless_exists=KeyRefused("Make a new key in the handset and enrol with that."))
        work.put(hardware, when=HardwareRow.pk.does_not_exist() | (HardwareRow.device == row.device))
        work.put(row)
        work.put(CarrierDeviceRow(f"carrier/{row.carrier}", f"device/{row.device}", device=row.device))
        access.grant(work, entry, replaces=former.entry if former else None)
        renewing.renew(work, former, _box(newcomer, row), by=f"carrier/{row.carrier}", correlation_id=correlation_id)
        work.append(_enrolled(newcomer, row))


def _box(newcomer: Newcomer, row: DeviceRow) -> Box:
    hardware = newcomer.request.hardware
    return Box(
        device=row.device,
        generation=int(row.generation),
        carrier=row.carrier,
        depot=row.depot,
        ownership=Ownership(newcomer.ticket.ownership),
        android=command_rules.android_of(hardware.os_version),
        capabilities=hardware.capabilities,
    )


def _enrolled(newcomer: Newcomer, row: DeviceRow) -> events.Event:
    fact = DeviceEnrolled(
        ticket=newcomer.ticket.pk.removeprefix("ticket/"),
        generation=int(row.generation),
        carrier=row.carrier,
        depot=row.depot,
        assurance=newcomer.assurance,
        key_thumbprint=newcomer.thumbprint,
    )
    return events.make(
        "facteo.device.enrolled",
        f"device/{row.device}",
        fact,
        actor=f"carrier/{row.carrier}",
        correlation_id=newcomer.correlation_id,
        place=f"depot/{row.depot}",
    )


def _answer(row: DeviceRow) -> Enrolment:
    """The answer, with the approvers of this moment: asked again, it may name others."""
    approved = approvers.in_force()
    generation, assurance = int(row.generation), Assurance(row.assurance)
    statement = Statement(
        device=row.device,
        generation=generation,
        carrier=row.carrier,
        depot=row.depot,
        assurance=assurance,
        key_thumbprint=row.key_thumbprint,
        enrolled_at=datetime.fromisoformat(row.enrolled_at),
        policy=rules.POLICY,
        approvers_digest=passkeys.digest_of(approved.text) if approved else "",
    )
    return Enrolment(
        device=row.device,
        generation=generation,
        source=f"/handsets/{row.device}/{generation}",
        assurance=assurance,
        policy=rules.POLICY,
        server_keys=tuple(signing.public_keys()),
        statement=signing.sign(statement),
        approvers=approved,
    )
