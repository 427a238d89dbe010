"""How a case ends: the handset is found, given up, or seen wiped. Said again, an end is answered as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from chalicelib.core import clock
from chalicelib.core.access import DeviceState
from chalicelib.core.callers import StaffMember
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet import records, retiring
from chalicelib.fleet.commands import boxes, proving, requesting
from chalicelib.fleet.commands import rules as command_rules
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.kinds import Kind
from chalicelib.fleet.commands.requesting import Wanted
from chalicelib.fleet.commands.schemas import Box, Command, Filed, Parameters
from chalicelib.fleet.commands.states import Proof, State
from chalicelib.fleet.guards import buckets, choke, refusals, warrants
from chalicelib.fleet.guards.buckets import Family
from chalicelib.fleet.guards.choke import Target
from chalicelib.fleet.losses import orders, positions, rules, store
from chalicelib.fleet.losses.rules import CaseOver, NoWipe
from chalicelib.fleet.losses.schemas import CaseState, GivenUp, LossCase, WipeSeen

SEEN: Final = "seen by staff"
FOUND: Final = "This handset was found."
RETIRED_FOR_WIPE: Final = "It was lost, and had signed for a wipe"
RETIRED_FOR_LOSS: Final = "It was lost and given up"


class Asked(NamedTuple):
    """Which case somebody wants to end."""

    case: str
    by: StaffMember
    correlation_id: str


class Ending(NamedTuple):
    """A case that ends: its device's box as it was read, and what is written with the end."""

    work: UnitOfWork
    case: LossCase
    before: Held
    by: str
    correlation_id: str


Effect = Callable[[Ending], None]
"""What an end does to the device and its commands, written with the work."""


def found(case_id: str, *, by: StaffMember, correlation_id: str) -> LossCase:
    """The handset was found, also after its case was given up: what waited because of the loss is called off, and it
    may work again; unless it has signed for a wipe, or is retired, when it must be enrolled anew.

    Raises NotFound, AccessDenied, CaseOver, TooManyCommands.
    """
    return retried(lambda: _end(Asked(case_id, by, correlation_id), CaseState.FOUND, _find, ""))


def closed(case_id: str, reason: GivenUp, *, by: StaffMember, correlation_id: str) -> LossCase:
    """The handset is given up: it is retired, and that hardware not enrolled again before it is found. If two people
    had approved a wipe that it never came for, what could open its container again is destroyed.

    Its container becomes unreadable with it, if its lease was not withheld already: so many in a while, as ever. Raises
    NotFound, AccessDenied, CaseOver, BreakerOpen, BlastLimitReached.
    """
    return retried(lambda: _end(Asked(case_id, by, correlation_id), CaseState.CLOSED, _give_up, reason))


def wiped(case_id: str, seen: WipeSeen, *, by: StaffMember, correlation_id: str) -> LossCase:
    """Somebody saw that the handset is wiped: that proves it, whatever was known before.

    Raises NotFound, AccessDenied, CaseOver, and NoWipe if the handset never signed for one.
    """
    return retried(lambda: _end(Asked(case_id, by, correlation_id), CaseState.WIPED, _prove, seen))


def _end(asked: Asked, end: CaseState, effect: Effect, reason: str) -> LossCase:
    kept = store.of_depots_of(asked.by, asked.case)
    case, by, correlation_id = kept.record, asked.by.actor, asked.correlation_id
    if case.state is end:
        return case
    rules.check_end(case.state, end)
    before = boxes.load(case.device)
    if before.box.generation != case.generation:
        raise CaseOver("That handset was enrolled anew since.", state=case.state)
    with transaction() as work:
        effect(Ending(work, case, before, by, correlation_id))
        positions.purge(work, case)
        ended = rules.ended(case, end, clock.now())
        store.save(work, ended, instead_of=kept.revision)
        said = store.said(ended, reason=reason, positions=case.positions.taken)
        store.say(work, ended, end.value, said, by=by, correlation_id=correlation_id)
    return ended


# --- found ----------------------------------------------------------------------------------------------


def _find(end: Ending) -> None:
    box = msgspec.structs.replace(_called_off(end), loss="")
    if end.before.state is DeviceState.RETIRED:
        boxes.save(end.work, end.before, box)
    elif box.signed:
        _retire(end, box, RETIRED_FOR_WIPE)
    else:
        _readmit(end, _stood_down(end, box))


def _called_off(end: Ending) -> Box:
    """The box in which is over what waits because of the loss, and what would lock the handset: it shall be answered
    that it is over if it asks once more.
    """
    box = end.before.box
    for command, state in rules.to_end(end.case, box):
        box = requesting.end(end.work, box, command, state, by=end.by, correlation_id=end.correlation_id)
    return box


def _stood_down(end: Ending, box: Box) -> Box:
    """The box with an order that ends lost mode and locks, and voids every warrant that the handset may know: whatever
    became of it, it shall never obey it.
    """
    if not box.locked and not box.warrants:
        return box
    box = command_rules.taken_back(box, *box.warrants)
    order = Wanted(Kind.STAND_DOWN, Parameters(), FOUND, end.by)
    return requesting.add(end.work, end.before, box, order, correlation_id=end.correlation_id)


def _readmit(end: Ending, box: Box) -> None:
    state = boxes.save(end.work, end.before, box, lease_withheld=False)
    boxes.say_change(end.work, end.before, box, state, by=end.by, correlation_id=end.correlation_id)


def _retire(end: Ending, box: Box, reason: str) -> None:
    retiring.retire(end.work, end.before, box, reason, by=end.by, correlation_id=end.correlation_id)


# --- given up -------------------------------------------------------------------------------------------


def _give_up(end: Ending) -> None:
    if end.before.state is DeviceState.RETIRED:
        return
    if not end.case.lease_withheld:
        with refusals.told(by=end.by, correlation_id=end.correlation_id):
            buckets.take(end.work, Family.WITHHELD, end.by, [buckets.place_of(end.case.depot)], now=clock.now())
    wipe = next(filter(rules.is_let_go, end.before.box.open), None)
    if wipe:
        target = Target(wipe.device, wipe.generation)
        choke.destroy_escrow(end.work, target, warrants.authority_of(wipe), wipe.kind)
    _retire(end, end.before.box, RETIRED_FOR_LOSS)


# --- seen wiped -----------------------------------------------------------------------------------------


def _prove(end: Ending) -> None:
    wipes = [one for one in orders.of_case(end.case, end.before.box) if rules.is_accepted_wipe(one)]
    if not wipes:
        raise NoWipe("Say that it was found; enrolling it again then shows that it was wiped.")
    box = end.before.box
    for wipe in wipes:
        box = _proven(end, box, wipe)
    box = msgspec.structs.replace(box, loss="")
    if end.before.state is DeviceState.RETIRED:
        boxes.save(end.work, end.before, box)
    else:
        _retire(end, box, RETIRED_FOR_WIPE)


def _proven(end: Ending, box: Box, wipe: Command) -> Box:
    if wipe not in box.open:
        return _proven_late(end, box, wipe)
    if wipe.state is State.ACCEPTED:
        box = requesting.end(end.work, box, wipe, State.UNANSWERED, by=end.by, correlation_id=end.correlation_id)
    wipe = boxes.in_box(box, wipe.id)
    proven = proving.prove(
        end.work, box, wipe, Proof.CONFIRMED, SEEN, by=end.by, correlation_id=end.correlation_id, seen=True
    )
    return boxes.replace(box, proven)


def _proven_late(end: Ending, box: Box, wipe: Command) -> Box:
    """The box, once the wipe that was filed already is proven."""
    kept = records.load(boxes.filed_key(wipe.id), Filed)
    if kept is not None:
        proving.prove_filed(
            end.work, box, kept, Proof.CONFIRMED, SEEN, by=end.by, correlation_id=end.correlation_id, seen=True
        )
    return msgspec.structs.replace(box, unproven="") if box.unproven == wipe.id else box
