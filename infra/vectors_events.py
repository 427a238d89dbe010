"""The part of the test vectors that speaks of tickets, enrolment and events."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from infra import vectors_passes

NOW: Final = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
DEVICE: Final = "019ac9a0-0000-7000-8000-0000000000d1"
OTHER_DEVICE: Final = "019ac9a0-0000-7000-8000-0000000000d2"
SOURCE: Final = f"/handsets/{DEVICE}/1"
ITEM: Final = "9V20524752032"
OTHER_ITEM: Final = "9V00000100014"
BOOT: Final = "b7d1c2e09f4a5566"
UPTIME: Final = 3_600_000
WINDOW: Final = 10_000
OPENED, _, UNREAD = vectors_passes.receipts()
"""Receipts of a door that opened, and for a pass that could not be read."""

Event = dict[str, Any]


def event(number: int, *, event_type: str = "facteo.item.scanned", without: str = "", **changes: Any) -> Event:
    """The event with that number: a scan, a minute for each number after seven o'clock less half an hour."""
    at = NOW - timedelta(minutes=30) + timedelta(minutes=number)
    told = {
        "specversion": "1.0",
        "id": made_id(at, number),
        "source": SOURCE,
        "type": event_type,
        "subject": f"item/{ITEM}",
        "time": at.isoformat(),
        "datacontenttype": "application/json",
        "data": {"barcode": barcode(ITEM), "step": "out-for-delivery"},
        "sequence": number,
        "snapshot": 1,
        "devicemonotonic": UPTIME - (NOW - at) // timedelta(milliseconds=1),
        "deviceboot": BOOT,
    }
    return {name: value for name, value in (told | changes).items() if name != without}


def pass_used(subject: str = "", **changes: Any) -> Event:
    """That the pass of the reader's vectors was shown, or that of another subject."""
    claims = OPENED["claims"]
    data = {"pass": claims["7"], "reader": vectors_passes.READER.hex(), "challenge": claims["-65543"]}
    subject = f"pass/{subject or claims['7']}"
    return event(1, event_type="facteo.pass.used", subject=subject, data=data | changes)


def pass_receipt(receipt: bytes, subject: str = "") -> Event:
    """That a reader gave a receipt."""
    data = {"receipt": base64.b64encode(receipt).decode()}
    return event(1, event_type="facteo.pass.receipt", subject=f"pass/{subject or OPENED['claims']['7']}", data=data)


def _raw(told: dict[str, Any]) -> bytes:
    return bytes.fromhex(told["receipt"])


def made_id(at: datetime, number: int) -> str:
    """A UUIDv7 of that moment, the same each time."""
    milliseconds = f"{int(at.timestamp() * 1000):012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-{number:012x}"


def batch(events: list[Any]) -> dict[str, Any]:
    """A batch, sent at seven o'clock."""
    return {"clock": {"time": NOW.isoformat(), "monotonic": UPTIME, "boot": BOOT}, "events": events}


def ticket() -> dict[str, Any]:
    """What a QR code says, and the bytes that a key attestation is made for."""
    challenge = "c3RhbmRpbmctdGhlLXRleHQtaXRzZWxmLWlzLXVzZWQ"
    content = {
        "url": "https://api.facteo.test",
        "code": "019ac9a0-0000-7000-8000-0000000000e1.Jq3nYx0Qb1",
        "challenge": challenge,
    }
    return {"content": content, "attestation_challenge_hex": challenge.encode().hex()}


def enrolment_request(public_key: dict[str, str]) -> dict[str, Any]:
    """A request to be enrolled with that ticket."""
    hardware = {
        "serial": "R58N123ABCD",
        "manufacturer": "Samsung",
        "model": "SM-G556B",
        "os_version": "16",
        "app_version": "1.0",
    }
    return {"code": ticket()["content"]["code"], "public_key": public_key, "hardware": hardware, "attestation": []}


def malformed() -> list[dict[str, Any]]:
    """Bodies of which nothing is taken, whatever their events."""
    good = batch([event(1)])
    sent = {
        "no event": batch([]),
        "more than a hundred events": batch([0] * 101),
        "no clock": {"events": good["events"]},
        "a clock without a boot": {**good, "clock": {"time": NOW.isoformat(), "monotonic": UPTIME}},
        "a member that is not known": {**good, "mood": "good"},
        "no object": good["events"],
    }
    return [{"name": name, "body": body, "status": 400, "problem": "request-invalid"} for name, body in sent.items()]


def single() -> list[dict[str, Any]]:
    """Events, each sent alone as the first of an enrolment, and what becomes of it."""
    return [_told(name, each, "") for name, each in _good()] + [_told(*each) for each in _bad()]


def _told(name: str, sent: Any, problem: str) -> dict[str, Any]:
    return {"name": name, "event": sent, "result": "refused" if problem else "recorded", "problem": problem or None}


def _good() -> list[tuple[str, Event]]:
    typed: dict[str, dict[str, Any]] = {
        "facteo.item.delivered": {"recipient": "letter-box"},
        "facteo.item.not-delivered": {"cause": "absent"},
        "facteo.item.held": {"place": "post-office", "until": "2026-12-08"},
        "facteo.item.returned": {"cause": "unknown-at-address"},
        "facteo.item.redirected": {"redirection": {"id": "019ac9a0-0000-7000-8000-0000000000b3", "revision": 4}},
    }
    spaced = {"barcode": barcode("9V 20524 752032", "unknown", manual_entry=True), "step": "presented"}
    return [
        ("facteo.item.scanned", event(1)),
        ("facteo.pass.used", pass_used()),
        ("facteo.pass.receipt", pass_receipt(_raw(OPENED))),
        ("a receipt for a pass that could not be read", pass_receipt(_raw(UNREAD), "unread")),
        *((name, event(1, event_type=name, data={"barcode": barcode(ITEM), **data})) for name, data in typed.items()),
        ("no datacontenttype", event(1, without="datacontenttype")),
        ("no snapshot: no round was taken", event(1, without="snapshot")),
        ("a correlation id", event(1, correlationid="round/2026-11-23:7")),
        ("an attribute that we do not know", event(1, dataschema="https://example.com/scan")),
        ("a number typed by hand: raw as typed, the subject in capitals and digits", event(1, data=spaced)),
    ]


def _bad() -> list[tuple[str, Any, str]]:
    first = event(1)
    wrong_key = {"barcode": barcode("9V20524752033"), "step": "presented"}
    malformed: dict[str, Any] = {
        "not an object": 17,
        "no id": event(1, without="id"),
        "the id is a UUIDv4": event(1, id="f47ac10b-58cc-4372-a567-0e02b2c3d479"),
        "the id in capitals": event(1, id=first["id"].upper()),
        "the number is 0": event(1, sequence=0),
        "the number is text": event(1, sequence="1"),
        "another version of CloudEvents": event(1, specversion="0.3"),
        "a time without an offset": event(1, time="2026-11-23T07:00:00"),
        "no uptime": event(1, without="devicemonotonic"),
        "a snapshot below 0": event(1, snapshot=-1),
        "a space in the correlation id": event(1, correlationid="a b"),
        "data of another type": event(1, datacontenttype="text/plain"),
        "a step that does not exist": event(1, data={**first["data"], "step": "teleported"}),
        "a field that the type does not know": event(1, data={**first["data"], "mood": "good"}),
    }
    return [
        *((name, sent, "event-malformed") for name, sent in malformed.items()),
        ("a type that does not exist", event(1, event_type="facteo.item.teleported"), "event-type-unknown"),
        ("a type that handsets do not send", event(1, event_type="facteo.item.announced"), "event-type-unknown"),
        ("another generation", event(1, source=f"/handsets/{DEVICE}/2"), "source-mismatch"),
        ("another handset", event(1, source=f"/handsets/{OTHER_DEVICE}/1"), "source-mismatch"),
        ("another item's subject", event(1, subject=f"item/{OTHER_ITEM}"), "subject-mismatch"),
        ("another pass's subject", pass_used("00000000000000c2"), "subject-mismatch"),
        ("another pass's receipt", pass_receipt(_raw(OPENED), "unread"), "subject-mismatch"),
        ("a reader's id in capitals", pass_used(reader="00000000000000D1"), "event-malformed"),
        ("something else than a receipt", pass_receipt(b"opened"), "receipt-malformed"),
        ("a check digit that does not fit", event(1, data=wrong_key), "unknown-identifier"),
    ]


def steps() -> list[dict[str, Any]]:
    """What a handset sends one batch after another, and what it is answered."""
    changed = event(2, data={"barcode": barcode(ITEM), "step": "presented"})
    return [
        _step("a hole holds the acknowledgement back", [event(1), event(3)], "recorded recorded", 1),
        _step("the hole is filled", [event(2)], "recorded", 3),
        _step("sent again: duplicates are a success", [event(1), event(2), event(3)], "duplicate " * 3, 3),
        _step("one bad event harms no other", [event(4, snapshot=-1), event(5)], "refused recorded", 5),
        _step("a refused one is refused again", [event(4, snapshot=-1)], "refused", 5),
        _step("an id stands for one content", [{**changed, "sequence": 6}], "refused", 6, "event-id-reused"),
        _step("a number is given once", [event(7, sequence=3)], "refused", 6, "sequence-reused"),
        _step("too far ahead", [event(6 + WINDOW + 1)], "postponed", 6, "sequence-too-far-ahead"),
    ]


def _step(name: str, sent: list[Event], results: str, through: int, problem: str | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "events": sent,
        "results": results.split(),
        "problem": problem,
        "acknowledged_through": through,
    }


def barcode(raw: str, symbology: str = "code128", **more: Any) -> dict[str, Any]:
    """What a handset read."""
    return {"raw": raw, "symbology": symbology, **more}
