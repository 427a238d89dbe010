"""Which consumer takes which events: the table that the relay, and a replay, go by.

A new consumer is a line here, a field `<consumer>_queue` in `RelaySettings` and its queue in the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chalicelib.core.events import Event
from chalicelib.items.event_types import (
    ANNOUNCED,
    CORRECTED,
    DELIVERED,
    HANDED_OVER,
    HELD,
    NOT_DELIVERED,
    REDIRECTED,
    RETURNED,
    SCANNED,
)

ITEM_FACTS: Final = (ANNOUNCED, SCANNED, DELIVERED, HANDED_OVER, NOT_DELIVERED, HELD, RETURNED, REDIRECTED, CORRECTED)

SUBSCRIPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "tracking": ITEM_FACTS,
    "sorting": (*ITEM_FACTS, "facteo.plan.changed"),
    "judging": (HANDED_OVER, REDIRECTED),
}
"""Consumer → the event types it takes."""


def wants(consumer: str, event_type: str) -> bool:
    """Whether the consumer takes events of this type. Raises KeyError for a consumer that is not in the table."""
    return event_type in SUBSCRIPTIONS[consumer]


def is_relayed(consumer: str, event: Event) -> bool:
    """Whether the relay gives this event to the consumer: it wants the type, and the event is not quarantined.

    A quarantined event came from a handset that was reported lost: it may be true or a thief's. It is kept in the
    journal, and the world outside hears of it only when the loss case is closed as found or staff release it.
    """
    return not event.quarantined and wants(consumer, event.type)
