"""The devices: look them up, retire them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from chalicelib.core import access, events
from chalicelib.core.access import AccessRow, DeviceState
from chalicelib.core.errors import ChangedMeanwhile, NotFound, RequestInvalid
from chalicelib.core.transaction import retried, transaction
from chalicelib.fleet import rules
from chalicelib.fleet.attestation import Assurance
from chalicelib.fleet.schemas import Device, DeviceRetired, Devices, DeviceSearch
from chalicelib.fleet.tables import CarrierDeviceRow, DeviceRow, HardwareRow

PAGE = 100

Found = tuple[Sequence[DeviceRow], str | None]


def device(device_id: str) -> Device:
    """A device: two reads. Raises NotFound."""
    row = _row(device_id)
    return _shown(row, AccessRow.get(row.device, consistent_read=True))


def search(wanted: DeviceSearch) -> Devices:
    """A page of the devices of a depot or a carrier, or the one with a serial number. Raises RequestInvalid."""
    given = [name for name in _SEARCHES if getattr(wanted, name)]
    if len(given) != 1:
        raise RequestInvalid("Give exactly one of depot, carrier and serial.")
    rows, after = _SEARCHES[given[0]](wanted)
    entries = access.rows_of(row.device for row in rows)
    devices = [_shown(row, entries[row.device]) for row in rows]
    kept = tuple(one for one in devices if wanted.state in (None, one.state))
    return Devices(devices=kept, after=after)


def retire(device_id: str, reason: str, *, actor: str, correlation_id: str) -> Device:
    """Retire a device: its key is refused from its next request on, for ever. Doing it again changes nothing."""
    return retried(lambda: _retire(device_id, reason, actor, correlation_id))


def _retire(device_id: str, reason: str, actor: str, correlation_id: str) -> Device:
    row = _row(device_id)
    entry = AccessRow.get(row.device, consistent_read=True)
    if entry.state == DeviceState.RETIRED:
        return _shown(row, entry)
    fact = DeviceRetired(generation=int(row.generation), reason=reason)
    event = events.make(
        "facteo.device.retired",
        f"device/{row.device}",
        fact,
        actor=actor,
        correlation_id=correlation_id,
        place=f"depot/{row.depot}",
    )
    with transaction() as work:
        access.set_state(work, entry, DeviceState.RETIRED)
        work.update(
            row,
            [DeviceRow.retired_for.set(reason)],
            when=DeviceRow.generation == row.generation,
            otherwise=ChangedMeanwhile("The device was enrolled again at the same time."),
        )
        work.append(event)
    entry.state, row.retired_for = DeviceState.RETIRED.value, reason
    return _shown(row, entry)


def _row(device_id: str) -> DeviceRow:
    row = DeviceRow.find(f"device/{device_id}", "device")
    if row is None:
        raise NotFound(f"There is no device {device_id}.")
    return row


def _of_depot(wanted: DeviceSearch) -> Found:
    start = DeviceRow.pk > wanted.after if wanted.after else None
    rows = list(DeviceRow.query(f"depot/{wanted.depot}", start, index_name="by-group", limit=PAGE))
    return rows, rows[-1].pk if len(rows) == PAGE else None


def _of_carrier(wanted: DeviceSearch) -> Found:
    """Devices that were the carrier's once may be somebody else's now."""
    known = CarrierDeviceRow.query(f"carrier/{wanted.carrier}", limit=PAGE)
    rows = DeviceRow.find_many([(f"device/{row.device}", "device") for row in known])
    return [row for row in rows if row.carrier == wanted.carrier], None


def _with_serial(wanted: DeviceSearch) -> Found:
    seen = HardwareRow.find(rules.hardware_key(wanted.serial), "hardware")
    return [_row(seen.device)] if seen else [], None


_SEARCHES: Mapping[str, Callable[[DeviceSearch], Found]] = {
    "depot": _of_depot,
    "carrier": _of_carrier,
    "serial": _with_serial,
}


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
