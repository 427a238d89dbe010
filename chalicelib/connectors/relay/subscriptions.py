"""Which consumer takes which events: the tables that the relay, and a replay, go by.

A new consumer is a line here, a field `<consumer>_queue` in `RelaySettings` and its queue in the template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from chalicelib.core.events import Event
from chalicelib.items import handover
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
    "judging": (HANDED_OVER, REDIRECTED, ANNOUNCED, SCANNED, CORRECTED, "facteo.proof.drawing-reused"),
}
"""Consumer → the event types it takes."""


class _Said(msgspec.Struct, frozen=True):
    """Of the body of an event, what the conditions below ask for."""

    step: str = ""
    product: str = ""
    recommendation: str = ""


def _announced_as_signed(event: Event) -> bool:
    said = msgspec.json.decode(event.data, type=_Said)
    return handover.signature_required(_item(event), said)


def _taken_in_charge_as_signed(event: Event) -> bool:
    signed = handover.signature_required(_item(event), None)
    return signed and msgspec.json.decode(event.data, type=_Said).step == "taken-in-charge"


def _item(event: Event) -> str:
    return event.subject.removeprefix("item/")


CONDITIONS: Final[Mapping[tuple[str, str], Callable[[Event], bool]]] = {
    ("judging", ANNOUNCED): _announced_as_signed,
    ("judging", SCANNED): _taken_in_charge_as_signed,
}
"""Consumer and type → which events of that type it takes, by their own words. Of any other type it takes all.

A proof is judged again when what it lacks comes late: the announcement, or the taking in charge, of an item that is
handed over against signature. Nothing else of a day's twelve million announcements and seventeen million scans is put
into the queue.
"""


def wants(consumer: str, event_type: str) -> bool:
    """Whether the consumer takes events of this type. Raises KeyError for a consumer that is not in the table."""
    return event_type in SUBSCRIPTIONS[consumer]


def is_relayed(consumer: str, event: Event) -> bool:
    """Whether the relay gives this event to the consumer: it takes such an event, and this one is not quarantined.

    A quarantined event came from a handset that was reported lost: it may be true or a thief's. It is kept in the
    journal, and the world outside hears of it only when the loss case is closed as found or staff release it.
    """
    if event.quarantined or not wants(consumer, event.type):
        return False
    condition = CONDITIONS.get((consumer, event.type))
    return condition is None or condition(event)
