"""Pure decisions about loss cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from chalicelib.core.errors import Conflict, Problem, RequestInvalid
from chalicelib.fleet.commands import rules as command_rules
from chalicelib.fleet.commands.kinds import KINDS, Kind
from chalicelib.fleet.commands.rules import NotApplicable
from chalicelib.fleet.commands.schemas import Box, Command
from chalicelib.fleet.commands.states import BEFORE_ACCEPTED, State
from chalicelib.fleet.losses.schemas import (
    CaseNext,
    CaseState,
    LossCase,
    LossKind,
    LossPosition,
    PositionsTaken,
    Reports,
)

ASKED_AFTER: Final = timedelta(hours=24)
"""What was not found by then is seldom found."""
REPORTS_A_DAY: Final = 3
"""On one handset, for as many carriers."""
POSITIONS_KEPT_FOR: Final = timedelta(days=60)
"""They are purged when the case ends; of one that never does, after that."""
CLOCKS_DIFFER: Final = timedelta(minutes=5)

LEADS_TO: Final[Mapping[CaseState, frozenset[CaseState]]] = {
    CaseState.OPEN: frozenset({CaseState.FOUND, CaseState.CLOSED, CaseState.WIPED}),
    CaseState.CLOSED: frozenset({CaseState.FOUND, CaseState.WIPED}),
    CaseState.FOUND: frozenset({CaseState.WIPED}),
    CaseState.WIPED: frozenset({CaseState.FOUND}),
}
"""State → the ends that may follow."""

_LASTS: Final = frozenset({State.ACCEPTED, State.SUCCEEDED, State.UNANSWERED})
"""States in which an accepted lost mode may last; not if the handset says that it failed."""

REASONS: Final[Mapping[LossKind, str]] = {
    LossKind.LOST: "This handset was reported lost.",
    LossKind.STOLEN: "This handset was reported stolen.",
}
"""What the carrier reads of why."""


class CaseOver(Conflict):
    title = "The loss case has ended otherwise"


class NoLostMode(Conflict):
    title = "This handset is not in lost mode"


class NoWipe(Conflict):
    title = "The handset has not signed for a wipe"


class TooManyReports(Problem):
    status = 429
    title = "Too many losses were reported on this handset today"


def check_end(before: CaseState, end: CaseState) -> None:
    """Raise CaseOver unless a case may end so."""
    if end not in LEADS_TO[before]:
        raise CaseOver(f"It is {before}.", state=before)


def check_open(case: LossCase) -> None:
    """Raise CaseOver unless a case is open."""
    if case.state is not CaseState.OPEN:
        raise CaseOver(f"It is {case.state}. Declare the handset lost if it is lost again.", state=case.state)


def check_lost_since(moment: datetime | None, now: datetime) -> None:
    """Raise RequestInvalid for a handset that is to be lost in the future."""
    if moment is not None and moment > now + CLOCKS_DIFFER:
        raise RequestInvalid("It cannot have been lost after now.")


def reported(before: Reports | None, carrier: str, day: str) -> Reports:
    """What was reported on a handset today, with one more; a carrier counts once. Raises TooManyReports."""
    today = before if before is not None and before.day == day else Reports(day=day)
    if carrier in today.carriers:
        return today
    if len(today.carriers) >= REPORTS_A_DAY:
        raise TooManyReports("Call your depot: staff can declare it.", most=REPORTS_A_DAY)
    return msgspec.structs.replace(today, carriers=(*today.carriers, carrier))


def ended(case: LossCase, state: CaseState, now: datetime) -> LossCase:
    """A case that has ended: nothing is asked for any more."""
    return msgspec.structs.replace(case, state=state, ended_at=now, ask_at=None)


def asked(case: LossCase, now: datetime, *, wiping: bool) -> LossCase:
    """A case in which approvals were asked for; of one that is to be wiped anyway nobody is asked now."""
    if wiping:
        return msgspec.structs.replace(case, ask_at=now + ASKED_AFTER)
    return msgspec.structs.replace(case, ask_at=None, approvals_asked_at=now)


def with_position(case: LossCase, position: LossPosition) -> LossCase:
    """A case of which one more position was taken."""
    first, last = case.positions.first or position.at, case.positions.last or position.at
    taken = PositionsTaken(taken=case.positions.taken + 1, first=min(first, position.at), last=max(last, position.at))
    return msgspec.structs.replace(case, positions=taken)


def check_position(position: LossPosition, ordered: Iterable[Command], now: datetime) -> None:
    """Raise NoLostMode unless it was taken since the handset signed for lost mode, RequestInvalid for the future."""
    accepted = [one.accepted_at for one in ordered if one.kind is Kind.LOST_MODE and one.state in _LASTS]
    began = min((moment for moment in accepted if moment), default=None)
    if began is None or position.at < began - CLOCKS_DIFFER:
        raise NoLostMode("Send positions only while lost mode lasts. Nothing was kept.")
    if position.at > now + CLOCKS_DIFFER:
        raise RequestInvalid("It cannot have been there after now.")


def is_accepted_wipe(command: Command) -> bool:
    """Whether a handset has signed that it would destroy: nobody knows what of it is left."""
    return KINDS[command.kind].destroys and command.accepted_at is not None


def is_let_go(command: Command) -> bool:
    """Whether something that destroys was approved, has cooled off, and waits for its handset."""
    return KINDS[command.kind].destroys and command.state in {State.QUEUED, State.DELIVERED}


def to_end(case: LossCase, box: Box) -> list[tuple[Command, State]]:
    """What is over once a handset was found: what was ordered because of the loss and not signed for yet, and locks
    that were signed for, of which nobody knows whether they were done.
    """
    return [(one, state) for one in box.open if (state := _end_of(case, one)) is not None]


def _end_of(case: LossCase, command: Command) -> State | None:
    traits = KINDS[command.kind]
    if traits.locks and command.state is State.ACCEPTED:
        return State.UNANSWERED
    because = traits.of_case or (traits.locks and command.requested_at >= case.declared_at)
    return State.CANCELLED if because and command.state in BEFORE_ACCEPTED else None


def possible(case: LossCase, box: Box, ordered: Sequence[Command]) -> tuple[CaseNext, ...]:
    """What can be done next. That it needs approvals is said by whoever is asked for it."""
    able = {
        **{kind: case.state is CaseState.OPEN and _is_applicable(Kind(kind), box) for kind in _ORDERS},
        CaseNext.WITHHOLDING: case.state is CaseState.OPEN and not case.lease_withheld,
        CaseNext.WIPE_EVIDENCE: CaseState.WIPED in LEADS_TO[case.state] and any(map(is_accepted_wipe, ordered)),
        CaseNext.FOUND: CaseState.FOUND in LEADS_TO[case.state],
        CaseNext.CLOSED: CaseState.CLOSED in LEADS_TO[case.state],
    }
    return tuple(one for one, is_able in able.items() if is_able)


_ORDERS: Final = (CaseNext.LOST_MODE, CaseNext.CONTAINER_WIPE, CaseNext.FULL_WIPE)


def _is_applicable(kind: Kind, box: Box) -> bool:
    try:
        command_rules.check_applicable(kind, box)
    except NotApplicable:
        return False
    return True
