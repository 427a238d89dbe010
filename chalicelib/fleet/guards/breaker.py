"""The breaker: once a limit is reached nothing is destroyed any more until a third person has looked at it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from chalicelib.attention import raising
from chalicelib.attention.raising import Matter
from chalicelib.attention.schemas import Kind
from chalicelib.core import clock, events, telemetry
from chalicelib.core.errors import ChangedMeanwhile, Conflict
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet import records
from chalicelib.fleet.guards.schemas import BreakerChanged, BreakerRecord, Tripped
from chalicelib.fleet.records import Kept
from chalicelib.fleet.tables import CommandsRow

KEY: Final = "breaker"
CLOSES: Final = "security-officer"


class BreakerOpen(Conflict):
    title = "The breaker is open: nothing is destroyed until it is closed"


def load() -> Kept[BreakerRecord]:
    """The breaker as it stands: one read."""
    return records.load(KEY, BreakerRecord) or Kept(BreakerRecord(), 0)


def closed() -> Kept[BreakerRecord]:
    """The breaker, closed: one read. Raises BreakerOpen."""
    kept = load()
    if kept.record.tripped:
        since = clock.stamp(kept.record.tripped.since)
        raise BreakerOpen(f"It opened at {since}: {kept.record.tripped.why}", since=since, closed_by=CLOSES)
    return kept


def require_still(work: UnitOfWork, seen: Kept[BreakerRecord]) -> None:
    """Have the work refused with ChangedMeanwhile if the breaker opened since it was read."""
    meanwhile = ChangedMeanwhile("The breaker changed at the same time.")
    work.check(CommandsRow(KEY), CommandsRow.is_still(seen.revision), otherwise=meanwhile)


def trip(why: str, *, by: Iterable[str], depots: Iterable[str], correlation_id: str) -> None:
    """Open the breaker, in a transaction of its own, and put it on these depots' work lists. Open already, it stays as
    it is.
    """
    tripped = Tripped(since=clock.now(), why=why, by=tuple(sorted(set(by))))
    retried(lambda: _trip(tripped, sorted(set(depots)), correlation_id))


def _trip(tripped: Tripped, depots: list[str], correlation_id: str) -> None:
    kept = load()
    if kept.record.tripped:
        return
    changed = BreakerChanged(why=tripped.why, by=tripped.by)
    event = events.make("facteo.breaker.opened", KEY, changed, actor=tripped.by[0], correlation_id=correlation_id)
    with transaction() as work:
        records.save(work, KEY, BreakerRecord(tripped=tripped), instead_of=kept.revision)
        work.append(event)
        for depot in depots:
            there = msgspec.structs.replace(event, place=f"depot/{depot}")
            raising.raise_(work, Matter(Kind.DEVICE, KEY, there, flags=["breaker-opened"]))
    telemetry.count("BreakerOpened")
