"""Warrants: what is to be destroyed, in the exact words that two people confirm.

A warrant is requested, confirmed by two approvers within a day, and then carried out in one transaction: its commands
are made, cool off, and can be called off together. It is looked at again when a time that it names has come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from chalicelib.attention import raising
from chalicelib.attention.raising import Matter
from chalicelib.attention.schemas import Kind as Attention
from chalicelib.core import clock, events, ids
from chalicelib.core.access import DeviceState
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import AccessDenied, DeviceBlocked, NotFound, RequestInvalid
from chalicelib.core.events import Event
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes, requesting, rules
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.kinds import KINDS, Kind
from chalicelib.fleet.commands.requesting import Wanted
from chalicelib.fleet.commands.rules import NotApplicable, TooManyCommands
from chalicelib.fleet.commands.schemas import Command
from chalicelib.fleet.commands.states import BEFORE_ACCEPTED
from chalicelib.fleet.guards import approvers, buckets, choke, passkeys, refusals
from chalicelib.fleet.guards.buckets import Family, Place
from chalicelib.fleet.guards.choke import ApprovalsRequired, Authority, Target
from chalicelib.fleet.guards.passkeys import NEEDED, NotAnApprover
from chalicelib.fleet.guards.problems import NoApprovers, WarrantOver
from chalicelib.fleet.guards.schemas import Approved, ApproverSet, GiveApproval
from chalicelib.fleet.guards.warrant_schemas import (
    EndWarrant,
    RequestWarrant,
    TextTarget,
    Warrant,
    WarrantChanged,
    WarrantRequested,
    Warrants,
    WarrantState,
    WarrantTarget,
    WarrantText,
    WarrantTold,
)
from chalicelib.fleet.records import Kept
from chalicelib.people import lookup as people

HOLDS_FOR: Final = timedelta(days=90)
APPROVED_WITHIN: Final = timedelta(hours=24)
COOLING_OFF: Final = timedelta(minutes=10)
OPEN: Final = "warrants"
"""The group of those that wait for approvals or cool off."""
AGAIN: Final = "enrolled-again"
ORDERED: Final = "ordered-already"

_Quantifier = Callable[[Iterable[bool]], bool]


def request(wanted: RequestWarrant, *, by: StaffMember, correlation_id: str) -> WarrantTold:
    """Ask for a warrant: five reads and one for each depot, one transaction. Nothing is ordered before two approve.

    Raises NotFound, AccessDenied, DeviceBlocked, RequestInvalid, NotApplicable, TooManyCommands, NoApprovers,
    BreakerOpen, BlastLimitReached: nobody opens the breaker by asking alone.
    """
    with refusals.told(by=by.actor, correlation_id=correlation_id, opens=False):
        if not KINDS[wanted.kind].destroys:
            raise NotApplicable(f"{wanted.kind} needs no warrant: POST /v1/commands.", reason="destroys-nothing")
        rules.check_parameters(wanted.kind, wanted.parameters)
        return retried(lambda: _request(wanted, by, correlation_id))


def waiting(after: str | None, *, by: StaffMember) -> Warrants:
    """A page of the warrants that wait or cool off and are for a depot of theirs, the oldest first: a query, a read."""
    found = records.of_group(OPEN, Warrant, after=_key(after) if after else "")
    theirs = [warrant for warrant in found.values() if _reaches(by, _depots(warrant), any)]
    judges = approvers.judges_of(warrant.approvers_version for warrant in theirs) if theirs else {}
    last = next(reversed(found), "").removeprefix(_key("")) if len(found) == records.PAGE else None
    return Warrants(warrants=tuple(_told(one, judges[one.approvers_version]) for one in theirs), after=last)


def read(warrant: str, *, by: StaffMember) -> WarrantTold:
    """A warrant for a depot of theirs: two reads. Raises NotFound, AccessDenied."""
    return _shown(_load(warrant, by).record)


def approve(warrant: str, given: GiveApproval, *, by: StaffMember, correlation_id: str) -> WarrantTold:
    """Confirm a warrant. With the second person it is carried out, in one transaction: see `_carry_out`. Done again by
    the same person, it changes nothing.

    Raises NotFound, AccessDenied, WarrantOver, NotAnApprover, ApprovalInvalid, ApprovalsRequired, BreakerOpen,
    BlastLimitReached, RequestInvalid.
    """
    with refusals.told(by=by.actor, correlation_id=correlation_id, warrant=warrant):
        return retried(lambda: _approve(warrant, given, by, correlation_id))


def reject(warrant: str, wanted: EndWarrant, *, by: StaffMember, correlation_id: str) -> WarrantTold:
    """Refuse to confirm a warrant: nobody can any more. Two reads, one transaction.

    Raises NotFound, AccessDenied, NotAnApprover, WarrantOver.
    """
    with refusals.told(by=by.actor, correlation_id=correlation_id, warrant=warrant):
        return retried(lambda: _reject(warrant, wanted.reason, by, correlation_id))


def cancel(warrant: str, wanted: EndWarrant, *, by: StaffMember, correlation_id: str) -> WarrantTold:
    """Call a warrant off for their depots, with all of its commands there that no handset has signed for: a read and a
    transaction for each. It is over once nothing is left of it that could still go; before it is approved only somebody
    who has all of its depots calls it off.

    Called off again, it goes on where it stopped. Raises NotFound, AccessDenied, and WarrantOver if every handset of
    theirs has signed, or it was over before.
    """
    with refusals.told(by=by.actor, correlation_id=correlation_id, warrant=warrant):
        return retried(lambda: _cancel(warrant, wanted.reason, by, correlation_id))


def settle(warrant: str) -> None:
    """What time does to a warrant: nobody approved it, or it has cooled off and is listed no more."""
    retried(lambda: _settle(warrant))


def authority_of(command: Command) -> Authority | None:
    """The authority by which a command destroys, proven again from what was approved: two reads. None if it is not."""
    kept = records.load(_key(command.warrant), Warrant)
    if kept is None or kept.record.state is not WarrantState.APPROVED:
        return None
    version = kept.record.approvers_version
    judges = approvers.judges_of([version]).get(version)
    try:
        return choke.proven(_approved(kept.record), judges) if judges else None
    except ApprovalsRequired:
        return None


# --- requested ------------------------------------------------------------------------------------------------


def _request(wanted: RequestWarrant, by: StaffMember, correlation_id: str) -> WarrantTold:
    if len(set(wanted.devices)) < len(wanted.devices):
        raise RequestInvalid("Name each handset once.")
    held = boxes.load_many(wanted.devices)
    for device in wanted.devices:
        if device not in held:
            raise NotFound(f"There is no device {device}.")
    for depot in sorted({one.box.depot for one in held.values()}):
        people.require_depot(by, depot)
    for one in held.values():
        _require_possible(wanted.kind, one)
    judges = approvers.judges().record
    if judges is approvers.NOBODY:
        raise NoApprovers("A security officer proposes the first set of approvers: POST /v1/approver-sets.")
    targets = _targets([held[device] for device in wanted.devices])
    now = clock.now()
    buckets.require_room(Family.WIPES, by.actor, [Place(one.depot, one.zone) for one in targets], now=now)
    warrant = _made(wanted, targets, judges.version, by.actor, now)
    with transaction() as work:
        _save(work, warrant, instead_of=0)
        _announce(work, warrant, by.actor, correlation_id)
    return _told(warrant, judges)


def _require_possible(kind: Kind, held: Held) -> None:
    """Raise DeviceBlocked, NotApplicable or TooManyCommands for a handset that cannot be ordered that."""
    if held.state is DeviceState.RETIRED:
        raise DeviceBlocked("That handset is retired.", state=held.entry.state, device=held.device)
    rules.check_applicable(kind, held.box)
    rules.check_room(held.box, kind)
    if any(command.kind is kind and command.state in BEFORE_ACCEPTED for command in held.box.open):
        raise NotApplicable("The same is ordered already, and waits for the handset.", reason=ORDERED)


def _targets(held: Sequence[Held]) -> tuple[WarrantTarget, ...]:
    places = {depot: buckets.place_of(depot) for depot in {one.box.depot for one in held}}
    return tuple(
        WarrantTarget(
            device=one.device,
            generation=one.box.generation,
            depot=one.box.depot,
            zone=places[one.box.depot].zone,
        )
        for one in held
    )


def _made(
    wanted: RequestWarrant, targets: tuple[WarrantTarget, ...], version: int, requested_by: str, now: datetime
) -> Warrant:
    second = now.replace(microsecond=0)
    text = WarrantText(
        approvers_version=version,
        expires_at=second + HOLDS_FOR,
        id=ids.new(now),
        kind=wanted.kind,
        parameters=wanted.parameters,
        reason=wanted.reason,
        requested_at=second,
        requested_by=requested_by,
        targets=_in_text(targets),
        witnessed=wanted.witnessed,
    )
    return Warrant(
        id=text.id,
        state=WarrantState.AWAITING,
        text=passkeys.encoded(text),
        approvers_version=version,
        kind=text.kind,
        parameters=text.parameters,
        reason=text.reason,
        witnessed=text.witnessed,
        requested_by=text.requested_by,
        requested_at=text.requested_at,
        approve_by=now + APPROVED_WITHIN,
        targets=targets,
    )


def _announce(work: UnitOfWork, warrant: Warrant, by: str, correlation_id: str) -> None:
    """Tell the approvers: in the journal, and on the work list of each depot."""
    requested = WarrantRequested(
        kind=warrant.kind,
        reason=warrant.reason,
        witnessed=warrant.witnessed,
        targets=_in_text(warrant.targets),
        text=passkeys.digest_of(warrant.text),
    )
    event = _event(warrant, "requested", requested, by, correlation_id)
    work.append(event)
    for depot in _depots(warrant):
        there = msgspec.structs.replace(event, place=f"depot/{depot}")
        raising.raise_(work, Matter(Attention.DEVICE, event.subject, there, flags=["warrant-to-approve"]))


# --- approved -------------------------------------------------------------------------------------------------


def _approve(warrant_id: str, given: GiveApproval, by: StaffMember, correlation_id: str) -> WarrantTold:
    kept = _load(warrant_id, by, all)
    warrant, (judges, seen) = kept.record, approvers.judges()
    approval = passkeys.approval_of(given, by.actor)
    if by.actor in _approved_by(warrant):
        return _shown(warrant)
    _require_awaiting(warrant)
    if warrant.approvers_version != judges.version:
        raise WarrantOver("The approvers have changed since. Ask for another warrant.", in_force=judges.version)
    passkeys.require_approval(warrant.text, approval, judges)
    confirmed = msgspec.structs.replace(warrant, approvals=(*warrant.approvals, approval))
    with transaction() as work:
        approvers.require_still(work, seen)
        if len(confirmed.approvals) < NEEDED:
            _save(work, confirmed, instead_of=kept.revision)
            _say(work, confirmed, "confirmed", by.actor, correlation_id)
        else:
            confirmed = _carry_out(work, confirmed, judges, by.actor, correlation_id)
            _save(work, confirmed, instead_of=kept.revision)
            _say(work, confirmed, "approved", by.actor, correlation_id)
    return _told(confirmed, judges)


def _carry_out(work: UnitOfWork, warrant: Warrant, judges: ApproverSet, by: str, correlation_id: str) -> Warrant:
    """Order what was approved of all handsets that it still fits, and revoke them at once. At most 97 rows for ten: 7
    for each, 23 for what is taken from the buckets, 3 for the warrant, one for the approvers.
    """
    held = boxes.load_many(target.device for target in warrant.targets)
    skipped = {target.device: _obstacle(warrant.kind, target, held.get(target.device)) for target in warrant.targets}
    ready = [target for target in warrant.targets if not skipped[target.device]]
    places = {Target(one.device, one.generation): Place(one.depot, one.zone) for one in ready}
    authority = choke.authorize(work, _approved(warrant), judges, places)
    until = clock.now() if authority.witnessed else clock.now() + COOLING_OFF
    wanted = Wanted(warrant.kind, warrant.parameters, warrant.reason, warrant.requested_by, authority, until)
    ordered = {one.device: _order(work, held[one.device], wanted, by, correlation_id) for one in ready}
    return msgspec.structs.replace(
        warrant,
        state=WarrantState.APPROVED,
        cooling_until=until,
        targets=tuple(
            msgspec.structs.replace(one, command=ordered.get(one.device, ""), skipped=skipped[one.device])
            for one in warrant.targets
        ),
    )


def _obstacle(kind: Kind, target: WarrantTarget, held: Held | None) -> str:
    """Why a target is left out by now; empty if it is not."""
    if held is None or held.box.generation != target.generation:
        return AGAIN
    try:
        _require_possible(kind, held)
    except (DeviceBlocked, NotApplicable, TooManyCommands) as obstacle:
        return str(obstacle.members.get("reason", obstacle.slug()))
    return ""


def _order(work: UnitOfWork, before: Held, wanted: Wanted, by: str, correlation_id: str) -> str:
    """The id of the command that a handset gets."""
    box = requesting.add(work, before, before.box, wanted, correlation_id=correlation_id)
    state = boxes.save(work, before, box)
    boxes.say_change(work, before, box, state, by=by, correlation_id=correlation_id)
    return box.open[-1].id


# --- ended ----------------------------------------------------------------------------------------------------


def _reject(warrant_id: str, why: str, by: StaffMember, correlation_id: str) -> WarrantTold:
    kept = _load(warrant_id, by, all)
    judges = approvers.judges_of([kept.record.approvers_version])[kept.record.approvers_version]
    if by.actor not in {approver.id for approver in judges.approvers}:
        raise NotAnApprover("Only an approver rejects a warrant. Call it off instead.")
    _require_awaiting(kept.record)
    return _told(_ended(kept, WarrantState.REJECTED, by.actor, correlation_id, why=why), judges)


def _cancel(warrant_id: str, why: str, by: StaffMember, correlation_id: str) -> WarrantTold:
    kept = _load(warrant_id, by)
    warrant = kept.record
    if warrant.state is WarrantState.CANCELLED:
        return _shown(warrant)
    if warrant.state is not WarrantState.APPROVED:
        _require_depots(warrant, by, all)
        _require_awaiting(warrant)
        return _shown(_ended(kept, WarrantState.CANCELLED, by.actor, correlation_id, why=why))
    return _shown(_cancel_approved(kept, why, by, correlation_id))


def _cancel_approved(kept: Kept[Warrant], why: str, by: StaffMember, correlation_id: str) -> Warrant:
    """An approved warrant, called off in the depots that are theirs."""
    warrant = kept.record
    theirs = {depot for depot in _depots(warrant) if people.may_work_for(by, depot)}
    targets = tuple(
        _called_off(target, warrant.id, by.actor, correlation_id) if target.depot in theirs else target
        for target in warrant.targets
    )
    ordered = [target for target in targets if target.depot in theirs and target.command]
    if ordered and not any(target.called_off for target in ordered):
        raise WarrantOver("Every handset of yours has signed for it, or is done with it.", state=warrant.state)
    if not _may_still_go(targets):
        return _ended(kept, WarrantState.CANCELLED, by.actor, correlation_id, why=why, targets=targets)
    if targets == warrant.targets:
        return warrant
    in_part = msgspec.structs.replace(warrant, targets=targets)
    with transaction() as work:
        _save(work, in_part, instead_of=kept.revision)
        _say(work, in_part, "cancelled-in-part", by.actor, correlation_id, why=why)
    return in_part


def _may_still_go(targets: Iterable[WarrantTarget]) -> bool:
    """Whether a handset could still obey that was not called off: one read, if there is any."""
    left = {target.command for target in targets if target.command and not target.called_off}
    held = boxes.load_many(target.device for target in targets if target.command in left) if left else {}
    waiting = (one for each in held.values() for one in each.box.open if one.state in BEFORE_ACCEPTED)
    return any(one.id in left for one in waiting)


def _called_off(target: WarrantTarget, warrant_id: str, by: str, correlation_id: str) -> WarrantTarget:
    """A target whose command was called off, if it has one that still can be."""
    if not target.command or target.called_off:
        return target
    off = retried(lambda: _call_off(target, warrant_id, by, correlation_id))
    return msgspec.structs.replace(target, called_off=off)


def _call_off(target: WarrantTarget, warrant_id: str, by: str, correlation_id: str) -> bool:
    before = boxes.load(target.device)
    open_still = [one for one in before.box.open if one.id == target.command and one.state in BEFORE_ACCEPTED]
    if not open_still:
        return warrant_id in before.box.void  # by a call that ended too early to say so
    with transaction() as work:
        box = requesting.call_off(work, before, before.box, open_still[0], by=by, correlation_id=correlation_id)
        state = boxes.save(work, before, box)
        boxes.say_change(work, before, box, state, by=by, correlation_id=correlation_id)
    return True


def _settle(warrant_id: str) -> None:
    kept = records.load(_key(warrant_id), Warrant)
    if kept is None:
        return
    warrant, now = kept.record, clock.now()
    if warrant.state is WarrantState.AWAITING and warrant.approve_by <= now:
        _ended(kept, WarrantState.EXPIRED, rules.SYSTEM, warrant_id)
    elif warrant.state is WarrantState.APPROVED and warrant.cooling_until and warrant.cooling_until <= now:
        with transaction() as work:
            _save(work, warrant, instead_of=kept.revision)


def _ended(
    kept: Kept[Warrant],
    state: WarrantState,
    by: str,
    correlation_id: str,
    *,
    why: str = "",
    targets: tuple[WarrantTarget, ...] | None = None,
) -> Warrant:
    ended = msgspec.structs.replace(kept.record, state=state, targets=targets or kept.record.targets)
    with transaction() as work:
        _save(work, ended, instead_of=kept.revision)
        _say(work, ended, state.value, by, correlation_id, why=why)
    return ended


# --- kept and told --------------------------------------------------------------------------------------------


def _load(warrant_id: str, by: StaffMember, which: _Quantifier = any) -> Kept[Warrant]:
    """A warrant for depots `which` (any, all) are theirs: one read. Raises NotFound, AccessDenied."""
    kept = records.load(_key(warrant_id), Warrant)
    if kept is None:
        raise NotFound(f"There is no warrant {warrant_id}.")
    _require_depots(kept.record, by, which)
    return kept


def _require_depots(warrant: Warrant, by: StaffMember, which: _Quantifier) -> None:
    if not _reaches(by, _depots(warrant), which):
        raise AccessDenied("The warrant is for handsets of other depots than yours.")


def _reaches(by: StaffMember, depots: Iterable[str], which: _Quantifier) -> bool:
    return which(people.may_work_for(by, depot) for depot in depots)


def _require_awaiting(warrant: Warrant) -> None:
    if warrant.state is not WarrantState.AWAITING:
        raise WarrantOver(f"It is {warrant.state}.", state=warrant.state)
    if warrant.approve_by <= clock.now():
        raise WarrantOver("Nobody approved it within a day. Ask for another one.", state=WarrantState.EXPIRED)


def _save(work: UnitOfWork, warrant: Warrant, *, instead_of: int) -> None:
    due = _due(warrant)
    records.save(work, _key(warrant.id), warrant, instead_of=instead_of, group=OPEN if due else "", due=due)


def _due(warrant: Warrant) -> datetime | None:
    """When somebody must look at it again, which is as long as it is listed."""
    ends = {WarrantState.AWAITING: warrant.approve_by, WarrantState.APPROVED: warrant.cooling_until}
    due = ends.get(warrant.state)
    return due if due and due > clock.now() else None


def _say(work: UnitOfWork, warrant: Warrant, what: str, by: str, correlation_id: str, *, why: str = "") -> None:
    changed = WarrantChanged(state=warrant.state, approved_by=_approved_by(warrant), targets=warrant.targets, why=why)
    work.append(_event(warrant, what, changed, by, correlation_id))


def _event(warrant: Warrant, what: str, body: Schema, by: str, correlation_id: str) -> Event:
    """Of a warrant for several depots the place is none."""
    depots = _depots(warrant)
    return events.make(
        f"facteo.warrant.{what}",
        _key(warrant.id),
        body,
        actor=by,
        correlation_id=correlation_id,
        place=f"depot/{depots[0]}" if len(depots) == 1 else "",
    )


def _shown(warrant: Warrant) -> WarrantTold:
    return _told(warrant, approvers.judges_of([warrant.approvers_version])[warrant.approvers_version])


def _told(warrant: Warrant, judges: ApproverSet) -> WarrantTold:
    same = {name: getattr(warrant, name) for name in WarrantTold.__struct_fields__ if hasattr(warrant, name)}
    approved_by = _approved_by(warrant)
    return WarrantTold(
        **same,
        challenge=passkeys.challenge_of(warrant.text),
        rp_id=judges.rp_id,
        credentials=passkeys.allowed(judges),
        approved_by=approved_by,
        missing=NEEDED - len(approved_by),
    )


def _approved(warrant: Warrant) -> Approved:
    return Approved(text=warrant.text, approvals=warrant.approvals)


def _approved_by(warrant: Warrant) -> tuple[str, ...]:
    return tuple(approval.approver for approval in warrant.approvals)


def _depots(warrant: Warrant) -> list[str]:
    return sorted({target.depot for target in warrant.targets})


def _in_text(targets: Iterable[WarrantTarget]) -> tuple[TextTarget, ...]:
    return tuple(TextTarget(device=target.device, generation=target.generation) for target in targets)


def _key(warrant: str) -> str:
    return f"warrant/{warrant}"
