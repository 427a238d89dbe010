"""Records of the table `commands`: loaded with their revision, and saved only if that is still the one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Generic, NamedTuple, TypeVar
from zlib import crc32

import msgspec

from chalicelib.core import clock
from chalicelib.core.errors import ChangedMeanwhile, Problem
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet.tables import CommandsRow

RecordT = TypeVar("RecordT", bound=Schema)

SHARDS: Final = 4
PAGE: Final = 50


class Kept(NamedTuple, Generic[RecordT]):
    """A record as it was read, and its revision: 0 if there was none and this is what stands for it."""

    record: RecordT
    revision: int


def load(key: str, kind: type[RecordT]) -> Kept[RecordT] | None:
    """A record: one consistent read."""
    return of_row(CommandsRow.find(key), kind)


def load_many(keys: Iterable[str], kind: type[RecordT]) -> dict[str, Kept[RecordT]]:
    """Those of the records that there are, by key: a consistent call for each 100."""
    rows = CommandsRow.find_many(keys)
    return {row.pk: Kept(row.holds(kind), int(row.revision)) for row in rows}


def of_row(row: CommandsRow | None, kind: type[RecordT]) -> Kept[RecordT] | None:
    """The record of a row, if there is one."""
    return Kept(row.holds(kind), int(row.revision)) if row else None


def save(
    work: UnitOfWork,
    key: str,
    record: Schema,
    *,
    instead_of: int,
    group: str = "",
    due: datetime | None = None,
    expires_at: datetime | None = None,
    otherwise: Problem | None = None,
) -> None:
    """Write a record in place of the one with the revision `instead_of` (0: of none).

    `otherwise` is what it means that this is not the one any more, by default ChangedMeanwhile.
    """
    row = CommandsRow(
        key,
        content=msgspec.json.encode(record).decode(),
        revision=instead_of + 1,
        group=group or None,
        due_shard=_shard(key) if due else None,
        due_at=clock.stamp(due) if due else None,
        expires_at=expires_at,
    )
    meanwhile = otherwise or ChangedMeanwhile("It changed at the same time; read it again.")
    work.put(row, when=CommandsRow.is_still(instead_of), otherwise=meanwhile)


def of_group(group: str, kind: type[RecordT], *, after: str = "") -> dict[str, RecordT]:
    """A page of the records of a group by key: one query of an index that may lag behind by a moment."""
    start = CommandsRow.pk > after if after else None
    rows = CommandsRow.by_group.query(group, start, limit=PAGE)
    return {row.pk: row.holds(kind) for row in rows}


def due(shard: int, until: datetime) -> list[str]:
    """The keys of a shard that somebody must look at by then."""
    found = CommandsRow.by_due.query(str(shard), CommandsRow.due_at <= clock.stamp(until))
    return [row.pk for row in found]


def _shard(key: str) -> str:
    return str(crc32(key.encode()) % SHARDS)
