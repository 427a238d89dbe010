"""What an item's events mean: its status, whatever the order in which they came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from chalicelib.core.events import Event
from chalicelib.core.schemas import Schema, Sealed
from chalicelib.items.schemas import (
    EVENT_TYPES,
    Announced,
    Announcement,
    Corrected,
    HistoryEntry,
    ItemFact,
    ItemHistory,
    Scanned,
    Status,
    Step,
)

ADDRESSEE_KEPT_FOR = timedelta(days=400)
"""How long an addressee can be read after the announcement: a claim may come up to a year after posting."""

STATUS_OF_STEP = {
    Step.TAKEN_IN_CHARGE: Status.TAKEN_IN_CHARGE,
    Step.AT_DEPOT: Status.AT_DEPOT,
    Step.OUT_FOR_DELIVERY: Status.OUT_FOR_DELIVERY,
    Step.PRESENTED: Status.PRESENTED,
}
STATUS_OF_TYPE = {
    "facteo.item.delivered": Status.DELIVERED,
    "facteo.item.not-delivered": Status.NOT_DELIVERED,
    "facteo.item.held": Status.HELD,
    "facteo.item.returned": Status.RETURNED,
    "facteo.item.redirected": Status.REDIRECTED,
}
NATIONWIDE = "carrier-support"
"""The role that answers for every depot: it corrects and reads whatever its scope says."""

FINAL = frozenset({Status.DELIVERED, Status.RETURNED})

_DEPOT = "depot/"


def subject_of(item: str) -> str:
    """The journal's name for an item."""
    return f"item/{item}"


class Seal(Protocol):
    """What seals personal data under a subject's key."""

    def seal(self, plain: Schema) -> Sealed:
        """Ciphertext of the personal data."""


def sealed(announcement: Announcement, key: Seal) -> Announced:
    """The announcement as the journal keeps it: nobody reads the addressee without the item's key."""
    fields = {name: getattr(announcement, name) for name in announcement.__struct_fields__}
    return Announced(**{**fields, "addressee": key.seal(announcement.addressee)})


def fact_of(event: Event) -> ItemFact | None:
    """The body of an item's event, or None for an event that is none of the items' own."""
    kind = EVENT_TYPES.get(event.type)
    return event.body(kind) if kind else None  # type: ignore[return-value]


def in_order(events: Sequence[Event]) -> list[Event]:
    """The events by when they happened; those of the same moment by their ids."""
    return sorted(events, key=lambda event: (event.happened_at, event.id))


def standing(events: Sequence[Event]) -> list[Event]:
    """The events that no correction names, in order."""
    voided = _voided(events)
    return [event for event in in_order(events) if event.id not in voided]


def fold(item: str, events: Sequence[Event]) -> ItemHistory:
    """The item's history and status.

    A corrected event counts for nothing. Delivered and returned are final: what is said to have happened later is
    kept and shown as a contradiction, and only another final fact changes the status. An announcement counts only
    while nothing has happened.
    """
    ordered = in_order(events)
    voided = _voided(ordered)
    counting = standing(ordered)
    status, contradictions = _status(counting)
    return ItemHistory(
        item=item,
        status=status,
        final=status in FINAL,
        events=tuple(_entry(event, voided.get(event.id)) for event in ordered),
        contradictions=contradictions,
        announcement=_latest_announcement(counting),
    )


def depots_of(history: ItemHistory) -> list[str]:
    """The depots in whose hands the item has been, the latest first: those whose handsets recorded something of it.

    What staff said of it does not count: nobody gets hold of an item by claiming it.
    """
    told = [entry.place for entry in reversed(history.events) if entry.device_time and entry.place.startswith(_DEPOT)]
    places = dict.fromkeys(told)
    return [place.removeprefix(_DEPOT) for place in places]


def _voided(events: Sequence[Event]) -> dict[str, str]:
    """The ids of corrected events, each with the id of its correction."""
    return {fact.corrects: event.id for event in events if isinstance(fact := fact_of(event), Corrected)}


def _status(events: Sequence[Event]) -> tuple[Status, tuple[str, ...]]:
    status, contradictions = Status.UNKNOWN, []
    for event in events:
        said = _status_said_by(event)
        if said is None or (said is Status.ANNOUNCED and status is not Status.UNKNOWN):
            continue
        if status in FINAL:
            contradictions.append(event.id)
        if status not in FINAL or said in FINAL:
            status = said
    return status, tuple(contradictions)


def _status_said_by(event: Event) -> Status | None:
    fact = fact_of(event)
    if isinstance(fact, Announced):
        return Status.ANNOUNCED
    return STATUS_OF_STEP[fact.step] if isinstance(fact, Scanned) else STATUS_OF_TYPE.get(event.type)


def _latest_announcement(events: Sequence[Event]) -> Announced | None:
    announced = [fact for event in events if isinstance(fact := fact_of(event), Announced)]
    return announced[-1] if announced else None


def _entry(event: Event, voided_by: str | None) -> HistoryEntry:
    device_time: datetime | None = event.time if event.device else None
    return HistoryEntry(
        id=event.id,
        type=event.type,
        at=event.happened_at,
        device_time=device_time,
        received_at=event.receivedat,
        actor=event.actor,
        place=event.place,
        data=event.data,
        voided_by=voided_by,
        flags=tuple(event.flags.split()),
    )
