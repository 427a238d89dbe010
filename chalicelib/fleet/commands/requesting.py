"""Commands are made, read and called off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from chalicelib.core import clock, ids, signing
from chalicelib.core.access import DeviceState
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import DeviceBlocked, NotFound
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes, rules
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.kinds import KINDS, Kind
from chalicelib.fleet.commands.rules import CommandOver
from chalicelib.fleet.commands.schemas import (
    Box,
    Command,
    CommandRequested,
    Commands,
    CommandTold,
    Filed,
    Order,
    Parameters,
    RequestCommand,
)
from chalicelib.fleet.commands.states import BEFORE_ACCEPTED, State
from chalicelib.fleet.guards import buckets, choke, refusals
from chalicelib.fleet.guards.buckets import Family
from chalicelib.fleet.guards.choke import Authority, Target
from chalicelib.people import lookup as people


class Wanted(NamedTuple):
    """A command that is to be made. `not_before` is the end of its cooling-off, if it has any."""

    kind: Kind
    parameters: Parameters
    reason: str
    by: str
    authority: Authority | None = None
    not_before: datetime | None = None


def request(wanted: RequestCommand, *, by: StaffMember, correlation_id: str) -> Commands:
    """Order something of up to ten handsets, all or none: one read, one transaction. A command of the same kind that
    still waits is superseded.

    Raises NotFound, AccessDenied, DeviceBlocked, RequestInvalid, ApprovalsRequired, NotApplicable, TooManyCommands,
    BreakerOpen, BlastLimitReached.
    """
    rules.check_parameters(wanted.kind, wanted.parameters)
    with refusals.told(by=by.actor, correlation_id=correlation_id):
        return retried(lambda: _request(wanted, by, correlation_id))


def add(work: UnitOfWork, before: Held, box: Box, wanted: Wanted, *, correlation_id: str) -> Box:
    """A box with one more command, told in its journal. `box` is what it is by now, `before` what was read.

    Raises DeviceBlocked, ApprovalsRequired, NotApplicable, TooManyCommands. Whoever calls saves the box.
    """
    if before.state is DeviceState.RETIRED:
        raise DeviceBlocked("That handset is retired.", state=before.entry.state)
    choke.require(wanted.kind, Target(box.device, box.generation), wanted.authority)
    rules.check_applicable(wanted.kind, box)
    rules.check_room(box, wanted.kind)
    if wanted.authority:
        box = rules.approved(box, wanted.kind, wanted.authority.warrant)
    command = _made(box, wanted)
    for former in box.open:
        if rules.superseded_by(former, wanted.kind):
            box = end(work, box, former, State.SUPERSEDED, by=wanted.by, correlation_id=correlation_id)
    requested = CommandRequested(
        device=command.device,
        generation=command.generation,
        number=command.number,
        kind=command.kind,
        reason=command.reason,
        warrant=command.warrant,
        not_before=command.not_before,
        expires_at=command.expires_at,
    )
    boxes.say(work, box, command.id, "requested", requested, by=wanted.by, correlation_id=correlation_id)
    return msgspec.structs.replace(boxes.replace(box, command), number=command.number)


def end(work: UnitOfWork, box: Box, command: Command, state: State, *, by: str, correlation_id: str) -> Box:
    """A box in which a command is over, told in its journal."""
    ended = rules.over(command, state, clock.now())
    boxes.say_moved(work, box, ended, by=by, correlation_id=correlation_id)
    return boxes.replace(box, ended)


def end_all(work: UnitOfWork, box: Box, *, by: str, correlation_id: str) -> Box:
    """A box in which everything is cancelled that its handset has not signed for."""
    for command in box.open:
        if command.state in BEFORE_ACCEPTED:
            box = end(work, box, command, State.CANCELLED, by=by, correlation_id=correlation_id)
    return box


def call_off(work: UnitOfWork, before: Held, box: Box, command: Command, *, by: str, correlation_id: str) -> Box:
    """A box in which a command is called off. Of one that destroys the handset is told that its warrant is void, so
    that nobody can ever show it that again.

    Raises CommandOver once the handset has signed for it.
    """
    if command.state not in BEFORE_ACCEPTED:
        raise CommandOver(f"It stands so: {rules.shown(command)}.", state=command.state)
    box = end(work, box, command, State.CANCELLED, by=by, correlation_id=correlation_id)
    if not command.warrant or command.warrant in box.void:
        return box
    told_so = Wanted(Kind.STAND_DOWN, Parameters(), command.reason, by)
    return add(work, before, rules.taken_back(box, command.warrant), told_so, correlation_id=correlation_id)


def read(command: str, *, by: StaffMember) -> CommandTold:
    """A command: two reads while it is open. Raises NotFound, AccessDenied."""

    def found() -> CommandTold:
        filed = _filed(command, by)
        return told(filed.over or boxes.in_box(boxes.load(filed.device).box, command))

    return retried(found)


def of_device(device: str, *, after: str | None, by: StaffMember) -> Commands:
    """A page of the commands of a device, the oldest first: what is open as it stands. Two calls. Raises as `read`."""
    held = boxes.load(device)
    people.require_depot(by, held.box.depot)
    start = boxes.filed_key(after) if after else ""
    filed = records.of_group(boxes.key_of(device), Filed, after=start)
    opened = {boxes.filed_key(command.id): command for command in held.box.open}
    commands = [record.over or opened.get(key) for key, record in filed.items()]
    last = next(reversed(filed), "").removeprefix("command/") if len(filed) == records.PAGE else None
    return Commands(commands=tuple(told(command) for command in commands if command), after=last)


def cancel(command: str, *, by: StaffMember, correlation_id: str) -> CommandTold:
    """Call a command off: until the handset has signed for it, not after. Called off again, it stays so.

    Raises NotFound, AccessDenied, CommandOver.
    """
    with refusals.told(by=by.actor, correlation_id=correlation_id):
        return retried(lambda: _cancel(command, by, correlation_id))


def told(command: Command) -> CommandTold:
    """A command as staff see it."""
    wiping = command.wiping
    same = {name: getattr(command, name) for name in CommandTold.__struct_fields__ if hasattr(command, name)}
    return CommandTold(
        **same,
        shown=rules.shown(command),
        events_sent=wiping.sent if wiping else None,
        events_lost=wiping.lost if wiping else None,
    )


def _request(wanted: RequestCommand, by: StaffMember, correlation_id: str) -> Commands:
    held = _known(wanted.devices, by)
    order = Wanted(wanted.kind, wanted.parameters, wanted.reason, by.actor)
    made = []
    with transaction() as work:
        if KINDS[wanted.kind].withholds:
            places = [buckets.place_of(before.box.depot) for before in held]
            buckets.take(work, Family.WITHHELD, by.actor, places, now=clock.now())
        for before in held:
            rules.check_may_ask(wanted, before.box)
            box = add(work, before, before.box, order, correlation_id=correlation_id)
            boxes.save(work, before, box)
            made.append(told(box.open[-1]))
    return Commands(commands=tuple(made))


def _known(devices: Sequence[str], by: StaffMember) -> list[Held]:
    found = boxes.load_many(devices)
    for device in devices:
        if device not in found:
            raise NotFound(f"There is no device {device}.")
    for depot in {held.box.depot for held in found.values()}:
        people.require_depot(by, depot)
    return list(found.values())


def _made(box: Box, wanted: Wanted) -> Command:
    """The command. One that frees a handset always names every warrant that is void: an earlier one may have failed."""
    now, lives = clock.now(), KINDS[wanted.kind].lives
    frees = wanted.kind is Kind.STAND_DOWN
    order = Order(
        id=ids.new(now),
        device=box.device,
        generation=box.generation,
        number=box.number + 1,
        kind=wanted.kind,
        parameters=Parameters(void=box.void) if frees else wanted.parameters,
        reason=wanted.reason,
        issued_at=now,
        expires_at=now + lives if lives else None,
        warrant=wanted.authority.approved if wanted.authority else None,
    )
    return Command(
        id=order.id,
        device=order.device,
        generation=order.generation,
        number=order.number,
        kind=order.kind,
        parameters=order.parameters,
        reason=order.reason,
        requested_by=wanted.by,
        requested_at=now,
        state=State.APPROVED if wanted.not_before else State.QUEUED,
        order=signing.sign(order),
        warrant=wanted.authority.warrant if wanted.authority else "",
        not_before=wanted.not_before,
        expires_at=order.expires_at,
    )


def _cancel(command_id: str, by: StaffMember, correlation_id: str) -> CommandTold:
    filed = _filed(command_id, by)
    if filed.over and filed.over.state is State.CANCELLED:
        return told(filed.over)
    before = boxes.load(filed.device)
    command = filed.over or boxes.in_box(before.box, command_id)
    with transaction() as work:
        box = call_off(work, before, before.box, command, by=by.actor, correlation_id=correlation_id)
        state = boxes.save(work, before, box)
        boxes.say_change(work, before, box, state, by=by.actor, correlation_id=correlation_id)
    return told(boxes.in_box(box, command_id))


def _filed(command: str, by: StaffMember) -> Filed:
    kept = records.load(boxes.filed_key(command), Filed)
    if kept is None:
        raise NotFound(f"There is no command {command}.")
    people.require_depot(by, kept.record.depot)
    return kept.record
