"""The breaker for staff: what they see of it, and how a third person closes it."""

from __future__ import annotations

from chalicelib.core import events
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import AccessDenied
from chalicelib.core.transaction import retried, transaction
from chalicelib.fleet import records
from chalicelib.fleet.guards import breaker, refusals
from chalicelib.fleet.guards.schemas import BreakerChanged, BreakerRecord, BreakerTold


def read() -> BreakerTold:
    """Whether it is open, and why: one read."""
    return _told(breaker.load().record)


def close(reason: str, *, by: StaffMember, correlation_id: str) -> BreakerTold:
    """Close it. Closed already, it stays so. A read, a transaction.

    Raises AccessDenied for those by whose doing it opened, ChangedMeanwhile.
    """
    with refusals.told(by=by.actor, correlation_id=correlation_id):
        return retried(lambda: _close(reason, by, correlation_id))


def _close(reason: str, by: StaffMember, correlation_id: str) -> BreakerTold:
    kept = breaker.load()
    if kept.record.tripped is None:
        return _told(kept.record)
    if by.actor in kept.record.tripped.by:
        raise AccessDenied("It opened by what you asked for or approved: somebody else must close it.")
    changed = BreakerChanged(why=reason, by=kept.record.tripped.by)
    event = events.make("facteo.breaker.closed", breaker.KEY, changed, actor=by.actor, correlation_id=correlation_id)
    with transaction() as work:
        records.save(work, breaker.KEY, BreakerRecord(), instead_of=kept.revision)
        work.append(event)
    return _told(BreakerRecord())


def _told(record: BreakerRecord) -> BreakerTold:
    return BreakerTold(open=record.tripped is not None, tripped=record.tripped, closes=(breaker.CLOSES,))
