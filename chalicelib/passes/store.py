"""Loading and writing what handsets hold: the row, the marks of its passes in the status list, and the event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from chalicelib.core import clock, events
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.passes import rules
from chalicelib.passes.schemas import Ended, Held, Holder, Mark, PassEnded, Status
from chalicelib.passes.tables import PassesRow, PassLinesRow

EVENT: Final = "facteo.pass."
LIST: Final = 0
"""The only list: it has two places for each handset."""
MARKED: Final = f"marked/{LIST}"


class Kept(NamedTuple):
    """What a handset holds, and the revision of its row: 0 if there is none."""

    device: str
    holder: Holder
    revision: int


Decision = Callable[[UnitOfWork, Kept], Holder | None]
"""What a handset holds afterwards, having written what belongs to it into the work; None if nothing changes."""


def key_of(device: str) -> str:
    """Where it stands what a handset holds."""
    return f"device/{device}"


def key_of_slot(slot: int) -> str:
    """Where it stands that a place of the list is taken."""
    return f"slot/{LIST}/{slot}"


def note_helper(work: UnitOfWork, held: Held, device: str) -> None:
    """Note which handset was given a pass to help in an alert, so that it ends with that."""
    work.put(PassLinesRow(f"helpers/{held.alert}", device, expires_at=rules.over_at(held)))


def helpers_in(alert: str) -> list[str]:
    """The handsets that were given a pass to help in an alert: one query."""
    return [row.sk for row in PassLinesRow.query(f"helpers/{alert}", consistent_read=True)]


def load(device: str) -> Kept:
    """What a handset holds: one consistent read."""
    return kept(device, PassesRow.find(key_of(device)))


def kept(device: str, row: PassesRow | None) -> Kept:
    """What a handset holds, by its row."""
    return Kept(device, row.holds(Holder), int(row.revision)) if row else Kept(device, Holder(), 0)


def change(device: str, decide: Decision) -> Holder:
    """Load, decide, write: again if somebody else was faster. A read, and a transaction if anything changes."""

    def attempt() -> Holder:
        before = load(device)
        with transaction() as work:
            after = decide(work, before)
            if after is not None:
                save(work, before, after)
        return after or before.holder

    return retried(attempt)


def save(work: UnitOfWork, before: Kept, after: Holder) -> None:
    """Write what a handset holds. The work is refused if that changed since it was read."""
    row = PassesRow(key_of(before.device), content=_json(after), revision=before.revision + 1)
    meanwhile = ChangedMeanwhile("The handset's pass changed at the same time; ask again.")
    work.put(row, when=PassesRow.is_still(before.revision), otherwise=meanwhile)


def mark(work: UnitOfWork, held: Held, status: Status, now: datetime) -> None:
    """Have the status list say something else of a pass, as long as it is not over. Valid is what it says of none.

    A place that was marked goes to nobody else while a reader may still have that list.
    """
    if rules.is_over(held, now):
        return
    row, over = PassLinesRow(MARKED, f"{held.slot:06}"), rules.over_at(held)
    if status is Status.VALID:
        work.delete(row)
        return
    row.content, row.expires_at = _json(Mark(status=status, until=over)), over
    work.put(row)
    work.put(PassesRow(key_of_slot(held.slot), expires_at=over + rules.MARKS_REMEMBERED))


def end(work: UnitOfWork, device: str, held: Held, why: Ended, *, by: str, correlation_id: str) -> None:
    """End a pass before its time."""
    now = clock.now()
    if rules.is_over(held, now):
        return
    mark(work, held, Status.REVOKED, now)
    told = PassEnded(id=held.id, why=why)
    say(work, device, "ended", told, by=by, depot=held.depot, correlation_id=correlation_id)


def say(
    work: UnitOfWork, device: str, what: str, body: Schema, *, by: str, depot: str = "", correlation_id: str
) -> None:
    """Write what happened to a handset's passes into its journal."""
    event = events.make(
        EVENT + what,
        key_of(device),
        body,
        actor=by,
        correlation_id=correlation_id or device,
        place=f"depot/{depot}" if depot else "",
    )
    work.append(event)


def _json(record: Schema) -> str:
    return msgspec.json.encode(record).decode()
