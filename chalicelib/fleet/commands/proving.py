"""What is known of a wipe. That a handset said so is no proof; better knowledge takes the place of worse, whenever it
comes.
"""

from __future__ import annotations

from chalicelib.core import clock, telemetry
from chalicelib.core.access import Handset
from chalicelib.core.transaction import UnitOfWork, transaction
from chalicelib.fleet.commands import boxes, rules
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.schemas import Box, Command, WipeEvidence
from chalicelib.fleet.commands.states import Proof, may_become

SEEN_AGAIN = "the old key was seen again"


def seen_again(before: Held, who: Handset, *, correlation_id: str) -> bool:
    """Note that a wipe failed, if the handset that announced one speaks once more; whether it does."""
    failed = [command for command in before.box.open if _speaks_after(command, who)]
    if not failed:
        return False
    with transaction() as work:
        box = before.box
        for command in failed:
            proven = prove(work, box, command, Proof.FAILED, SEEN_AGAIN, by=who.actor, correlation_id=correlation_id)
            box = boxes.replace(box, proven)
        boxes.save(work, before, box)
    telemetry.count("WipesFailed", len(failed))
    return True


def prove(
    work: UnitOfWork, box: Box, command: Command, proof: Proof, how: str, *, by: str, correlation_id: str
) -> Command:
    """The command with what is known of its wipe by now, told in its journal; itself if that is no better knowledge."""
    if not may_become(command.evidence.proof if command.evidence else None, proof):
        return command
    proven = rules.known(command, proof, clock.now(), by=by, how=how)
    say(work, box, proven, by=by, correlation_id=correlation_id)
    return proven


def say(work: UnitOfWork, box: Box, command: Command, *, by: str, correlation_id: str) -> None:
    """Write into a command's journal what is known of its wipe."""
    if command.evidence is None:
        return
    told = WipeEvidence(
        device=command.device,
        generation=command.generation,
        kind=command.kind,
        proof=command.evidence.proof,
        how=command.evidence.how,
    )
    boxes.say(work, box, command.id, "wipe-evidence", told, by=by, correlation_id=correlation_id)


def _speaks_after(command: Command, who: Handset) -> bool:
    """Whether this request was signed after the one that announced a wipe; what came late was signed before."""
    announced = rules.is_announced(command) and command.generation == who.generation
    return announced and command.wiping is not None and who.signed_at > command.wiping.signed_at
