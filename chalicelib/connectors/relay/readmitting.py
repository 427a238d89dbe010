"""A handset was found: what it sent while it was quarantined counts from now on, and is given to those who take it.

That it was released is written down before anybody is given it: who folds a subject's history finds it there then.
Stopped in the middle, or told again, it goes on with what is held still; consumers tell repeats as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from chalicelib.connectors.relay import service
from chalicelib.connectors.relay.subscriptions import OF_HANDSETS, takes
from chalicelib.core import events, journal, telemetry
from chalicelib.core.events import Event
from chalicelib.core.intake import in_chunks
from chalicelib.core.transaction import MAX_ITEMS, ROWS_PER_EVENT, retried, transaction
from chalicelib.fleet import holding

MARGIN: Final = timedelta(minutes=1)
"""So far apart may the clocks of two of our machines be."""

_PER_TRANSACTION: Final = MAX_ITEMS // ROWS_PER_EVENT


class _Said(msgspec.Struct, frozen=True):
    """Of the body of an event, which enrolment it is about; without a device, that of its subject."""

    generation: int
    device: str = ""


def readmit(event: Event) -> None:
    """Release what was held of an enrolment up to that event. What came later is of another loss, and is held still.

    A query, and for each 100 events 2 reads, 2 transactions, some puts for each consumer, and 4 calls. Raises
    NotQueued.
    """
    said = msgspec.json.decode(event.data, type=_Said)
    device = said.device or event.subject.removeprefix("device/")
    # The sync was stamped by another machine, maybe ahead of this event's: without the margin it is never released.
    until = event.receivedat + MARGIN
    for page in holding.pages(device, said.generation):
        found = [held for held in journal.read_many(page) if held.receivedat <= until]
        retried(lambda found=found: _mark(found, actor=event.actor))  # type: ignore[misc]
        _give([events.freed(held) for held in found])
        holding.release(device, said.generation, found)


def _mark(found: Sequence[Event], *, actor: str) -> None:
    """Write down that these are released, once. Raises EventIdReused if another run did so at the same time."""
    markers = {marker.id: marker for marker in (events.release(held, actor=actor) for held in found)}
    known = journal.lookup(markers)
    for chunk in in_chunks([marker for marker in markers.values() if marker.id not in known], _PER_TRANSACTION):
        with transaction() as work:
            for marker in chunk:
                work.append(marker)


def _give(found: Sequence[Event]) -> None:
    for consumer in OF_HANDSETS:
        service.send(consumer, [event for event in found if takes(consumer, event)])
    if found:
        telemetry.count("EventsReleased", len(found))
