"""Commands over HTTP: for handsets, and for staff."""

from __future__ import annotations

from typing import Final

from chalice.app import Blueprint

from chalicelib.core.access import Handset, handset, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import endpoint
from chalicelib.core.errors import ChangedMeanwhile, DeviceBlocked, EventIdReused, NotFound
from chalicelib.core.schemas import Page
from chalicelib.fleet.commands import boxes, polling, reporting, requesting
from chalicelib.fleet.commands.reporting import ReportUnproven
from chalicelib.fleet.commands.rules import CommandOver, NotApplicable, TooManyCommands
from chalicelib.fleet.commands.schemas import (
    CommandId,
    Commands,
    CommandTold,
    Orders,
    ReportAnswer,
    Reported,
    RequestCommand,
)
from chalicelib.fleet.guards.breaker import BreakerOpen
from chalicelib.fleet.guards.buckets import BlastLimitReached, BucketSettings
from chalicelib.fleet.guards.choke import ApprovalsRequired
from chalicelib.fleet.schemas import DeviceId

routes = Blueprint(__name__)

COMMANDERS: Final = staff("fleet-admin", "depot-manager", "dispatcher", "security-officer")
READERS: Final = staff("fleet-admin", "depot-manager", "dispatcher", "security-officer", "auditor")
COMMANDED: Final = handset(blocked_too=True, beside=boxes.beside)


@endpoint(routes, "GET /v1/commands", allow=COMMANDED, problems=[ChangedMeanwhile])
def poll(who: Handset, call: Call) -> Orders:
    """What this handset is to do: signed orders, the most urgent first. See docs/protocol/commands.md."""
    return polling.poll(who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/commands/{command}/reports",
    allow=COMMANDED,
    problems=[ReportUnproven, NotFound, EventIdReused, ApprovalsRequired, ChangedMeanwhile],
)
def report(command: CommandId, request: Reported, who: Handset, call: Call) -> ReportAnswer:
    """What became of an order, signed with the enrolment's key. Obey only what is answered with `accepted`."""
    return reporting.report(command, request.report, who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/commands",
    allow=COMMANDERS,
    problems=[
        NotFound,
        DeviceBlocked,
        ApprovalsRequired,
        NotApplicable,
        TooManyCommands,
        BreakerOpen,
        BlastLimitReached,
        ChangedMeanwhile,
    ],
    status=201,
    settings=BucketSettings,
)
def request_command(request: RequestCommand, who: StaffMember, call: Call) -> Commands:
    """Order something of up to ten handsets, all or none. What destroys needs a warrant: `POST /v1/warrants`."""
    return requesting.request(request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/commands/{command}", allow=READERS, problems=[NotFound, ChangedMeanwhile])
def read_command(command: CommandId, who: StaffMember) -> CommandTold:
    """A command: where it stands, and what is known of a wipe."""
    return requesting.read(command, by=who)


@endpoint(routes, "GET /v1/devices/{device}/commands", allow=READERS, problems=[NotFound])
def commands_of_device(device: DeviceId, query: Page, who: StaffMember) -> Commands:
    """The commands of a device, of all its enrolments, the oldest first."""
    return requesting.of_device(device, after=query.after, by=who)


@endpoint(
    routes,
    "POST /v1/commands/{command}/cancellation",
    allow=COMMANDERS,
    problems=[NotFound, CommandOver, DeviceBlocked, TooManyCommands, ChangedMeanwhile],
)
def cancel_command(command: CommandId, who: StaffMember, call: Call) -> CommandTold:
    """Call a command off, until the handset has signed for it."""
    return requesting.cancel(command, by=who, correlation_id=call.correlation_id)
