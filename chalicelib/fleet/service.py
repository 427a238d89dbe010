"""The devices: look them up, retire them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from chalicelib.core import clock
from chalicelib.core.access import AccessRow, DeviceState
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import DeviceBlocked, NotFound, RequestInvalid
from chalicelib.core.transaction import retried, transaction
from chalicelib.fleet import retiring, rules, tables
from chalicelib.fleet.attestation import Assurance
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.commands.kinds import KINDS
from chalicelib.fleet.commands.states import BEFORE_ACCEPTED
from chalicelib.fleet.guards import buckets, refusals
from chalicelib.fleet.guards.buckets import Family
from chalicelib.fleet.schemas import Device, Devices, DeviceSearch
from chalicelib.fleet.tables import CarrierDeviceRow, DeviceRow, HardwareRow, Known
from chalicelib.people import lookup as people

PAGE = 50
"""As many as one call reads."""


def read(device: str, *, by: StaffMember) -> Device:
    """A device of a depot of theirs: one call. Raises NotFound, AccessDenied."""
    return _shown(*_known(device, by))


def search(wanted: DeviceSearch, *, by: StaffMember) -> Devices:
    """A page of the devices of a depot or a carrier, or the one with a serial number: two calls.

    Those of depots that are not theirs are left out. Raises RequestInvalid, and AccessDenied for such a depot.
    """
    given = [name for name in _SEARCHES if getattr(wanted, name)]
    if len(given) != 1:
        raise RequestInvalid("Give exactly one of depot, carrier and serial.")
    if wanted.depot:
        people.require_depot(by, wanted.depot)
    ids = _SEARCHES[given[0]](wanted)
    devices = [device for device in (_shown(*known) for known in tables.known(ids)) if _fits(device, wanted)]
    theirs = {depot for depot in {device.depot for device in devices} if people.may_work_for(by, depot)}
    return Devices(
        devices=tuple(device for device in devices if device.depot in theirs),
        next=ids[-1] if len(ids) == PAGE else "",
    )


def retire(device: str, reason: str, *, by: StaffMember, correlation_id: str) -> Device:
    """Retire a device: its key is refused from its next request on, for ever. Doing it again changes nothing.

    Its container becomes unreadable with it: so many in a while, and no more while the breaker is open.

    Raises NotFound, AccessDenied, BreakerOpen, BlastLimitReached, and ChangedMeanwhile if others keep changing it.
    """
    with refusals.told(by=by.actor, correlation_id=correlation_id):
        return retried(lambda: _retire(device, reason, by, correlation_id))


def _retire(device: str, reason: str, by: StaffMember, correlation_id: str) -> Device:
    row, entry = _known(device, by)
    if entry.state == DeviceState.RETIRED:
        return _shown(row, entry)
    before = boxes.load(device)
    if any(KINDS[command.kind].destroys and command.state in BEFORE_ACCEPTED for command in before.box.open):
        raise DeviceBlocked("Two people approved a wipe: call it off first.", state=before.entry.state)
    with transaction() as work:
        buckets.take(work, Family.WITHHELD, by.actor, [buckets.place_of(row.depot)], now=clock.now())
        retiring.retire(work, before, before.box, reason, by=by.actor, correlation_id=correlation_id)
    entry.state, row.retired_for = DeviceState.RETIRED.value, reason
    return _shown(row, entry)


def _known(device: str, by: StaffMember) -> Known:
    found = tables.known([device])
    if not found:
        raise NotFound(f"There is no device {device}.")
    people.require_depot(by, found[0].row.depot)
    return found[0]


def _of_depot(wanted: DeviceSearch) -> list[str]:
    start = DeviceRow.pk > f"device/{wanted.after}" if wanted.after else None
    return [row.device for row in DeviceRow.query(f"depot/{wanted.depot}", start, index_name="by-group", limit=PAGE)]


def _of_carrier(wanted: DeviceSearch) -> list[str]:
    start = CarrierDeviceRow.sk > f"device/{wanted.after}" if wanted.after else None
    rows = CarrierDeviceRow.query(f"carrier/{wanted.carrier}", start, consistent_read=True, limit=PAGE)
    return [row.device for row in rows]


def _with_serial(wanted: DeviceSearch) -> list[str]:
    seen = HardwareRow.find(rules.hardware_key(wanted.serial or ""), "hardware")
    return [seen.device] if seen else []


_SEARCHES: Mapping[str, Callable[[DeviceSearch], list[str]]] = {
    "depot": _of_depot,
    "carrier": _of_carrier,
    "serial": _with_serial,
}


def _fits(device: Device, wanted: DeviceSearch) -> bool:
    """An index lags behind, and a device that was a carrier's or a depot's once may be another's now."""
    asked = ((wanted.depot, device.depot), (wanted.carrier, device.carrier), (wanted.state, device.state))
    return all(not value or value == held for value, held in asked)


def _shown(row: DeviceRow, entry: AccessRow) -> Device:
    hardware = msgspec.json.decode(row.hardware, type=rules.HardwareWithoutSerial)
    return Device(
        device=row.device,
        state=DeviceState(entry.state),
        generation=int(row.generation),
        carrier=row.carrier,
        depot=row.depot,
        assurance=Assurance(row.assurance),
        enrolled_at=datetime.fromisoformat(row.enrolled_at),
        acknowledged_through=int(entry.acknowledged_through),
        retired_for=row.retired_for,
        **msgspec.structs.asdict(hardware),
    )
