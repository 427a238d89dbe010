"""What was announced of items, for workers that need nothing else of them: it loads little."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from chalicelib.items.schemas import Announced
from chalicelib.items.tables import ItemRow

SAME_LIFE = timedelta(days=180)
"""A number announced later than this after it was announced before is another item: numbers come back after a year."""


def facts_of(items: Sequence[str]) -> dict[str, Announced]:
    """What was announced of those items that were: one call for each 100."""
    return {
        row.id: msgspec.json.decode(row.announced, type=Announced)
        for row in ItemRow.find_many(list(dict.fromkeys(items)))
    }
