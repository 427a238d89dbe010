"""Entries as they are read: by the carrier whose they are, by staff of security, and by whoever sends help.

Whoever of staff looks at a carrier's entries is shown to that carrier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from chalicelib.core import clock, events, journal
from chalicelib.core.access import Handset
from chalicelib.core.callers import StaffMember
from chalicelib.core.transaction import transaction
from chalicelib.passes import buildings, diary, evidence
from chalicelib.passes.entry_schemas import (
    BuildingEntries,
    CarriersEntry,
    EntriesViewed,
    EntryKept,
    EntryTold,
    Look,
    OwnEntries,
    Teller,
)
from chalicelib.passes.tables import PassLinesRow

VIEWED: Final = "facteo.pass.entries-viewed"
PAGE: Final = 40
"""As many as one transaction can tell their carriers of."""
LOOKS: Final = 100
"""As many looks as a carrier is shown."""
REFUSED: Final = "refused"
"""What a carrier is told in place of a result that says that their pass was suspended."""
LAST_DOOR_WITHIN: Final = timedelta(hours=12)
"""The life of a pass."""

_KEPT_BACK: Final = frozenset({"suspended", "revoked"})
_LOOKED_AT: Final = 100
"""Of a carrier's newest entries, how many are looked at for one that opened a door."""


def last_door(carrier: str) -> str | None:
    """The building that a carrier opened last within twelve hours, as its reader signed: a query, and its keys.

    What a handset alone says of a door counts for nothing: whoever holds it would choose which one is opened for help.
    """
    since = PassLinesRow.sk > clock.stamp(clock.now() - LAST_DOOR_WITHIN)
    found = PassLinesRow.query(
        f"carrier/{carrier}", since, scan_index_forward=False, limit=_LOOKED_AT, consistent_read=True
    )
    doors = (entry.building for _, entry in diary.opened(found) if entry.building and entry.has_opened)
    return next(doors, None)


def own(who: Handset, after: str | None) -> OwnEntries:
    """A page of the carrier's own entries, the newest first, and who looked at any: two queries, and the keys.

    Whoever stole a handset reads this too, and does not learn from it that its pass was suspended.
    """
    rows, further = _page(f"carrier/{who.carrier}", after)
    entries = tuple(EntryTold(**_told(entry) | _softened(entry)) for _, entry in diary.opened(rows))
    return OwnEntries(entries=entries, looks=_looks(who.carrier), after=further)


def of_building(building: str, after: str | None, *, by: StaffMember, correlation_id: str) -> BuildingEntries:
    """A page of the entries at a building, the newest days first. It is written down for each of their carriers.

    Two reads, a query, and a transaction. Raises AccessDenied, NotFound.
    """
    buildings.require(by, building)
    if buildings.record(building) is None:
        raise buildings.missing(building)
    rows, further = _page(f"building/{building}", after)
    found = sorted((entry for _, entry in diary.opened(rows)), key=lambda entry: entry.at, reverse=True)
    _write_down(found, by, correlation_id)
    entries = tuple(CarriersEntry(carrier=entry.carrier, **_told(entry)) for entry in found)
    return BuildingEntries(entries=entries, after=further)


def _page(pk: str, after: str | None) -> tuple[list[PassLinesRow], str | None]:
    """A page of lines from the end, and where the next one begins."""
    before = PassLinesRow.sk < after if after else None
    rows = list(PassLinesRow.query(pk, before, scan_index_forward=False, limit=PAGE, consistent_read=True))
    return rows, rows[-1].sk if len(rows) == PAGE else None


def _told(entry: EntryKept) -> dict[str, Any]:
    tellers = {Teller.HANDSET: entry.told_by_handset, Teller.READER: entry.told_by_reader}
    return {
        "at": entry.at,
        "pass_id": entry.pass_id,
        "reader": entry.reader,
        "building": entry.building or None,
        "result": entry.result or None,
        "told_by": tuple(teller for teller, told in tellers.items() if told),
    }


def _softened(entry: EntryKept) -> dict[str, Any]:
    return {"result": REFUSED} if entry.result in _KEPT_BACK else {}


def _write_down(found: Sequence[EntryKept], by: StaffMember, correlation_id: str) -> None:
    with transaction() as work:
        for carrier, entries in Counter(entry.carrier for entry in found).items():
            viewed = EntriesViewed(entries=entries)
            work.append(events.make(VIEWED, _subject(carrier), viewed, actor=by.actor, correlation_id=correlation_id))


def _looks(carrier: str) -> tuple[Look, ...]:
    """Who looked, the latest first, for as long as entries are kept: the last hundred times."""
    since = clock.now() - evidence.kept_for()
    return tuple(
        Look(by=event.actor, at=event.time, entries=event.body(EntriesViewed).entries)
        for event in journal.read_latest(_subject(carrier), since, LOOKS)
    )


def _subject(carrier: str) -> str:
    return f"pass-entries/{carrier}"
