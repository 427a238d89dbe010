"""Whatever the guards refuse is journalled, and over some limits the breaker opens: both before the caller is told.

A role that may not call a route at all never comes here: that stays in the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from chalicelib.core import events
from chalicelib.core.errors import AccessDenied, DeviceBlocked, Problem
from chalicelib.core.transaction import transaction
from chalicelib.fleet.commands.rules import CommandOver, NotApplicable, TooManyCommands
from chalicelib.fleet.guards import breaker
from chalicelib.fleet.guards.breaker import BreakerOpen
from chalicelib.fleet.guards.buckets import BlastLimitReached, Family
from chalicelib.fleet.guards.choke import ApprovalsRequired
from chalicelib.fleet.guards.passkeys import ApprovalInvalid, NotAnApprover, PasskeyInvalid
from chalicelib.fleet.guards.problems import NoApprovers, NotRegistered, SetOver, WarrantOver
from chalicelib.fleet.guards.schemas import GuardRefused

REFUSALS: Final[tuple[type[Problem], ...]] = (
    AccessDenied,
    ApprovalInvalid,
    ApprovalsRequired,
    BlastLimitReached,
    BreakerOpen,
    CommandOver,
    DeviceBlocked,
    NoApprovers,
    NotAnApprover,
    NotApplicable,
    NotRegistered,
    PasskeyInvalid,
    SetOver,
    TooManyCommands,
    WarrantOver,
)


@contextmanager
def told(*, by: str, correlation_id: str, warrant: str = "", opens: bool = True) -> Iterator[None]:
    """Journal what is refused within the block, and open the breaker over a limit if that may be (`opens`); each in a
    transaction of its own.

    It stands in the journal of the warrant, or of whoever wanted it.
    """
    try:
        yield
    except REFUSALS as refusal:
        _journal(f"warrant/{warrant}" if warrant else f"guard/{by}", refusal, by, correlation_id)
        if opens and isinstance(refusal, BlastLimitReached) and _opens_breaker(refusal):
            people, depots = refusal.people | {by}, refusal.depots
            breaker.trip(refusal.detail, by=people, depots=depots, correlation_id=correlation_id)
        raise


def _opens_breaker(full: BlastLimitReached) -> bool:
    """Wipes do at any limit. Leases and retirements only at that of the whole fleet: nobody stops it by a depot's."""
    return full.bucket.family is Family.WIPES or full.bucket.whose == "fleet"


def _journal(subject: str, refusal: Problem, by: str, correlation_id: str) -> None:
    refused = GuardRefused(problem=refusal.slug(), detail=refusal.detail)
    event = events.make("facteo.guard.refused", subject, refused, actor=by, correlation_id=correlation_id)
    with transaction() as work:
        work.append(event)
