"""The rows of entries: each stands under its carrier and under its building, and its two halves in a row of their own.

All that tells where a carrier was is sealed under the key of the entry's day. Sort keys do not tell it either: those
of a building are names that only the same key makes, and no moments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple

import msgspec

from chalicelib.core import clock, keyring
from chalicelib.core.clock import PARIS
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.keyring import DataKey, KeyGone
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork
from chalicelib.passes import anomalies, evidence
from chalicelib.passes.entry_schemas import EntryKept, Halves, Waiting
from chalicelib.passes.schemas import SealedOfDay
from chalicelib.passes.tables import PassesRow, PassLinesRow

SHARDS: Final = "0123456789abcdef"
"""Of a day's list of what waits: all doors of the country write into it. The last letter of a name is one."""

_ONE_DAY: Final = timedelta(days=1)


class Kept(NamedTuple):
    """The halves of an entry by its name, with the revision of their row (0: none yet), its day and that day's key."""

    name: str
    halves: Halves
    revision: int
    day: date
    key: DataKey


def load(name: str) -> Kept | None:
    """The halves of an entry, if there are any: one consistent read. Raises KeyGone."""
    row = PassesRow.find(f"halves/{name}")
    if row is None:
        return None
    sealed = row.holds(SealedOfDay)
    key = keyring.shared_key_of(evidence.key_name(sealed.day))
    return Kept(name, key.open(sealed.sealed, Halves), int(row.revision), sealed.day, key)


def save(work: UnitOfWork, kept: Kept, after: Halves) -> None:
    """Write the halves. The work is refused if they changed since they were read."""
    row = PassesRow(
        f"halves/{kept.name}",
        content=_sealed(kept, after),
        revision=kept.revision + 1,
        expires_at=_forgotten_at(kept.key),
    )
    work.put(
        row,
        when=PassesRow.is_still(kept.revision),
        otherwise=ChangedMeanwhile("The entry's other half came at the same time."),
    )


def write(work: UnitOfWork, kept: Kept, after: Halves) -> None:
    """Write the entry for its carrier and, if that is known, for its building: nowhere else, if it stood elsewhere."""
    content, places = _sealed(kept, _entry(after)), _places(kept, after)
    for pk, sk in places:
        work.put(PassLinesRow(pk, sk, content=content, expires_at=_forgotten_at(kept.key)))
    for pk, sk in _places(kept, kept.halves):
        if (pk, sk) not in places:
            work.delete(PassLinesRow(pk, sk))


def line(name: str, at: datetime) -> str:
    """Where an entry stands among its carrier's."""
    return f"{clock.stamp(at)}#{name}"


def name_of(line: str) -> str:
    """The name of the entry that stands there."""
    return line.partition("#")[2]


def waiting_list(day: date, shard: str) -> str:
    """Where it stands what waits since that day."""
    return f"unpaired/{day}/{shard}"


def wait(work: UnitOfWork, kept: Kept, after: Halves, since: datetime) -> None:
    """Have an entry wait for its other half, or wait no more."""
    before = kept.halves.waits
    if after.waits and not before:
        content = msgspec.json.encode(Waiting(since=since)).decode()
        work.put(PassLinesRow(after.waits, kept.name, content=content, expires_at=_forgotten_at(kept.key)))
    if before and not after.waits:
        work.delete(PassLinesRow(before, kept.name))


def opened(rows: Iterable[PassLinesRow]) -> Iterator[tuple[PassLinesRow, EntryKept]]:
    """The entries of lines whose day can still be read: one call for the keys of 100 days."""
    sealed = [(row, row.holds(SealedOfDay)) for row in rows]
    keys = keyring.keys_of({evidence.key_name(each.day) for _, each in sealed}) if sealed else {}
    for row, each in sealed:
        if key := keys.get(evidence.key_name(each.day)):
            with suppress(KeyGone):  # it was made anew after it was destroyed
                yield row, key.open(each.sealed, EntryKept)


def _entry(halves: Halves) -> EntryKept:
    told = halves.receipt or halves.shown
    return EntryKept(
        at=halves.at,
        carrier=halves.carrier,
        pass_id=halves.pass_id,
        reader=told.reader if told else "",
        building=halves.building,
        result=halves.receipt.result if halves.receipt else "",
        is_code=halves.is_code,
        told_by_handset=halves.shown is not None,
        told_by_reader=halves.receipt is not None,
        has_opened=anomalies.has_opened(halves),
    )


def _places(kept: Kept, halves: Halves) -> list[tuple[str, str]]:
    """The keys of an entry's lines: none before there is a half."""
    places = [(f"carrier/{halves.carrier}", halves.line)] if halves.line else []
    if halves.building:
        places.append((f"building/{halves.building}", f"{kept.day}#{kept.key.fingerprint(kept.name)}"))
    return places


def _sealed(kept: Kept, content: Schema) -> str:
    return msgspec.json.encode(SealedOfDay(day=kept.day, sealed=kept.key.seal(content))).decode()


def _forgotten_at(key: DataKey) -> datetime:
    """When nothing opens any more what a key sealed."""
    return datetime.combine(key.last_day + _ONE_DAY, time(), PARIS)
