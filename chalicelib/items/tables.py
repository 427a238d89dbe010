"""The row of an announced item: what its sender said of it, written with the announcement's event."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from chalicelib.core.table import Table


class ItemRow(Table):
    """The latest announcement of an item. `announced` is its event's body, the addressee in it sealed."""

    table = "items"

    class Meta:
        pass

    id = UnicodeAttribute(hash_key=True)
    event = UnicodeAttribute()
    announced = UnicodeAttribute()
