"""Buildings from legacy files. Their readers are registered by who installs them, never by a file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chalicelib.core import ids, journal
from chalicelib.core.errors import Problem, RequestInvalid
from chalicelib.core.intake import Superseded, Taken, in_chunks, last_of_each
from chalicelib.core.transaction import MAX_ITEMS, retried, transaction
from chalicelib.passes import buildings, registering, registry_rules
from chalicelib.passes.registry_schemas import BuildingEntry, BuildingRecord
from chalicelib.passes.tables import PassesRow
from chalicelib.people.rules import stated_at
from chalicelib.people.statements import Source

_BUILDINGS_PER_TRANSACTION = MAX_ITEMS // registering.ROWS

Numbered = tuple[BuildingEntry, int]


def import_buildings(
    entries: Sequence[BuildingEntry], *, lines: Sequence[int], at: datetime, actor: str, correlation_id: str
) -> list[Taken | Problem]:
    """Take buildings from a legacy file, and say what became of each: as `people.legacy.import_records` does.

    `lines` are their lines in the file, `at` is the file's moment. What was stated last counts, in whatever order
    lines and files are taken: a line that is older than what stands is Superseded.
    """
    source = Source(actor, correlation_id, at)
    counting, outcomes = last_of_each(list(zip(entries, lines, strict=True)), lambda entry: entry.id)
    for chunk in in_chunks(counting, _BUILDINGS_PER_TRANSACTION):
        taken = retried(lambda chunk=chunk: _import(chunk, source))  # type: ignore[misc]
        outcomes |= zip((line for _, line in chunk), taken, strict=True)
    return [outcomes[line] for line in lines]


def _import(chunk: Sequence[Numbered], source: Source) -> list[Taken | Problem]:
    event_ids = [_event_id(entry, line, source) for entry, line in chunk]
    known = journal.lookup(event_ids)
    rows = {row.pk: row for row in PassesRow.find_many(buildings.key_of(entry.id) for entry, _ in chunk)}
    outcomes: list[Taken | Problem] = []
    with transaction() as work:
        for (entry, line), event_id in zip(chunk, event_ids, strict=True):
            stored, stated = rows.get(buildings.key_of(entry.id)), stated_at(source.at, line)
            outcome = Taken.REPEATED if event_id in known else _judged(entry, stored, stated)
            if outcome is Taken.RECORDED:
                registering.write(work, entry, stored, source, stated=stated, event_id=event_id)
            elif outcome is Taken.DUPLICATE and stored is not None:
                registering.confirm(work, stored, stated)
            outcomes.append(outcome)
    return outcomes


def _judged(entry: BuildingEntry, stored: PassesRow | None, stated: str) -> Taken | Problem:
    if fault := registry_rules.fault_of(entry):
        return RequestInvalid(fault)
    if stored is None:
        return Taken.RECORDED
    if registering.is_known(entry, stored):
        return Taken.DUPLICATE
    last = stored.holds(BuildingRecord).stated_at
    if stated < last:
        return Superseded(f"It was stated otherwise later, at {last.partition('#')[0]}, and that counts.")
    return Taken.RECORDED


def _event_id(entry: BuildingEntry, line: int, source: Source) -> str:
    return ids.derived(source.at, source.correlation_id, str(line), buildings.key_of(entry.id))
