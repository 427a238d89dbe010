"""The tables of the alerts: `alerts` for what is looked up by one key, `alert-lines` for what is read in an order."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from chalicelib.core.schemas import Schema
from chalicelib.core.table import Table

RecordT = TypeVar("RecordT", bound=Schema)


class _ByDue(GlobalSecondaryIndex["AlertsRow"]):
    class Meta:
        index_name = "by-due"
        projection = KeysOnlyProjection()

    due_shard = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class AlertsRow(Table):
    """A record as JSON under `alert/<id>`, `device/<id>/<purpose>` (its last alert), `pins/<carrier>`, `policy/<zone>`,
    `feed/<zone>` (its last number) or `number/<fingerprint>`.

    `revision` goes up with each write. An alert that somebody must look at again stands in the index, under the moment.
    `may_go_out` is what may still be sent of it: `ladder.may_go_out`.
    """

    table = "alerts"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    content = UnicodeAttribute()
    revision = NumberAttribute(default=1)
    may_go_out = UnicodeAttribute(default="")
    due_shard = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    by_due = _ByDue()

    def holds(self, kind: type[RecordT]) -> RecordT:
        """The record of this row."""
        return msgspec.json.decode(self.content, type=kind)


class LinesRow(Table):
    """A record as JSON in a list: `feed/<zone>` by number, `alert/<id>` by page, `open/<zone>` by alert,
    `report/<zone>` by moment, `push/<depot>` by device. `state` is that of a page.
    """

    table = "alert-lines"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    content = UnicodeAttribute()
    state = UnicodeAttribute(default="")
    expires_at = TTLAttribute(null=True)

    def holds(self, kind: type[RecordT]) -> RecordT:
        """The record of this row."""
        return msgspec.json.decode(self.content, type=kind)
