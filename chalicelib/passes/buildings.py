"""The registry of buildings: what is known of each and of its readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import AccessDenied, ChangedMeanwhile, NotFound
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork
from chalicelib.passes.legal_bases import LEGAL_SOURCES
from chalicelib.passes.registry_schemas import (
    BuildingAnswer,
    BuildingPage,
    BuildingRecord,
    BuildingsOfSector,
    ReaderRecord,
)
from chalicelib.passes.tables import PassesRow, PassLinesRow

PAGE: Final = 100


# --- for other parts of the pass ----------------------------------------------------------------------------


def secrets_of(buildings: Sequence[str]) -> list[bytes]:
    """The 16 secret bytes by which readers and passes know each building: a read for all. Raises NotFound."""
    records = _records(buildings)
    for building in buildings:
        if building not in records:
            raise missing(building)
    return [records[building].secret for building in buildings]


def record(building: str) -> BuildingRecord | None:
    """A building, if it is registered: one read. `registry_rules.admits` says when it lets a service in."""
    row = PassesRow.find(key_of(building))
    return row.holds(BuildingRecord) if row else None


def reader(reader_id: str) -> ReaderRecord | None:
    """Where a reader (8 bytes in hex) hangs and what its receipts verify with, if it is registered: one read."""
    row = PassesRow.find(key_of_reader(reader_id))
    return row.holds(ReaderRecord) if row else None


# --- for staff ----------------------------------------------------------------------------------------------


def read(building: str, *, by: StaffMember) -> BuildingAnswer:
    """A building of theirs: one read. Raises AccessDenied, NotFound."""
    require(by, building)
    row = PassesRow.find(key_of(building))
    if row is None:
        raise missing(building)
    return answer(row)


def of_sector(query: BuildingsOfSector, *, by: StaffMember) -> BuildingPage:
    """The buildings of a sector that are theirs: a query and a read, or a read for who manages them one by one."""
    ids = _ids_after(query, by)
    rows = PassesRow.find_many([key_of(building) for building in ids[:PAGE]])
    found = sorted(map(answer, rows), key=lambda one: one.id)
    theirs = tuple(one for one in found if one.sector == query.sector)
    return BuildingPage(buildings=theirs, next=ids[PAGE - 1] if len(ids) > PAGE else "")


def _ids_after(query: BuildingsOfSector, by: StaffMember) -> list[str]:
    """Those that come next, and one more than a page if there are more. Some may lie in another sector."""
    if not by.works_everywhere:
        return [building for building in by.buildings if building > query.after][: PAGE + 1]
    after = PassLinesRow.sk > query.after if query.after else None
    return [row.sk for row in PassLinesRow.query(key_of_sector(query.sector), after, limit=PAGE + 1)]


def require(who: StaffMember, building: str) -> None:
    """Raise AccessDenied unless the building is this member of staff's."""
    if not who.manages(building):
        raise AccessDenied(f"The building {building} is not one of yours. Ask its manager.")


def missing(building: str) -> NotFound:
    """The problem of whoever asks for a building that is not registered."""
    return NotFound(f"There is no building {building}.")


def answer(row: PassesRow) -> BuildingAnswer:
    """A building as staff see it: all but its secret."""
    kept = row.holds(BuildingRecord)
    return BuildingAnswer(
        **asdict(kept.entry),
        legal_source=LEGAL_SOURCES[kept.legal_basis],
        readers=kept.readers,
        revision=int(row.revision),
    )


# --- rows ---------------------------------------------------------------------------------------------------


def put(work: UnitOfWork, kept: BuildingRecord, *, replaces: PassesRow | None, revision: int) -> PassesRow:
    """Write a building unless somebody else has meanwhile; the row."""
    row = PassesRow(key_of(kept.id), content=msgspec.json.encode(kept).decode(), revision=revision)
    unchanged = PassesRow.is_none()
    if replaces is not None:
        unchanged = (PassesRow.revision == replaces.revision) & (PassesRow.content == replaces.content)
    meanwhile = ChangedMeanwhile(f"The building {kept.id} was changed at the same time; read it again.")
    work.put(row, when=unchanged, otherwise=meanwhile)
    return row


def key_of(building: str) -> str:
    """Where a building stands, and its subject in the journal."""
    return f"building/{building}"


def key_of_reader(reader_id: str) -> str:
    """Where a reader stands."""
    return f"reader/{reader_id}"


def key_of_sector(sector: str) -> str:
    """The list of a sector's buildings."""
    return f"sector/{sector}"


def asdict(stated: Schema) -> dict[str, Any]:
    """The fields of what is stated, without the revision that it replaces."""
    return {name: value for name, value in msgspec.structs.asdict(stated).items() if name != "replaces"}


def _records(buildings: Sequence[str]) -> dict[str, BuildingRecord]:
    found = (row.holds(BuildingRecord) for row in PassesRow.find_many(map(key_of, buildings)))
    return {kept.id: kept for kept in found}
