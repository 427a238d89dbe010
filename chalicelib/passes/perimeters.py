"""Where the passes of a round open doors: stated by the depot, a sector or the buildings of a relief round."""

from __future__ import annotations

import msgspec

from chalicelib.core import events
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import ChangedMeanwhile, NotFound, RequestInvalid
from chalicelib.core.table import Place
from chalicelib.core.transaction import retried, transaction
from chalicelib.passes import buildings
from chalicelib.passes.schemas import Service
from chalicelib.passes.staff_schemas import Perimeter, PerimeterStated, StatePerimeter
from chalicelib.passes.tables import PassesRow
from chalicelib.people import lookup as people


def place_of(depot: str, route: str) -> Place:
    """Where it stands, to be read together with other rows."""
    return PassesRow, f"perimeter/{depot}/{route}"


def state(depot: str, route: str, stated: StatePerimeter, *, by: StaffMember, correlation_id: str) -> Perimeter:
    """State where a round's passes open doors, from the next pass on: two reads and a transaction.

    Saying the same again changes nothing. Raises AccessDenied, RequestInvalid, NotFound (a building).
    """
    people.require_depot(by, depot)
    if bool(stated.sector) == bool(stated.buildings) or stated.service is Service.HELP:
        raise RequestInvalid("Give either a sector or buildings, and the service 1 (mail) or 2 (parcels).")
    buildings.secrets_of(stated.buildings)
    perimeter = Perimeter(depot=depot, route=route, **msgspec.structs.asdict(stated))
    retried(lambda: _state(perimeter, by.actor, correlation_id))
    return perimeter


def read(depot: str, route: str, *, by: StaffMember) -> Perimeter:
    """Where a round's passes open doors: one read. Raises AccessDenied, NotFound."""
    people.require_depot(by, depot)
    row = PassesRow.find(place_of(depot, route)[1])
    if row is None:
        raise NotFound(f"Where the passes of the round {route} open doors has not been stated.")
    return row.holds(Perimeter)


def _state(perimeter: Perimeter, actor: str, correlation_id: str) -> None:
    _, key = place_of(perimeter.depot, perimeter.route)
    known = PassesRow.find(key)
    if known is not None and known.holds(Perimeter) == perimeter:
        return
    revision = int(known.revision) if known else 0
    row = PassesRow(key, content=msgspec.json.encode(perimeter).decode(), revision=revision + 1)
    told = PerimeterStated(service=perimeter.service, sector=perimeter.sector or "", buildings=perimeter.buildings)
    event = events.make(
        "facteo.pass-perimeter.stated",
        f"pass-perimeter/{perimeter.depot}/{perimeter.route}",
        told,
        actor=actor,
        correlation_id=correlation_id,
        place=f"depot/{perimeter.depot}",
    )
    with transaction() as work:
        work.put(
            row,
            when=PassesRow.is_still(revision),
            otherwise=ChangedMeanwhile("It was stated at the same time; read it again."),
        )
        work.append(event)
