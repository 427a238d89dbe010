"""The inbox of each consumer: one row per event that it has dealt with, written with the effect."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from pynamodb.attributes import TTLAttribute, UnicodeAttribute

from chalicelib.core import clock
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.table import Table
from chalicelib.core.transaction import UnitOfWork

KEPT_FOR = timedelta(days=400)
"""Longer than a stream, a queue, a handset that was offline and a year's replay together."""


class InboxRow(Table):
    """`<consumer>/<event id>`: this consumer has dealt with this event."""

    table = "inbox"

    class Meta:
        pass

    id = UnicodeAttribute(hash_key=True)
    expires_at = TTLAttribute()


def unseen(consumer: str, event_ids: Iterable[str]) -> list[str]:
    """Those of the ids that the consumer has not dealt with, in their order and each once."""
    wanted = {f"{consumer}/{event_id}": event_id for event_id in event_ids}
    seen = {row.id for row in InboxRow.find_many(wanted)}
    return [event_id for key, event_id in wanted.items() if key not in seen]


def mark(work: UnitOfWork, consumer: str, event_id: str) -> None:
    """Note in the unit of work that the consumer deals with this event. Raises ChangedMeanwhile at a repeat."""
    row = InboxRow(id=f"{consumer}/{event_id}", expires_at=clock.now() + KEPT_FOR)
    work.put(row, unless_exists=ChangedMeanwhile("Another run has dealt with this event."))


def note(consumer: str, event_ids: Iterable[str], *, keep_for: timedelta) -> None:
    """Note outside of any transaction that the consumer has dealt with these events: one call for each 25.

    For one whose effect may come twice but must not be missed: it notes what it has done.
    """
    expires_at = clock.now() + keep_for
    with InboxRow.batch_write() as batch:
        for event_id in dict.fromkeys(event_ids):
            batch.save(InboxRow(id=f"{consumer}/{event_id}", expires_at=expires_at))
