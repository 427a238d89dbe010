"""A handset was found: what it sent while it was quarantined is given to those who take it, as if it came now.

Stopped in the middle, or told again, it goes on with what is held still; consumers tell repeats as ever.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chalicelib.connectors.relay import service
from chalicelib.connectors.relay.subscriptions import SUBSCRIPTIONS, takes
from chalicelib.core import journal, telemetry
from chalicelib.core.events import Event
from chalicelib.fleet import holding


class _Said(msgspec.Struct, frozen=True):
    """Of the body of an event, which enrolment it is about; without a device, that of its subject."""

    generation: int
    device: str = ""


def readmit(event: Event) -> None:
    """Release what was held of an enrolment up to that event. What came later is of another loss, and is held still.

    A query, and for each 100 events a read, some puts for each consumer, and 4 calls. Raises NotQueued.
    """
    said = msgspec.json.decode(event.data, type=_Said)
    device = said.device or event.subject.removeprefix("device/")
    for page in holding.pages(device, said.generation):
        found = [held for held in journal.read_many(page) if held.receivedat <= event.receivedat]
        _give(found)
        holding.release(device, said.generation, found)


def _give(found: Sequence[Event]) -> None:
    for consumer in SUBSCRIPTIONS:
        service.send(consumer, [event for event in found if takes(consumer, event)])
    if found:
        telemetry.count("EventsReleased", len(found))
