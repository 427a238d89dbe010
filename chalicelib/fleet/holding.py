"""What quarantined handsets send is held: which events wait for somebody to say that the handset was found.

The events are in the journal. Here stands where, a row for each, written with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from chalicelib.core import clock
from chalicelib.core.events import Event
from chalicelib.core.intake import in_chunks
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet.tables import LossLinesRow

HELD_FOR: Final = timedelta(days=400)
"""As long as consumers tell repeats: what is released later might be dealt with twice."""
PAGE: Final = 100


class Pointer(NamedTuple):
    """Where a held event stands in the journal."""

    subject: str
    event: str


def hold(work: UnitOfWork, event: Event) -> None:
    """Note that an event waits."""
    line = _line_of(event.device, event.generation)
    work.put(LossLinesRow(line, event.id, content=event.subject, expires_at=clock.now() + HELD_FOR))


def pages(device: str, generation: int) -> Iterator[Sequence[Pointer]]:
    """What waits of an enrolment, up to 100 at once: a consistent query for each MiB."""
    rows = LossLinesRow.query(_line_of(device, generation), consistent_read=True)
    yield from in_chunks((Pointer(row.content, row.sk) for row in rows), PAGE)


def release(device: str, generation: int, events: Sequence[Event]) -> None:
    """Note that these wait no more: a call for each 25."""
    with LossLinesRow.batch_write() as batch:
        for event in events:
            batch.delete(LossLinesRow(_line_of(device, generation), event.id))


def _line_of(device: str, generation: int) -> str:
    return f"held/{device}/{generation}"
