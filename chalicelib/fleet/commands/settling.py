"""What time alone does to commands: cooling off ends, what is too late expires, silence is noted.

Whoever comes first does it: the handset that fetches its orders, or the sweeper. Done twice, or by two at once, it is
done once.
"""

from __future__ import annotations

from chalicelib.core import clock
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet.commands import boxes, proving, rules
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.kinds import KINDS
from chalicelib.fleet.commands.schemas import Box, Command
from chalicelib.fleet.commands.states import State
from chalicelib.fleet.guards import choke, warrants
from chalicelib.fleet.guards.choke import Target


def settle(before: Held, *, correlation_id: str) -> bool:
    """Do what is due in a box; whether anything was. Raises ChangedMeanwhile if somebody else was faster."""
    now = clock.now()
    moved = [(command, after) for command in before.box.open if (after := rules.in_time(command, now)) != command]
    if not moved:
        return False
    with transaction() as work:
        for command, after in moved:
            _tell(work, before.box, command, after, correlation_id)
        boxes.save(work, before, boxes.replace(before.box, *(after for _, after in moved)))
    return True


def settle_device(device: str) -> None:
    """Do what is due in a device's box, again if somebody else was faster."""
    retried(lambda: settle(boxes.load(device), correlation_id=device))


def _tell(work: UnitOfWork, box: Box, command: Command, after: Command, correlation_id: str) -> None:
    if after.state is not command.state:
        boxes.say_moved(work, box, after, by=rules.SYSTEM, correlation_id=correlation_id)
    if after.evidence != command.evidence:
        proving.say(work, box, after, by=rules.SYSTEM, correlation_id=correlation_id)
    if command.state is State.APPROVED and after.state is State.QUEUED and KINDS[command.kind].destroys:
        authority = warrants.authority_of(command)
        choke.destroy_escrow(work, Target(command.device, command.generation), authority, command.kind)
