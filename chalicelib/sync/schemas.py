"""The bodies of `POST /v1/events`, and of what the journal keeps of a refused event."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import END, Schema, Sealed

MAX_EVENTS = 100

Moment = Annotated[datetime, Meta(tz=True)]
EventId = Annotated[str, Meta(pattern=UUID7_PATTERN)]
Sequence = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Boot = Annotated[str, Meta(min_length=1, max_length=64)]


class HandsetClock(Schema, frozen=True):
    """What the handset's clocks say at the moment of sending: wall clock, and milliseconds since a named boot."""

    time: Moment
    monotonic: Milliseconds
    boot: Boot


class Batch(Schema, frozen=True):
    """Up to 100 CloudEvents and the clock by which their times are understood. One bad event harms no other."""

    clock: HandsetClock
    events: Annotated[tuple[msgspec.Raw, ...], Meta(min_length=1, max_length=MAX_EVENTS)]


class Address(msgspec.Struct, frozen=True):
    """The least that an event must show: the id and the number by which it is answered and acknowledged.

    `source`, if it is there, says whose sequence the number belongs to, `type` what it would be.
    """

    id: EventId
    sequence: Sequence
    source: Any = None
    type: Any = None


class HandsetEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent (1.0, JSON format) as a handset makes it. Attributes that we do not know are ignored.

    `source` is `/handsets/<device>/<generation>`, `sequence` counts the events of that enrolment from 1 without a
    gap, `snapshot` is the number of the round bundle that the carrier worked with (0: none).
    """

    specversion: Literal["1.0"]
    id: EventId
    source: str
    type: Annotated[str, Meta(max_length=100)]
    subject: Annotated[str, Meta(max_length=200)]
    time: Moment
    data: msgspec.Raw
    sequence: Sequence
    devicemonotonic: Milliseconds
    deviceboot: Boot
    datacontenttype: Literal["application/json"] = "application/json"
    snapshot: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0
    correlationid: Annotated[str, Meta(pattern="^[A-Za-z0-9._:/-]{0,64}" + END)] = ""


class Result(enum.StrEnum):
    """What became of an event. A refused one is final; a postponed one was not taken and is sent again later."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    POSTPONED = "postponed"


class EventResult(Schema, frozen=True):
    """The result for one event, in its place in the batch. `problem` says why it was refused or postponed."""

    id: str | None
    sequence: int | None
    result: Result
    problem: dict[str, Any] | None = None


class SyncAnswer(Schema, frozen=True):
    """Every event up to `acknowledged_through` has been taken: the handset may delete them."""

    results: tuple[EventResult, ...]
    acknowledged_through: int
    received_at: datetime


class RefusedEvent(Schema, frozen=True):
    """`facteo.device.event-refused`: what was refused and as what problem.

    What was sent is sealed, with the words of the reason: either may hold personal data.
    """

    event_id: str
    sequence: int
    problem: str
    sent: Sealed


class SentEvent(Schema, frozen=True):
    """A refused event as it was sent, and why it was refused in words."""

    detail: str
    text: str
