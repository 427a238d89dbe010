"""Withheld leases are bounded too: who declares handsets lost in great numbers makes their containers unreadable."""

from __future__ import annotations

from contextlib import suppress

from chalicelib.core import clock
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet.guards import buckets, refusals
from chalicelib.fleet.guards.breaker import BreakerOpen
from chalicelib.fleet.guards.buckets import BlastLimitReached, Family


def take(work: UnitOfWork, device: str, depot: str, by: str) -> bool:
    """Whether a device's lease may be withheld: three reads. It is counted with the work.

    If too many are already, the breaker opens and nothing is added to the work: the device is quarantined all the same,
    and keeps its lease.
    """
    with suppress(BlastLimitReached, BreakerOpen), refusals.told(by=by, correlation_id=device):
        buckets.take(work, Family.WITHHELD, by, [buckets.place_of(depot)], now=clock.now())
        return True
    return False
