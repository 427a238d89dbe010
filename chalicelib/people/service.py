"""The use cases of people over HTTP: state who and what there is, and read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, TypeVar

import msgspec

from chalicelib.core import clock, events, keyring
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import NotFound, RequestInvalid
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import transaction
from chalicelib.people import lookup, rules, statements
from chalicelib.people.schemas import (
    AssignDuty,
    CarrierAnswer,
    CarrierEntry,
    CarrierPage,
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
from chalicelib.people.statements import Rows, Source
from chalicelib.people.tables import PeopleRow

PAGE = 100
"""As many as one call of the keyring opens."""

RecordT = TypeVar("RecordT", bound=Schema)


# --- carriers -----------------------------------------------------------------------------------------------


def save_carrier(carrier_id: str, request: SaveCarrier, *, by: StaffMember, correlation_id: str) -> CarrierAnswer:
    """State who a carrier is and where they belong. Saying the same again writes nothing.

    Whoever moves a carrier must reach both depots. Raises AccessDenied, UnknownReference, ChangedMeanwhile.
    """
    entry = CarrierEntry(id=carrier_id, **_stated(request))

    def guard(rows: Rows) -> None:
        former = rows.get(rules.carrier_key(carrier_id))
        _require_depots(by, {entry.depot, former.holds(CarrierRecord).depot if former else entry.depot}, rows)

    revision = statements.save(entry, request.replaces, Source.of(by, correlation_id), guard)
    return CarrierAnswer(
        id=entry.id, depot=entry.depot, manager=entry.manager, person=statements.person_of(entry), revision=revision
    )


def read_carrier(carrier_id: str, *, by: StaffMember) -> CarrierAnswer:
    """A carrier, with their name while it can be read: two reads, three if zones matter.

    Raises NotFound, and AccessDenied for another depot's: that a carrier exists is no secret among staff, and who
    looks for one who has moved is better told that they work elsewhere.
    """
    row = lookup.existing(rules.carrier_key(carrier_id))
    lookup.require_depot(by, row.holds(CarrierRecord).depot)
    return _carrier_answers([row])[0]


def carriers_of(query: CarriersOfDepot, *, by: StaffMember) -> CarrierPage:
    """The carriers of a depot: a query and a read, one more if zones matter. Raises AccessDenied."""
    lookup.require_depot(by, query.depot)
    rows, following = _page(f"depot/{query.depot}", "carrier/", query.after)
    return CarrierPage(carriers=tuple(_carrier_answers(rows)), next=following)


# --- depots, zones, clients ---------------------------------------------------------------------------------


def save_depot(depot_id: str, request: SaveDepot, *, by: StaffMember, correlation_id: str) -> DepotAnswer:
    """State what a depot is. Raises UnknownReference (its zone), ChangedMeanwhile."""
    stated = Depot(id=depot_id, **_stated(request))
    return _answer(DepotAnswer, stated, statements.save(stated, request.replaces, Source.of(by, correlation_id)))


def read_depot(depot_id: str) -> DepotAnswer:
    """A depot: one read. Raises NotFound."""
    return _row_answer(DepotAnswer, Depot, lookup.existing(rules.depot_key(depot_id)))


def depots_of(query: DepotsOfZone) -> DepotPage:
    """The depots of a zone: one query."""
    rows, following = _page(f"zone/{query.zone}", "depot/", query.after)
    return DepotPage(depots=tuple(_row_answer(DepotAnswer, Depot, row) for row in rows), next=following)


def save_zone(zone_id: str, request: SaveZone, *, by: StaffMember, correlation_id: str) -> ZoneAnswer:
    """State what a zone is called. Raises ChangedMeanwhile."""
    stated = Zone(id=zone_id, **_stated(request))
    return _answer(ZoneAnswer, stated, statements.save(stated, request.replaces, Source.of(by, correlation_id)))


def read_zone(zone_id: str) -> ZoneAnswer:
    """A zone: one read. Raises NotFound."""
    return _row_answer(ZoneAnswer, Zone, lookup.existing(rules.zone_key(zone_id)))


def zones(query: ZonesAfter) -> ZonePage:
    """All zones: one query."""
    rows, following = _page("zones", "zone/", query.after)
    return ZonePage(zones=tuple(_row_answer(ZoneAnswer, Zone, row) for row in rows), next=following)


def save_client(number: str, request: SaveClient, *, by: StaffMember, correlation_id: str) -> ClientAnswer:
    """State what is known of a client of the post. Raises ChangedMeanwhile."""
    stated = Client(number=number, **_stated(request))
    return _answer(ClientAnswer, stated, statements.save(stated, request.replaces, Source.of(by, correlation_id)))


def read_client(number: str) -> ClientAnswer:
    """A client of the post: one read. Raises NotFound."""
    return _row_answer(ClientAnswer, Client, lookup.existing(rules.client_key(number)))


# --- duties -------------------------------------------------------------------------------------------------


def assign_duty(carrier_id: str, day: date, request: AssignDuty, *, by: StaffMember, correlation_id: str) -> DutyAnswer:
    """State what a carrier does on a day. Whoever lends a carrier to another depot must reach both.

    Raises NotFound (the carrier), AccessDenied, RequestInvalid, UnknownReference (the depot), ChangedMeanwhile.
    """
    stated = Duty(carrier=carrier_id, day=day, **_stated(request))

    def guard(rows: Rows) -> None:
        found = rows.get(rules.carrier_key(carrier_id)) or lookup.missing(rules.carrier_key(carrier_id))
        _require_depots(by, {stated.depot, found.holds(CarrierRecord).depot}, rows)

    return _answer(DutyAnswer, stated, statements.save(stated, request.replaces, Source.of(by, correlation_id), guard))


def withdraw_duty(carrier_id: str, day: date, *, by: StaffMember, correlation_id: str) -> None:
    """Take a carrier's duty on a day back. Whoever withdraws one at another depot must reach both.

    A newer line of a file may assign it again, an older one may not. Raises NotFound (the carrier, or a duty on that
    day), AccessDenied, ChangedMeanwhile.
    """
    key, carrier_key = rules.duty_key(carrier_id, day), rules.carrier_key(carrier_id)
    rows = statements.rows_at([key, carrier_key])
    found, stored = rows.get(carrier_key) or lookup.missing(carrier_key), rows.get(key)
    duty = stored.holds(Duty) if stored and stored.stands else None
    home = found.holds(CarrierRecord).depot
    _require_depots(by, {home, duty.depot if duty else home}, rows)
    if stored is None or duty is None:
        raise NotFound(f"The carrier {carrier_id} has no duty on {day}.")
    with transaction() as work:
        statements.put(work, PeopleRow(*key), replaces=stored, stated_at=rules.stated_at(clock.now()))
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
    lookup.require_depot(by, lookup.carrier(carrier_id).depot)
    pk, since = rules.duty_key(carrier_id, first)
    days = PeopleRow.sk.between(since, rules.duty_key(carrier_id, last).sk)
    rows = PeopleRow.query(pk, days, consistent_read=True)
    return DutyList(duties=tuple(_row_answer(DutyAnswer, Duty, row) for row in rows if row.stands))


# --- answers ------------------------------------------------------------------------------------------------


def _require_depots(who: StaffMember, depot_ids: set[str], rows: Rows) -> None:
    """The same for several depots, without reading again those that have been read."""
    for depot_id in depot_ids:
        row = rows.get(rules.depot_key(depot_id))
        if row is None:
            lookup.require_depot(who, depot_id)
        elif not who.reaches(depot_id, row.holds(Depot).zone):
            raise lookup.not_theirs(depot_id)


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
            person=statements.opened(record, data_keys),
            revision=revision,
        )
        for record, revision in records
    ]


def _stated(request: Schema) -> dict[str, Any]:
    """What a request states, without the revision that it replaces."""
    return {name: value for name, value in msgspec.structs.asdict(request).items() if name != "replaces"}


def _answer(kind: type[RecordT], record: Schema, revision: int) -> RecordT:
    return kind(**msgspec.structs.asdict(record), revision=revision)


def _row_answer(kind: type[RecordT], record: type[Schema], row: PeopleRow) -> RecordT:
    return _answer(kind, row.holds(record), int(row.revision))
