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
    HELD,
    NOT_DELIVERED,
    REDIRECTED,
    RETURNED,
    SCANNED,
)

ALL_OF: Final = ".*"

SUBSCRIPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "tracking": ("facteo.item.*",),
    "sorting": (
        ANNOUNCED,
        SCANNED,
        DELIVERED,
        NOT_DELIVERED,
        HELD,
        RETURNED,
        REDIRECTED,
        CORRECTED,
        "facteo.plan.changed",
    ),
}
"""Consumer → the event types it takes; `facteo.item.*` stands for every type of that family, future ones too."""


def wants(consumer: str, event_type: str) -> bool:
    """Whether the consumer takes events of this type. Raises KeyError for a consumer that is not in the table."""
    return any(_matches(pattern, event_type) for pattern in SUBSCRIPTIONS[consumer])


def is_relayed(consumer: str, event: Event) -> bool:
    """Whether the relay gives this event to the consumer: it wants the type, and the event is not quarantined.

    A quarantined event came from a handset that was reported lost: it may be true or a thief's. It is kept in the
    journal, and the world outside hears of it only when the loss case is closed as found or staff release it.
    """
    return not event.quarantined and wants(consumer, event.type)


def _matches(pattern: str, event_type: str) -> bool:
    if pattern.endswith(ALL_OF):
        return event_type.startswith(pattern.removesuffix("*"))
    return event_type == pattern
