"""What was ordered of a handset since it was declared lost."""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.core import ids
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.commands.kinds import KINDS
from chalicelib.fleet.commands.schemas import Box, Command, Filed
from chalicelib.fleet.losses.schemas import LossCase


def of_case(case: LossCase, box: Box) -> list[Command]:
    """The commands of a case, the oldest first: as the box has them, or as they were filed since it was declared.

    Also a wipe that was ordered before, and is open still; no lost mode of another case. A query for each 50, of an
    index that may lag behind by a moment.
    """
    found = {command.id: command for command in _filed(case)} | {command.id: command for command in box.open}
    return sorted((one for one in found.values() if _belongs(case, one)), key=lambda one: one.number)


def _belongs(case: LossCase, command: Command) -> bool:
    """An enrolment may have several cases, one after the other."""
    since = command.requested_at >= case.declared_at or KINDS[command.kind].destroys
    until = case.ended_at is None or command.requested_at <= case.ended_at
    return command.generation == case.generation and since and until


def _filed(case: LossCase) -> Iterator[Command]:
    since = boxes.filed_key(ids.first(case.declared_at))
    while page := records.of_group(boxes.key_of(case.device), Filed, after=since):
        yield from (filed.over for filed in page.values() if filed.over is not None)
        if len(page) < records.PAGE:
            return
        since = next(reversed(page))
