"""Doors of two buildings, and what handsets tell of them: that a pass was shown, and what the reader said to that."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.attention.tables import AttentionRow
from chalicelib.core import clock, events, journal
from chalicelib.core.events import Event
from chalicelib.passes.event_types import RECEIPT, USED
from chalicelib.passes.legal_bases import LegalBasis
from chalicelib.passes.registry_schemas import BuildingRecord, Hours, ReaderRecord
from chalicelib.passes.tables import PassesRow
from chalicelib.passes.workers import pair_entries, pass_entries
from reader import receipts
from reader.receipts import BEFORE_THE_FIRST
from tests.support import doors
from tests.support.doors import OTHER_READER, READER
from tests.support.events import SCHEDULED, deliver, invoke
from tests.support.factories import HeldHandset

BUILDING, OTHER_BUILDING = "019ac9a0-0000-7000-8000-0000000000b1", "019ac9a0-0000-7000-8000-0000000000b2"
UNKNOWN_READER = bytes.fromhex("00000000000000d9")
PASS, OTHER_PASS = "00000000000000c1", "00000000000000c2"
NONCE, OTHER_NONCE = b"n" * 16, b"m" * 16
HOURS = {"1": (Hours(days="123456", since="06:00", to="22:00"),)}


def two_buildings() -> None:
    """The registry has two buildings, with a reader each."""
    for building, reader in ((BUILDING, READER), (OTHER_BUILDING, OTHER_READER)):
        record = BuildingRecord(
            id=building,
            street="2 rue des Belles Feuilles",
            postcode="75116",
            town="Paris",
            sector=doors.SECTOR,
            secret=bytes(16),
            services=HOURS,
            legal_basis=LegalBasis.POSTAL_OPERATOR,
        )
        put(f"building/{building}", record)
        put(f"reader/{reader.hex()}", ReaderRecord(building=building, key=doors.jwk(reader)))


def put(key: str, record: msgspec.Struct) -> None:
    """A row of the registry."""
    PassesRow(key, content=msgspec.json.encode(record).decode()).save()


def challenge_of(nonce: bytes = NONCE, reader: bytes = READER) -> bytes:
    """What both halves call a use by."""
    return hashlib.sha256(nonce + reader).digest()


def used(handset: HeldHandset, *, reader: bytes = READER, nonce: bytes = NONCE, **changes: Any) -> dict[str, Any]:
    """The event of a handset that showed its pass."""
    data = {"pass": PASS, "reader": reader.hex(), "challenge": challenge_of(nonce, reader).hex()}
    data |= changes.pop("data", {})
    return handset.event(USED, subject=f"pass/{data['pass']}", data=data, **changes) | {"data": data}


def a_receipt(
    *,
    reader: bytes = READER,
    nonce: bytes = NONCE,
    at: datetime | None = None,
    pass_id: str = PASS,
    result: str = "opened",
    key: ec.EllipticCurvePrivateKey | None = None,
) -> bytes:
    """A receipt as the reader makes it, by its own clock."""
    entry = receipts.Entry(
        reader=reader,
        at=doors.seconds(at or clock.now()),
        pass_id=bytes.fromhex(pass_id),
        nonce=challenge_of(nonce, reader),
        result=result,
        previous=BEFORE_THE_FIRST,
    )
    return receipts.make(key or doors.key(reader), entry)


def receipt(handset: HeldHandset, raw: bytes | None = None, *, when: datetime | None = None, **told: Any) -> Any:
    """The event of a handset that got a receipt."""
    found = a_receipt(**told) if raw is None else raw
    data = {"receipt": base64.b64encode(found).decode()}
    subject = f"pass/{told.get('pass_id', PASS) or 'unread'}"
    return handset.event(RECEIPT, subject=subject, data=data, at=when or clock.now()) | {"data": data}


def both(handset: HeldHandset, **told: Any) -> list[dict[str, Any]]:
    """Both halves of an entry."""
    shown = {name: told[name] for name in ("reader", "nonce") if name in told}
    if "pass_id" in told:
        shown["data"] = {"pass": told["pass_id"]}
    return [used(handset, **shown), receipt(handset, **told)]


def told(handset: HeldHandset, *sent: Any) -> list[Event]:
    """The events as the journal keeps them, once the handset has sent them."""
    answer = handset.sync(*sent)
    results = [(one["result"], one["problem"]) for one in answer.body["results"]]
    assert {result for result, _ in results} <= {"recorded", "duplicate"}, results
    kept = {event.id: event for event in journal.read_many([(one["subject"], one["id"]) for one in sent])}
    return [kept[one["id"]] for one in sent]


def brought(found: Sequence[Event]) -> None:
    """The queue brings them, one after another."""
    for event in found:
        assert deliver(pass_entries, [event]) == []


def happens(handset: HeldHandset, *sent: Any) -> None:
    """The handset sends them, and the queue brings them in that order."""
    for one in sent:
        brought(told(handset, one))


def an_hour_is_over() -> None:
    """What happens each hour."""
    assert invoke(pair_entries, SCHEDULED) == []


def words() -> list[str]:
    """What staff are told to look at: the words of each entry of the work list."""
    return sorted(row.flags for row in AttentionRow.scan())


def own(handset: HeldHandset, **query: str) -> Any:
    """What the carrier sees of their own."""
    answer = handset.calls().get("/v1/pass/entries", **query)
    assert answer.status == 200, answer.text
    return answer.body


def a_code(handset: HeldHandset, reader: bytes, at: datetime) -> dict[str, Any]:
    """The event of a handset that showed its pass as a QR code."""
    slot = (doors.seconds(at) // 30).to_bytes(4, "big")
    challenge = hashlib.sha256(slot + reader).hexdigest()
    return used(handset, reader=reader, data={"challenge": challenge}, at=at)


def in_clear(event: Event) -> str:
    """What of an event anybody can read who has the journal."""
    return events.encode(event)
