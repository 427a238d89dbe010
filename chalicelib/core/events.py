"""The events that the journal keeps: CloudEvents 1.0 in the JSON format, with our extension attributes."""

from __future__ import annotations

import builtins
import hashlib
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from chalicelib.core import clock, ids
from chalicelib.core.schemas import Schema

SchemaT = TypeVar("SchemaT", bound=Schema)

SERVER = "/back-office"


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact, never changed once recorded.

    Times: `time` is what the maker's clock said, `correctedtime` what we make of it (by `timemethod`),
    `receivedat` ours. `actor` is who did it (`carrier/…`, `staff/…`, `legacy/…`, `system/…`), `place` where
    (a depot). `device`, `generation`, `sequence` and `snapshot` are set for events of a handset: `snapshot` is
    the round bundle that it knew. `flags` are words for a human's attention, separated by spaces.
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
