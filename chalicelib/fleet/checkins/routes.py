"""Check-ins over HTTP: for handsets, and what staff see of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalice.app import Blueprint

from chalicelib.core.access import Handset, handset, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import Answer, endpoint
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.later import later
from chalicelib.fleet.checkins import leases, taking
from chalicelib.fleet.checkins.schemas import (
    CheckedIn,
    CheckIn,
    DepotSummary,
    LeaseKey,
    OfDepot,
    SeenDevices,
    SeenSearch,
    Usage,
)
from chalicelib.fleet.own_settings import ViewSettings

if TYPE_CHECKING:
    from chalicelib.fleet.checkins import sheets, usage, views
else:
    sheets, usage, views = later("chalicelib.fleet.checkins", "sheets", "usage", "views")

routes = Blueprint(__name__)

READERS: Final = staff("fleet-admin", "depot-manager", "security-officer", "dispatcher", "auditor")


@endpoint(routes, "POST /v1/check-ins", allow=handset(blocked_too=True), problems=[ChangedMeanwhile])
def check_in(request: CheckIn, who: Handset, call: Call) -> CheckedIn:
    """Say how the handset is, and hear until when its container may stay open, and whether anything waits."""
    return taking.take(request, who, correlation_id=call.correlation_id)


@endpoint(routes, "POST /v1/lease", allow=handset(beside=leases.beside), problems=[ChangedMeanwhile])
def lease(who: Handset) -> LeaseKey:
    """The key without which the handset's container cannot be read: the same as long as the enrolment lasts."""
    return leases.lease(who)


@endpoint(routes, "GET /v1/policy/usage", allow=handset(beside=usage.beside))
def own_usage(who: Handset) -> Usage:
    """The carrier's own personal use, this month and the last, and what is left of the allowance."""
    return usage.of_handset(who)


@endpoint(routes, "GET /v1/fleet/devices", allow=READERS, settings=ViewSettings)
def devices(query: SeenSearch, who: StaffMember) -> SeenDevices:
    """A depot's devices by their last check-ins, or those with a finding."""
    return views.search(query, by=who)


@endpoint(routes, "GET /v1/fleet/devices/csv", allow=READERS, settings=ViewSettings, returns=str, media=["text/csv"])
def devices_sheet(query: OfDepot, who: StaffMember) -> Answer:
    """The same of the whole depot as a sheet, 1,000 devices at most."""
    return Answer(body=sheets.of_depot(query.depot, by=who), media="text/csv")


@endpoint(routes, "GET /v1/fleet/summary", allow=READERS, settings=ViewSettings)
def summary(query: OfDepot, who: StaffMember) -> DepotSummary:
    """How many of a depot's devices have each finding."""
    return views.summary(query.depot, by=who)
