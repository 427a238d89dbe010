"""Where an item lies: by hand, by the plan, or by the depot that scanned it. Pure decisions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from chalicelib.core.events import Event
from chalicelib.items import rules as item_rules
from chalicelib.items.schemas import Addressee, Scanned, Status, Step
from chalicelib.rounds.schemas import Parity, Place, Placement, PlanLine

OFF_THE_ROUTE = frozenset({Status.DELIVERED, Status.RETURNED, Status.HELD, Status.REDIRECTED})
"""A carrier has nothing more to do with an item in one of these states."""

STREET_WORDS = {
    "ALL": "ALLEE",
    "AV": "AVENUE",
    "AVE": "AVENUE",
    "BD": "BOULEVARD",
    "BLD": "BOULEVARD",
    "BVD": "BOULEVARD",
    "CHE": "CHEMIN",
    "CHEM": "CHEMIN",
    "CRS": "COURS",
    "FG": "FAUBOURG",
    "FBG": "FAUBOURG",
    "IMP": "IMPASSE",
    "LOT": "LOTISSEMENT",
    "PL": "PLACE",
    "QU": "QUAI",
    "RES": "RESIDENCE",
    "RTE": "ROUTE",
    "R": "RUE",
    "SQ": "SQUARE",
    "ST": "SAINT",
    "STE": "SAINTE",
}
_NUMBER = re.compile(r"^(\d{1,5})\s*(?:BIS|TER|QUATER|[A-D](?=\s))?\s+(.*)$")


def normal_street(text: str) -> str:
    """A street's name as the plan is keyed: capitals without accents, one space, abbreviations written out."""
    plain = unicodedata.normalize("NFKD", text.upper()).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Z0-9]+", " ", plain).split()
    return " ".join(STREET_WORDS.get(word, word) for word in words)


def house_and_street(line: str) -> tuple[int | None, str]:
    """The house number, if there is one, and the normal name of the street: `12 bis r. d'Alésia`."""
    plain = unicodedata.normalize("NFKD", line.upper()).encode("ascii", "ignore").decode()
    found = _NUMBER.match(re.sub(r"[^A-Z0-9]+", " ", plain).strip())
    if found is None:
        return None, normal_street(line)
    return int(found[1]), normal_street(found[2])


def line_for(house: int | None, lines: Sequence[PlanLine]) -> PlanLine | None:
    """The line of a street that holds the house: the narrowest range wins; without a number only a whole street."""
    fitting = [line for line in lines if _holds(line, house)]
    return min(fitting, key=lambda line: (line.number_to - line.number_from, line.rank), default=None)


def place_of(events: Sequence[Event], by_plan: Place | None) -> Place | None:
    """Where an item lies, from its standing events and the plan: what staff said, else what the plan says.

    A depot that scanned the item as arrived has it in its hands: it overrules a plan, or an older word of staff, that
    names another depot.
    """
    placed = _latest(events, "facteo.item.placed")
    arrived = _latest_arrival(events)
    said = _by_hand(placed) if placed else by_plan
    if arrived is None or (placed and placed.happened_at > arrived.happened_at):
        return said
    depot = arrived.place.removeprefix("depot/")
    return said if said is not None and said.depot == depot else Place(depot=depot)


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
        return line.number_from == 0 and line.parity is Parity.ALL
    if not line.number_from <= house <= line.number_to:
        return False
    return line.parity is Parity.ALL or (line.parity is Parity.ODD) == (house % 2 == 1)
