"""HTTP for carriers, depots, zones, duties and clients."""

from __future__ import annotations

from datetime import date

from chalice.app import Blueprint

from chalicelib.core.access import staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import endpoint
from chalicelib.core.errors import ChangedMeanwhile, NotFound
from chalicelib.people import service
from chalicelib.people.ids import CarrierId, DepotId, ZoneId
from chalicelib.people.schemas import (
    AssignDuty,
    CarrierAnswer,
    CarrierPage,
    CarriersOfDepot,
    ClientAnswer,
    ClientNumber,
    DepotAnswer,
    DepotPage,
    DepotsOfZone,
    DutyAnswer,
    DutyList,
    DutyPeriod,
    SaveCarrier,
    SaveClient,
    SaveDepot,
    SaveZone,
    ZoneAnswer,
    ZonePage,
    ZonesAfter,
)
from chalicelib.people.statements import UnknownReference

routes = Blueprint(__name__)

CARRIER_EDITORS = staff("depot-manager")
CARRIER_READERS = staff("depot-manager", "fleet-admin", "auditor")
ROSTER_READERS = staff("depot-manager", "auditor")
REFERENCE_EDITORS = staff("ops")
REFERENCE_READERS = staff("ops", "auditor", "depot-manager", "fleet-admin", "dispatcher", "carrier-support")
CLIENT_READERS = staff("ops", "auditor")
"""Prices are the business of few."""

STATING = (UnknownReference, ChangedMeanwhile)


@endpoint(routes, "PUT /v1/carriers/{carrier}", allow=CARRIER_EDITORS, problems=[NotFound, *STATING])
def save_carrier(carrier: CarrierId, request: SaveCarrier, who: StaffMember, call: Call) -> CarrierAnswer:
    """State who a carrier is and which depot they belong to. Saying the same again changes nothing."""
    return service.save_carrier(carrier, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/carriers/{carrier}", allow=CARRIER_READERS, problems=[NotFound])
def read_carrier(carrier: CarrierId, who: StaffMember) -> CarrierAnswer:
    """A carrier, with their name as long as it may be kept."""
    return service.read_carrier(carrier, by=who)


@endpoint(routes, "GET /v1/carriers", allow=CARRIER_READERS)
def carriers_of_depot(query: CarriersOfDepot, who: StaffMember) -> CarrierPage:
    """The carriers of a depot, a hundred at a time."""
    return service.carriers_of(query, by=who)


@endpoint(routes, "PUT /v1/carriers/{carrier}/duties/{day}", allow=CARRIER_EDITORS, problems=[NotFound, *STATING])
def assign_duty(carrier: CarrierId, day: date, request: AssignDuty, who: StaffMember, call: Call) -> DutyAnswer:
    """State which round a carrier works on a day, and its hours."""
    return service.assign_duty(carrier, day, request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "DELETE /v1/carriers/{carrier}/duties/{day}",
    allow=CARRIER_EDITORS,
    problems=[NotFound, ChangedMeanwhile],
)
def withdraw_duty(carrier: CarrierId, day: date, who: StaffMember, call: Call) -> None:
    """Take back a carrier's duty on a day: they have no round then."""
    service.withdraw_duty(carrier, day, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/carriers/{carrier}/duties", allow=ROSTER_READERS, problems=[NotFound])
def duties_of_carrier(carrier: CarrierId, query: DutyPeriod, who: StaffMember) -> DutyList:
    """A carrier's duties from a day to another, the coming week unless said otherwise."""
    return service.duties_of(carrier, query, by=who)


@endpoint(routes, "PUT /v1/depots/{depot}", allow=REFERENCE_EDITORS, problems=[NotFound, *STATING])
def save_depot(depot: DepotId, request: SaveDepot, who: StaffMember, call: Call) -> DepotAnswer:
    """State what a depot is called, where it is, what it serves and which zone it lies in."""
    return service.save_depot(depot, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/depots/{depot}", allow=REFERENCE_READERS, problems=[NotFound])
def read_depot(depot: DepotId) -> DepotAnswer:
    """A depot."""
    return service.read_depot(depot)


@endpoint(routes, "GET /v1/depots", allow=REFERENCE_READERS)
def depots_of_zone(query: DepotsOfZone) -> DepotPage:
    """The depots of a zone, a hundred at a time."""
    return service.depots_of(query)


@endpoint(routes, "PUT /v1/zones/{zone}", allow=REFERENCE_EDITORS, problems=[NotFound, ChangedMeanwhile])
def save_zone(zone: ZoneId, request: SaveZone, who: StaffMember, call: Call) -> ZoneAnswer:
    """State what a zone is called."""
    return service.save_zone(zone, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/zones/{zone}", allow=REFERENCE_READERS, problems=[NotFound])
def read_zone(zone: ZoneId) -> ZoneAnswer:
    """A zone."""
    return service.read_zone(zone)


@endpoint(routes, "GET /v1/zones", allow=REFERENCE_READERS)
def all_zones(query: ZonesAfter) -> ZonePage:
    """All zones, a hundred at a time."""
    return service.zones(query)


@endpoint(routes, "PUT /v1/clients/{client}", allow=REFERENCE_EDITORS, problems=[NotFound, ChangedMeanwhile])
def save_client(client: ClientNumber, request: SaveClient, who: StaffMember, call: Call) -> ClientAnswer:
    """State what is known of a client of the post: company, address, products and prices."""
    return service.save_client(client, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/clients/{client}", allow=CLIENT_READERS, problems=[NotFound])
def read_client(client: ClientNumber) -> ClientAnswer:
    """A client of the post."""
    return service.read_client(client)
