"""Pure decisions about commands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from chalicelib.core.errors import Conflict, RequestInvalid
from chalicelib.fleet.commands.kinds import KINDS, Kind, Ownership
from chalicelib.fleet.commands.schemas import Box, Command, Evidence, Parameters, RequestCommand
from chalicelib.fleet.commands.states import BEFORE_ACCEPTED, OPEN, Proof, State

MOST_OPEN: Final = 20
"""For one device: it is given 5 at a time."""
AT_ONCE: Final = 5
MOST_VOID: Final = 20
"""Warrants that a handset is told of."""
SILENCE: Final = timedelta(hours=72)
"""After that nobody knows whether what was accepted was done."""
NOT_NOW_TOLD_AT: Final = 5
"""So often may a handset say "not now" before its depot is told."""
RETRY_AT_MOST: Final = timedelta(hours=12)
"""A handset does not put off an order for longer, whatever it says."""
SYSTEM: Final = "system/fleet"

_NONE: Final[frozenset[str]] = frozenset()
PARAMETERS: Final[Mapping[Kind, tuple[frozenset[str], frozenset[str]]]] = {
    **dict.fromkeys(Kind, (_NONE, _NONE)),
    Kind.RING: (frozenset({"seconds"}), _NONE),
    Kind.MESSAGE: (frozenset({"text"}), _NONE),
    Kind.LOST_MODE: (frozenset({"text", "phone"}), _NONE),
    Kind.STAND_DOWN: (_NONE, frozenset({"void"})),
    Kind.FULL_WIPE: (frozenset({"external_storage", "esim"}), _NONE),
}
"""Kind → the parameters that it must have, and those that it may have."""

_SHOWN: Final[Mapping[Proof, str]] = {
    Proof.ANNOUNCED: "wipe announced by the handset, not proven",
    Proof.CONFIRMED: "wiped",
    Proof.UNCONFIRMED: "wipe not confirmed",
    Proof.FAILED: "wipe failed: the handset was seen again with its old key",
}
_SHOWN_STATES: Final[Mapping[State, str]] = {
    State.APPROVED: "approved; it can still be called off",
    State.QUEUED: "waits for the handset",
    State.DELIVERED: "given to the handset, which has not signed for it yet",
    State.ACCEPTED: "signed for by the handset, not done yet",
    State.SUCCEEDED: "done, by the handset's signed word",
    State.FAILED: "failed, by the handset's signed word",
    State.REFUSED: "refused by the handset",
    State.UNSUPPORTED: "the handset can never do it",
    State.CANCELLED: "called off",
    State.EXPIRED: "too late: the handset did not come in time",
    State.SUPERSEDED: "another one, or a new enrolment, took its place",
    State.UNANSWERED: "signed for, and nothing heard since: whether it was done is not known",
    State.WIPE_CLAIMED: "wipe announced by the handset, not proven",
}


class NotApplicable(Conflict):
    title = "This handset can never do that"


class TooManyCommands(Conflict):
    title = "Too many commands wait for this handset already"


class CommandOver(Conflict):
    title = "The command cannot be called off any more"


def check_parameters(kind: Kind, given: Parameters) -> None:
    """Raise RequestInvalid unless these are the parameters of that kind."""
    needed, allowed = PARAMETERS[kind]
    named = {name for name, value in msgspec.structs.asdict(given).items() if value is not None}
    if missing := sorted(needed - named):
        raise RequestInvalid(f"{kind} needs the parameters: {', '.join(missing)}.")
    if unknown := sorted(named - needed - allowed):
        raise RequestInvalid(f"{kind} has no parameters: {', '.join(unknown)}.")


def check_may_ask(wanted: RequestCommand, box: Box) -> None:
    """Raise RequestInvalid or NotApplicable for what only the back office itself orders: that warrants are void, and
    that lost mode ends as long as the handset is lost.
    """
    if wanted.parameters.void is not None:
        raise RequestInvalid("Call a warrant off: POST /v1/warrants/{warrant}/cancellation.")
    if wanted.kind is Kind.STAND_DOWN and box.loss:
        raise NotApplicable("Say that it was found: POST /v1/loss-cases/{case}/found.", reason="in-a-loss-case")


def check_applicable(kind: Kind, box: Box) -> None:
    """Raise NotApplicable for what a handset can never do: it is refused now, and never queued."""
    traits = KINDS[kind]
    if traits.of_case and not box.loss:
        raise NotApplicable(f"{kind} needs an open loss case: declare the handset lost.", reason="no-loss-case")
    if traits.company_owned and box.ownership is not Ownership.COMPANY:
        raise NotApplicable(f"{kind} is for handsets of the company only.", reason="personally-owned")
    if traits.needs and box.capabilities is not None and traits.needs not in box.capabilities:
        raise NotApplicable(f"The handset has no {traits.needs}.", reason="no-capability", capability=traits.needs)
    if box.android is not None and box.android < traits.android:
        told = f"{kind} needs Android {traits.android}; the handset has {box.android}."
        raise NotApplicable(told, reason="android-too-old")


def check_room(box: Box, kind: Kind) -> None:
    """Raise TooManyCommands if the box is full: what has just ended takes no room. Nothing keeps a wipe out, or what
    frees a handset.
    """
    if KINDS[kind].destroys or kind is Kind.STAND_DOWN:
        return
    if sum(map(stays, box.open)) >= MOST_OPEN:
        raise TooManyCommands("Call off what is not needed any more.", most=MOST_OPEN)


def android_of(os_version: str) -> int | None:
    """The Android version of what a handset says of its system; None if it says none."""
    found = re.match(r"[0-9]{1,3}", os_version.strip())
    return int(found[0]) or None if found else None


def noted(box: Box, command: Command) -> Box:
    """What a box says once a command has come into its present state."""
    traits = KINDS[command.kind]
    if traits.destroys and command.state in {State.ACCEPTED, State.WIPE_CLAIMED}:
        box = msgspec.structs.replace(box, signed=True)
    if traits.destroys and command.state is State.WIPE_CLAIMED:
        box = msgspec.structs.replace(box, shut=command.warrant)
    if traits.locks and command.state is State.DELIVERED:
        box = msgspec.structs.replace(box, locked=True)
    if command.kind is Kind.STAND_DOWN and command.state is State.SUCCEEDED:
        box = msgspec.structs.replace(box, locked=False)
    return box


def approved(box: Box, kind: Kind, warrant: str) -> Box:
    """What a box says once two people have approved a warrant: a lost handset is shut out at once. One that is to be
    given up by its carrier goes on until it says that it wipes itself.
    """
    shut = warrant if KINDS[kind].of_case else box.shut
    return msgspec.structs.replace(box, warrants=(*box.warrants, warrant), shut=shut)


def taken_back(box: Box, *warrants: str) -> Box:
    """What a box says once warrants are void: it is shut out as long as another one that destroys waits for it."""
    void = tuple(dict.fromkeys((*box.void, *warrants)))
    others = [one.warrant for one in box.open if one.state in OPEN and KINDS[one.kind].of_case and one.warrant]
    shut = next((one for one in others if one not in void), "") if box.shut in warrants else box.shut
    return msgspec.structs.replace(box, void=void[-MOST_VOID:], shut=shut)


def superseded_by(command: Command, kind: Kind) -> bool:
    """Whether a new command of that kind takes this one's place: several locks do not queue up."""
    return command.kind is kind and command.state in BEFORE_ACCEPTED and not KINDS[kind].several


def deliverable(box: Box, now: datetime) -> Sequence[Command]:
    """What is to be given out now: by lane, then by number."""
    ready = [command for command in box.open if _is_ready(command, now)]
    return sorted(ready, key=lambda one: (KINDS[one.kind].lane, one.number))[:AT_ONCE]


def given_out(command: Command, now: datetime) -> Command:
    """The command once it was given out: its handset's, for the lease of its kind."""
    return msgspec.structs.replace(
        command,
        state=State.DELIVERED,
        attempts=command.attempts + 1,
        leased_until=now + KINDS[command.kind].lease,
        retry_at=None,
    )


def put_off(command: Command, until: datetime | None, code: str, now: datetime) -> Command:
    """The command after "not now": it waits again, and is not over, however often that is said."""
    latest = now + RETRY_AT_MOST
    return msgspec.structs.replace(
        command,
        state=State.QUEUED,
        leased_until=None,
        not_now=command.not_now + 1,
        retry_at=min(until or now + KINDS[command.kind].lease, latest),
        code=code,
    )


def over(command: Command, state: State, now: datetime, code: str = "") -> Command:
    """The command in a state that nothing leads out of."""
    return msgspec.structs.replace(command, state=state, over_at=now, leased_until=None, retry_at=None, code=code)


def known(command: Command, proof: Proof, now: datetime, *, by: str, how: str) -> Command:
    """The command with what is known of its wipe by now."""
    return msgspec.structs.replace(command, evidence=Evidence(proof=proof, at=now, by=by, how=how))


def in_time(command: Command, now: datetime) -> Command:
    """The command after what the time alone does to it; itself if nothing."""
    if command.state in BEFORE_ACCEPTED and command.expires_at and command.expires_at <= now:
        return over(command, State.EXPIRED, now)
    if command.state is State.APPROVED and command.not_before and command.not_before <= now:
        return msgspec.structs.replace(command, state=State.QUEUED)
    if command.state is State.ACCEPTED and command.accepted_at and command.accepted_at + SILENCE <= now:
        unanswered = over(command, State.UNANSWERED, now)
        if not KINDS[command.kind].destroys:
            return unanswered
        return known(unanswered, Proof.UNCONFIRMED, now, by=SYSTEM, how="silence")
    if is_announced(command) and command.evidence and command.evidence.at + SILENCE <= now:
        return known(command, Proof.UNCONFIRMED, now, by=SYSTEM, how="silence")
    return command


def due_at(command: Command) -> datetime | None:
    """When the time does something to it; None if never."""
    if command.state is State.ACCEPTED and command.accepted_at:
        return command.accepted_at + SILENCE
    if is_announced(command) and command.evidence:
        return command.evidence.at + SILENCE
    if command.state not in BEFORE_ACCEPTED:
        return None
    moments = [command.expires_at, command.not_before if command.state is State.APPROVED else None]
    return min((moment for moment in moments if moment), default=None)


def is_announced(command: Command) -> bool:
    """Whether a wipe was announced, and nobody knows yet."""
    return command.evidence is not None and command.evidence.proof is Proof.ANNOUNCED


def stays(command: Command) -> bool:
    """Whether a command stays in the box: it is open, or its wipe is to be proven yet."""
    return command.state in OPEN or is_announced(command)


def without_what_is_over(box: Box) -> Box:
    """The box as it is kept: what is over is filed elsewhere. A wipe that nobody proved is remembered by its id."""
    kept = tuple(command for command in box.open if stays(command))
    unproven = [command.id for command in box.open if command not in kept and _is_unproven(command)]
    return msgspec.structs.replace(box, open=kept, unproven=next(iter(unproven), box.unproven))


def shown(command: Command) -> str:
    """What staff read of it. Only a proven wipe is called wiped."""
    return _SHOWN[command.evidence.proof] if command.evidence else _SHOWN_STATES[command.state]


def _is_unproven(command: Command) -> bool:
    return command.evidence is not None and command.evidence.proof is not Proof.CONFIRMED


def _is_ready(command: Command, now: datetime) -> bool:
    if command.expires_at and command.expires_at <= now:
        return False
    if command.state is State.QUEUED:
        return command.retry_at is None or command.retry_at <= now
    return command.state is State.DELIVERED and (command.leased_until is None or command.leased_until <= now)
