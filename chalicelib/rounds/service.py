"""Sorting: the plan, and where each item lies on it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from pynamodb.expressions.condition import Condition

from chalicelib.core import events, journal, keyring
from chalicelib.core.errors import ChangedMeanwhile, NotFound
from chalicelib.core.events import Event
from chalicelib.core.intake import Taken, in_chunks
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.items import rules as item_rules
from chalicelib.items.schemas import Addressee, Announced
from chalicelib.rounds import rules
from chalicelib.rounds.schemas import (
    UNSORTED,
    Place,
    PlacedItem,
    PlacedItems,
    Placement,
    PlanChanged,
    PlanLine,
)
from chalicelib.rounds.tables import PlaceRow, PlanRow

NO_DEPOT = "NONE"
"""Where items lie whose postcode no plan knows."""

PAGE = 100
_LINES_PER_TRANSACTION = 20
"""A line may write its row, its postcode's row and the two of an event: 80 of the 100 that a transaction takes."""


def import_plan(lines: Sequence[PlanLine], *, actor: str, correlation_id: str) -> list[Taken]:
    """Take lines of a sorting plan; says for each what became of it. The same stretch of a street is replaced."""
    taken: list[Taken] = []
    for chunk in in_chunks(lines, _LINES_PER_TRANSACTION):
        taken += _import_lines(chunk, actor, correlation_id)
    return taken


def settle(item: str) -> None:
    """Put an item where its events and the plan say that it lies. Doing it again changes nothing."""
    retried(lambda: _settle(item, ()))


def settle_unsorted(depot: str, postcodes: frozenset[str]) -> None:
    """Look again for a place for what no line of the plan knew: the depot's items, and those of no known depot.

    `postcodes` are those of which the plan has changed: others are not looked at.
    """
    for where in (depot, NO_DEPOT):
        for row in places_on(Place(depot=where)):
            if row.announced and msgspec.json.decode(row.announced, type=Announced).delivery_postcode in postcodes:
                settle(row.item)


def place_by_hand(item: str, placement: Placement, *, actor: str, correlation_id: str) -> Place:
    """Put an item on a route. It stays there until staff or another depot's scan says otherwise. Raises NotFound."""
    return retried(lambda: _place_by_hand(item, placement, actor, correlation_id))


def unsorted(depot: str, after: str | None) -> PlacedItems:
    """A page of the depot's items that are on no route: one query."""
    start = PlaceRow.position > after if after else None
    rows = list(PlaceRow.query(f"{depot}/{UNSORTED}", start, index_name="by-route", limit=PAGE))
    return PlacedItems(
        items=tuple(PlacedItem(item=row.item, place=Place(depot=depot)) for row in rows),
        after=rows[-1].position if len(rows) == PAGE else None,
    )


def _settle(item: str, coming: Sequence[Event]) -> Place | None:
    """Work out an item's place with its events and those `coming`, and write both if anything changes.

    The row is read before the events: if somebody settles the item meanwhile, with newer events perhaps, the row's
    revision has changed and all is worked out again.
    """
    former = PlaceRow.find(f"item/{item}", "place")
    known = [*journal.read(item_rules.subject_of(item)), *coming]
    history = item_rules.fold(item, known)
    place = None if history.status in rules.OFF_THE_ROUTE else _place(item, known, history.announcement)
    row = _row(item, place, history.announcement)
    if coming or not _same(former, row):
        with transaction() as work:
            for event in coming:
                work.append(event)
            _replace(work, former, row)
    return place


def _place(item: str, known: Sequence[Event], announcement: Announced | None) -> Place | None:
    by_plan = _planned(item, announcement) if announcement else None
    return rules.place_of(item_rules.standing(known), by_plan)


def _planned(item: str, announcement: Announced) -> Place:
    """Where the plan puts an addressee: on a route, or among what its postcode's depot sorts by hand."""
    postcode = announcement.delivery_postcode
    try:
        key = keyring.key_of(item_rules.subject_of(item))
        house, street = rules.planned_street(key.open(announcement.addressee, Addressee))
    except keyring.KeyGone:
        house, street = None, ""
    lines = [_line(row) for row in PlanRow.query(f"plan/{postcode}/{street}", consistent_read=True)]
    if found := rules.line_for(house, lines):
        return Place(depot=found.depot, route=found.route, rank=found.rank)
    depot = PlanRow.find(f"plan/{postcode}", "depot")
    return Place(depot=depot.content if depot else NO_DEPOT)


def _place_by_hand(item: str, placement: Placement, actor: str, correlation_id: str) -> Place:
    subject = item_rules.subject_of(item)
    known = journal.read(subject)
    if not known:
        raise NotFound(f"Nothing is known of the item {item}.")
    wanted = Place(depot=placement.depot, route=placement.route, rank=placement.rank)
    if rules.place_of(item_rules.standing(known), None) == wanted:
        return wanted
    event = events.make(
        "facteo.item.placed",
        subject,
        placement,
        actor=actor,
        correlation_id=correlation_id,
        place=f"depot/{placement.depot}",
    )
    _settle(item, (event,))
    return wanted


def _row(item: str, place: Place | None, announcement: Announced | None) -> PlaceRow:
    row = PlaceRow(f"item/{item}", "place", item=item, revision=1)
    if place is not None:
        row.route = f"{place.depot}/{place.route}"
        row.position = f"{place.rank:06}/{item}"
        row.announced = msgspec.json.encode(announcement).decode() if announcement else None
    return row


def _same(former: PlaceRow | None, row: PlaceRow) -> bool:
    if former is None:
        return row.route is None
    return (former.route, former.position, former.announced) == (row.route, row.position, row.announced)


def _replace(work: UnitOfWork, former: PlaceRow | None, row: PlaceRow) -> None:
    unchanged: Condition = PlaceRow.pk.does_not_exist()
    if former is not None:
        row.revision = former.revision + 1
        unchanged = PlaceRow.revision == former.revision
    work.put(row, when=unchanged, otherwise=ChangedMeanwhile("The item was moved at the same time."))


def places_on(route: Place) -> list[PlaceRow]:
    """The items on a route, in the order of delivery: one query for each MiB."""
    return list(PlaceRow.query(f"{route.depot}/{route.route}", index_name="by-route"))


def _import_lines(chunk: Sequence[PlanLine], actor: str, correlation_id: str) -> list[Taken]:
    held = {(row.pk, row.sk): row for row in PlanRow.find_many(list({_plan_key(line) for line in chunk}))}
    stated = {_plan_key(line): line for line in chunk}
    changed = {key: line for key, line in stated.items() if key not in held or _line(held[key]) != line}
    if changed:
        _write_lines(list(changed.values()), actor, correlation_id)
    own = {key for key, row in held.items() if row.written_for == correlation_id}
    known = {key: Taken.REPEATED if key in own else Taken.DUPLICATE for key in held}
    return [Taken.RECORDED if key in changed else known[key] for key in map(_plan_key, chunk)]


def _write_lines(lines: Sequence[PlanLine], actor: str, correlation_id: str) -> None:
    with transaction() as work:
        for line in lines:
            pk, sk = _plan_key(line)
            text = msgspec.json.encode(line).decode()
            work.put(PlanRow(pk, sk, content=text, written_for=correlation_id))
        for postcode, depot in {line.postcode: line.depot for line in lines}.items():
            work.put(PlanRow(f"plan/{postcode}", "depot", content=depot, written_for=correlation_id))
        for depot in sorted({line.depot for line in lines}):
            of_depot = tuple(line for line in lines if line.depot == depot)
            work.append(
                events.make(
                    "facteo.plan.changed",
                    f"plan/{depot}",
                    PlanChanged(depot=depot, lines=of_depot),
                    actor=actor,
                    correlation_id=correlation_id,
                )
            )


def _plan_key(line: PlanLine) -> tuple[str, str]:
    street = rules.normal_street(line.street)
    return f"plan/{line.postcode}/{street}", f"{line.number_from:05}-{line.number_to:05}/{line.parity}"


def _line(row: PlanRow) -> PlanLine:
    return msgspec.json.decode(row.content, type=PlanLine)
