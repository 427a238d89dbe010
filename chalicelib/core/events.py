"""The events that the journal keeps: CloudEvents 1.0 in the JSON format, with our extension attributes."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import msgspec

from chalicelib.core import clock, ids
from chalicelib.core.schemas import Schema

SchemaT = TypeVar("SchemaT", bound=Schema)

SERVER = "/back-office"
RELEASED: Final = "facteo.event.released"
"""A marker in the history of a subject: a quarantined event of that subject is so no more."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact, never changed once recorded.

    Times: `time` is what the maker's clock said, `correctedtime` what we make of it (by `timemethod`),
    `receivedat` ours. `actor` is who did it (`carrier/…`, `staff/…`, `legacy/…`, `system/…`), `place` where
    (a depot). `device`, `generation`, `sequence` and `snapshot` are set for events of a handset: `snapshot` is
    the round bundle that it knew. `flags` are words for a human's attention, separated by spaces. `quarantined`: its
    handset was reported lost when it came. It counts for nothing until a marker (`RELEASED`) says otherwise.
    """

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: msgspec.Raw
    receivedat: datetime
    actor: str
    correlationid: str
    datacontenttype: str = "application/json"
    correctedtime: datetime | None = None
    timemethod: str = ""
    flags: str = ""
    place: str = ""
    device: str = ""
    generation: int = 0
    sequence: int = 0
    snapshot: int = 0
    quarantined: bool = False

    @property
    def happened_at(self) -> datetime:
        """When it happened, as well as we know."""
        return self.correctedtime or self.time

    def body(self, kind: builtins.type[SchemaT]) -> SchemaT:
        """The event's data as that kind."""
        return msgspec.json.decode(self.data, type=kind)


def make(
    event_type: str,
    subject: str,
    data: Schema,
    *,
    actor: str,
    correlation_id: str,
    event_id: str = "",
    at: datetime | None = None,
    place: str = "",
    flags: str = "",
) -> Event:
    """An event of the back office itself. `at` (default: now) is when it happened, `event_id` a derived id."""
    now = clock.now()
    return Event(
        specversion="1.0",
        id=event_id or ids.new(now),
        source=SERVER,
        type=event_type,
        subject=subject,
        time=at or now,
        data=msgspec.Raw(msgspec.json.encode(data)),
        receivedat=now,
        actor=actor,
        correlationid=correlation_id,
        place=place,
        flags=flags,
    )


class Released(Schema, frozen=True):
    """The body of a marker: the id of the event that it releases, which has the same subject."""

    event: str


def release(held: Event, *, actor: str) -> Event:
    """The marker that releases a quarantined event, wherever and however often it is made: its id is derived."""
    return make(
        RELEASED,
        held.subject,
        Released(event=held.id),
        actor=actor,
        correlation_id=held.correlationid,
        event_id=ids.derived(ids.moment(held.id), held.id, RELEASED),
        place=held.place,
    )


def freed(event: Event) -> Event:
    """The event as it counts once it was released."""
    return msgspec.structs.replace(event, quarantined=False)


def settled(history: Sequence[Event]) -> list[Event]:
    """The events of one subject without the markers: what they release is quarantined no more, the rest still is."""
    released = {event.body(Released).event for event in history if event.type == RELEASED}
    return [freed(event) if event.id in released else event for event in history if event.type != RELEASED]


def counting(history: Sequence[Event]) -> list[Event]:
    """The events of one subject that count: neither the markers, nor what is quarantined still."""
    return [event for event in settled(history) if not event.quarantined]


def encode(event: Event) -> str:
    """The event in the JSON format of CloudEvents."""
    return msgspec.json.encode(event).decode()


def decode(text: str | bytes) -> Event:
    """An event from its JSON text. Raises msgspec.ValidationError or DecodeError for anything else."""
    try:
        return msgspec.json.decode(text, type=Event)
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deeply") from error


def fingerprint(content: Any) -> str:
    """SHA-256 (hex) of a content, whatever the order of its members: equal contents have equal fingerprints."""
    told = msgspec.json.decode(content) if isinstance(content, msgspec.Raw) else content
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()
