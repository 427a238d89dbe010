"""Stating what a building is: by its manager, or by a line of a file. Both go the same way.

What is there is read; nothing is recorded if it says the same already, else the row, its place in the list of its
sector and the event are written in one transaction that somebody else's change in between undoes.
"""

from __future__ import annotations

import secrets
from typing import Final

import msgspec

from chalicelib.core import events
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import ChangedMeanwhile, RequestInvalid
from chalicelib.core.transaction import UnitOfWork, transaction
from chalicelib.passes import buildings, registry_rules
from chalicelib.passes.registry_schemas import BuildingAnswer, BuildingEntry, BuildingRecord, SaveBuilding
from chalicelib.passes.tables import PassesRow, PassLinesRow
from chalicelib.passes.tokens import BUILDING_BYTES
from chalicelib.people.rules import stated_at
from chalicelib.people.statements import Source

ROWS: Final = 5
"""Of a building that moves to another sector: itself, its places in both lists, and the two of its event."""


def save(building: str, request: SaveBuilding, *, by: StaffMember, correlation_id: str) -> BuildingAnswer:
    """State what a building is: a read and a transaction. Saying the same again is no change, and no event.

    Raises AccessDenied, RequestInvalid, ChangedMeanwhile.
    """
    buildings.require(by, building)
    entry, source = BuildingEntry(id=building, **buildings.asdict(request)), Source.of(by, correlation_id)
    if fault := registry_rules.fault_of(entry):
        raise RequestInvalid(fault)
    stored = PassesRow.find(buildings.key_of(building))
    revision = int(stored.revision) if stored else 0
    with transaction() as work:
        if stored is not None and is_known(entry, stored):
            confirm(work, stored, stated_at(source.at))
            return buildings.answer(stored)
        if request.replaces not in {None, revision}:
            raise ChangedMeanwhile("There is a newer revision; read it and decide again.", revision=revision)
        return buildings.answer(write(work, entry, stored, source, stated=stated_at(source.at)))


def is_known(entry: BuildingEntry, stored: PassesRow) -> bool:
    """Whether the row says the same already."""
    return stored.holds(BuildingRecord).entry == entry


def write(
    work: UnitOfWork,
    entry: BuildingEntry,
    stored: PassesRow | None,
    source: Source,
    *,
    stated: str,
    event_id: str = "",
) -> PassesRow:
    """Write what a building is, and its event; the row. A new one gets its secret, which it keeps for ever."""
    former = stored.holds(BuildingRecord) if stored else None
    kept = BuildingRecord(
        **buildings.asdict(entry),
        secret=former.secret if former else secrets.token_bytes(BUILDING_BYTES),
        readers=former.readers if former else (),
        stated_at=max(stated, former.stated_at) if former else stated,
    )
    _list(work, entry, former)
    work.append(
        events.make(
            "facteo.building.changed" if former else "facteo.building.registered",
            buildings.key_of(entry.id),
            entry,
            actor=source.actor,
            correlation_id=source.correlation_id,
            event_id=event_id,
        )
    )
    return buildings.put(work, kept, replaces=stored, revision=int(stored.revision) + 1 if stored else 1)


def confirm(work: UnitOfWork, stored: PassesRow, stated: str) -> None:
    """Note that what stands was stated again, so that nothing in between counts. It is no change, and no event."""
    kept = stored.holds(BuildingRecord)
    if stated > kept.stated_at:
        again = msgspec.structs.replace(kept, stated_at=stated)
        buildings.put(work, again, replaces=stored, revision=int(stored.revision))


def _list(work: UnitOfWork, entry: BuildingEntry, former: BuildingRecord | None) -> None:
    """Have the building stand in the list of its sector, and of no other one."""
    if former is not None and former.sector != entry.sector:
        work.delete(PassLinesRow(buildings.key_of_sector(former.sector), entry.id))
    if former is None or former.sector != entry.sector:
        work.put(PassLinesRow(buildings.key_of_sector(entry.sector), entry.id))
