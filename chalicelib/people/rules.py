"""Where each record stands, what it refers to, how long a name is kept, and what a roster may say: no I/O."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from chalicelib.core import clock
from chalicelib.core.schemas import Schema
from chalicelib.people.schemas import CarrierEntry, Client, Depot, Duty, DutyPeriod, Zone

MAX_DAYS: Final = 62
DEFAULT_DAYS: Final = timedelta(days=6)

KEPT_FOR: Final = {"carrier": timedelta(days=5 * 365)}
"""How long the names and phones under a subject's data key can be read, from the day that key was made.

Five years is the limitation of actions between employer and employee (prescription quinquennale). A later
write does not prolong it: what a carrier was called in an old event dies on its day even if they still work. Who
does still work is in the next staff file, which seals the name again under a new key.
"""


class Key(NamedTuple):
    """The key of a row."""

    pk: str
    sk: str


class Shelf(NamedTuple):
    """Where a kind of record stands: its key, the group it is listed with, its subject and place in the journal.

    `noun` names its events; `first` is the last word of the event that makes it. `refers_to`: the rows that must
    exist before it.
    """

    noun: str
    first: str
    key: Callable[[Any], Key]
    group: Callable[[Any], str]
    place: Callable[[Any], str]
    refers_to: Callable[[Any], tuple[Key, ...]]


def carrier_key(carrier: str) -> Key:
    """The row of a carrier."""
    return Key(f"carrier/{carrier}", "carrier")


def duty_key(carrier: str, day: date) -> Key:
    """The row of a carrier's duty on a day: beside the carrier, in the order of the days."""
    return Key(f"carrier/{carrier}", f"duty/{day.isoformat()}")


def depot_key(depot: str) -> Key:
    """The row of a depot."""
    return Key(f"depot/{depot}", "depot")


def zone_key(zone: str) -> Key:
    """The row of a zone."""
    return Key(f"zone/{zone}", "zone")


def client_key(number: str) -> Key:
    """The row of a client."""
    return Key(f"client/{number}", "client")


def round_group(depot: str, route: str, day: date) -> str:
    """The group of the duties on one round of one day."""
    return f"round/{depot}/{route}/{day.isoformat()}"


SHELVES: Final[dict[type[Schema], Shelf]] = {
    CarrierEntry: Shelf(
        noun="carrier",
        first="registered",
        key=lambda carrier: carrier_key(carrier.id),
        group=lambda carrier: f"depot/{carrier.depot}",
        place=lambda carrier: carrier.depot,
        refers_to=lambda carrier: (depot_key(carrier.depot),),
    ),
    Depot: Shelf(
        noun="depot",
        first="registered",
        key=lambda depot: depot_key(depot.id),
        group=lambda depot: f"zone/{depot.zone}",
        place=lambda depot: depot.id,
        refers_to=lambda depot: (zone_key(depot.zone),),
    ),
    Zone: Shelf(
        noun="zone",
        first="registered",
        key=lambda zone: zone_key(zone.id),
        group=lambda _: "zones",
        place=lambda _: "",
        refers_to=lambda _: (),
    ),
    Duty: Shelf(
        noun="duty",
        first="assigned",
        key=lambda duty: duty_key(duty.carrier, duty.day),
        group=lambda duty: round_group(duty.depot, duty.route, duty.day),
        place=lambda duty: duty.depot,
        refers_to=lambda duty: (carrier_key(duty.carrier), depot_key(duty.depot)),
    ),
    Client: Shelf(
        noun="client",
        first="registered",
        key=lambda client: client_key(client.number),
        group=lambda client: f"clients/{client.number[:2]}",
        place=lambda _: "",
        refers_to=lambda _: (),
    ),
}
"""No row is ever deleted, so that what a record refers to cannot go away behind it. A duty, to which nothing refers,
can be withdrawn: its row stays, empty, and tells a line of a file that is older from one that assigns it again."""


def stated_at(moment: datetime, line: int = 0) -> str:
    """When something was said, as a text whose order is that of time, and within a file that of its lines."""
    return f"{clock.stamp(moment)}#{line:09}"


def shelf_of(record: Schema) -> Shelf:
    """Where that record stands."""
    return SHELVES[type(record)]


def event_type(record: Schema, *, is_new: bool) -> str:
    """The type of the event that states this record."""
    shelf = shelf_of(record)
    return f"facteo.{shelf.noun}.{shelf.first if is_new else 'changed'}"


def fault_of(record: Schema) -> str | None:
    """What is wrong with a record beyond the shape of its fields, as a sentence, or None."""
    if isinstance(record, Duty) and record.starts >= record.ends:
        return f"A duty from {record.starts} to {record.ends} does not end after it starts, on the same day."
    return None


def days_of(period: DutyPeriod, today: date) -> tuple[date, date]:
    """The first and the last day that are asked for. Raises ValueError with a sentence for what is no period."""
    first = min(period.since or today, date.max - DEFAULT_DAYS)
    last = period.to or first + DEFAULT_DAYS
    if not timedelta() <= last - first < timedelta(days=MAX_DAYS):
        raise ValueError(f"Ask for 1 to {MAX_DAYS} days: 'to' is not before 'from'.")
    return first, last
