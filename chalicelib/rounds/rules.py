"""Where an item lies: by hand, by the plan, or by the depot that scanned it. Pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from chalicelib.addresses.rules import house_and_street
from chalicelib.core.events import Event
from chalicelib.items import rules as item_rules
from chalicelib.items.schemas import Addressee, Announced, Scanned, Status, Step
from chalicelib.rounds.schemas import HELD, LAST_HOUSE, NO_DEPOT, Parity, Place, Placement, PlanLine

OFF_THE_ROUTE = frozenset({Status.DELIVERED, Status.RETURNED, Status.HELD, Status.REDIRECTED})
"""A carrier has nothing more to do with an item in one of these states. A held one lies at its depot."""

EXPECTED_FOR = timedelta(days=14)


def line_for(house: int | None, lines: Sequence[PlanLine]) -> PlanLine | None:
    """The line of a street that holds the house: that of the fewest houses; without a number only a whole street."""
    fitting = [line for line in lines if _holds(line, house)]
    return min(fitting, key=lambda line: (_houses(line), line.rank), default=None)


def place_of(events: Sequence[Event], by_plan: Place | None) -> Place | None:
    """Where an item lies, from its standing events and the plan: what staff said, else what the plan says.

    A depot that scanned the item as arrived has it in its hands: it overrules a plan, or an older word of staff, that
    names another depot.
    """
    placed = _latest(events, "facteo.item.placed")
    arrived = _latest_arrival(events)
    said = [place for place in (_by_hand(placed) if placed else None, by_plan) if place is not None]
    if arrived is None or (placed and placed.happened_at > arrived.happened_at):
        return said[0] if said else None
    depot = arrived.place.removeprefix("depot/")
    return next((place for place in said if place.depot == depot), Place(depot=depot))


def held_at(events: Sequence[Event]) -> Place:
    """Where a held item lies, from its standing events: with the depot that held it, or where staff put it since."""
    told = (event.place for event in reversed(events) if event.type in {"facteo.item.held", "facteo.item.placed"})
    place = next(told, "")
    return Place(depot=place.removeprefix("depot/") if place.startswith("depot/") else NO_DEPOT, route=HELD)


def is_due(announced: Announced | None, *, seen: bool, today: date) -> bool:
    """Whether an item on a route goes into the bundle of the day.

    One that was only announced is expected from the day of its hand-over on, for two weeks; what never came is left
    out then, until it comes.
    """
    if seen or announced is None:
        return True
    return timedelta() <= today - announced.handed_over_on <= EXPECTED_FOR


def planned_street(addressee: Addressee) -> tuple[int | None, str]:
    """The house and street by which the plan is asked: of the street line, else of the hamlet line."""
    return house_and_street(addressee.street or addressee.hamlet)


def _by_hand(placed: Event) -> Place:
    said = placed.body(Placement)
    return Place(depot=said.depot, route=said.route, rank=said.rank)


def _latest(events: Sequence[Event], event_type: str) -> Event | None:
    return next((event for event in reversed(events) if event.type == event_type), None)


def _latest_arrival(events: Sequence[Event]) -> Event | None:
    for event in reversed(events):
        fact = item_rules.fact_of(event)
        if isinstance(fact, Scanned) and fact.step is Step.AT_DEPOT and event.place:
            return event
    return None


def _holds(line: PlanLine, house: int | None) -> bool:
    if house is None:
        return (line.number_from, line.number_to, line.parity) == (0, LAST_HOUSE, Parity.ALL)
    if not line.number_from <= house <= line.number_to:
        return False
    return line.parity is Parity.ALL or (line.parity is Parity.ODD) == (house % 2 == 1)


def _houses(line: PlanLine) -> float:
    """How many house numbers a line holds, about."""
    numbers = line.number_to - line.number_from + 1
    return numbers if line.parity is Parity.ALL else numbers / 2
