"""The rows of the fleet.

`fleet`: tickets, devices, and what says that a key or a piece of hardware was seen before. `commands`: what is ordered
of handsets, by whose leave, and losses. `policies`: what handsets keep to, how far that has come, and what became of
it. `check-ins`: what each handset said last. `loss-lines` says itself what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec
from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection

from chalicelib.core.access import AccessRow
from chalicelib.core.schemas import Schema
from chalicelib.core.settings import physical_name
from chalicelib.core.table import Table, shared_connection

RecordT = TypeVar("RecordT", bound=Schema)


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
    ownership = UnicodeAttribute(default="company")
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


class _CommandsByGroup(GlobalSecondaryIndex["CommandsRow"]):
    class Meta:
        index_name = "by-group"
        projection = AllProjection()

    group = UnicodeAttribute(hash_key=True)
    pk = UnicodeAttribute(range_key=True)


class _CommandsByDue(GlobalSecondaryIndex["CommandsRow"]):
    class Meta:
        index_name = "by-due"
        projection = KeysOnlyProjection()

    due_shard = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class CommandsRow(Table):
    """A record as JSON under `device/<id>` (its box: open commands), `command/<id>`, `warrant/<id>`, `loss/<id>` (a
    loss case), `approvers` (the set in force), `approvers/<version>`, `bucket/<scope>`, `breaker` or
    `loss-reports/<device>` (what was reported on it today).

    `revision` goes up with each write. `group` is what it is listed with. What somebody must look at at a moment stands
    in the index `by-due`.
    """

    table = "commands"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    content = UnicodeAttribute()
    revision = NumberAttribute(default=1)
    group = UnicodeAttribute(null=True)
    due_shard = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    expires_at = TTLAttribute(null=True)
    by_group = _CommandsByGroup()
    by_due = _CommandsByDue()

    @classmethod
    def is_still(cls, revision: int) -> Condition:
        """That the row is of this revision, as it was read; of 0, that there is none."""
        return cls.revision == revision if revision else cls.is_none()

    def holds(self, kind: type[RecordT]) -> RecordT:
        """The record of this row."""
        return msgspec.json.decode(self.content, type=kind)


class PoliciesRow(Table):
    """What all rows of the table have. Versions stand in keys as eight digits, so that their order is that of texts."""

    table = "policies"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = TTLAttribute(null=True)


class PolicyRow(PoliciesRow):
    """A record as JSON, by the version from which on it holds or which it is about: under `group/<kind>/<name>` and
    `rollouts`; and under `applied/<version>` and `failing/<version>` by device. `signed/<digest>` has a signed policy.
    """

    class Meta:
        pass

    content = UnicodeAttribute()
    revision = NumberAttribute(default=1)

    @classmethod
    def is_still(cls, revision: int) -> Condition:
        """That the row is of this revision, as it was read; of 0, that there is none."""
        return cls.revision == revision if revision else cls.is_none()

    def holds(self, kind: type[RecordT]) -> RecordT:
        """The record of this row."""
        return msgspec.json.decode(self.content, type=kind)


class TallyRow(PoliciesRow):
    """How many devices reported on a version, and how many of them failed: under `tally/<version>`, in shards."""

    class Meta:
        pass

    reported = NumberAttribute(default=0)
    failed = NumberAttribute(default=0)


class CheckInRow(Table):
    """What a handset said last, as JSON, and when; and the totals of its personal use of this month and the last.

    Without an index, which would cost another write unit each time. Below 1 KiB, so that it costs one. It expires two
    months after the last check-in: totals of personal use do not outlive their purpose.
    """

    table = "check-ins"

    class Meta:
        pass

    device = UnicodeAttribute(hash_key=True)
    seen_at = UnicodeAttribute()
    content = UnicodeAttribute()
    use_0 = UnicodeAttribute(null=True)
    use_1 = UnicodeAttribute(null=True)
    use_2 = UnicodeAttribute(null=True)
    expires_at = TTLAttribute()

    @property
    def uses(self) -> tuple[str | None, str | None, str | None]:
        """The totals of personal use: a month's is where `rules.slot_of` says."""
        return self.use_0, self.use_1, self.use_2

    def holds(self, kind: type[RecordT]) -> RecordT:
        """What the handset said."""
        return msgspec.json.decode(self.content, type=kind)


class LossLinesRow(Table):
    """What there is many of, about handsets that were lost.

    | pk | sk | content |
    |---|---|---|
    | `position/<case>` | its moment | a position, sealed under the case's key |
    | `carrier/<id>` | `<case>` | nothing: a loss case of a handset of theirs |
    | `held/<device>/<generation>` | `<event>` | the subject of a quarantined event |
    """

    table = "loss-lines"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    content = UnicodeAttribute(null=True)
    expires_at = TTLAttribute(null=True)


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
