"""The table `people`: one row for each carrier, depot, zone, duty and client."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from chalicelib.core.schemas import Schema
from chalicelib.core.table import Table

RecordT = TypeVar("RecordT", bound=Schema)


class _ByGroup(GlobalSecondaryIndex["PeopleRow"]):
    class Meta:
        index_name = "by-group"
        projection = AllProjection()

    group = UnicodeAttribute(hash_key=True)
    pk = UnicodeAttribute(range_key=True)


class PeopleRow(Table):
    """One record under its key (`rules.SHELVES` says which), as JSON, with personal data sealed in it.

    `group` is what it is listed with; `revision` grows by one with each change. `stated_at` is when it was last said,
    as `rules.stated_at` tells it. A row without `record` and `group` is what remains of one that was withdrawn.
    """

    table = "people"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    group = UnicodeAttribute(null=True)
    record = UnicodeAttribute(null=True)
    revision = NumberAttribute()
    stated_at = UnicodeAttribute()
    by_group = _ByGroup()

    @property
    def stands(self) -> bool:
        """Whether it has not been withdrawn."""
        return self.record is not None

    def holds(self, kind: type[RecordT]) -> RecordT:
        """The record of this row."""
        return msgspec.json.decode(self.record, type=kind)
