"""The fleet over HTTP: tickets and devices for staff, enrolment for handsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalice.app import Blueprint

from chalicelib.core.access import public, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import MIB, endpoint
from chalicelib.core.errors import ChangedMeanwhile, ClockSkewed, DeviceBlocked, IdentityRequired, NotFound
from chalicelib.core.later import later
from chalicelib.fleet import service
from chalicelib.fleet.guards.breaker import BreakerOpen
from chalicelib.fleet.guards.buckets import BlastLimitReached, BucketSettings
from chalicelib.fleet.own_settings import EnrolmentSettings
from chalicelib.fleet.rules import (
    AlreadyEnrolled,
    AttestationInvalid,
    HandsetUnderReview,
    KeyRefused,
    TicketExpired,
    TicketUnknown,
    TicketUsed,
)
from chalicelib.fleet.schemas import (
    Device,
    DeviceId,
    Devices,
    DeviceSearch,
    Enrolment,
    EnrolmentRequest,
    Retirement,
    Ticket,
    TicketRequest,
)

if TYPE_CHECKING:
    from chalicelib.fleet import enrolment
else:
    (enrolment,) = later("chalicelib.fleet", "enrolment")

routes = Blueprint(__name__)


@endpoint(
    routes,
    "POST /v1/enrolment-tickets",
    allow=staff("fleet-admin", "depot-manager"),
    problems=[NotFound],
    status=201,
    settings=EnrolmentSettings,
)
def issue_ticket(request: TicketRequest, who: StaffMember, call: Call) -> Ticket:
    """A one-time ticket for a carrier's handset, with its QR code."""
    return enrolment.issue_ticket(request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/enrolments",
    allow=public("a handset has no key here yet; it shows a one-time ticket and signs with the key that it brings"),
    problems=[
        IdentityRequired,
        ClockSkewed,
        TicketUnknown,
        TicketExpired,
        TicketUsed,
        KeyRefused,
        AlreadyEnrolled,
        HandsetUnderReview,
        AttestationInvalid,
        ChangedMeanwhile,
    ],
    status=201,
    body_limit=MIB // 8,
    settings=EnrolmentSettings,
)
def enrol(request: EnrolmentRequest, call: Call) -> Enrolment:
    """Enrol a handset with a ticket. Asking again with the same ticket and key gives the same enrolment."""
    return enrolment.enrol(request, call)


@endpoint(
    routes,
    "GET /v1/devices",
    allow=staff("fleet-admin", "depot-manager", "security-officer", "dispatcher"),
)
def search(query: DeviceSearch, who: StaffMember) -> Devices:
    """The devices of a depot or a carrier, or the one with a serial number; only those of depots of yours."""
    return service.search(query, by=who)


@endpoint(
    routes,
    "GET /v1/devices/{device}",
    allow=staff("fleet-admin", "depot-manager", "security-officer", "dispatcher"),
    problems=[NotFound],
)
def read(device: DeviceId, who: StaffMember) -> Device:
    """A device: whose it is, how well its key is kept, how far its events have come."""
    return service.read(device, by=who)


@endpoint(
    routes,
    "POST /v1/devices/{device}/retirement",
    allow=staff("fleet-admin", "depot-manager"),
    problems=[NotFound, DeviceBlocked, BreakerOpen, BlastLimitReached, ChangedMeanwhile],
    settings=BucketSettings,
)
def retire(device: DeviceId, request: Retirement, who: StaffMember, call: Call) -> Device:
    """Retire a device. Its key is refused from its next request on, for ever."""
    return service.retire(device, request.reason, by=who, correlation_id=call.correlation_id)
