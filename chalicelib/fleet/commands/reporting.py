"""A handset says, under its signature, what became of an order: before the effect, and after it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from chalicelib.attention import raising
from chalicelib.attention.raising import Matter
from chalicelib.attention.schemas import Kind as Concern
from chalicelib.core import clock, journal, signing
from chalicelib.core.access import Handset
from chalicelib.core.errors import ChangedMeanwhile, EventIdReused, NotFound, Problem
from chalicelib.core.events import fingerprint
from chalicelib.core.later import later
from chalicelib.core.public_keys import PublicKey
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes, proving, rules, states
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.kinds import KINDS, Kind
from chalicelib.fleet.commands.schemas import (
    Box,
    Command,
    CommandReported,
    Filed,
    Report,
    ReportAnswer,
    Wiping,
)
from chalicelib.fleet.commands.states import Proof, State
from chalicelib.fleet.guards import choke
from chalicelib.fleet.guards.choke import Target

if TYPE_CHECKING:
    from chalicelib.fleet.guards import warrants
else:
    (warrants,) = later("chalicelib.fleet.guards", "warrants")


class Taken(NamedTuple):
    """A report as it came: of which command as it stood, what it says, and who signed it."""

    command: Command
    said: Report
    signed: str
    who: Handset
    correlation_id: str


class ReportUnproven(Problem):
    status = 422
    title = "The report is not what this handset's key signed of that order"


def report(command_id: str, signed: str, who: Handset, *, correlation_id: str) -> ReportAnswer:
    """Take a report: at most one transaction. The same one again changes nothing; one of an order that is over is kept,
    and changes nothing either.

    Raises ReportUnproven, NotFound for a command of another handset or another enrolment, EventIdReused, and
    ApprovalsRequired for an order that destroys and that nothing proves any more.
    """
    said = _proven(signed, command_id, who)
    held = [boxes.of_handset(who)]

    def taken() -> ReportAnswer:
        before = held.pop() if held else boxes.load(who.device)
        return _take(before, said, signed, who, correlation_id)

    return retried(taken)


def _proven(signed: str, command_id: str, who: Handset) -> Report:
    try:
        key = msgspec.json.decode(who.row.key, type=PublicKey)
        said = msgspec.json.decode(key.payload_of(signed), type=Report)
    except (ValueError, RecursionError) as error:
        raise ReportUnproven(f"{error}. See docs/protocol/commands.md, section 3.") from error
    if said.command != command_id:
        raise ReportUnproven("It speaks of another order.")
    return said


def _take(before: Held, said: Report, signed: str, who: Handset, correlation_id: str) -> ReportAnswer:
    command = _command(before, said.command, who)
    _require_same_order(command, said)
    if _is_known(said):
        return ReportAnswer(state=command.state)
    if proving.seen_again(before, who, correlation_id=correlation_id):
        raise ChangedMeanwhile("What this handset announced did not happen; read it again.")
    after = _after(command, said, who)
    with transaction() as work:
        after = _told(work, before.box, after, Taken(command, said, signed, who, correlation_id))
        if after != command:
            _destroy_escrow(work, after)
            state = boxes.save(work, before, boxes.replace(before.box, after))
            boxes.say_change(work, before, before.box, state, by=who.actor, correlation_id=correlation_id)
    return ReportAnswer(state=after.state)


def _destroy_escrow(work: UnitOfWork, command: Command) -> None:
    """Destroy what the container could be opened with again, once its handset has signed that it will wipe it."""
    if command.state is State.ACCEPTED and KINDS[command.kind].destroys:
        choke.destroy_escrow(
            work, Target(command.device, command.generation), warrants.authority_of(command), command.kind
        )


def _command(before: Held, command_id: str, who: Handset) -> Command:
    """The handset's command, in its box or filed: a read only if it is over."""
    for command in before.box.open:
        if command.id == command_id and command.generation == who.generation:
            return command
    kept = records.load(boxes.filed_key(command_id), Filed)
    over = kept.record.over if kept and kept.record.device == who.device else None
    if kept is None or over is None or over.generation != who.generation:
        raise NotFound(f"There is no command {command_id} for this enrolment.")
    return over


def _require_same_order(command: Command, said: Report) -> None:
    payload = signing.payload_of(command.order)
    if said.order != hashlib.sha256(payload).hexdigest() or said.number != command.number:
        raise ReportUnproven("It speaks of another order than the one that was given.")


def _is_known(said: Report) -> bool:
    """Whether this report was taken before. Raises EventIdReused if its id stands for another one."""
    guard = journal.lookup([said.id]).get(said.id)
    if guard is not None and guard.fingerprint != fingerprint(msgspec.to_builtins(said)):
        raise EventIdReused("Give each report an id of its own; this one is taken.", event=said.id)
    return guard is not None


def _after(command: Command, said: Report, who: Handset) -> Command:
    """The command after a report; itself if that changes nothing."""
    state = states.after(command.state, said.what, destroys=KINDS[command.kind].destroys)
    return _EFFECTS[state](command, said, who) if state else command


def _accepted(command: Command, said: Report, _: Handset) -> Command:
    return msgspec.structs.replace(command, state=State.ACCEPTED, accepted_at=clock.now(), leased_until=None)


def _put_off(command: Command, said: Report, _: Handset) -> Command:
    return rules.put_off(command, said.detail.retry_at, said.code, clock.now())


def _claimed(command: Command, said: Report, who: Handset) -> Command:
    """A wipe is announced; until it is proven nobody calls the handset wiped."""
    claimed = rules.over(command, State.WIPE_CLAIMED, clock.now(), said.code)
    wiping = Wiping(report=said.id, signed_at=who.signed_at, sent=said.detail.sent, lost=said.detail.lost)
    return msgspec.structs.replace(claimed, wiping=wiping)


def _ends(state: State) -> Callable[[Command, Report, Handset], Command]:
    return lambda command, said, _: rules.over(command, state, clock.now(), said.code)


_EFFECTS: Final[Mapping[State, Callable[[Command, Report, Handset], Command]]] = {
    State.ACCEPTED: _accepted,
    State.QUEUED: _put_off,
    State.WIPE_CLAIMED: _claimed,
    **{state: _ends(state) for state in (State.SUCCEEDED, State.FAILED, State.REFUSED, State.UNSUPPORTED)},
}
"""State after a report → what becomes of the command."""


def _told(work: UnitOfWork, box: Box, after: Command, taken: Taken) -> Command:
    """Write a report into its command's journal, and what follows. The command, with what is known of its wipe."""
    said, who = taken.said, taken.who
    told = CommandReported(
        device=after.device,
        generation=after.generation,
        kind=after.kind,
        what=said.what,
        code=said.code,
        state=after.state,
        late=after == taken.command,
        report=taken.signed,
    )
    event = boxes.event_of(
        box, after.id, "reported", told, by=who.actor, correlation_id=taken.correlation_id, event_id=said.id, at=said.at
    )
    work.append(event, content=fingerprint(msgspec.to_builtins(said)))
    if words := _worrying(taken.command, after):
        raising.raise_(work, Matter(Concern.DEVICE, event.subject, event, flags=words))
    if after.state is State.WIPE_CLAIMED and after.evidence is None:
        how = "said by the handset"
        return proving.prove(work, box, after, Proof.ANNOUNCED, how, by=who.actor, correlation_id=taken.correlation_id)
    return after


def _worrying(before: Command, after: Command) -> list[str]:
    """What a depot must be told of: a handset that keeps saying "not now", or that finds an order not to be ours."""
    words = []
    if before.not_now < after.not_now == rules.NOT_NOW_TOLD_AT:
        words.append("keeps-saying-not-now")
    if after.state is State.REFUSED is not before.state:
        words.append("order-refused")
    if after.kind is Kind.STAND_DOWN and after.state is State.FAILED is not before.state:
        words.append("not-freed")
    return words
