"""The rows of the fleet: tickets, devices, and what says that a key or a piece of hardware was seen before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from chalicelib.core.access import AccessRow
from chalicelib.core.settings import physical_name
from chalicelib.core.table import Table, shared_connection


class _ByGroup(GlobalSecondaryIndex["FleetRow"]):
    class Meta:
        index_name = "by-group"
        projection = AllProjection()

    group = UnicodeAttribute(hash_key=True)
    pk = UnicodeAttribute(range_key=True)


class FleetRow(Table):
    """What all rows of the table have. Devices are in the index, under `depot/<id>`."""

    table = "fleet"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    group = UnicodeAttribute(null=True)
    expires_at = TTLAttribute(null=True)
    by_group = _ByGroup()


class TicketRow(FleetRow):
    """An enrolment ticket, under `ticket/<id>`. `used_by` is the thumbprint of the key that used it up."""

    class Meta:
        pass

    secret_hash = UnicodeAttribute()
    challenge = UnicodeAttribute()
    carrier = UnicodeAttribute()
    depot = UnicodeAttribute()
    valid_until = UnicodeAttribute()
    used_by = UnicodeAttribute(null=True)
    device = UnicodeAttribute(null=True)


class DeviceRow(FleetRow):
    """A device's present enrolment, under `device/<id>`. Its state and key are in `core.access`."""

    class Meta:
        pass

    device = UnicodeAttribute()
    generation = NumberAttribute()
    carrier = UnicodeAttribute()
    depot = UnicodeAttribute()
    assurance = UnicodeAttribute()
    key_thumbprint = UnicodeAttribute()
    hardware = UnicodeAttribute()
    enrolled_at = UnicodeAttribute()
    retired_for = UnicodeAttribute(default="")


class KeySeenRow(FleetRow):
    """A key that enrolled once, under `key/<thumbprint>`: no other enrolment may bring it, for ever."""

    class Meta:
        pass

    device = UnicodeAttribute()


class HardwareRow(FleetRow):
    """Which device a piece of hardware is, under `hardware/<hash of its serial>`."""

    class Meta:
        pass

    device = UnicodeAttribute()


class CarrierDeviceRow(FleetRow):
    """That a device is, or was, a carrier's, under `carrier/<id>`."""

    class Meta:
        pass

    device = UnicodeAttribute()


class Known(NamedTuple):
    """A device: its present enrolment, and what lets it in."""

    row: DeviceRow
    entry: AccessRow


def known(devices: Iterable[str]) -> list[Known]:
    """The devices with those ids that exist, by id. One strongly consistent call for both tables, so 50 at most."""
    ids = sorted(set(devices))
    rows, entries = physical_name(DeviceRow.table), physical_name(AccessRow.table)
    keys: dict[str, Any] = {
        rows: [{"pk": {"S": f"device/{one}"}, "sk": {"S": "device"}} for one in ids],
        entries: [{"device": {"S": one}} for one in ids],
    }
    asked = {table: {"Keys": wanted, "ConsistentRead": True} for table, wanted in keys.items() if wanted}
    found: dict[str, dict[str, Any]] = {rows: {}, entries: {}}
    while asked:
        answer = shared_connection().dispatch("BatchGetItem", {"RequestItems": asked})
        for table, items in answer["Responses"].items():
            found[table] |= {item["device"]["S"]: item for item in items}
        asked = answer.get("UnprocessedKeys", {})
    return [
        Known(DeviceRow.from_raw_data(found[rows][one]), AccessRow.from_raw_data(found[entries][one]))
        for one in ids
        if one in found[rows] and one in found[entries]
    ]
