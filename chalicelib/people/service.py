"""The use cases of people: state who and what there is, look it up, take it from legacy files.

A request and a line of a legacy file go the same way: what is there is read, nothing is recorded if it says the same
already, else the row and its event are written in one transaction that somebody else's change in between undoes. Each
row keeps when it was last stated, so that of a file's lines only those count that are newer, whenever they are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, TypeVar

import msgspec
from pynamodb.expressions.condition import Condition

from chalicelib.core import clock, events, ids, journal, keyring
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import AccessDenied, ChangedMeanwhile, NotFound, Problem, RequestInvalid
from chalicelib.core.intake import Taken, in_chunks
from chalicelib.core.keyring import DataKey
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import MAX_ITEMS, UnitOfWork, retried, transaction
from chalicelib.people import rules
from chalicelib.people.rules import Key
from chalicelib.people.schemas import (
    AssignDuty,
    Carrier,
    CarrierAnswer,
    CarrierEntry,
    CarrierPage,
    CarrierPerson,
    CarrierRecord,
    CarriersOfDepot,
    Client,
    ClientAnswer,
    Depot,
    DepotAnswer,
    DepotPage,
    DepotsOfZone,
    Duty,
    DutyAnswer,
    DutyList,
    DutyPeriod,
    SaveCarrier,
    SaveClient,
    SaveDepot,
    SaveZone,
    Zone,
    ZoneAnswer,
    ZonePage,
    ZonesAfter,
)
from chalicelib.people.tables import PeopleRow

PAGE = 100
"""As many as one call of the keyring opens."""

_ROWS_PER_RECORD = 4
_RECORDS_PER_TRANSACTION = MAX_ITEMS // _ROWS_PER_RECORD

RecordT = TypeVar("RecordT", bound=Schema)
Rows = Mapping[Key, PeopleRow]
Guard = Callable[[Rows], None]


class UnknownReference(Problem):
    status = 422
    title = "It refers to something that is not registered"


class Superseded(Problem):
    status = 422
    title = "Something that was stated later says otherwise"


class Source(NamedTuple):
    """Who states something, in which call or file, and when."""

    actor: str
    correlation_id: str
    at: datetime

    @classmethod
    def of(cls, who: StaffMember, correlation_id: str) -> Source:
        """A member of staff, now."""
        return cls(who.actor, correlation_id, clock.now())


# --- what other features ask --------------------------------------------------------------------------------


def carrier(carrier_id: str) -> Carrier:
    """Where a carrier belongs: one read. Raises NotFound."""
    found = _existing(rules.carrier_key(carrier_id)).holds(CarrierRecord)
    return Carrier(id=found.id, depot=found.depot, manager=found.manager)


def depot(depot_id: str) -> Depot:
    """A depot: one read. Raises NotFound."""
    return _existing(rules.depot_key(depot_id)).holds(Depot)


def duty_of(carrier_id: str, day: date) -> Duty | None:
    """What a carrier does on a day, if the roster says: one read."""
    row = PeopleRow.find(*rules.duty_key(carrier_id, day))
    return row.holds(Duty) if row and row.stands else None


def duties_on_round(depot_id: str, route: str, day: date) -> list[Duty]:
    """Who works a round on a day, by carrier: one query, which may lag behind a change by a moment."""
    group = rules.round_group(depot_id, route, day)
    return [row.holds(Duty) for row in PeopleRow.by_group.query(group)]


def client_of(number: str) -> Client | None:
    """A client of the post by its number: one read."""
    row = PeopleRow.find(*rules.client_key(number))
    return row.holds(Client) if row else None


def may_work_for(who: StaffMember, depot_id: str) -> bool:
    """Whether a depot is this member of staff's, by itself or by its zone. One read, only if zones matter."""
    if who.reaches(depot_id) or not who.works_for_zones:
        return who.reaches(depot_id)
    row = PeopleRow.find(*rules.depot_key(depot_id))
    return row is not None and who.reaches(depot_id, row.holds(Depot).zone)


def require_depot(who: StaffMember, depot_id: str) -> None:
    """Raise AccessDenied unless the depot is this member of staff's. One read, only if zones matter."""
    if not may_work_for(who, depot_id):
        raise _not_theirs(depot_id)


# --- carriers -----------------------------------------------------------------------------------------------


def save_carrier(carrier_id: str, request: SaveCarrier, *, by: StaffMember, correlation_id: str) -> CarrierAnswer:
    """State who a carrier is and where they belong. Saying the same again writes nothing.

    Whoever moves a carrier must reach both depots. Raises AccessDenied, UnknownReference, ChangedMeanwhile.
    """
    entry = CarrierEntry(id=carrier_id, **_stated(request))

    def guard(rows: Rows) -> None:
        former = rows.get(rules.carrier_key(carrier_id))
        _require_depots(by, {entry.depot, former.holds(CarrierRecord).depot if former else entry.depot}, rows)

    revision = _save(entry, request.replaces, Source.of(by, correlation_id), guard)
    return CarrierAnswer(
        id=entry.id, depot=entry.depot, manager=entry.manager, person=_person(entry), revision=revision
    )


def read_carrier(carrier_id: str, *, by: StaffMember) -> CarrierAnswer:
    """A carrier, with their name while it can be read: two reads, three if zones matter.

    Raises NotFound, and AccessDenied for another depot's: that a carrier exists is no secret among staff, and who
    looks for one who has moved is better told that they work elsewhere.
    """
    row = _existing(rules.carrier_key(carrier_id))
    require_depot(by, row.holds(CarrierRecord).depot)
    return _carrier_answers([row])[0]


def carriers_of(query: CarriersOfDepot, *, by: StaffMember) -> CarrierPage:
    """The carriers of a depot: a query and a read, one more if zones matter. Raises AccessDenied."""
    require_depot(by, query.depot)
    rows, following = _page(f"depot/{query.depot}", "carrier/", query.after)
    return CarrierPage(carriers=tuple(_carrier_answers(rows)), next=following)


# --- depots, zones, clients ---------------------------------------------------------------------------------


def save_depot(depot_id: str, request: SaveDepot, *, by: StaffMember, correlation_id: str) -> DepotAnswer:
    """State what a depot is. Raises UnknownReference (its zone), ChangedMeanwhile."""
    stated = Depot(id=depot_id, **_stated(request))
    return _answer(DepotAnswer, stated, _save(stated, request.replaces, Source.of(by, correlation_id)))


def read_depot(depot_id: str) -> DepotAnswer:
    """A depot: one read. Raises NotFound."""
    return _row_answer(DepotAnswer, Depot, _existing(rules.depot_key(depot_id)))


def depots_of(query: DepotsOfZone) -> DepotPage:
    """The depots of a zone: one query."""
    rows, following = _page(f"zone/{query.zone}", "depot/", query.after)
    return DepotPage(depots=tuple(_row_answer(DepotAnswer, Depot, row) for row in rows), next=following)


def save_zone(zone_id: str, request: SaveZone, *, by: StaffMember, correlation_id: str) -> ZoneAnswer:
    """State what a zone is called. Raises ChangedMeanwhile."""
    stated = Zone(id=zone_id, **_stated(request))
    return _answer(ZoneAnswer, stated, _save(stated, request.replaces, Source.of(by, correlation_id)))


def read_zone(zone_id: str) -> ZoneAnswer:
    """A zone: one read. Raises NotFound."""
    return _row_answer(ZoneAnswer, Zone, _existing(rules.zone_key(zone_id)))


def zones(query: ZonesAfter) -> ZonePage:
    """All zones: one query."""
    rows, following = _page("zones", "zone/", query.after)
    return ZonePage(zones=tuple(_row_answer(ZoneAnswer, Zone, row) for row in rows), next=following)


def save_client(number: str, request: SaveClient, *, by: StaffMember, correlation_id: str) -> ClientAnswer:
    """State what is known of a client of the post. Raises ChangedMeanwhile."""
    stated = Client(number=number, **_stated(request))
    return _answer(ClientAnswer, stated, _save(stated, request.replaces, Source.of(by, correlation_id)))


def read_client(number: str) -> ClientAnswer:
    """A client of the post: one read. Raises NotFound."""
    return _row_answer(ClientAnswer, Client, _existing(rules.client_key(number)))


# --- duties -------------------------------------------------------------------------------------------------


def assign_duty(carrier_id: str, day: date, request: AssignDuty, *, by: StaffMember, correlation_id: str) -> DutyAnswer:
    """State what a carrier does on a day. Whoever lends a carrier to another depot must reach both.

    Raises NotFound (the carrier), AccessDenied, RequestInvalid, UnknownReference (the depot), ChangedMeanwhile.
    """
    stated = Duty(carrier=carrier_id, day=day, **_stated(request))

    def guard(rows: Rows) -> None:
        found = rows.get(rules.carrier_key(carrier_id)) or _missing(rules.carrier_key(carrier_id))
        _require_depots(by, {stated.depot, found.holds(CarrierRecord).depot}, rows)

    return _answer(DutyAnswer, stated, _save(stated, request.replaces, Source.of(by, correlation_id), guard))


def withdraw_duty(carrier_id: str, day: date, *, by: StaffMember, correlation_id: str) -> None:
    """Take a carrier's duty on a day back. Whoever withdraws one at another depot must reach both.

    A newer line of a file may assign it again, an older one may not. Raises NotFound (the carrier, or a duty on that
    day), AccessDenied, ChangedMeanwhile.
    """
    key, carrier_key = rules.duty_key(carrier_id, day), rules.carrier_key(carrier_id)
    rows = _rows_at([key, carrier_key])
    found, stored = rows.get(carrier_key) or _missing(carrier_key), rows.get(key)
    duty = stored.holds(Duty) if stored and stored.stands else None
    home = found.holds(CarrierRecord).depot
    _require_depots(by, {home, duty.depot if duty else home}, rows)
    if stored is None or duty is None:
        raise NotFound(f"The carrier {carrier_id} has no duty on {day}.")
    with transaction() as work:
        _put(work, PeopleRow(*key), replaces=stored, stated_at=rules.stated_at(clock.now()))
        work.append(
            events.make(
                "facteo.duty.withdrawn",
                key.pk,
                duty,
                actor=by.actor,
                correlation_id=correlation_id,
                place=duty.depot,
            )
        )


def duties_of(carrier_id: str, period: DutyPeriod, *, by: StaffMember) -> DutyList:
    """A carrier's duties: a read and a query, one more read if zones matter.

    Raises NotFound (the carrier), AccessDenied, RequestInvalid (the period).
    """
    try:
        first, last = rules.days_of(period, clock.today())
    except ValueError as error:
        raise RequestInvalid(str(error)) from error
    require_depot(by, carrier(carrier_id).depot)
    pk, since = rules.duty_key(carrier_id, first)
    days = PeopleRow.sk.between(since, rules.duty_key(carrier_id, last).sk)
    rows = PeopleRow.query(pk, days, consistent_read=True)
    return DutyList(duties=tuple(_row_answer(DutyAnswer, Duty, row) for row in rows if row.stands))


# --- legacy files -------------------------------------------------------------------------------------------


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
    counting, superseded = _last_of_each(list(zip(entries, lines, strict=True)))
    outcomes: dict[int, Taken | Problem] = superseded
    for chunk in in_chunks(counting, _RECORDS_PER_TRANSACTION):
        taken = retried(lambda chunk=chunk: _import(chunk, source))  # type: ignore[misc]
        outcomes |= zip((line for _, line in chunk), taken, strict=True)
    return [outcomes[line] for line in lines]


Numbered = tuple[Schema, int]


def _last_of_each(numbered: Sequence[Numbered]) -> tuple[list[Numbered], dict[int, Taken | Problem]]:
    """The last line of each record, and what becomes of the earlier ones.

    Taking one after the other would be no use to anybody, and the first could not be told from a new one when the
    same lines come again after a crash.
    """
    last = {rules.shelf_of(entry).key(entry): (entry, line) for entry, line in numbered}
    superseded: dict[int, Taken | Problem] = {}
    for entry, line in numbered:
        counting, its_line = last[rules.shelf_of(entry).key(entry)]
        if line != its_line:
            same = entry == counting
            superseded[line] = Taken.DUPLICATE if same else Superseded(f"Line {its_line} says otherwise, and counts.")
    return [(entry, line) for entry, line in numbered if line not in superseded], superseded


def _import(chunk: Sequence[Numbered], source: Source) -> list[Taken | Problem]:
    entries = [entry for entry, _ in chunk]
    event_ids = [_event_id(entry, line, source) for entry, line in chunk]
    known, rows, data_keys = journal.lookup(event_ids), _rows(entries), _data_keys(entries)
    outcomes: list[Taken | Problem] = []
    with transaction() as work:
        for (entry, line), event_id in zip(chunk, event_ids, strict=True):
            stated_at = rules.stated_at(source.at, line)
            outcome = Taken.REPEATED if event_id in known else _judged(entry, stated_at, rows, data_keys)
            if outcome is Taken.RECORDED:
                _write(work, entry, rows, data_keys, source, stated_at=stated_at, event_id=event_id)
            elif outcome is Taken.DUPLICATE:
                _confirm(work, entry, rows, stated_at)
            outcomes.append(outcome)
    return outcomes


def _judged(entry: Schema, stated_at: str, rows: Rows, data_keys: Mapping[str, DataKey]) -> Taken | Problem:
    if problem := _problem_with(entry, rows):
        return problem
    if _is_known(entry, rows, data_keys):
        return Taken.DUPLICATE
    stored = rows.get(rules.shelf_of(entry).key(entry))
    if stored and stated_at < stored.stated_at:
        moment = stored.stated_at.partition("#")[0]
        return Superseded(f"It was stated otherwise or withdrawn later, at {moment}, and that counts.")
    return Taken.RECORDED


def _event_id(entry: Schema, line: int, source: Source) -> str:
    return ids.derived(source.at, source.correlation_id, str(line), *rules.shelf_of(entry).key(entry))


# --- load, decide, write ------------------------------------------------------------------------------------


def _save(entry: Schema, replaces: int | None, source: Source, guard: Guard = lambda _: None) -> int:
    """Write what is stated unless it is known already; the revision that it has then."""
    rows = _rows([entry])
    guard(rows)
    if problem := _problem_with(entry, rows):
        raise problem
    data_keys = _data_keys([entry])
    stored = rows.get(rules.shelf_of(entry).key(entry))
    revision = int(stored.revision) if stored and stored.stands else 0
    known, stated_at = _is_known(entry, rows, data_keys), rules.stated_at(source.at)
    if not known and replaces not in {None, revision}:
        raise ChangedMeanwhile("There is a newer revision; read it and decide again.", revision=revision)
    with transaction() as work:
        if known:
            _confirm(work, entry, rows, stated_at)
            return revision
        return _write(work, entry, rows, data_keys, source, stated_at=stated_at)


def _rows(entries: Sequence[Schema]) -> Rows:
    """What is stored of these records and of all that they refer to: one call for each 100 rows."""
    keys: dict[Key, None] = {}
    for entry in entries:
        shelf = rules.shelf_of(entry)
        keys |= dict.fromkeys((shelf.key(entry), *shelf.refers_to(entry)))
    return _rows_at(list(keys))


def _rows_at(keys: Sequence[Key]) -> Rows:
    return {Key(row.pk, row.sk): row for row in PeopleRow.find_many(keys)}


def _problem_with(entry: Schema, rows: Rows) -> Problem | None:
    if fault := rules.fault_of(entry):
        return RequestInvalid(fault)
    missing = [key.pk for key in rules.shelf_of(entry).refers_to(entry) if key not in rows]
    return UnknownReference(f"There is no {missing[0]}. Register it first.", missing=missing) if missing else None


def _data_keys(entries: Sequence[Schema]) -> dict[str, DataKey]:
    return keyring.keys_of(f"carrier/{entry.id}" for entry in entries if isinstance(entry, CarrierEntry))


def _is_known(entry: Schema, rows: Rows, data_keys: Mapping[str, DataKey]) -> bool:
    """Whether the row says the same already. A name that cannot be read any more is not the same: it is sealed anew."""
    stored = rows.get(rules.shelf_of(entry).key(entry))
    if stored is None or not stored.stands:
        return False
    if not isinstance(entry, CarrierEntry):
        return stored.holds(type(entry)) == entry
    found = stored.holds(CarrierRecord)
    facts = (found.depot, found.manager) == (entry.depot, entry.manager)
    return facts and _opened(found, data_keys) == _person(entry)


def _write(
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
    _put(work, row, replaces=stored, stated_at=stated_at)
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


def _put(work: UnitOfWork, row: PeopleRow, *, replaces: PeopleRow | None, stated_at: str) -> None:
    """Write a row unless somebody else has meanwhile. What replaces another was never stated before it."""
    row.revision = int(replaces.revision) + 1 if replaces else 1
    row.stated_at = max(stated_at, replaces.stated_at) if replaces else stated_at
    unchanged = _unchanged(replaces) if replaces else PeopleRow.pk.does_not_exist()
    work.put(row, when=unchanged, otherwise=_changed(row))


def _confirm(work: UnitOfWork, entry: Schema, rows: Rows, stated_at: str) -> None:
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
    person = data_keys[subject].seal(_person(entry))
    return CarrierRecord(id=entry.id, depot=entry.depot, manager=entry.manager, person=person)


# --- answers ------------------------------------------------------------------------------------------------


def _existing(key: Key) -> PeopleRow:
    return PeopleRow.find(*key) or _missing(key)


def _missing(key: Key) -> PeopleRow:
    raise NotFound(f"There is no {key.pk}.")


def _require_depots(who: StaffMember, depot_ids: set[str], rows: Rows) -> None:
    """The same for several depots, without reading again those that have been read."""
    for depot_id in depot_ids:
        row = rows.get(rules.depot_key(depot_id))
        if row is None:
            require_depot(who, depot_id)
        elif not who.reaches(depot_id, row.holds(Depot).zone):
            raise _not_theirs(depot_id)


def _not_theirs(depot_id: str) -> AccessDenied:
    return AccessDenied(f"The depot {depot_id} is not one of yours. Ask its manager.")


def _page(group: str, prefix: str, after: str) -> tuple[list[PeopleRow], str]:
    """A page of a group, and where the next one starts: the id of the last row, or nothing."""
    found = list(PeopleRow.by_group.query(group, PeopleRow.pk > prefix + after, limit=PAGE + 1))
    following = found[PAGE - 1].pk.removeprefix(prefix) if len(found) > PAGE else ""
    return found[:PAGE], following


def _carrier_answers(rows: Sequence[PeopleRow]) -> list[CarrierAnswer]:
    records = [(row.holds(CarrierRecord), int(row.revision)) for row in rows]
    data_keys = keyring.keys_of(f"carrier/{record.id}" for record, _ in records)
    return [
        CarrierAnswer(
            id=record.id,
            depot=record.depot,
            manager=record.manager,
            person=_opened(record, data_keys),
            revision=revision,
        )
        for record, revision in records
    ]


def _opened(record: CarrierRecord, data_keys: Mapping[str, DataKey]) -> CarrierPerson | None:
    """Who the carrier is, unless the key is gone, or is a newer one than this was sealed under."""
    key = data_keys.get(f"carrier/{record.id}")
    try:
        return key.open(record.person, CarrierPerson) if key else None
    except keyring.KeyGone:
        return None


def _person(entry: CarrierEntry) -> CarrierPerson:
    return CarrierPerson(first_name=entry.first_name, last_name=entry.last_name, phone=entry.phone)


def _stated(request: Schema) -> dict[str, Any]:
    """What a request states, without the revision that it replaces."""
    return {name: value for name, value in msgspec.structs.asdict(request).items() if name != "replaces"}


def _answer(kind: type[RecordT], record: Schema, revision: int) -> RecordT:
    return kind(**msgspec.structs.asdict(record), revision=revision)


def _row_answer(kind: type[RecordT], record: type[Schema], row: PeopleRow) -> RecordT:
    return _answer(kind, row.holds(record), int(row.revision))
