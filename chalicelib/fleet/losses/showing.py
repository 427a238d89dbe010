"""A case as staff see it, and as the carrier does whose handset it was: nobody's but theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from chalicelib.core import journal
from chalicelib.core.access import Handset
from chalicelib.core.callers import StaffMember
from chalicelib.core.events import Event
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes, requesting
from chalicelib.fleet.commands import rules as command_rules
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.schemas import Command
from chalicelib.fleet.losses import orders, rules, store
from chalicelib.fleet.losses.schemas import (
    Cases,
    CaseSearch,
    CaseStep,
    CaseTold,
    LossCase,
    Ordered,
    OwnCase,
    OwnCases,
)
from chalicelib.fleet.tables import LossLinesRow
from chalicelib.people import lookup as people

OWN_SHOWN: Final = 10
LOOKED: Final = "positions-read"


class _Said(msgspec.Struct, frozen=True):
    """Of the body of an event of a case, what a step says."""

    command: str = ""
    reason: str = ""
    positions: int = 0


def search(wanted: CaseSearch, *, by: StaffMember) -> Cases:
    """A page of the cases of a depot: one query. Raises AccessDenied."""
    people.require_depot(by, wanted.depot)
    after = store.key_of(wanted.after) if wanted.after else ""
    page = records.of_group(store.group_of(wanted.depot), LossCase, after=after)
    last = list(page.values())[-1].id if len(page) == records.PAGE else None
    fitting = (case for case in page.values() if wanted.state in {None, case.state})
    return Cases(cases=tuple(fitting), after=last)


def read(case_id: str, *, by: StaffMember) -> CaseTold:
    """A case with its steps and the ladder: two reads, and two queries. Raises NotFound, AccessDenied."""
    case = store.of_depots_of(by, case_id).record
    held = boxes.load(case.device)
    ordered = orders.of_case(case, held.box)
    return CaseTold(
        case=case,
        steps=tuple(_steps(case)),
        commands=tuple(requesting.told(command) for command in ordered),
        events_since=_events_since(case, held),
        possible=rules.possible(case, held.box, ordered),
    )


def own(who: Handset) -> OwnCases:
    """The latest cases of a carrier's handsets: a query and two reads, and two queries for each."""
    rows = LossLinesRow.query(f"carrier/{who.carrier}", scan_index_forward=False, limit=OWN_SHOWN, consistent_read=True)
    found = records.load_many((store.key_of(row.sk) for row in rows), LossCase)
    cases = [kept.record for _, kept in sorted(found.items(), reverse=True)]
    held = boxes.load_many(case.device for case in cases)
    return OwnCases(cases=tuple(_own(case, held[case.device]) for case in cases))


def _own(case: LossCase, held: Held) -> OwnCase:
    return OwnCase(
        id=case.id,
        device=case.device,
        kind=case.kind,
        state=case.state,
        declared_by=case.declared_by,
        declared_at=case.declared_at,
        ended_at=case.ended_at,
        ordered=tuple(_ordered(command) for command in orders.of_case(case, held.box)),
        positions=case.positions,
        looks=tuple(step for step in _steps(case) if step.what == LOOKED),
    )


def _ordered(command: Command) -> Ordered:
    return Ordered(
        kind=command.kind,
        at=command.requested_at,
        by=command.requested_by,
        reason=command.reason,
        shown=command_rules.shown(command),
        approved=bool(command.warrant),
    )


def _steps(case: LossCase) -> Sequence[CaseStep]:
    return [_step(event) for event in sorted(journal.read(store.key_of(case.id)), key=lambda one: one.time)]


def _step(event: Event) -> CaseStep:
    said = msgspec.json.decode(event.data, type=_Said)
    return CaseStep(
        what=event.type.removeprefix(store.EVENT),
        at=event.time,
        by=event.actor,
        command=said.command,
        reason=said.reason,
        positions=said.positions,
    )


def _events_since(case: LossCase, held: Held) -> int:
    if held.box.generation != case.generation:
        return 0
    return int(held.entry.acknowledged_through) - case.on_device.acknowledged_through
