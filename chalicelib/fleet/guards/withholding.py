"""Withheld leases are bounded too: who declares handsets lost in great numbers makes their containers unreadable."""

from __future__ import annotations

from typing import Final

from chalicelib.core import clock
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet.guards import buckets, refusals
from chalicelib.fleet.guards.buckets import BlastLimitReached, Family

CARRIER: Final = "carrier/"


def take(work: UnitOfWork, device: str, depot: str, by: str) -> bool:
    """Whether a device's lease may be withheld, be the breaker open or not: two reads. It is counted with the work.

    If too many are already, nothing is added to the work: the device is quarantined all the same, and keeps its lease.
    The breaker opens only once the whole fleet has had too many, and never by what carriers report.
    """
    try:
        with refusals.told(by=by, correlation_id=device, opens=not by.startswith(CARRIER)):
            buckets.take_even_so(work, Family.WITHHELD, by, [buckets.place_of(depot)], now=clock.now())
    except BlastLimitReached:
        return False
    return True
