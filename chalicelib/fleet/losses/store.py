"""Loading and writing loss cases: the record and what happened, in one transaction."""

from __future__ import annotations

from typing import Final

from chalicelib.core import events
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import NotFound
from chalicelib.core.events import Event
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet import records
from chalicelib.fleet.losses.schemas import LossCase, LossSaid
from chalicelib.fleet.records import Kept
from chalicelib.people import lookup as people

EVENT: Final = "facteo.loss-case."


def key_of(case: str) -> str:
    """Where a case stands, its journal too."""
    return f"loss/{case}"


def group_of(depot: str) -> str:
    """Under what a depot's cases are listed."""
    return f"losses/{depot}"


def load(case: str) -> Kept[LossCase]:
    """A case: one consistent read. Raises NotFound."""
    kept = records.load(key_of(case), LossCase)
    if kept is None:
        raise NotFound(f"There is no loss case {case}.")
    return kept


def of_depots_of(who: StaffMember, case: str) -> Kept[LossCase]:
    """A case of a depot of theirs. Raises NotFound, AccessDenied."""
    kept = load(case)
    people.require_depot(who, kept.record.depot)
    return kept


def save(work: UnitOfWork, case: LossCase, *, instead_of: int) -> None:
    """Write a case in place of the one with that revision. The work is refused if it changed meanwhile."""
    records.save(work, key_of(case.id), case, instead_of=instead_of, group=group_of(case.depot), due=case.ask_at)


def say(work: UnitOfWork, case: LossCase, what: str, body: Schema, *, by: str, correlation_id: str) -> Event:
    """Write into a case's journal what happened in it."""
    event = events.make(
        EVENT + what,
        key_of(case.id),
        body,
        actor=by,
        correlation_id=correlation_id or case.id,
        place=f"depot/{case.depot}",
    )
    work.append(event)
    return event


def said(case: LossCase, **more: object) -> LossSaid:
    """What is said of most that happens in a case."""
    return LossSaid(device=case.device, generation=case.generation, state=case.state, **more)  # type: ignore[arg-type]
