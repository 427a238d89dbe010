"""Which line an event gives, how lines are ordered and files made of them, and what names stand where."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from zlib import crc32

from chalicelib.connectors import return_file
from chalicelib.connectors.return_file import ENCODING, ReturnLine, code_for
from chalicelib.core import clock
from chalicelib.core.events import Event
from chalicelib.core.schemas import Schema
from chalicelib.items.event_types import ANNOUNCED
from chalicelib.items.schemas import EVENT_TYPES, Announced

MAX_LINES: Final = 1500
"""Lines in a file. With its content a file keeps 64 bytes of position and up to 64 of correlation id for each
line of up to 87 bytes: 1,500 of them are 340 KB, below the 400 KB that DynamoDB allows for an item."""

LEASE: Final = timedelta(minutes=2)
"""How long a despatcher that is not heard of holds a file: longer than all the transport's time limits together."""

RUN_FOR: Final = timedelta(seconds=45)
"""A run begins no new file after that: the next run comes a minute after this one."""

CONTENT_KEPT_FOR: Final = timedelta(days=400)
"""A claim about a line comes up to a year after it."""

LINE_SHARDS: Final = 4
DUE_SHARDS: Final = 8

PRODUCTION: Final = frozenset({"prod", "production"})
"""Stages whose files real receivers read: a code that nobody has confirmed does not go there."""

_ITEM: Final = "item/"


class State(enum.StrEnum):
    """How far a file has come. FIXED: its lines and name are settled; UPLOADED under a name that the receiver
    ignores; SENT: the receiver has it."""

    FIXED = "fixed"
    UPLOADED = "uploaded"
    SENT = "sent"


class Draft(NamedTuple):
    """What an event gives: a line for a client, or nothing in this format (`line` is None)."""

    event: Event
    client: str
    line: ReturnLine | None
    withheld: bool = False


def item_of(event: Event) -> str:
    """The item that an event is about."""
    return event.subject.removeprefix(_ITEM)


def draft(event: Event, announced: Announced | None, *, stage: str) -> Draft | None:
    """What the event gives, or None as long as nobody has announced its item: then no sender is known to tell.

    An announcement is told to the client who made it, whoever announces the item later. A correction gives no
    line: the format has no code that takes another back, and a line that has left cannot be called back. The
    wrong line therefore always leaves, whether it was still waiting or not, so that what a receiver gets does not
    hang on a minute; what did happen follows as an event, and a line, of its own.

    Raises LookupError for an event that the table of codes does not know, msgspec.ValidationError for a body that
    is not of its type: neither is guessed.
    """
    kind = EVENT_TYPES.get(event.type)
    body = event.body(kind) if kind else None
    code = code_for(event.type, body)
    facts = _announcement(event, body) or announced
    if facts is None:
        return None
    if code is None:
        return Draft(event, facts.client, None)
    line = ReturnLine(item=item_of(event), at=event.happened_at, code=code, reference=facts.reference)
    return Draft(event, facts.client, line, withheld=stage in PRODUCTION and not code.confirmed)


def _announcement(event: Event, body: Schema | None) -> Announced | None:
    return body if event.type == ANNOUNCED and isinstance(body, Announced) else None


# --- keys -----------------------------------------------------------------------------------------------


def position_of(event: Event) -> str:
    """Where the event's line stands among its client's: by when it happened, then by id."""
    return f"{clock.stamp(event.happened_at)}#{event.id}"


def line_partition(client: str, event_id: str) -> str:
    """The key under which a line of the client waits."""
    return f"line/{client}/{int(event_id[-1], 16) % LINE_SHARDS}"


def line_partitions(client: str) -> list[str]:
    """All the keys under which lines of the client wait."""
    return [f"line/{client}/{shard}" for shard in range(LINE_SHARDS)]


def due_partition(client: str) -> str:
    """The key under which the client is marked."""
    return f"due/{crc32(client.encode()) % DUE_SHARDS}"


def due_partitions() -> list[str]:
    """All the keys under which clients are marked."""
    return [f"due/{shard}" for shard in range(DUE_SHARDS)]


def despatch_partition(client: str) -> str:
    """The key of a client's files."""
    return f"despatch/{client}"


def despatch_position(sequence: int) -> str:
    """The sort key of a file: its number, in a width that keeps the order."""
    return f"{sequence:010}"


def content_partition(name: str) -> str:
    """The key of a file's content."""
    return f"file/{name}"


# --- files ----------------------------------------------------------------------------------------------


def assemble(records: Iterable[str]) -> bytes:
    """The content of a file of these records, each with its end of line."""
    return "".join(records).encode(ENCODING)


def temporary_name(client: str, fixed_at: datetime, sequence: int, attempt: int) -> str:
    """The name during upload, another for each attempt: `999999.20130704.233359_001.2.tmp`.

    So a despatcher that was given up, and is only slow, cannot write into the file that another hands over.
    """
    stem = return_file.temporary_name(client, fixed_at, sequence).removesuffix(".tmp")
    return f"{stem}.{attempt}.tmp"
