"""Passes over HTTP: for handsets, for staff, and what everybody may read. See `entry` for who serves them."""

from __future__ import annotations

from typing import Any, Final

from chalice.app import Blueprint

from chalicelib.core.access import Handset, handset, public, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import Answer, endpoint
from chalicelib.core.errors import ChangedMeanwhile, DeviceBlocked, NotFound
from chalicelib.core.schemas import Schema
from chalicelib.fleet.schemas import DeviceId
from chalicelib.passes import (
    buildings,
    entries,
    helping,
    issuing,
    perimeters,
    publishing,
    readers,
    registering,
    suspending,
)
from chalicelib.passes.entry_schemas import BuildingEntries, EntriesPage, OwnEntries
from chalicelib.passes.evidence import EntrySettings
from chalicelib.passes.helping import NoLastDoor
from chalicelib.passes.issuing import AssuranceTooLow, NoPerimeter, NoShift, PassIsSuspended, PassSettings
from chalicelib.passes.published_schemas import JwkSet, KeysTold, SignedList, StatusListTold, TimeTold
from chalicelib.passes.publishing import KEY_SET, KEYS_AS_JWK, STATUS_LIST, TIME
from chalicelib.passes.readers import ReaderTaken, TooManyReaders
from chalicelib.passes.registry_schemas import (
    BuildingAnswer,
    BuildingId,
    BuildingPage,
    BuildingsOfSector,
    ReaderAnswer,
    ReaderId,
    ReaderLine,
    SaveBuilding,
    SaveReader,
)
from chalicelib.passes.schemas import PassTold
from chalicelib.passes.staff_schemas import DevicePass, GrantHelp, Perimeter, StatePerimeter, SuspendPass
from chalicelib.passes.suspending import AlertOfAnother
from chalicelib.people.ids import DepotId, RouteId

routes = Blueprint(__name__)

ANYBODY: Final = public("readers at doors verify by it, whoever made them; it names nobody")
SUSPENDERS: Final = staff("dispatcher", "security-officer", "depot-manager")
READERS: Final = staff("dispatcher", "security-officer", "depot-manager", "fleet-admin", "auditor")
BUILDING_EDITORS: Final = staff("building-manager", "security-officer")
BUILDING_READERS: Final = staff("building-manager", "security-officer", "auditor")
A_MINUTE: Final = "public, max-age=30"
UNCHANGED: Final = {304: "It is the one that If-None-Match names."}


# --- handsets -----------------------------------------------------------------------------------------------


@endpoint(
    routes,
    "POST /v1/pass",
    allow=handset(beside=issuing.beside),
    problems=[NoShift, NoPerimeter, AssuranceTooLow, PassIsSuspended, NotFound, ChangedMeanwhile],
    settings=PassSettings,
)
def issue(who: Handset, call: Call) -> PassTold:
    """The pass for today's round. Asked again it is the same one, until it has expired or the round is another."""
    return issuing.issue(who, correlation_id=call.correlation_id)


@endpoint(routes, "DELETE /v1/pass", allow=handset(), problems=[ChangedMeanwhile])
def give_back(who: Handset, call: Call) -> None:
    """Give the pass back at the end of the shift: forget it too."""
    issuing.give_back(who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/pass/help", allow=handset(), problems=[NotFound])
def help_pass(who: Handset) -> PassTold:
    """The pass that a dispatcher gave, to help a colleague: it opens one door once."""
    return helping.of_handset(who)


@endpoint(routes, "GET /v1/pass/entries", allow=handset(), settings=EntrySettings)
def own_entries(query: EntriesPage, who: Handset) -> OwnEntries:
    """The carrier's own entries, the newest first, 40 at a time, and who of staff looked at any of them."""
    return entries.own(who, query.after)


# --- everybody ----------------------------------------------------------------------------------------------


@endpoint(routes, "GET /v1/pass-keys", allow=ANYBODY, returns=KeysTold, answers=UNCHANGED, cache=A_MINUTE)
def key_set(call: Call) -> Answer:
    """The signed set of the keys that sign passes, for readers."""
    return _published(KEY_SET, KeysTold, call)


@endpoint(routes, "GET /v1/pass-keys/jwks", allow=ANYBODY, returns=JwkSet, answers=UNCHANGED, cache=A_MINUTE)
def jwks(call: Call) -> Answer:
    """The same keys as a JWK set (RFC 7517), for other programs. It is not signed."""
    return _published(KEYS_AS_JWK, JwkSet, call)


@endpoint(routes, "GET /v1/pass-time", allow=ANYBODY, returns=TimeTold, answers=UNCHANGED, cache=A_MINUTE)
def signed_time(call: Call) -> Answer:
    """The signed time, for readers whose clock is behind: made each minute."""
    return _published(TIME, TimeTold, call)


@endpoint(routes, "GET /v1/status-lists/0", allow=ANYBODY, returns=StatusListTold, answers=UNCHANGED, cache=A_MINUTE)
def status_list(call: Call) -> Answer:
    """The signed list of the passes that are suspended or ended: within a minute after that."""
    listed, etag = publishing.read(STATUS_LIST, SignedList)
    told = StatusListTold(issued_at=listed.issued_at, status_list=listed.status_list)
    return _tagged(told, etag, call)


# --- buildings and their readers ----------------------------------------------------------------------------


@endpoint(routes, "PUT /v1/buildings/{building}", allow=BUILDING_EDITORS, problems=[ChangedMeanwhile])
def save_building(building: BuildingId, request: SaveBuilding, who: StaffMember, call: Call) -> BuildingAnswer:
    """State what a building is and when its manager lets which services in. Saying the same again changes nothing.

    Each reader keeps the hours that it was installed with: other ones hold there once its line is installed again.
    """
    return registering.save(building, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/buildings/{building}", allow=BUILDING_READERS)
def read_building(building: BuildingId, who: StaffMember) -> BuildingAnswer:
    """A building and its readers."""
    return buildings.read(building, by=who)


@endpoint(routes, "GET /v1/buildings", allow=BUILDING_READERS)
def buildings_of_sector(query: BuildingsOfSector, who: StaffMember) -> BuildingPage:
    """The buildings of a sector that are the caller's, up to a hundred at a time."""
    return buildings.of_sector(query, by=who)


@endpoint(
    routes,
    "GET /v1/buildings/{building}/readers/{reader}/line",
    allow=BUILDING_EDITORS,
    problems=[ReaderTaken],
)
def reader_line(building: BuildingId, reader: ReaderId, who: StaffMember, call: Call) -> ReaderLine:
    """What a reader is installed with, before it is registered too: it holds the building's secret. Each is journalled.

    Installed again, the reader admits whom the building admits now.
    """
    return readers.line(building, reader, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "PUT /v1/buildings/{building}/readers/{reader}",
    allow=BUILDING_EDITORS,
    problems=[ReaderTaken, TooManyReaders, ChangedMeanwhile],
)
def register_reader(
    building: BuildingId, reader: ReaderId, request: SaveReader, who: StaffMember, call: Call
) -> ReaderAnswer:
    """State what a reader's receipts verify with, once it is installed. It is its building's until it is removed."""
    return readers.register(building, reader, request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "DELETE /v1/buildings/{building}/readers/{reader}",
    allow=BUILDING_EDITORS,
    problems=[ChangedMeanwhile],
)
def remove_reader(building: BuildingId, reader: ReaderId, who: StaffMember, call: Call) -> None:
    """Forget a reader: whatever receipts it makes from now on are of an unknown one."""
    readers.remove(building, reader, by=who, correlation_id=call.correlation_id)


# --- staff --------------------------------------------------------------------------------------------------


@endpoint(routes, "GET /v1/passes/{device}", allow=READERS, problems=[NotFound])
def read(device: DeviceId, who: StaffMember) -> DevicePass:
    """What a handset holds, and what suspends it."""
    return suspending.read(device, by=who)


@endpoint(
    routes,
    "PUT /v1/passes/{device}/suspension",
    allow=SUSPENDERS,
    problems=[NotFound, AlertOfAnother, ChangedMeanwhile],
)
def suspend(device: DeviceId, request: SuspendPass, who: StaffMember, call: Call) -> DevicePass:
    """Have whatever a handset holds open nothing, until the alert ends or it is lifted."""
    return suspending.by_staff(device, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "DELETE /v1/passes/{device}/suspension", allow=SUSPENDERS, problems=[NotFound, ChangedMeanwhile])
def lift(device: DeviceId, who: StaffMember, call: Call) -> DevicePass:
    """Take back what staff suspended. What an alert suspends lasts as long as the alert."""
    return suspending.lift_by_staff(device, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "PUT /v1/passes/{device}/help",
    allow=staff("dispatcher"),
    problems=[NotFound, NoLastDoor, AssuranceTooLow, PassIsSuspended, DeviceBlocked, ChangedMeanwhile],
    settings=PassSettings,
)
def help_colleague(device: DeviceId, request: GrantHelp, who: StaffMember, call: Call) -> DevicePass:
    """Give a handset a pass that opens, once and within the hour, the last door of a carrier who calls for help."""
    return helping.grant(device, request.alert, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/buildings/{building}/entries", allow=staff("security-officer"), problems=[NotFound])
def building_entries(building: BuildingId, query: EntriesPage, who: StaffMember, call: Call) -> BuildingEntries:
    """Who entered a building, the newest days first, 40 at a time. The carriers see that somebody looked."""
    return entries.of_building(building, query.after, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes, "GET /v1/pass-perimeters/{depot}/{route}", allow=staff("depot-manager", "auditor"), problems=[NotFound]
)
def read_perimeter(depot: DepotId, route: RouteId, who: StaffMember) -> Perimeter:
    """Where the passes of a round open doors."""
    return perimeters.read(depot, route, by=who)


@endpoint(
    routes,
    "PUT /v1/pass-perimeters/{depot}/{route}",
    allow=staff("depot-manager"),
    problems=[NotFound, ChangedMeanwhile],
)
def state_perimeter(depot: DepotId, route: RouteId, request: StatePerimeter, who: StaffMember, call: Call) -> Perimeter:
    """State where the passes of a round open doors, from the next pass on."""
    return perimeters.state(depot, route, request, by=who, correlation_id=call.correlation_id)


def _published(name: str, kind: type[Schema], call: Call) -> Answer:
    return _tagged(*publishing.read(name, kind), call)


def _tagged(body: Any, etag: str, call: Call) -> Answer:
    """304 if `If-None-Match` names what would come."""
    headers = {"ETag": etag}
    if call.has(etag):
        return Answer(status=304, headers=headers)
    return Answer(body=body, headers=headers)
