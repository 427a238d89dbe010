"""Load, decide, write: how whatever is stated of people and places becomes a row and an event.

A request and a line of a legacy file go the same way: what is there is read, nothing is recorded if it says the same
already, else the row and its event are written in one transaction that somebody else's change in between undoes. Each
row keeps when it was last stated, so that of a file's lines only those count that are newer, whenever they are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from pynamodb.expressions.condition import Condition

from chalicelib.core import clock, events, keyring
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import ChangedMeanwhile, Problem, RequestInvalid
from chalicelib.core.keyring import DataKey
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork, transaction
from chalicelib.people import rules
from chalicelib.people.rules import Key
from chalicelib.people.schemas import (
    CarrierEntry,
    CarrierPerson,
    CarrierRecord,
)
from chalicelib.people.tables import PeopleRow

Rows = Mapping[Key, PeopleRow]
Guard = Callable[[Rows], None]


class UnknownReference(Problem):
    status = 422
    title = "It refers to something that is not registered"


class Source(NamedTuple):
    """Who states something, in which call or file, and when."""

    actor: str
    correlation_id: str
    at: datetime

    @classmethod
    def of(cls, who: StaffMember, correlation_id: str) -> Source:
        """A member of staff, now."""
        return cls(who.actor, correlation_id, clock.now())


def save(entry: Schema, replaces: int | None, source: Source, guard: Guard = lambda _: None) -> int:
    """Write what is stated unless it is known already; the revision that it has then."""
    rows = rows_of([entry])
    guard(rows)
    if problem := problem_with(entry, rows):
        raise problem
    data_keys = data_keys_of([entry])
    stored = rows.get(rules.shelf_of(entry).key(entry))
    revision = int(stored.revision) if stored and stored.stands else 0
    known, stated_at = is_known(entry, rows, data_keys), rules.stated_at(source.at)
    if not known and replaces not in {None, revision}:
        raise ChangedMeanwhile("There is a newer revision; read it and decide again.", revision=revision)
    with transaction() as work:
        if known:
            confirm(work, entry, rows, stated_at)
            return revision
        return write(work, entry, rows, data_keys, source, stated_at=stated_at)


def rows_of(entries: Sequence[Schema]) -> Rows:
    """What is stored of these records and of all that they refer to: one call for each 100 rows."""
    keys: dict[Key, None] = {}
    for entry in entries:
        shelf = rules.shelf_of(entry)
        keys |= dict.fromkeys((shelf.key(entry), *shelf.refers_to(entry)))
    return rows_at(list(keys))


def rows_at(keys: Sequence[Key]) -> Rows:
    return {Key(row.pk, row.sk): row for row in PeopleRow.find_many(keys)}


def problem_with(entry: Schema, rows: Rows) -> Problem | None:
    if fault := rules.fault_of(entry):
        return RequestInvalid(fault)
    missing = [key.pk for key in rules.shelf_of(entry).refers_to(entry) if key not in rows]
    return UnknownReference(f"There is no {missing[0]}. Register it first.", missing=missing) if missing else None


def data_keys_of(entries: Sequence[Schema]) -> dict[str, DataKey]:
    return keyring.keys_of(f"carrier/{entry.id}" for entry in entries if isinstance(entry, CarrierEntry))


def is_known(entry: Schema, rows: Rows, data_keys: Mapping[str, DataKey]) -> bool:
    """Whether the row says the same already. A name that cannot be read any more is not the same: it is sealed anew."""
    stored = rows.get(rules.shelf_of(entry).key(entry))
    if stored is None or not stored.stands:
        return False
    if not isinstance(entry, CarrierEntry):
        return stored.holds(type(entry)) == entry
    found = stored.holds(CarrierRecord)
    facts = (found.depot, found.manager) == (entry.depot, entry.manager)
    return facts and opened(found, data_keys) == person_of(entry)


def write(
    work: UnitOfWork,
    entry: Schema,
    rows: Rows,
    data_keys: dict[str, DataKey],
    source: Source,
    *,
    stated_at: str,
    event_id: str = "",
) -> int:
    """Write the row and its event; the row's revision."""
    shelf = rules.shelf_of(entry)
    key, record = shelf.key(entry), _sealed(work, entry, data_keys)
    stored = rows.get(key)
    row = PeopleRow(*key, group=shelf.group(entry), record=msgspec.json.encode(record).decode())
    put(work, row, replaces=stored, stated_at=stated_at)
    work.append(
        events.make(
            rules.event_type(entry, is_new=stored is None or not stored.stands),
            key.pk,
            record,
            actor=source.actor,
            correlation_id=source.correlation_id,
            event_id=event_id,
            place=shelf.place(entry),
        )
    )
    return int(row.revision)


def put(work: UnitOfWork, row: PeopleRow, *, replaces: PeopleRow | None, stated_at: str) -> None:
    """Write a row unless somebody else has meanwhile. What replaces another was never stated before it."""
    row.revision = int(replaces.revision) + 1 if replaces else 1
    row.stated_at = max(stated_at, replaces.stated_at) if replaces else stated_at
    unchanged = _unchanged(replaces) if replaces else PeopleRow.pk.does_not_exist()
    work.put(row, when=unchanged, otherwise=_changed(row))


def confirm(work: UnitOfWork, entry: Schema, rows: Rows, stated_at: str) -> None:
    """Note that what stands was stated again, so that nothing in between counts. It is no change, and no event."""
    stored = rows[rules.shelf_of(entry).key(entry)]
    if stated_at > stored.stated_at:
        again = [PeopleRow.stated_at.set(stated_at)]
        work.update(stored, again, when=_unchanged(stored), otherwise=_changed(stored))


def _unchanged(row: PeopleRow) -> Condition:
    unchanged: Condition = (PeopleRow.revision == row.revision) & (PeopleRow.stated_at == row.stated_at)
    return unchanged


def _changed(row: PeopleRow) -> ChangedMeanwhile:
    return ChangedMeanwhile(f"{row.pk} was changed at the same time; read it again.")


def _sealed(work: UnitOfWork, entry: Schema, data_keys: dict[str, DataKey]) -> Schema:
    """The record of what is stated: a carrier's name under their data key, which is made if there is none."""
    if not isinstance(entry, CarrierEntry):
        return entry
    subject = f"carrier/{entry.id}"
    if subject not in data_keys:
        keep_until = clock.today() + rules.KEPT_FOR["carrier"]
        data_keys[subject] = keyring.create(work, subject, keep_until=keep_until)
    person = data_keys[subject].seal(person_of(entry))
    return CarrierRecord(id=entry.id, depot=entry.depot, manager=entry.manager, person=person)


def opened(record: CarrierRecord, data_keys: Mapping[str, DataKey]) -> CarrierPerson | None:
    """Who the carrier is, unless the key is gone, or is a newer one than this was sealed under."""
    key = data_keys.get(f"carrier/{record.id}")
    try:
        return key.open(record.person, CarrierPerson) if key else None
    except keyring.KeyGone:
        return None


def person_of(entry: CarrierEntry) -> CarrierPerson:
    return CarrierPerson(first_name=entry.first_name, last_name=entry.last_name, phone=entry.phone)
