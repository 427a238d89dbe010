"""The table `attention`: what is to be looked at, depot by depot."""

from __future__ import annotations

from pynamodb.attributes import TTLAttribute, UnicodeAttribute, UTCDateTimeAttribute

from chalicelib.core.table import Table


class AttentionRow(Table):
    """Something to look at. Ids are UUIDv7 of the moment at which it happened, so that a depot's are in that order.

    `missing` and `flags` are words separated by spaces. The row goes when it was handled, or after a year.
    """

    table = "attention"

    class Meta:
        pass

    depot = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    kind = UnicodeAttribute()
    subject = UnicodeAttribute()
    item = UnicodeAttribute()
    missing = UnicodeAttribute(default="")
    flags = UnicodeAttribute(default="")
    happened_at = UTCDateTimeAttribute()
    expires_at = TTLAttribute()
