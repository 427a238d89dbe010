"""The tables of the passes: `passes` for what is looked up by one key, `pass-lines` for what is read in an order."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition

from chalicelib.core.schemas import Schema
from chalicelib.core.table import Table

RecordT = TypeVar("RecordT", bound=Schema)


class PassesRow(Table):
    """A record as JSON under `device/<id>` (its pass, and what suspends it), `slot/<list>/<index>` (of a pass, until it
    has expired), `ring` (the issuing keys), `published/<what>`, `perimeter/<depot>/<route>`, `building/<id>`,
    `reader/<id>`, `halves/<name>` (of an entry) or `told/<device>/<day>/<word>` (to a depot, of made-up receipts).

    `revision` goes up with each write.
    """

    table = "passes"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    content = UnicodeAttribute(default="{}")
    revision = NumberAttribute(default=1)
    expires_at = TTLAttribute(null=True)

    @classmethod
    def is_still(cls, revision: int) -> Condition:
        """That the row is of this revision, as it was read; of 0, that there is none."""
        return cls.revision == revision if revision else cls.is_none()

    def holds(self, kind: type[RecordT]) -> RecordT:
        """The record of this row."""
        return msgspec.json.decode(self.content, type=kind)


class PassLinesRow(Table):
    """A record as JSON in a list: `marked/<list>` by index, `sector/<code>` by building, `carrier/<id>` by moment and
    `building/<id>` by day (entries), `unpaired/<day>/<shard>` by the name of an entry, `helpers/<alert>` by device.
    """

    table = "pass-lines"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    content = UnicodeAttribute(default="{}")
    expires_at = TTLAttribute(null=True)

    def holds(self, kind: type[RecordT]) -> RecordT:
        """The record of this row."""
        return msgspec.json.decode(self.content, type=kind)
