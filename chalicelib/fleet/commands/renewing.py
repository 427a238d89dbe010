"""A new enrolment: nothing that was ordered of the one before is ever given to it."""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes, proving, requesting
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.kinds import KINDS
from chalicelib.fleet.commands.schemas import Box, Command
from chalicelib.fleet.commands.states import BEFORE_ACCEPTED, Proof, State

ENROLLED_ANEW: Final = "the same handset was enrolled with a new key"
NEVER_SAID: Final = "enrolled with a new key, and it never said that it wiped"


def renew(work: UnitOfWork, before: Held | None, box: Box, *, by: str, correlation_id: str) -> None:
    """Write the box of a new enrolment. What was open for the one before is superseded, and a wipe that it had
    announced is proven: the same hardware has come with a new key. One that it had only signed for is not.
    """
    if before is None:
        records.save(work, boxes.key_of(box.device), box, instead_of=0)
        return
    former = before.box
    for command in former.open:
        former = _ended(work, former, command, by=by, correlation_id=correlation_id)
    boxes.file_all(work, before, former)
    late = proving.unproven(before.box)
    if late and late.record.over and late.record.over.wiping:
        proving.prove_filed(
            work, before.box, late, Proof.CONFIRMED, ENROLLED_ANEW, by=by, correlation_id=correlation_id
        )
    fresh = msgspec.structs.replace(box, number=before.box.number)
    records.save(work, boxes.key_of(box.device), fresh, instead_of=before.revision)


def _ended(work: UnitOfWork, box: Box, command: Command, *, by: str, correlation_id: str) -> Box:
    if command.state in BEFORE_ACCEPTED or not KINDS[command.kind].destroys:
        return requesting.end(work, box, command, State.SUPERSEDED, by=by, correlation_id=correlation_id)
    if command.state is State.ACCEPTED:
        box = requesting.end(work, box, command, State.UNANSWERED, by=by, correlation_id=correlation_id)
        command = boxes.in_box(box, command.id)
    proof, how = (Proof.CONFIRMED, ENROLLED_ANEW) if command.wiping else (Proof.UNCONFIRMED, NEVER_SAID)
    return boxes.replace(box, proving.prove(work, box, command, proof, how, by=by, correlation_id=correlation_id))
