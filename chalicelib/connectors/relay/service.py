"""Put events into the queues of those who take them.

An event may be put twice, when the stream repeats a batch that failed half-way: consumers tell repeats by the
event's id (`core.inbox`), or work out the same result again. What has been put is noted, so that the sweeper finds
what never was: after an outage longer than the stream's memory, or a batch that failed to the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from chalicelib.connectors.relay.subscriptions import SUBSCRIPTIONS, is_relayed
from chalicelib.core import aws, events, inbox, settings, telemetry
from chalicelib.core.events import Event
from chalicelib.core.settings import Settings

MAX_ENTRIES: Final = 10
MAX_BYTES: Final = 256 * 1024
"""SQS takes 10 messages in a call: 1 MiB together since 2025, 256 KiB before. The smaller limit holds everywhere."""

RELAY: Final = "relay"
NOTED_FOR: Final = timedelta(days=7)
"""Longer than the sweeper may stand still before somebody replays by hand."""

Entry = dict[str, Any]


class RelaySettings(Settings, frozen=True, kw_only=True):
    """The address of each consumer's queue."""

    tracking_queue: str
    sorting_queue: str


class NotQueued(Exception):  # noqa: N818 - reads as the fact it is
    """A queue did not take some messages of a batch; the others of that batch are in it.

    `for_ever`: it never will, because of what the messages are.
    """

    def __init__(self, reason: str, *, for_ever: bool) -> None:
        super().__init__(reason)
        self.for_ever = for_ever


def relay(found: Sequence[Event]) -> None:
    """Give each consumer those of the events that are for it, and note that. Raises NotQueued."""
    for consumer in SUBSCRIPTIONS:
        send(consumer, [event for event in found if is_relayed(consumer, event)])
    inbox.note(RELAY, (event.id for event in found), keep_for=NOTED_FOR)


def missed(found: Sequence[Event]) -> list[Event]:
    """Those of the events that have not been relayed: one call for each 100."""
    wanted = set(inbox.unseen(RELAY, (event.id for event in found)))
    return [event for event in found if event.id in wanted]


def send(consumer: str, found: Sequence[Event]) -> None:
    """Put events into a consumer's queue, whatever its subscription: for a replay, or events that were released.

    The body is the event's JSON, in which personal data is ciphertext; the attributes are `event_id`, `type` and
    `correlation_id`. One call for each 10 events or 256 KiB. Raises NotQueued.
    """
    queue = queue_of(consumer)
    for batch in _batches(found):
        failed = aws.client("sqs").send_message_batch(QueueUrl=queue, Entries=batch).get("Failed", [])
        if failed:
            codes = sorted({entry["Code"] for entry in failed})
            reason = f"{len(failed)} of {len(batch)} messages for {consumer}: {', '.join(codes)}"
            raise NotQueued(reason, for_ever=all(entry["SenderFault"] for entry in failed))
    if found:
        telemetry.count("EventsRelayed", len(found), consumer=consumer)


def queue_of(consumer: str) -> str:
    """The address of a consumer's queue."""
    return str(getattr(settings.load(RelaySettings), f"{consumer}_queue"))


def _batches(found: Sequence[Event]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for number, event in enumerate(found):
        entry = _entry(str(number), event)
        more = _size(entry)
        if batch and (len(batch) == MAX_ENTRIES or size + more > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += more
    if batch:
        yield batch


def _entry(entry_id: str, event: Event) -> Entry:
    told = {"event_id": event.id, "type": event.type, "correlation_id": event.correlationid}
    return {
        "Id": entry_id,
        "MessageBody": events.encode(event),
        "MessageAttributes": {
            # SQS refuses an attribute without a value
            name: {"DataType": "String", "StringValue": value}
            for name, value in told.items()
            if value
        },
    }


def _size(entry: Entry) -> int:
    """What SQS counts: the body, and of each attribute its name, type and value."""
    attributes = entry["MessageAttributes"].items()
    told = [part for name, attribute in attributes for part in (name, *attribute.values())]
    return sum(len(part.encode()) for part in (entry["MessageBody"], *told))
