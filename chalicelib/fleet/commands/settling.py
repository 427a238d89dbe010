"""What time alone does to commands: cooling off ends, what is too late expires, silence is noted.

Whoever comes first does it: the handset that fetches its orders, or the sweeper. Done twice, or by two at once, it is
done once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from chalicelib.core import clock, telemetry
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet.commands import boxes, proving, rules
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.kinds import KINDS
from chalicelib.fleet.commands.schemas import Box, Command
from chalicelib.fleet.commands.states import State
from chalicelib.fleet.guards import choke, warrants
from chalicelib.fleet.guards.choke import Authority, Target

UNPROVEN: Final = "authority-not-proven"


class _Moved(NamedTuple):
    """A command before and after, and by which authority it destroys from now on, if it does."""

    before: Command
    after: Command
    authority: Authority | None = None


def settle(before: Held, *, correlation_id: str) -> bool:
    """Do what is due in a box; whether anything was. Raises ChangedMeanwhile if somebody else was faster."""
    now = clock.now()
    moved = [one for command in before.box.open if (one := _moved(command, now)).after != command]
    if not moved:
        return False
    with transaction() as work:
        for one in moved:
            _tell(work, before.box, one, correlation_id)
        state = boxes.save(work, before, boxes.replace(before.box, *(one.after for one in moved)))
        boxes.say_change(work, before, before.box, state, by=rules.SYSTEM, correlation_id=correlation_id)
    return True


def settle_device(device: str) -> None:
    """Do what is due in a device's box, again if somebody else was faster."""
    retried(lambda: settle(boxes.load(device), correlation_id=device))


def _moved(command: Command, now: datetime) -> _Moved:
    """What becomes of a command. One that destroys is let go only if its approvals still prove it."""
    after = rules.in_time(command, now)
    if not KINDS[command.kind].destroys or (command.state, after.state) != (State.APPROVED, State.QUEUED):
        return _Moved(command, after)
    authority = warrants.authority_of(command)
    if authority is None:
        telemetry.count("AuthorityNotProven")
        return _Moved(command, rules.over(command, State.CANCELLED, now, UNPROVEN))
    return _Moved(command, after, authority)


def _tell(work: UnitOfWork, box: Box, moved: _Moved, correlation_id: str) -> None:
    before, after = moved.before, moved.after
    if after.state is not before.state:
        boxes.say_moved(work, box, after, by=rules.SYSTEM, correlation_id=correlation_id)
    if after.evidence != before.evidence:
        proving.say(work, box, after, by=rules.SYSTEM, correlation_id=correlation_id)
    if moved.authority:
        choke.destroy_escrow(work, Target(after.device, after.generation), moved.authority, after.kind)
