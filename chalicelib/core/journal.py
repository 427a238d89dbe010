"""The journal: the truth. Append happens in a unit of work (`transaction`), reading here.

Every event id is also held by a guard row, so that an id names one event in the whole journal and a repeat is
told from a reuse. Rows carry the hour they were received in, spread over shards, as an index for replay.

What a handset sent that was reported lost is recorded, and counts for nothing before it is released. So whoever reads a
subject's history is not given it; only who asks for what is held is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from pynamodb.attributes import UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from chalicelib.core import clock, events, ids
from chalicelib.core.events import Event
from chalicelib.core.table import Table

TIME_SHARDS = 16
HOUR = timedelta(hours=1)
_TO_THE_HOUR = len("2026-11-23T20")


class _ByTime(GlobalSecondaryIndex["JournalRow"]):
    class Meta:
        index_name = "by-time"
        projection = AllProjection()

    bucket = UnicodeAttribute(hash_key=True)
    position = UnicodeAttribute(range_key=True)


class JournalRow(Table):
    """One event under its subject. `bucket` and `position` place it in the time index."""

    table = "journal"

    class Meta:
        pass

    subject = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    type = UnicodeAttribute()
    event = UnicodeAttribute()
    bucket = UnicodeAttribute()
    position = UnicodeAttribute()
    by_time = _ByTime()

    @classmethod
    def of(cls, event: Event) -> JournalRow:
        """The row that holds this event."""
        return cls(
            subject=event.subject,
            id=event.id,
            type=event.type,
            event=events.encode(event),
            bucket=_bucket(event.receivedat, int(event.id[-1], 16) % TIME_SHARDS),
            position=f"{clock.stamp(event.receivedat)}#{event.id}",
        )


class EventIdRow(Table):
    """The guard of an event id: what it names, and for a refused event the problem it was refused with."""

    table = "event-ids"

    class Meta:
        pass

    id = UnicodeAttribute(hash_key=True)
    subject = UnicodeAttribute()
    fingerprint = UnicodeAttribute()
    refusal = UnicodeAttribute(default="")


def read(subject: str) -> list[Event]:
    """Every event of a subject that counts, oldest id first: a strongly consistent query for each MiB of history."""
    return events.counting(_all(subject))


def read_with_held(subject: str) -> list[Event]:
    """The same, and among them those that are held: they say so (`quarantined`), and nothing is decided by them."""
    return events.settled(_all(subject))


def read_latest(subject: str, since: datetime, most: int) -> list[Event]:
    """The events of a subject whose ids are of `since` (to the millisecond) or later, latest id first, `most` at most.

    One strongly consistent query, which reads no more than those. For subjects of which only the back office tells:
    what is held, and what releases it, is among them.
    """
    from_then = JournalRow.id >= ids.first(since)
    rows = JournalRow.query(subject, from_then, scan_index_forward=False, limit=most, consistent_read=True)
    return [events.decode(row.event) for row in rows]


def read_many(keys: Iterable[tuple[str, str]]) -> list[Event]:
    """The events with those (subject, id) keys as they were recorded, held or not: one call for each 100."""
    return [events.decode(row.event) for row in JournalRow.find_many(keys)]


def released_by(found: Iterable[Event]) -> list[Event]:
    """What the markers among these events release, as it counts now: a call for each 100, none without a marker."""
    return [
        events.freed(event)
        for event in read_many(
            [(one.subject, one.body(events.Released).event) for one in found if one.type == events.RELEASED]
        )
    ]


def lookup(event_ids: Iterable[str]) -> dict[str, EventIdRow]:
    """The guards of those ids that the journal knows: one call for each 100."""
    return {row.id: row for row in EventIdRow.find_many(event_ids)}


def received(since: datetime, until: datetime) -> Iterator[Event]:
    """The events received from `since` up to but without `until`, held ones and markers too: 16 queries or more for
    each hour.

    By the time index, which may lag behind by a moment; within an hour they come shard by shard.
    """
    hour = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while hour < until:
        first, last = clock.stamp(max(since, hour)), clock.stamp(min(until, hour + HOUR))
        for bucket in hour_buckets(hour):
            within = JournalRow.position.between(first, last)
            for row in JournalRow.query(bucket, within, index_name=_ByTime.Meta.index_name):
                yield events.decode(row.event)
        hour += HOUR


def hour_buckets(hour: datetime) -> list[str]:
    """The keys of the time index under which the events received in that hour stand."""
    return [_bucket(hour, shard) for shard in range(TIME_SHARDS)]


def _all(subject: str) -> list[Event]:
    return [events.decode(row.event) for row in JournalRow.query(subject, consistent_read=True)]


def _bucket(moment: datetime, shard: int) -> str:
    return f"{clock.stamp(moment)[:_TO_THE_HOUR]}#{shard:x}"
