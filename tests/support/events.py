"""Events of items, and the raw Lambda events that bring them: as a stream and a queue deliver them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from chalicelib.core import clock, events, ids, journal
from chalicelib.core.events import Event
from chalicelib.core.transaction import transaction
from chalicelib.items import service as items
from tests.support import rights, stored
from tests.support.factories import CARRIER, DEPOT, ITEM, an_announcement

DEVICE = "019ac9a0-0000-7000-8000-0000000000d1"
STREAM = "arn:aws:dynamodb:eu-west-3:123456789012:table/facteo-test-journal/stream/2026-11-01T00:00:00.000"
QUEUE = "arn:aws:sqs:eu-west-3:123456789012:facteo-test-tracking"

HANDED_OVER = {
    "act": "019ac9a0-0000-7000-8000-0000000000ac",
    "items": [ITEM],
    "procedure": "signature-id",
    "version": 1,
    "recipient": "addressee",
    "proxy": None,
    "earlier": None,
    "delivered_on": "2026-11-23",
    "presented_on": None,
    "drawing": None,
    "signed": "",
}
"""What the journal keeps of a handing over, when who received does not matter."""

SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-11-23T07:00:00Z",
    "region": "eu-west-3",
    "resources": ["arn:aws:events:eu-west-3:123456789012:rule/facteo-test-minute"],
    "detail": {},
}
"""The raw event of a schedule."""


def an_item_event(
    event_type: str = "facteo.item.scanned", *, item: str = ITEM, at: datetime | None = None, **changes: Any
) -> Event:
    """An event of a handset as the journal keeps it. `data` is put on top of what the type needs."""
    needed = {
        "facteo.item.scanned": {"step": "taken-in-charge"},
        "facteo.item.delivered": {"recipient": "addressee"},
        "facteo.item.handed-over": HANDED_OVER,
        "facteo.item.not-delivered": {"cause": "absent"},
        "facteo.item.held": {"place": "post-office"},
        "facteo.item.returned": {"cause": "refused"},
    }
    moment = at or clock.now()
    event_id = changes.pop("id", ids.new(moment))
    data = {"barcode": {"raw": item, "symbology": "code128"}, **needed.get(event_type, {}), **changes.pop("data", {})}
    told = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/handsets/{DEVICE}/1",
        "type": event_type,
        "subject": f"item/{item}",
        "time": moment,
        "data": msgspec.Raw(msgspec.json.encode(data)),
        "receivedat": clock.now(),
        "actor": f"carrier/{CARRIER}",
        "place": f"depot/{DEPOT}",
        "device": DEVICE,
        "generation": 1,
        "sequence": 1,
        "correlationid": f"request-of-{event_id}",
    }
    return Event(**(told | changes))


def recorded(*found: Event) -> list[Event]:
    """The events, once they are in the journal."""
    for event in found:
        with transaction() as work:
            work.append(event)
    return list(found)


def announced(item: str = ITEM, **changes: Any) -> Event:
    """Announce an item; its event in the journal."""
    announcement = an_announcement(item=item, **changes)
    items.announce([announcement], actor="legacy/announcements", correlation_id="import/1/1")
    return [event for event in journal.read(f"item/{item}") if event.type == "facteo.item.announced"][-1]


def stream_event(*found: Event) -> dict[str, Any]:
    """The raw event of a batch of the journal's stream."""
    return {"Records": [_stream_record(number, event) for number, event in enumerate(found, start=1)]}


def sequence_number(position: int) -> str:
    """The sequence number of the record at that position, from 1, of `stream_event`."""
    return f"{300000000000000000000 + position}"


def sqs_event(*bodies: Event | str) -> dict[str, Any]:
    """The raw event of a batch of a queue; a body may be any text. Message ids are `m-1`, `m-2`…"""
    return {"Records": [_message(number, body) for number, body in enumerate(bodies, start=1)]}


def invoke(worker: Any, raw: dict[str, Any]) -> list[str]:
    """Call a worker with a raw event as Lambda does, within its rights; the ids that it reported as failed."""
    with rights.checked(worker.func.__name__):
        result = worker(raw, None) or {}
    return [failure["itemIdentifier"] for failure in result.get("batchItemFailures", [])]


def deliver(worker: Any, found: Sequence[Event | str]) -> list[str]:
    """Give a queue's worker these messages; the ids of those that failed."""
    return invoke(worker, sqs_event(*found))


def work_off(queue: str, worker: Any) -> None:
    """Deliver what waits in a queue, one after the other, until nothing does. A message goes when it is dealt with."""
    while waiting := stored.waiting(queue):
        assert deliver(worker, waiting[:1]) == []
        stored.dealt_with(queue, waiting[0])


def _stream_record(position: int, event: Event) -> dict[str, Any]:
    row = journal.JournalRow.of(event)
    keys = {"subject": {"S": row.subject}, "id": {"S": row.id}}
    others = {name: {"S": getattr(row, name)} for name in ("type", "event", "bucket", "position")}
    return {
        "eventID": hashlib.md5(event.id.encode(), usedforsecurity=False).hexdigest(),
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-3",
        "dynamodb": {
            "ApproximateCreationDateTime": event.receivedat.timestamp(),
            "Keys": keys,
            "NewImage": {**keys, **others},
            "SequenceNumber": sequence_number(position),
            "SizeBytes": len(row.event),
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN": STREAM,
    }


def _message(number: int, body: Event | str) -> dict[str, Any]:
    text = events.encode(body) if isinstance(body, Event) else body
    told = {"event_id": body.id, "type": body.type} if isinstance(body, Event) else {}
    return {
        "messageId": f"m-{number}",
        "receiptHandle": f"receipt-{number}",
        "body": text,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1795417200000",
            "SenderId": "AROA:facteo-test-relay",
            "ApproximateFirstReceiveTimestamp": "1795417200001",
        },
        "messageAttributes": {
            name: {"stringValue": value, "dataType": "String", "stringListValues": [], "binaryListValues": []}
            for name, value in told.items()
        },
        "md5OfBody": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": QUEUE,
        "awsRegion": "eu-west-3",
    }
