"""What an item's events mean: its status, whatever the order in which they came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

from chalicelib.core.clock import PARIS
from chalicelib.core.events import Event
from chalicelib.core.schemas import Schema, Sealed
from chalicelib.items import terms
from chalicelib.items.event_types import DELIVERED, HANDED_OVER, HELD, NOT_DELIVERED, REDIRECTED, RETURNED
from chalicelib.items.schemas import (
    EVENT_TYPES,
    Announced,
    Announcement,
    Cause,
    Corrected,
    Held,
    HistoryEntry,
    Holding,
    HoldingState,
    ItemFact,
    ItemHistory,
    NotDelivered,
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
    DELIVERED: Status.DELIVERED,
    HANDED_OVER: Status.DELIVERED,
    NOT_DELIVERED: Status.NOT_DELIVERED,
    HELD: Status.HELD,
    RETURNED: Status.RETURNED,
    REDIRECTED: Status.REDIRECTED,
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
    """The events that no correction names and that are not held, in order."""
    voided = _voided(events)
    return [event for event in in_order(events) if event.id not in voided and not event.quarantined]


def fold(item: str, events: Sequence[Event], today: date | None = None) -> ItemHistory:
    """The item's history and status.

    A corrected event counts for nothing, nor does one that is held; both are shown. Delivered and returned are final:
    what is said to have happened later is kept and shown as a contradiction, and only another final fact changes the
    status. An announcement counts only while nothing has happened. Whether a held item is due for return is told only
    to whoever says which day it is.
    """
    ordered = in_order(events)
    voided = _voided(ordered)
    counting = standing(ordered)
    status, contradictions = _status(counting)
    announced = _latest_announcement(counting)
    agreed = [event for event in counting if event.id not in contradictions or STATUS_OF_TYPE.get(event.type) in FINAL]
    return ItemHistory(
        item=item,
        status=status,
        final=status in FINAL,
        events=tuple(_entry(event, voided.get(event.id)) for event in ordered),
        contradictions=contradictions,
        announcement=announced,
        holding=holding(agreed, terms.kind_of(item, announced), today),
    )


def holding(events: Sequence[Event], kind: terms.Kind, today: date | None) -> Holding | None:
    """How long an item of that kind is held, by its standing events in order; None if it never was (article 5).

    The days count from the first presentation in vain. A redirection ends the holding: what comes after it, at another
    address, is presented and held anew.
    """
    stays = _stays(events)
    held_at = [number for number, stay in enumerate(stays) if _held_in(stay)]
    if not held_at:
        return None
    stay = stays[held_at[-1]]
    presented_on = _presented_on(stay)
    last_day = terms.last_day(presented_on, terms.TERMS[kind, _held_in(stay)[-1].body(Held).place])
    return Holding(
        presented_on=presented_on,
        last_day=last_day,
        return_due_on=last_day + timedelta(days=1),
        state=_end_of(stay, went_on=stay is not stays[-1]) or _waiting(last_day, today),
    )


def depots_of(history: ItemHistory) -> list[str]:
    """The depots in whose hands the item has been, the latest first: those whose handsets recorded something of it.

    Neither what staff said of it counts nor what is held: nobody gets hold of an item by claiming it.
    """
    told = [entry.place for entry in reversed(history.events) if entry.device_time and not entry.quarantined]
    places = dict.fromkeys(place for place in told if place.startswith(_DEPOT))
    return [place.removeprefix(_DEPOT) for place in places]


def _stays(events: Sequence[Event]) -> list[list[Event]]:
    """The events at each address at which the item was to be delivered, the redirections between them left out."""
    stays: list[list[Event]] = [[]]
    for event in events:
        if event.type == REDIRECTED:
            stays.append([])
        else:
            stays[-1].append(event)
    return stays


def _held_in(stay: Sequence[Event]) -> list[Event]:
    return [event for event in stay if event.type == HELD]


def _presented_on(stay: Sequence[Event]) -> date:
    """The day of the first presentation in vain, or that on which the item was held if there was none before."""
    absences = [event for event in stay if _is_absence(event)]
    if absences and terms.LATER_PRESENTATION_RESTARTS:
        return _day_of(absences[-1])
    return _day_of(next(event for event in stay if event.type == HELD or event in absences))


def _is_absence(event: Event) -> bool:
    return event.type == NOT_DELIVERED and event.body(NotDelivered).cause is Cause.ABSENT


def _day_of(event: Event) -> date:
    return event.happened_at.astimezone(PARIS).date()


def _end_of(stay: Sequence[Event], *, went_on: bool) -> HoldingState | None:
    """How the holding ended. What was handed over after a return went to the sender."""
    said = {event.type for event in stay}
    if went_on:
        return HoldingState.REDIRECTED
    if RETURNED in said:
        return HoldingState.RETURNED
    return HoldingState.WITHDRAWN if said & {DELIVERED, HANDED_OVER} else None


def _waiting(last_day: date, today: date | None) -> HoldingState:
    return HoldingState.DUE_FOR_RETURN if today and today > last_day else HoldingState.HELD


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
        quarantined=event.quarantined,
    )
