"""The sorting plan: its lines, where they put an item, and whom a change of them concerns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from chalicelib.addresses.rules import normal_street
from chalicelib.core import events, keyring, queues, settings
from chalicelib.core.events import Event
from chalicelib.core.intake import Taken, in_chunks
from chalicelib.core.queues import Outgoing
from chalicelib.core.settings import Settings
from chalicelib.core.transaction import transaction
from chalicelib.items import rules as item_rules
from chalicelib.items.schemas import Addressee, Announced
from chalicelib.rounds import rules
from chalicelib.rounds.schemas import NO_DEPOT, Place, PlanChanged, PlanLine, SettleRequest
from chalicelib.rounds.tables import PlanRow, places_on

_LINES_PER_TRANSACTION = 20
"""A line may write its row, its postcode's row and the two of an event: 80 of the 100 that a transaction takes."""

_ITEMS_PER_REQUEST = 20

Key = tuple[str, str]
Held = Mapping[Key, PlanRow]


class SortingSettings(Settings, frozen=True, kw_only=True):
    """The address of the queue of what is to be sorted."""

    sorting_queue: str


def import_plan(lines: Sequence[PlanLine], *, actor: str, correlation_id: str) -> list[Taken]:
    """Take lines of a sorting plan; says for each what became of it. The same stretch of a street is replaced."""
    taken: list[Taken] = []
    for chunk in in_chunks(lines, _LINES_PER_TRANSACTION):
        taken += _import_lines(chunk, actor, correlation_id)
    return taken


def place_of(item: str, announcement: Announced) -> Place:
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
    depot = PlanRow.find(*_postcode_key(postcode))
    return Place(depot=depot.content if depot else NO_DEPOT)


def ask_to_settle(change: Event) -> None:
    """Ask for every item that a change of the plan may concern to be settled, some with each message.

    Those are the items of its postcodes that no line knew, and those on the routes that its lines had before.
    """
    said = change.body(PlanChanged)
    queue = settings.load(SortingSettings).sorting_queue
    concerned = _concerned(said, {line.postcode for line in said.lines})
    for items in in_chunks(concerned, _ITEMS_PER_REQUEST * queues.MAX_ENTRIES):
        requests = [SettleRequest(settle=tuple(some)) for some in in_chunks(items, _ITEMS_PER_REQUEST)]
        queues.send(queue, [_message(request, change.correlationid) for request in requests])


def _message(request: SettleRequest, correlation_id: str) -> Outgoing:
    return Outgoing(msgspec.json.encode(request).decode(), {"correlation_id": correlation_id})


def _concerned(said: PlanChanged, postcodes: set[str]) -> Iterator[str]:
    for where in (Place(depot=said.depot), Place(depot=NO_DEPOT), *said.left):
        for row in places_on(where.depot, where.route):
            if row.announced and msgspec.json.decode(row.announced, type=Announced).delivery_postcode in postcodes:
                yield row.item


def _import_lines(chunk: Sequence[PlanLine], actor: str, correlation_id: str) -> list[Taken]:
    asked = {*map(_plan_key, chunk), *(_postcode_key(line.postcode) for line in chunk)}
    held = {(row.pk, row.sk): row for row in PlanRow.find_many(list(asked))}
    stated = {_plan_key(line): line for line in chunk}
    changed = {key: line for key, line in stated.items() if key not in held or _line(held[key]) != line}
    if changed:
        _write_lines(list(changed.values()), held, actor, correlation_id)
    own = {key for key, row in held.items() if row.written_for == correlation_id}
    known = {key: Taken.REPEATED if key in own else Taken.DUPLICATE for key in held}
    return [Taken.RECORDED if key in changed else known[key] for key in map(_plan_key, chunk)]


def _write_lines(lines: Sequence[PlanLine], held: Held, actor: str, correlation_id: str) -> None:
    """Write lines. A postcode's row is written only if it changes: the slices of a file must not fight over it."""
    with transaction() as work:
        for line in lines:
            pk, sk = _plan_key(line)
            text = msgspec.json.encode(line).decode()
            work.put(PlanRow(pk, sk, content=text, written_for=correlation_id))
        for key, depot in {_postcode_key(line.postcode): line.depot for line in lines}.items():
            if key not in held or held[key].content != depot:
                work.put(PlanRow(*key, content=depot, written_for=correlation_id))
        for depot in sorted({line.depot for line in lines}):
            of_depot = tuple(line for line in lines if line.depot == depot)
            work.append(
                events.make(
                    "facteo.plan.changed",
                    f"plan/{depot}",
                    PlanChanged(depot=depot, lines=of_depot, left=_left(of_depot, held)),
                    actor=actor,
                    correlation_id=correlation_id,
                )
            )


def _left(lines: Sequence[PlanLine], held: Held) -> tuple[Place, ...]:
    """The routes on which items of these lines may lie by what the plan said before."""
    former = [_line(held[_plan_key(line)]) for line in lines if _plan_key(line) in held]
    return tuple(dict.fromkeys(Place(depot=line.depot, route=line.route) for line in former))


def _postcode_key(postcode: str) -> Key:
    return f"plan/{postcode}", "depot"


def _plan_key(line: PlanLine) -> Key:
    street = normal_street(line.street)
    return f"plan/{line.postcode}/{street}", f"{line.number_from:05}-{line.number_to:05}/{line.parity}"


def _line(row: PlanRow) -> PlanLine:
    return msgspec.json.decode(row.content, type=PlanLine)
