"""The rows of the fleet: tickets, devices, and what says that a key or a piece of hardware was seen before."""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from chalicelib.core.table import Table


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
