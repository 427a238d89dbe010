"""Sorting: where each item lies, by the plan, by hand, or by the depot that scanned it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from pynamodb.expressions.condition import Condition

from chalicelib.core import journal
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.events import Event
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.items import rules as item_rules
from chalicelib.items.schemas import ItemHistory, Status
from chalicelib.rounds import plan, rules
from chalicelib.rounds.schemas import HELD, Place
from chalicelib.rounds.tables import PlaceRow


def settle(item: str) -> None:
    """Put an item where its events and the plan say that it lies. Doing it again changes nothing."""
    retried(lambda: with_events(item, ()))


def with_events(item: str, coming: Sequence[Event]) -> Place | None:
    """Work out an item's place with its events and those `coming`, and write both if anything changes.

    The row is read before the events: if somebody settles the item meanwhile, with newer events perhaps, the row's
    revision has changed and all is worked out again.
    """
    former = PlaceRow.find(f"item/{item}", "place")
    known = [*journal.read(item_rules.subject_of(item)), *coming]
    history = item_rules.fold(item, known)
    place = _place(item, known, history)
    row = _row(item, place, history)
    if coming or not _same(former, row):
        with transaction() as work:
            for event in coming:
                work.append(event)
            _replace(work, former, row)
    return place


def _place(item: str, known: Sequence[Event], history: ItemHistory) -> Place | None:
    if history.status is Status.HELD:
        return rules.held_at(item_rules.standing(known))
    if history.status in rules.OFF_THE_ROUTE:
        return None
    by_plan = plan.place_of(item, history.announcement) if history.announcement else None
    return rules.place_of(item_rules.standing(known), by_plan)


def _row(item: str, place: Place | None, history: ItemHistory) -> PlaceRow:
    row = PlaceRow(f"item/{item}", "place", item=item, revision=1)
    if place is not None:
        row.route = f"{place.depot}/{place.route}"
        row.position = f"{place.rank:06}/{item}"
        row.announced = msgspec.json.encode(history.announcement).decode() if history.announcement else None
        row.seen = history.status is not Status.ANNOUNCED
    if place is not None and place.route == HELD and history.holding is not None:
        row.position = f"{history.holding.last_day}/{item}"
        row.holding = msgspec.json.encode(history.holding).decode()
    return row


def _same(former: PlaceRow | None, row: PlaceRow) -> bool:
    if former is None:
        return row.route is None
    told = ("route", "position", "announced", "seen", "holding")
    return all(getattr(former, name) == getattr(row, name) for name in told)


def _replace(work: UnitOfWork, former: PlaceRow | None, row: PlaceRow) -> None:
    unchanged: Condition = PlaceRow.pk.does_not_exist()
    if former is not None:
        row.revision = former.revision + 1
        unchanged = PlaceRow.revision == former.revision
    work.put(row, when=unchanged, otherwise=ChangedMeanwhile("The item was moved at the same time."))
