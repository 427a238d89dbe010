"""The sorting plan and items on it: where an item lies, and what happens to it next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from chalicelib.core import clock
from chalicelib.core.events import Event
from chalicelib.core.intake import Taken
from chalicelib.rounds import plan
from chalicelib.rounds.schemas import PlanLine
from chalicelib.rounds.tables import PlaceRow, places_on
from chalicelib.rounds.workers import sorting
from tests.support.events import an_item_event, announced, deliver, recorded
from tests.support.factories import an_item


def import_plan(*lines: PlanLine, delivery: str = "import/1/1") -> list[Taken]:
    """Take lines of a sorting plan; what became of each."""
    return plan.import_plan(lines, actor="legacy/sorting-plan", correlation_id=delivery)


def sorted_item(**changes: object) -> str:
    """A new item that was announced and settled."""
    item = an_item()
    assert deliver(sorting, [announced(item, **changes)]) == []
    return item


def happens(event_type: str, item: str, *, minutes: int = 1, **changes: Any) -> list[Event]:
    """An event `facteo.item.<event type>`, so many minutes from now, in the journal; nobody has sorted it yet."""
    at = clock.now() + timedelta(minutes=minutes)
    return recorded(an_item_event(f"facteo.item.{event_type}", item=item, at=at, **changes))


def row_of(item: str) -> PlaceRow | None:
    """The row of the item's place."""
    return PlaceRow.find(f"item/{item}", "place")


def route_of(item: str) -> str | None:
    """The route on which the item lies, if any: its row and the index say the same."""
    row = row_of(item)
    route: str | None = row.route if row else None
    if route:
        depot, _, name = route.partition("/")
        assert item in [one.item for one in places_on(depot, name)]
    return route
