"""The sorting plan, and an item's place on it."""

from __future__ import annotations

import enum
from datetime import date
from typing import Annotated

from msgspec import Meta

from chalicelib.core.schemas import END, Schema
from chalicelib.people.ids import DepotId, RouteId

Rank = Annotated[int, Meta(ge=0, le=999_999)]
LAST_HOUSE = 99_999
HouseNumber = Annotated[int, Meta(ge=0, le=LAST_HOUSE)]

NO_DEPOT = "NONE"
"""Where items lie whose postcode no plan knows."""

UNSORTED = "unsorted"
"""The route of a depot's items that no line of the plan knows. Routes have no lower-case letters."""

HELD = "held"
"""The route of a depot's items that wait for their addressees."""


class Parity(enum.StrEnum):
    """Which house numbers a line of the plan speaks of."""

    ALL = "all"
    ODD = "odd"
    EVEN = "even"


class PlanLine(Schema, frozen=True):
    """One line of a depot's sorting plan: this stretch of this street lies on that route, at that rank."""

    postcode: Annotated[str, Meta(pattern=r"^[0-9A-Z]{5}" + END)]
    street: Annotated[str, Meta(max_length=38, pattern="[0-9A-Za-z]")]
    depot: DepotId
    route: RouteId
    rank: Rank
    number_from: HouseNumber = 0
    number_to: HouseNumber = LAST_HOUSE
    parity: Parity = Parity.ALL

    def __post_init__(self) -> None:
        if self.number_from > self.number_to:
            raise ValueError(f"no house lies between {self.number_from} and {self.number_to}")


class Place(Schema, frozen=True):
    """Where an item lies: `route` is `unsorted` until somebody or the plan says more."""

    depot: DepotId
    route: str = UNSORTED
    rank: Rank = 0


class PlanChanged(Schema, frozen=True):
    """`facteo.plan.changed`: lines of a depot's sorting plan were added or replaced.

    `left` are the routes on which the replaced lines had their items.
    """

    depot: DepotId
    lines: tuple[PlanLine, ...]
    left: tuple[Place, ...] = ()


class SettleRequest(Schema, frozen=True):
    """A message that asks for items to be put where they lie by now."""

    settle: tuple[str, ...]


class Placement(Schema, frozen=True):
    """`facteo.item.placed`: staff put an item on a route of a depot by hand."""

    depot: DepotId
    route: RouteId
    rank: Rank = 0


class PlacedItem(Schema, frozen=True):
    """An item and where it lies."""

    item: str
    place: Place


class PlacedItems(Schema, frozen=True):
    """Items of a depot that are on no route, and where to go on reading."""

    items: tuple[PlacedItem, ...]
    after: str | None = None


class HeldItem(Schema, frozen=True):
    """An item that waits for its addressee: its last day, and from which day on it goes back to its sender."""

    item: str
    presented_on: date
    last_day: date
    return_due_on: date


class HeldItems(Schema, frozen=True):
    """A depot's held items, the first to go back first, and where to go on reading."""

    items: tuple[HeldItem, ...]
    after: str | None = None
