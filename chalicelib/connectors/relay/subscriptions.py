"""Which consumer takes which events: the tables that the relay, and a replay, go by.

A new consumer is a line here, a field `<consumer>_queue` in `RelaySettings` and its queue in the template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from chalicelib.core.clock import PARIS
from chalicelib.core.events import Event
from chalicelib.fleet.event_types import RELEASES
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
from chalicelib.passes.event_types import ALERT_CHANGES, DUTY_CHANGES
from chalicelib.passes.event_types import FOLLOWED as PASS_EVENTS
from chalicelib.passes.event_types import TOLD_BY_HANDSETS as PASS_ENTRIES

ITEM_FACTS: Final = (ANNOUNCED, SCANNED, DELIVERED, HANDED_OVER, NOT_DELIVERED, HELD, RETURNED, REDIRECTED, CORRECTED)

SUBSCRIPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "passes": PASS_EVENTS,
    "tracking": ITEM_FACTS,
    "sorting": (*ITEM_FACTS, "facteo.plan.changed"),
    "judging": (HANDED_OVER, REDIRECTED, ANNOUNCED, SCANNED, CORRECTED, "facteo.proof.drawing-reused"),
    "entries": PASS_ENTRIES,
    "readmissions": RELEASES,
}
"""Consumer → the event types it takes. They are served in this order: what suspends a pass waits for nobody."""

OF_HANDSETS: Final = ("tracking", "sorting", "judging", "entries")
"""Those who take what handsets send, and so what was held of a lost one."""


class _Said(msgspec.Struct, frozen=True):
    """Of the body of an event, what the conditions below ask for."""

    step: str = ""
    product: str = ""
    recommendation: str = ""
    day: str = ""


def _announced_as_signed(event: Event) -> bool:
    said = msgspec.json.decode(event.data, type=_Said)
    return handover.signature_required(_item(event), said)


def _taken_in_charge_as_signed(event: Event) -> bool:
    signed = handover.signature_required(_item(event), None)
    return signed and msgspec.json.decode(event.data, type=_Said).step == "taken-in-charge"


def _tells_of_duress(event: Event) -> bool:
    return "duress" in event.flags.split()


def _is_of_today(event: Event) -> bool:
    said = msgspec.json.decode(event.data, type=_Said)
    return said.day == event.receivedat.astimezone(PARIS).date().isoformat()


def _item(event: Event) -> str:
    return event.subject.removeprefix("item/")


CONDITIONS: Final[Mapping[tuple[str, str], Callable[[Event], bool]]] = {
    ("judging", ANNOUNCED): _announced_as_signed,
    ("judging", SCANNED): _taken_in_charge_as_signed,
    **dict.fromkeys((("passes", one) for one in ALERT_CHANGES), _tells_of_duress),
    **dict.fromkeys((("passes", one) for one in DUTY_CHANGES), _is_of_today),
}
"""Consumer and type → which events of that type it takes, by their own words. Of any other type it takes all.

A proof is judged again when what it lacks comes late: the announcement, or the taking in charge, of an item that is
handed over against signature. Nothing else of a day's twelve million announcements and seventeen million scans is put
into the queue. Passes follow what makes a difference to one: duress, and a duty of today.
"""


def wants(consumer: str, event_type: str) -> bool:
    """Whether the consumer takes events of this type. Raises KeyError for a consumer that is not in the table."""
    return event_type in SUBSCRIPTIONS[consumer]


def is_relayed(consumer: str, event: Event) -> bool:
    """Whether the relay gives this event to the consumer: it takes such an event, and this one is not quarantined.

    A quarantined event came from a handset that was reported lost: it may be true or a thief's. It is kept in the
    journal, and the world outside hears of it only when the handset was found. Then a marker in its subject's history
    releases it, which no consumer takes: it stands for the event that it names (`journal.released_by`).
    """
    return not event.quarantined and takes(consumer, event)


def takes(consumer: str, event: Event) -> bool:
    """Whether the consumer takes such an event, quarantined or not."""
    if not wants(consumer, event.type):
        return False
    condition = CONDITIONS.get((consumer, event.type))
    return condition is None or condition(event)
