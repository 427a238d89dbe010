"""What time alone does to commands: cooling off ends, what is too late expires, silence is noted.

Whoever comes first does it: the handset that fetches its orders, or the sweeper. Done twice, or by two at once, it is
done once.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from chalicelib.core import clock, telemetry
from chalicelib.core.later import later
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet.commands import boxes, proving, rules
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.kinds import KINDS
from chalicelib.fleet.commands.schemas import Box, Command
from chalicelib.fleet.commands.states import State
from chalicelib.fleet.guards import breaker

if TYPE_CHECKING:
    from chalicelib.fleet.guards import warrants
else:
    (warrants,) = later("chalicelib.fleet.guards", "warrants")

UNPROVEN: Final = "authority-not-proven"


def settle(before: Held, *, correlation_id: str) -> bool:
    """Do what is due in a box; whether anything was. Raises ChangedMeanwhile if somebody else was faster."""
    now = clock.now()
    moved = [(command, after) for command in before.box.open if (after := _moved(command, now)) != command]
    if not moved:
        return False
    with transaction() as work:
        for command, after in moved:
            _tell(work, before.box, command, after, correlation_id)
        state = boxes.save(work, before, boxes.replace(before.box, *(after for _, after in moved)))
        boxes.say_change(work, before, before.box, state, by=rules.SYSTEM, correlation_id=correlation_id)
    return True


def settle_device(device: str) -> None:
    """Do what is due in a device's box, again if somebody else was faster."""
    retried(lambda: settle(boxes.load(device), correlation_id=device))


def _moved(command: Command, now: datetime) -> Command:
    """What becomes of a command. One that destroys is let go only if its approvals still prove it, and stays as it is
    while the breaker is open: three reads.
    """
    after = rules.in_time(command, now)
    is_let_go = (command.state, after.state) == (State.APPROVED, State.QUEUED)
    if not is_let_go or not KINDS[command.kind].destroys:
        return after
    if breaker.load().record.tripped:
        return command
    if warrants.authority_of(command):
        return after
    telemetry.count("AuthorityNotProven")
    return rules.over(command, State.CANCELLED, now, UNPROVEN)


def _tell(work: UnitOfWork, box: Box, before: Command, after: Command, correlation_id: str) -> None:
    if after.state is not before.state:
        boxes.say_moved(work, box, after, by=rules.SYSTEM, correlation_id=correlation_id)
    if after.evidence != before.evidence:
        proving.say(work, box, after, by=rules.SYSTEM, correlation_id=correlation_id)
