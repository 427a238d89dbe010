"""A depot's work list: read by its staff, and shortened by whoever deals with something."""

from __future__ import annotations

from chalicelib.attention.schemas import Entry, Handled, Kind, WorkList
from chalicelib.attention.tables import AttentionRow
from chalicelib.core import events, ids, journal
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import ChangedMeanwhile, Conflict, NotFound
from chalicelib.core.transaction import retried, transaction
from chalicelib.people import lookup as people

HANDLED = "facteo.attention.handled"

PAGE = 100


def waiting(depot: str, after: str | None, *, by: StaffMember) -> WorkList:
    """A page of what there is to look at in a depot, the oldest first: one query. Raises AccessDenied."""
    people.require_depot(by, depot)
    start = AttentionRow.id > after if after else None
    rows = list(AttentionRow.query(depot, start, limit=PAGE, consistent_read=True))
    return WorkList(entries=tuple(map(_entry, rows)), after=rows[-1].id if len(rows) == PAGE else None)


def handle(depot: str, entry: str, note: str, *, by: StaffMember, correlation_id: str) -> Handled:
    """Take an entry off the list: a read and a transaction. Said again by the same person, the answer is the same.

    Raises AccessDenied, NotFound, and Conflict if somebody else dealt with it or something else was said to be done.
    """
    people.require_depot(by, depot)
    return retried(lambda: _handle(depot, entry, note, by, correlation_id))


def _handle(depot: str, entry: str, note: str, by: StaffMember, correlation_id: str) -> Handled:
    row = AttentionRow.find(depot, entry)
    if row is None:
        return _handled_before(depot, entry, note, by)
    shown = _entry(row)
    handled = Handled(
        entry=entry, kind=shown.kind, item=shown.item, missing=shown.missing, flags=shown.flags, note=note
    )
    with transaction() as work:
        meanwhile = ChangedMeanwhile("Somebody dealt with it at the same time.")
        work.delete(row, when=AttentionRow.id.exists(), otherwise=meanwhile)
        work.append(
            events.make(
                HANDLED,
                row.subject,
                handled,
                actor=by.actor,
                correlation_id=correlation_id,
                event_id=_event_id(entry),
                place=f"depot/{depot}",
            )
        )
    return handled


def _handled_before(depot: str, entry: str, note: str, by: StaffMember) -> Handled:
    found = journal.read_many([(row.subject, row.id) for row in journal.lookup([_event_id(entry)]).values()])
    event = next((one for one in found if one.place == f"depot/{depot}"), None)
    if event is None:
        raise NotFound(f"The depot {depot} has nothing {entry} to look at; read the list again.")
    handled = event.body(Handled)
    if (event.actor, handled.note) != (by.actor, note):
        raise Conflict(f"It was dealt with by {event.actor} at {event.time:%Y-%m-%d %H:%M} UTC: {handled.note}")
    return handled


def _event_id(entry: str) -> str:
    """The id of the event by which the entry is dealt with: there can be one only."""
    return ids.derived(ids.moment(entry), "attention-handled", entry)


def _entry(row: AttentionRow) -> Entry:
    return Entry(
        id=row.id,
        kind=Kind(row.kind),
        subject=row.subject,
        item=row.item,
        missing=tuple(row.missing.split()),
        flags=tuple(row.flags.split()),
        happened_at=row.happened_at,
    )
