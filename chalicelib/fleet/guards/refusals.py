"""Whatever the guards refuse is journalled; and over a limit the breaker opens. Both before the caller is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from chalicelib.core import events
from chalicelib.core.errors import AccessDenied, Problem
from chalicelib.core.transaction import transaction
from chalicelib.fleet.commands.rules import NotApplicable
from chalicelib.fleet.guards import breaker
from chalicelib.fleet.guards.breaker import BreakerOpen
from chalicelib.fleet.guards.buckets import BlastLimitReached
from chalicelib.fleet.guards.choke import ApprovalsRequired
from chalicelib.fleet.guards.passkeys import ApprovalInvalid, NotAnApprover
from chalicelib.fleet.guards.schemas import GuardRefused

REFUSALS: Final[tuple[type[Problem], ...]] = (
    AccessDenied,
    ApprovalInvalid,
    ApprovalsRequired,
    BlastLimitReached,
    BreakerOpen,
    NotAnApprover,
    NotApplicable,
)


@contextmanager
def told(*, by: str, correlation_id: str, warrant: str = "") -> Iterator[None]:
    """Journal what is refused within the block, and open the breaker over a limit; each in a transaction of its own.

    It stands in the journal of the warrant, or of whoever wanted it.
    """
    try:
        yield
    except REFUSALS as refusal:
        _journal(f"warrant/{warrant}" if warrant else f"guard/{by}", refusal, by, correlation_id)
        if isinstance(refusal, BlastLimitReached):
            people, depots = refusal.people | {by}, refusal.depots
            breaker.trip(refusal.detail, by=people, depots=depots, correlation_id=correlation_id)
        raise


def _journal(subject: str, refusal: Problem, by: str, correlation_id: str) -> None:
    refused = GuardRefused(problem=refusal.slug(), detail=refusal.detail)
    event = events.make("facteo.guard.refused", subject, refused, actor=by, correlation_id=correlation_id)
    with transaction() as work:
        work.append(event)
