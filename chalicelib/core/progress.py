"""How far each long walk has come: one row for each, so that the next run goes on where the last one stopped."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute, UTCDateTimeAttribute

from chalicelib.core.table import Table


class ProgressRow(Table):
    """A walk by its name (`sweeper`, `erasure`, `replay/<consumer>`): everything before `through` is done.

    A replay also keeps what it was asked for, so that the same one goes on where it stopped.
    """

    table = "progress"

    class Meta:
        pass

    name = UnicodeAttribute(hash_key=True)
    through = UTCDateTimeAttribute()
    since = UTCDateTimeAttribute(null=True)
    until = UTCDateTimeAttribute(null=True)
