"""Readers at doors: what one is installed with, and the key that its receipts verify with.

A reader makes its key once it has its line, so that the line is told for one that is not registered yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from chalicelib.core import events, public_keys
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import ChangedMeanwhile, Conflict, NotFound
from chalicelib.core.schemas import Schema
from chalicelib.core.table import find_together
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.passes import buildings
from chalicelib.passes.registry_schemas import (
    BuildingRecord,
    ReaderAnswer,
    ReaderLine,
    ReaderNamed,
    ReaderRecord,
    ReaderRegistered,
    SaveReader,
)
from chalicelib.passes.tables import PassesRow

MAX_READERS: Final = 100
"""Of a building."""


class ReaderTaken(Conflict):
    title = "That reader is registered with another building or another key"


class TooManyReaders(Conflict):
    title = "The building has as many readers as it may have"


class _Found(NamedTuple):
    """A building and one of its readers, as they were read."""

    row: PassesRow
    building: BuildingRecord
    reader: ReaderRecord | None

    @property
    def is_its_own(self) -> bool:
        """Whether the reader is registered with this building."""
        return self.reader is not None and self.reader.building == self.building.id

    def require_free(self) -> None:
        """Raise ReaderTaken if the reader is another building's."""
        if self.reader is not None and not self.is_its_own:
            raise ReaderTaken("It is another building's. Look at the id again, or have it removed there first.")


def line(building: str, reader: str, *, by: StaffMember, correlation_id: str) -> ReaderLine:
    """What a reader of a building is installed with, registered or not: a read, and a transaction that notes it.

    Raises AccessDenied, NotFound, ReaderTaken.
    """
    buildings.require(by, building)
    found = _find(building, reader)
    found.require_free()
    with transaction() as work:
        _say(work, building, "line-told", ReaderNamed(reader=reader), by=by, correlation_id=correlation_id)
    return ReaderLine(
        reader=reader,
        sector=found.building.sector,
        building=found.building.secret.hex(),
        services=found.building.services,
    )


def register(building: str, reader: str, request: SaveReader, *, by: StaffMember, correlation_id: str) -> ReaderAnswer:
    """State what a reader's receipts verify with: a read and a transaction. The same again changes nothing.

    Raises AccessDenied, NotFound, RequestInvalid, ReaderTaken, TooManyReaders.
    """
    buildings.require(by, building)
    key = msgspec.structs.asdict(public_keys.of_point(bytes.fromhex(request.key)))

    def registered(work: UnitOfWork, found: _Found) -> None:
        found.require_free()
        if found.reader is not None:
            _require_same(found.reader, key)
            return
        if len(found.building.readers) >= MAX_READERS:
            raise TooManyReaders(f"A building has {MAX_READERS} readers at most. Remove those that are gone.")
        told = ReaderRecord(building=building, key=key)
        row = PassesRow(buildings.key_of_reader(reader), content=msgspec.json.encode(told).decode())
        work.put(row, unless_exists=ChangedMeanwhile("The reader was registered at the same time."))
        _put(work, found, sorted({*found.building.readers, reader}))
        _say(
            work,
            building,
            "reader-registered",
            ReaderRegistered(reader=reader, key=key),
            by=by,
            correlation_id=correlation_id,
        )

    _change(building, reader, registered)
    return ReaderAnswer(reader=reader, building=building, key=request.key)


def remove(building: str, reader: str, *, by: StaffMember, correlation_id: str) -> None:
    """Forget a reader: its receipts are of an unknown one from now on. A read and a transaction.

    Raises AccessDenied, NotFound.
    """
    buildings.require(by, building)

    def removed(work: UnitOfWork, found: _Found) -> None:
        if not found.is_its_own:
            raise NotFound(f"The building {building} has no reader {reader}.")
        work.delete(PassesRow(buildings.key_of_reader(reader)))
        _put(work, found, [one for one in found.building.readers if one != reader])
        _say(work, building, "reader-removed", ReaderNamed(reader=reader), by=by, correlation_id=correlation_id)

    _change(building, reader, removed)


def _change(building: str, reader: str, decide: Callable[[UnitOfWork, _Found], None]) -> None:
    """Load, decide, write: again if somebody else was faster."""

    def attempt() -> None:
        with transaction() as work:
            decide(work, _find(building, reader))

    retried(attempt)


def _find(building: str, reader: str) -> _Found:
    """A building and a reader: one read. Raises NotFound if there is no such building."""
    keys = buildings.key_of(building), buildings.key_of_reader(reader)
    rows = find_together((PassesRow, key) for key in keys)
    row, of_reader = (PassesRow.among(rows, key) for key in keys)
    if row is None:
        raise buildings.missing(building)
    return _Found(row, row.holds(BuildingRecord), of_reader.holds(ReaderRecord) if of_reader else None)


def _require_same(known: ReaderRecord, key: dict[str, str]) -> None:
    if known.key != key:
        raise ReaderTaken("It is registered with another key. If it was installed anew, remove it first.")


def _put(work: UnitOfWork, found: _Found, readers: list[str]) -> None:
    kept = msgspec.structs.replace(found.building, readers=tuple(readers))
    buildings.put(work, kept, replaces=found.row, revision=int(found.row.revision) + 1)


def _say(work: UnitOfWork, building: str, what: str, body: Schema, *, by: StaffMember, correlation_id: str) -> None:
    work.append(
        events.make(
            f"facteo.building.{what}",
            buildings.key_of(building),
            body,
            actor=by.actor,
            correlation_id=correlation_id,
        )
    )
