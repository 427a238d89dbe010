"""Where items lie, for staff: by hand, what is on no route, and what is held."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import takewhile

import msgspec

from chalicelib.core import events, journal
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import NotFound
from chalicelib.core.events import Event
from chalicelib.core.transaction import retried
from chalicelib.items import rules as item_rules
from chalicelib.items.schemas import Holding
from chalicelib.people import lookup as people
from chalicelib.rounds import rules, settling
from chalicelib.rounds.schemas import (
    HELD,
    NO_DEPOT,
    UNSORTED,
    HeldItem,
    HeldItems,
    Place,
    PlacedItem,
    PlacedItems,
    Placement,
)
from chalicelib.rounds.tables import PlaceRow

PAGE = 100


def place_by_hand(item: str, placement: Placement, *, by: StaffMember, correlation_id: str) -> Place:
    """Put an item on a route. It stays there until staff or another depot's scan says otherwise.

    Whoever takes it out of a depot must reach that one too. Raises NotFound, AccessDenied.
    """
    people.require_depot(by, placement.depot)
    return retried(lambda: _place_by_hand(item, placement, by, correlation_id))


def unsorted(depot: str, after: str | None) -> PlacedItems:
    """A page of the depot's items that are on no route: one query."""
    rows, further = _page(depot, UNSORTED, after)
    return PlacedItems(items=tuple(PlacedItem(item=row.item, place=Place(depot=depot)) for row in rows), after=further)


def held(depot: str, until: date | None, after: str | None) -> HeldItems:
    """A page of the depot's held items whose last day is `until` or before, the first to go back first: one query."""
    rows, further = _page(depot, HELD, after)
    items = [_held_item(row) for row in rows]
    wanted = tuple(takewhile(lambda one: until is None or one.last_day <= until, items))
    return HeldItems(items=wanted, after=further if len(wanted) == len(items) else None)


def _page(depot: str, route: str, after: str | None) -> tuple[list[PlaceRow], str | None]:
    """A page of the items on a route, and after which position the next one begins, if there may be one."""
    start = PlaceRow.position > after if after else None
    rows = list(PlaceRow.query(f"{depot}/{route}", start, index_name="by-route", limit=PAGE))
    return rows, rows[-1].position if len(rows) == PAGE else None


def _held_item(row: PlaceRow) -> HeldItem:
    days = msgspec.json.decode(row.holding, type=Holding)
    return HeldItem(
        item=row.item, presented_on=days.presented_on, last_day=days.last_day, return_due_on=days.return_due_on
    )


def _place_by_hand(item: str, placement: Placement, by: StaffMember, correlation_id: str) -> Place:
    subject = item_rules.subject_of(item)
    known = journal.read(subject)
    if not known:
        raise NotFound(f"Nothing is known of the item {item}.")
    held_by = _depot_of(item, known)
    if held_by != NO_DEPOT:
        people.require_depot(by, held_by)
    wanted = Place(depot=placement.depot, route=placement.route, rank=placement.rank)
    if rules.place_of(item_rules.standing(known), None) == wanted:
        return wanted
    event = events.make(
        "facteo.item.placed",
        subject,
        placement,
        actor=by.actor,
        correlation_id=correlation_id,
        place=f"depot/{placement.depot}",
    )
    settling.with_events(item, (event,))
    return wanted


def _depot_of(item: str, known: Sequence[Event]) -> str:
    """The depot that the item lies in, or was last seen by."""
    row = PlaceRow.find(f"item/{item}", "place")
    if row is not None and row.route:
        return row.route.partition("/")[0]
    return next(iter(item_rules.depots_of(item_rules.fold(item, known))), NO_DEPOT)
