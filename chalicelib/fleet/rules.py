"""Pure decisions of the fleet."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta

import msgspec

from chalicelib.core.errors import Problem
from chalicelib.fleet.schemas import Hardware, Policy

TICKET_VALID_FOR = timedelta(hours=1)
TICKET_KEPT_FOR = timedelta(days=30)

POLICY = Policy(
    version=1,
    batch_events=100,
    batch_bytes=1024 * 1024,
    sync_every_seconds=15 * 60,
    clock_tolerance_seconds=5 * 60,
)


class TicketUnknown(Problem):
    status = 403
    title = "There is no such ticket"


class TicketExpired(Problem):
    status = 403
    title = "The ticket has expired"


class TicketUsed(Problem):
    status = 409
    title = "The ticket has been used"


class KeyRefused(Problem):
    status = 409
    title = "This key has been enrolled before"


class AlreadyEnrolled(Problem):
    status = 409
    title = "This handset is enrolled already"


class HandsetUnderReview(Problem):
    status = 409
    title = "This handset was reported lost"


class AttestationInvalid(Problem):
    status = 422
    title = "The key's attestation is refused"


class HardwareWithoutSerial(msgspec.Struct, frozen=True):
    """What is kept of the hardware: everything but its serial number."""

    manufacturer: str
    model: str
    os_version: str
    app_version: str

    @classmethod
    def of(cls, hardware: Hardware) -> HardwareWithoutSerial:
        """The hardware without what tells one piece from another."""
        return cls(hardware.manufacturer, hardware.model, hardware.os_version, hardware.app_version)


def split_code(code: str) -> tuple[str, str]:
    """The ticket's id and secret, from `<id>.<secret>`."""
    ticket, _, secret = code.partition(".")
    return ticket, secret


def hashed(secret: str) -> str:
    """SHA-256 (hex): the secrets hashed here are random and long, or (serials) only told apart."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check_secret(secret: str, secret_hash: str) -> None:
    """Raise TicketUnknown for a wrong secret."""
    if not hmac.compare_digest(hashed(secret), secret_hash):
        raise TicketUnknown("Ask your depot for a new QR code.")


def check_validity(valid_until: datetime, now: datetime) -> None:
    """Raise TicketExpired after an hour."""
    if now > valid_until:
        raise TicketExpired("A ticket is valid for one hour. Ask your depot for a new QR code.")


def hardware_key(serial: str) -> str:
    """The key under which a piece of hardware is recognised: a hash, so that no serial number is kept."""
    return f"hardware/{hashed(serial.strip().upper())}"
