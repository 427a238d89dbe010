"""What other features ask of people and places: one read each."""

from __future__ import annotations

from datetime import date
from typing import NoReturn

import msgspec

from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import AccessDenied, ChangedMeanwhile, NotFound
from chalicelib.core.transaction import UnitOfWork
from chalicelib.people import rules
from chalicelib.people.rules import Key
from chalicelib.people.schemas import (
    Carrier,
    CarrierRecord,
    Client,
    Depot,
    Duty,
    Subcontractor,
)
from chalicelib.people.tables import PeopleRow


def carrier(carrier_id: str) -> Carrier:
    """Where a carrier belongs: one read. Raises NotFound."""
    found = existing(rules.carrier_key(carrier_id)).holds(CarrierRecord)
    return Carrier(id=found.id, depot=found.depot, manager=found.manager)


def depot(depot_id: str) -> Depot:
    """A depot: one read. Raises NotFound."""
    return existing(rules.depot_key(depot_id)).holds(Depot)


def subcontractor_of(depot_id: str) -> Subcontractor | None:
    """Who runs a depot on behalf of the post, if somebody does and the depot is known: one read."""
    row = PeopleRow.find(*rules.depot_key(depot_id))
    return row.holds(Depot).subcontractor if row else None


def duty_of(carrier_id: str, day: date) -> Duty | None:
    """What a carrier does on a day, if the roster says: one read."""
    row = PeopleRow.find(*rules.duty_key(carrier_id, day))
    return row.holds(Duty) if row and row.stands else None


def require_duty(work: UnitOfWork, duty: Duty) -> None:
    """Have the work refused with ChangedMeanwhile if the roster says something else by now."""
    row = PeopleRow(*rules.duty_key(duty.carrier, duty.day))
    same = PeopleRow.record == msgspec.json.encode(duty).decode()
    work.check(row, same, otherwise=ChangedMeanwhile("The roster changed at the same time; ask again."))


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
        raise not_theirs(depot_id)


def existing(key: Key) -> PeopleRow:
    """The row of a key: one read. Raises NotFound."""
    return PeopleRow.find(*key) or missing(key)


def missing(key: Key) -> NoReturn:
    """Raise NotFound for a key that nothing stands under."""
    raise NotFound(f"There is no {key.pk}.")


def not_theirs(depot_id: str) -> AccessDenied:
    """The problem of a member of staff who asks for another's depot."""
    return AccessDenied(f"The depot {depot_id} is not one of yours. Ask its manager.")
