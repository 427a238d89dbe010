"""The steps of a case: lost mode by one person, and after 24 hours the question whether it shall be wiped.

The wipes themselves are ordered by warrants alone.
"""

from __future__ import annotations

from chalicelib.attention import raising
from chalicelib.attention.raising import Matter
from chalicelib.attention.schemas import Kind as Concern
from chalicelib.core import clock
from chalicelib.core.access import DeviceState
from chalicelib.core.callers import StaffMember
from chalicelib.core.transaction import retried, transaction
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes, requesting
from chalicelib.fleet.commands.kinds import Kind
from chalicelib.fleet.commands.requesting import Wanted
from chalicelib.fleet.commands.rules import SYSTEM
from chalicelib.fleet.commands.schemas import CommandTold, Parameters
from chalicelib.fleet.losses import rules, store
from chalicelib.fleet.losses.schemas import LossCase, LostMode

APPROVALS_ASKED = "lost-for-24-hours"


def lost_mode(case_id: str, wanted: LostMode, *, by: StaffMember, correlation_id: str) -> CommandTold:
    """Order lost mode. One that still waits is superseded. Two reads, one transaction.

    Raises NotFound, AccessDenied, CaseOver, DeviceBlocked, NotApplicable, TooManyCommands.
    """

    def ordered() -> CommandTold:
        case = store.of_depots_of(by, case_id).record
        rules.check_open(case)
        before = boxes.load(case.device)
        shown = Parameters(text=wanted.text, phone=wanted.phone)
        order = Wanted(Kind.LOST_MODE, shown, rules.REASONS[case.kind], by.actor)
        with transaction() as work:
            box = requesting.add(work, before, before.box, order, correlation_id=correlation_id)
            boxes.save(work, before, box)
            said = store.said(case, command=box.open[-1].id)
            store.say(work, case, "lost-mode-ordered", said, by=by.actor, correlation_id=correlation_id)
        return requesting.told(box.open[-1])

    return retried(ordered)


def ask_for_approvals(case_id: str) -> None:
    """Ask a case's depot, once, whether its handset shall be wiped. Nothing destructive happens by itself."""
    retried(lambda: _ask(case_id))


def _ask(case_id: str) -> None:
    kept = records.load(store.key_of(case_id), LossCase)
    if kept is None or kept.record.ask_at is None or kept.record.ask_at > clock.now():
        return
    wiping = boxes.load(kept.record.device).state is DeviceState.WIPING
    case = rules.asked(kept.record, clock.now(), wiping=wiping)
    with transaction() as work:
        store.save(work, case, instead_of=kept.revision)
        if not wiping:
            event = store.say(work, case, "approvals-asked", store.said(case), by=SYSTEM, correlation_id=case.id)
            raising.raise_(work, Matter(Concern.DEVICE, event.subject, event, flags=[APPROVALS_ASKED]))
