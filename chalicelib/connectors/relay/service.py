"""Put events into the queues of those who take them.

An event may be put twice, when the stream repeats a batch that failed half-way: consumers tell repeats by the
event's id (`core.inbox`), or work out the same result again. What has been dealt with is noted, so that the sweeper
finds what never was: after an outage longer than the stream's memory, or a batch that failed to the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from chalicelib.connectors.relay.subscriptions import OF_HANDSETS, SUBSCRIPTIONS, is_relayed
from chalicelib.core import events, inbox, queues, settings, telemetry
from chalicelib.core.events import Event
from chalicelib.core.queues import NotQueued, Outgoing
from chalicelib.core.settings import Settings

RELAY: Final = "relay"
NOTED_FOR: Final = timedelta(days=7)
"""Longer than the sweeper may stand still before somebody replays by hand."""


class HandsetQueues(Settings, frozen=True, kw_only=True):
    """The address of the queue of each consumer that takes what handsets send."""

    tracking_queue: str
    sorting_queue: str
    judging_queue: str
    entries_queue: str


class RelaySettings(HandsetQueues, frozen=True, kw_only=True):
    """The address of each consumer's queue."""

    passes_queue: str
    readmissions_queue: str


def relay(found: Sequence[Event]) -> None:
    """Give each consumer those of the events that are for it, and note that. Raises NotQueued: see `send`."""
    for consumer in SUBSCRIPTIONS:
        send(consumer, [event for event in found if is_relayed(consumer, event)])
    inbox.note(RELAY, (event.id for event in found), keep_for=NOTED_FOR)


def missed(found: Sequence[Event]) -> list[Event]:
    """Those of the events that have not been relayed: one call for each 100."""
    wanted = set(inbox.unseen(RELAY, (event.id for event in found)))
    return [event for event in found if event.id in wanted]


def send(consumer: str, found: Sequence[Event]) -> int:
    """Put events into a consumer's queue, whatever its subscription: for a replay, or events that were released.

    The body is the event's JSON, in which personal data is ciphertext; the attributes are `event_id`, `type` and
    `correlation_id`. An event that the queue will never take is passed over, logged and counted as
    `EventsNotRelayable`; the others are then put one by one, some of them again. How many the queue took. Raises
    NotQueued if it may take them later.
    """
    try:
        queues.send(queue_of(consumer), [_message(event) for event in found])
    except NotQueued as refusal:
        if not refusal.for_ever:
            raise
        if len(found) > 1:
            return sum(send(consumer, [event]) for event in found)
        told = {"consumer": consumer, "event_id": found[0].id, "reason": str(refusal)}
        telemetry.logger.error("no queue takes this event", extra=told)
        telemetry.count("EventsNotRelayable")
        return 0
    if found:
        telemetry.count("EventsRelayed", len(found), consumer=consumer)
    return len(found)


def queue_of(consumer: str) -> str:
    """The address of a consumer's queue."""
    return str(getattr(settings.load(_kind_of(consumer)), f"{consumer}_queue"))


def _message(event: Event) -> Outgoing:
    told = {"event_id": event.id, "type": event.type, "correlation_id": event.correlationid}
    return Outgoing(events.encode(event), told)


def _kind_of(consumer: str) -> type[HandsetQueues]:
    return HandsetQueues if consumer in OF_HANDSETS else RelaySettings
