"""The fleet over HTTP: tickets and devices for staff, enrolment for handsets."""

from __future__ import annotations

from typing import Annotated

from chalice.app import Blueprint
from msgspec import Meta

from chalicelib.core.access import StaffMember, public, staff
from chalicelib.core.call import Call
from chalicelib.core.endpoint import MIB, endpoint
from chalicelib.core.errors import AccessDenied, ChangedMeanwhile, ClockSkewed, IdentityRequired, NotFound
from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.fleet import enrolment, service
from chalicelib.fleet.rules import (
    AlreadyEnrolled,
    AttestationInvalid,
    KeyRefused,
    TicketExpired,
    TicketUnknown,
    TicketUsed,
)
from chalicelib.fleet.schemas import (
    Device,
    Devices,
    DeviceSearch,
    Enrolment,
    EnrolmentRequest,
    Retirement,
    Ticket,
    TicketRequest,
)
from chalicelib.people import service as people

routes = Blueprint(__name__)

DeviceId = Annotated[str, Meta(pattern=UUID7_PATTERN)]


@endpoint(
    routes,
    "POST /v1/enrolment-tickets",
    allow=staff("fleet-admin", "depot-manager"),
    problems=[NotFound],
    status=201,
)
def issue_ticket(request: TicketRequest, who: StaffMember, call: Call) -> Ticket:
    """A one-time ticket for a carrier's handset, with its QR code."""
    depot = people.carrier(request.carrier).depot
    people.require_depot(who, depot)
    return enrolment.issue_ticket(request.carrier, depot, actor=who.actor, correlation_id=call.correlation_id)


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
        AttestationInvalid,
        ChangedMeanwhile,
    ],
    status=201,
    body_limit=MIB // 8,
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
    """The devices of a depot or a carrier, or the one with a serial number."""
    found = service.search(query)
    for depot in {query.depot, *(device.depot for device in found.devices)} - {""}:
        people.require_depot(who, depot)
    return found


@endpoint(
    routes,
    "GET /v1/devices/{device}",
    allow=staff("fleet-admin", "depot-manager", "security-officer", "dispatcher"),
    problems=[NotFound],
)
def read(device: DeviceId, who: StaffMember) -> Device:
    """A device: whose it is, how well its key is kept, how far its events have come."""
    found = service.device(device)
    people.require_depot(who, found.depot)
    return found


@endpoint(
    routes,
    "POST /v1/devices/{device}/retirement",
    allow=staff("fleet-admin", "depot-manager"),
    problems=[NotFound, AccessDenied, ChangedMeanwhile],
)
def retire(device: DeviceId, request: Retirement, who: StaffMember, call: Call) -> Device:
    """Retire a device. Its key is refused from its next request on, for ever."""
    people.require_depot(who, service.device(device).depot)
    return service.retire(device, request.reason, actor=who.actor, correlation_id=call.correlation_id)
