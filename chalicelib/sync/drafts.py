"""From what a handset sent to what the journal keeps: an event of a feature, or the reason for refusing it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from chalicelib.core.access import AccessRow, DeviceState, Handset
from chalicelib.core.errors import Problem
from chalicelib.core.events import Event, fingerprint
from chalicelib.core.facts import REFUSALS_KEPT_FOR, Evidence, HandsetFact
from chalicelib.core.public_keys import PublicKey
from chalicelib.core.transaction import ROWS_PER_EVENT
from chalicelib.items.service import HANDSET_FACTS as ITEM_FACTS
from chalicelib.passes.evidence import HANDSET_FACTS as PASS_FACTS
from chalicelib.signatures.evidence import HANDSET_FACTS as SIGNATURE_FACTS
from chalicelib.sync import rules
from chalicelib.sync.problems import (
    EventMalformed,
    EventTooLarge,
    EventTypeUnknown,
    SourceMismatch,
    SubjectMismatch,
)
from chalicelib.sync.schemas import Address, HandsetClock, HandsetEvent

ACCEPTED: Mapping[str, HandsetFact] = {**ITEM_FACTS, **SIGNATURE_FACTS, **PASS_FACTS}
"""Every type of event that handsets may send. A feature adds the table of its own facts."""

HELD_ROWS = 1
"""Of an event that is held: see `fleet.holding`."""

KindT = TypeVar("KindT")

LARGEST = max(fact.max_bytes for fact in ACCEPTED.values())
"""Bytes of the largest event that any type may have."""


class Sender(msgspec.Struct, frozen=True):
    """Who sends a batch, what its clock says, and when we received it.

    `row` is the device's access row as it was read last: what is written is written only if it has not changed since.
    """

    handset: Handset
    row: AccessRow
    clock: HandsetClock
    received_at: datetime
    correlation_id: str

    @property
    def source(self) -> str:
        """How this enrolment's events name their source."""
        return f"/handsets/{self.handset.device}/{self.handset.generation}"

    @property
    def quarantined(self) -> bool:
        """Whether what it sends is kept apart."""
        return DeviceState(self.row.state) is not DeviceState.ENROLLED


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a batch: there is an `event` to record, with its `evidence` if it is one, or a `refusal`.

    `content` is the fingerprint of what was sent, `record_id` the id under which the journal knows it. `foreign`: it
    was made under another enrolment, and its number belongs to the sequence of that one. `alarm` is the event that a
    refusal raises, if it does.
    """

    position: int
    address: Address
    content: str
    raw: msgspec.Raw
    record_id: str
    foreign: bool
    event: Event | None = None
    evidence: Evidence | None = None
    refusal: Problem | None = None
    alarm: Event | None = None

    @property
    def rows(self) -> int:
        """How many rows it writes. Evidence may also make a key, and its claims; a refusal a key for what was sent.
        What a quarantined handset sends is held.
        """
        if self.event:
            held = HELD_ROWS if self.event.quarantined else 0
            return ROWS_PER_EVENT + held + (self.evidence.rows + len(self.claims) if self.evidence else 0)
        return ROWS_PER_EVENT + 1 + (ROWS_PER_EVENT if self.alarm else 0)

    @property
    def refusal_kept_for(self) -> timedelta:
        """How long it can be read if it is refused: as its type has it, if there is such a type."""
        fact = ACCEPTED.get(str(self.address.type))
        return fact.refusals_kept_for if fact else REFUSALS_KEPT_FOR

    @property
    def claims(self) -> Mapping[str, str]:
        """What nobody else may state, with the owner who may."""
        return self.evidence.claims if self.evidence else {}


def address_of(raw: msgspec.Raw) -> Address | None:
    """The event's id and number, or None for something that cannot be answered under its own name."""
    try:
        return msgspec.json.decode(raw, type=Address)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def draft(position: int, address: Address, raw: msgspec.Raw, sender: Sender) -> Draft:
    """What is to be recorded for this event."""
    made = Draft(
        position=position,
        address=address,
        content=_fingerprint(raw),
        raw=raw,
        record_id=address.id,
        foreign=isinstance(address.source, str) and address.source != sender.source,
    )
    if made.foreign:
        mismatch = SourceMismatch(f"Events of this enrolment have the source {sender.source}.")
        return msgspec.structs.replace(made, refusal=mismatch)
    try:
        event, evidence = _understood(raw, sender)
    except Problem as problem:
        return msgspec.structs.replace(made, refusal=problem)
    return msgspec.structs.replace(made, event=event, evidence=evidence)


def _fingerprint(raw: msgspec.Raw) -> str:
    """Of the content, not of its spelling; of the bytes where they cannot be read as JSON in a bounded way."""
    try:
        return fingerprint(msgspec.json.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return fingerprint(bytes(raw).decode("utf-8", "replace"))


def _understood(raw: msgspec.Raw, sender: Sender) -> tuple[Event, Evidence | None]:
    _limit(raw, LARGEST)
    sent = _read(raw, HandsetEvent)
    fact = ACCEPTED.get(sent.type)
    if fact is None:
        raise EventTypeUnknown(f"There is no type '{sent.type}' among: {', '.join(sorted(ACCEPTED))}.")
    _limit(raw, fact.max_bytes)
    body = _read(sent.data, fact.body)
    subject = fact.subject_of(body)
    if subject != sent.subject:
        raise SubjectMismatch(f"By its data the subject is {subject}.", subject=subject)
    event = _recorded(sent, sender)
    if fact.examine is None:
        return event, None
    return event, fact.examine(body, event, msgspec.json.decode(sender.row.key, type=PublicKey))


def _limit(raw: msgspec.Raw, most: int) -> None:
    if len(bytes(raw)) > most:
        raise EventTooLarge(f"An event of this type has at most {most} bytes.", limit=most)


def _read(raw: msgspec.Raw, kind: type[KindT]) -> KindT:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EventMalformed(f"{error}.") from error


def _recorded(sent: HandsetEvent, sender: Sender) -> Event:
    handset, timing = sender.handset, rules.timing(sent, sender.clock, sender.received_at)
    return Event(
        specversion=sent.specversion,
        id=sent.id,
        source=sent.source,
        type=sent.type,
        subject=sent.subject,
        time=sent.time,
        data=sent.data,
        receivedat=sender.received_at,
        correctedtime=timing.corrected,
        timemethod=timing.method,
        flags=" ".join(timing.flags),
        actor=handset.actor,
        place=f"depot/{handset.depot}",
        device=handset.device,
        generation=handset.generation,
        sequence=sent.sequence,
        snapshot=sent.snapshot,
        correlationid=sent.correlationid or sent.id,
        quarantined=sender.quarantined,
    )
