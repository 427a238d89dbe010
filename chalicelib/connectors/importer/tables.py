"""The table `imports`: a row for each file and one for each of its slices, kept for a quarter of a year."""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from chalicelib.core.table import Table

FILE = "file"
SLICE_PREFIX = "slice/"


class _ByMonth(GlobalSecondaryIndex["ImportRow"]):
    class Meta:
        index_name = "by-month"
        projection = AllProjection()

    month = UnicodeAttribute(hash_key=True)
    position = UnicodeAttribute(range_key=True)


class ImportRow(Table):
    """What files and slices have in common. `month` and `position` list the files; slices have none."""

    table = "imports"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = TTLAttribute()
    month = UnicodeAttribute(null=True)
    position = UnicodeAttribute(null=True)
    accepted = NumberAttribute(default=0)
    duplicates = NumberAttribute(default=0)
    rejected = NumberAttribute(default=0)
    by_month = _ByMonth()


class FileRow(ImportRow):
    """A version of an object in the inbox. `header` is its first line; `written_at` when it was put there."""

    class Meta:
        pass

    key = UnicodeAttribute()
    version = UnicodeAttribute(default="")
    etag = UnicodeAttribute()
    kind = UnicodeAttribute(default="")
    header = UnicodeAttribute(default="")
    state = UnicodeAttribute()
    slices = NumberAttribute(default=0)
    reason = UnicodeAttribute(default="")
    written_at = UTCDateTimeAttribute()
    received_at = UTCDateTimeAttribute()
    finished_at = UTCDateTimeAttribute(null=True)


class SliceRow(ImportRow):
    """A slice: bytes `start` up to `end`, and what became of its lines once `finished_at` is set.

    `rejects` is where its part of the reject report is, empty if it has none.
    """

    class Meta:
        pass

    start = NumberAttribute()
    end = NumberAttribute()
    first_line = NumberAttribute()
    rejects = UnicodeAttribute(default="")
    finished_at = UTCDateTimeAttribute(null=True)
