"""Carriers, depots, zones, duties and clients from legacy files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from chalicelib.core import ids, journal
from chalicelib.core.errors import Problem
from chalicelib.core.intake import Superseded, Taken, in_chunks, last_of_each
from chalicelib.core.keyring import DataKey
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import MAX_ITEMS, retried, transaction
from chalicelib.people import rules, statements
from chalicelib.people.rules import Key
from chalicelib.people.statements import Rows, Source

_ROWS_PER_RECORD = 4
_RECORDS_PER_TRANSACTION = MAX_ITEMS // _ROWS_PER_RECORD

Numbered = tuple[Schema, int]


def import_records(
    entries: Sequence[Schema], *, lines: Sequence[int], at: datetime, actor: str, correlation_id: str
) -> list[Taken | Problem]:
    """Take carriers, depots, zones, duties or clients from a legacy file, and say what became of each.

    `lines` are their lines in the file. With the correlation id and `at` (the file's moment) a line gives its event
    its id, so that the same part of a file taken again after a crash is REPEATED, even if somebody changed the
    record since. DUPLICATE: it says what is known already. A Problem: refused, for the reason in its detail. What was
    stated last counts, in whatever order lines and files are taken: a line that is older than what stands is
    Superseded.
    """
    source = Source(actor, correlation_id, at)
    counting, outcomes = last_of_each(list(zip(entries, lines, strict=True)), _key_of)
    for chunk in in_chunks(counting, _RECORDS_PER_TRANSACTION):
        taken = retried(lambda chunk=chunk: _import(chunk, source))  # type: ignore[misc]
        outcomes |= zip((line for _, line in chunk), taken, strict=True)
    return [outcomes[line] for line in lines]


def _import(chunk: Sequence[Numbered], source: Source) -> list[Taken | Problem]:
    entries = [entry for entry, _ in chunk]
    event_ids = [_event_id(entry, line, source) for entry, line in chunk]
    known, rows, data_keys = journal.lookup(event_ids), statements.rows_of(entries), statements.data_keys_of(entries)
    outcomes: list[Taken | Problem] = []
    with transaction() as work:
        for (entry, line), event_id in zip(chunk, event_ids, strict=True):
            stated_at = rules.stated_at(source.at, line)
            outcome = Taken.REPEATED if event_id in known else _judged(entry, stated_at, rows, data_keys)
            if outcome is Taken.RECORDED:
                statements.write(work, entry, rows, data_keys, source, stated_at=stated_at, event_id=event_id)
            elif outcome is Taken.DUPLICATE:
                statements.confirm(work, entry, rows, stated_at)
            outcomes.append(outcome)
    return outcomes


def _judged(entry: Schema, stated_at: str, rows: Rows, data_keys: Mapping[str, DataKey]) -> Taken | Problem:
    if problem := statements.problem_with(entry, rows):
        return problem
    if statements.is_known(entry, rows, data_keys):
        return Taken.DUPLICATE
    stored = rows.get(rules.shelf_of(entry).key(entry))
    if stored and stated_at < stored.stated_at:
        moment = stored.stated_at.partition("#")[0]
        return Superseded(f"It was stated otherwise or withdrawn later, at {moment}, and that counts.")
    return Taken.RECORDED


def _event_id(entry: Schema, line: int, source: Source) -> str:
    return ids.derived(source.at, source.correlation_id, str(line), *_key_of(entry))


def _key_of(entry: Schema) -> Key:
    return rules.shelf_of(entry).key(entry)
