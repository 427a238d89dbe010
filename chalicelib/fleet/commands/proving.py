"""What is known of a wipe. That a handset said so is no proof; better knowledge takes the place of worse, whenever it
comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chalicelib.attention import raising
from chalicelib.attention.raising import Matter
from chalicelib.attention.schemas import Kind
from chalicelib.core import clock, telemetry
from chalicelib.core.access import Handset
from chalicelib.core.transaction import UnitOfWork, transaction
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes, rules
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.schemas import Box, Command, Filed, WipeEvidence
from chalicelib.fleet.commands.states import Proof, may_become
from chalicelib.fleet.records import Kept

SEEN_AGAIN: Final = "the old key was seen again"

_WORRYING: Final[Mapping[Proof, str]] = {Proof.FAILED: "wipe-failed", Proof.UNCONFIRMED: "wipe-not-confirmed"}
"""What somebody must know of, and the word by which its depot is told."""


def seen_again(before: Held, who: Handset, *, correlation_id: str) -> bool:
    """Note that a wipe failed, if the handset that announced one speaks once more; whether it does.

    One read more for a handset of which nobody knows whether it was wiped.
    """
    failed, box = [command for command in before.box.open if _speaks_after(command, who)], before.box
    late = unproven(box)
    if late and not _speaks_after(late.record.over, who):
        late = None
    if not failed and late is None:
        return False
    with transaction() as work:
        for command in failed:
            proven = prove(work, box, command, Proof.FAILED, SEEN_AGAIN, by=who.actor, correlation_id=correlation_id)
            box = boxes.replace(box, proven)
        if late:
            prove_filed(work, box, late, Proof.FAILED, SEEN_AGAIN, by=who.actor, correlation_id=correlation_id)
        state = boxes.save(work, before, box)
        boxes.say_change(work, before, box, state, by=who.actor, correlation_id=correlation_id)
    telemetry.count("WipesFailed")
    return True


def unproven(box: Box) -> Kept[Filed] | None:
    """The last wipe of which nobody knew whether it happened when it was filed: a read, if there is one."""
    return records.load(boxes.filed_key(box.unproven), Filed) if box.unproven else None


def prove_filed(
    work: UnitOfWork,
    box: Box,
    kept: Kept[Filed],
    proof: Proof,
    how: str,
    *,
    by: str,
    correlation_id: str,
    seen: bool = False,
) -> None:
    """File what is known by now of a wipe that is over, if that is better knowledge."""
    if kept.record.over is None:
        return
    proven = prove(work, box, kept.record.over, proof, how, by=by, correlation_id=correlation_id, seen=seen)
    if proven is not kept.record.over:
        boxes.file(work, box, proven, instead_of=kept.revision)


def prove(
    work: UnitOfWork,
    box: Box,
    command: Command,
    proof: Proof,
    how: str,
    *,
    by: str,
    correlation_id: str,
    seen: bool = False,
) -> Command:
    """The command with what is known of its wipe by now, told in its journal; itself if that is no better knowledge.
    `seen`: by a person.
    """
    if not may_become(command.evidence.proof if command.evidence else None, proof, seen=seen):
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
    event = boxes.say(work, box, command.id, "wipe-evidence", told, by=by, correlation_id=correlation_id)
    if command.evidence.proof in _WORRYING:
        raising.raise_(work, Matter(Kind.DEVICE, event.subject, event, flags=[_WORRYING[command.evidence.proof]]))


def _speaks_after(command: Command | None, who: Handset) -> bool:
    """Whether this request was signed after the one that announced a wipe; what came late was signed before."""
    if command is None or command.wiping is None or command.evidence is None:
        return False
    is_open = may_become(command.evidence.proof, Proof.FAILED) and command.generation == who.generation
    return is_open and who.signed_at > command.wiping.signed_at
