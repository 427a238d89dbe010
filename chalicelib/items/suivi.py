"""An item's history in the shape of La Poste's tracking API, Suivi v2, so that its clients can read ours.

Source: the OpenAPI description of Suivi v2 (`GET /idships/{idship}`). Codes, steps and sentences are tables. Only
codes that La Poste uses are given out; a fact without one is not shown. What is shown does not depend on the
order in which events are listed: they are sorted here, and the step reached is that of the item's status.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from chalicelib.core.clock import PARIS
from chalicelib.core.schemas import Schema
from chalicelib.items.event_types import ANNOUNCED, DELIVERED, DISCRIMINATOR, HANDED_OVER, HELD, RETURNED
from chalicelib.items.identifiers import Identifier, IdentifierRefused, Kind, S10Details, parse
from chalicelib.items.schemas import EVENT_TYPES, HeldAt, HistoryEntry, ItemHistory, Recipient, Status
from chalicelib.items.suivi_codes import (
    CODES,
    DELIVERED_BACK,
    ENGLISH,
    FRENCH,
    HELD_UNTIL,
    HOLDER_OF_KIND,
    HOLDER_OF_S10,
    MESSAGES,
    PRODUCT_OF_HOLDER,
    REMOVAL_POINT_TYPES,
    ROWS,
    STEP_LABELS,
    STEP_OF_STATUS,
    Code,
    Holder,
    Label,
    Outcome,
    Row,
)

MAX_ITEMS: Final = 10
"""How many items one request of Suivi v2 may ask for."""

TRACKING_URL: Final = "https://www.laposte.fr/outils/suivre-vos-envois?code="


# --- the answer -----------------------------------------------------------------------------------------


class TimelineItem(Schema, frozen=True, rename="camel", omit_defaults=True):
    """One of the five steps. `status`: reached or not; `type`: 1 well, 0 with a hazard, -1 failed."""

    id: int
    short_label: str
    long_label: str
    country: str
    status: bool
    type: int
    date: str | UnsetType = UNSET


class Event(Schema, frozen=True):
    """One event; `order` is 100 for the newest and decreases."""

    code: str
    label: str
    date: str
    order: int


class DeliveryChoice(Schema, frozen=True, rename="camel"):
    """0: no service to choose; 1: possible; 2: chosen."""

    delivery_choice: int


class RemovalPoint(Schema, frozen=True):
    """Where the item can be collected. `type`: BDP post office, A2P pickup merchant."""

    name: str
    type: str


class ContextData(Schema, frozen=True, rename="camel", omit_defaults=True):
    """What surrounds the item. Countries are ISO 3166-1 alpha-2, left out where they are not known."""

    delivery_choice: DeliveryChoice
    removal_point: RemovalPoint | UnsetType = UNSET
    origin_country: str | UnsetType = UNSET
    arrival_country: str | UnsetType = UNSET


class Shipment(Schema, frozen=True, rename="camel"):
    """The item. Dates are ISO 8601 with the offset of Paris. `delivery_date` is given for a delivery to the
    addressee only; `is_final` also for an item that goes back to its sender."""

    id_ship: str
    holder: int
    product: str
    is_final: bool
    entry_date: str
    url: str
    timeline: tuple[TimelineItem, ...]
    event: tuple[Event, ...]
    context_data: ContextData
    delivery_date: str | UnsetType = UNSET


class SuiviAnswer(Schema, frozen=True, rename="camel"):
    """The answer for one item. `return_code` 200 has a shipment; 400 (no item's number) and 404 (nothing known)
    have a message and the number as it was asked."""

    lang: str
    return_code: int
    scope: str = "open"
    return_message: str | UnsetType = UNSET
    id_ship: str | UnsetType = UNSET
    shipment: Shipment | UnsetType = UNSET


# --- rendering ------------------------------------------------------------------------------------------


class _Facts(msgspec.Struct):
    """What the tables need to know of an event's body, whatever else it holds; defaults as in the body."""

    step: str = ""
    recipient: str = Recipient.ADDRESSEE
    cause: str = ""
    place: str = ""
    until: str | None = None


class _Shown(NamedTuple):
    """An event that a customer sees."""

    entry: HistoryEntry
    code: Code
    label: Label
    facts: _Facts


def _paris(moment: datetime) -> str:
    return moment.astimezone(PARIS).isoformat(timespec="seconds")


def _in_time(history: ItemHistory) -> list[HistoryEntry]:
    """The items' own events that stand, oldest first, whatever order they are listed in."""
    standing = (entry for entry in history.events if entry.voided_by is None and entry.type in EVENT_TYPES)
    return sorted(standing, key=lambda entry: (entry.at, entry.id))


def _row_of(entry: HistoryEntry, facts: _Facts, earlier: Sequence[_Shown]) -> Row | None:
    """The row of an event, given what happened before it; `None` for what is not shown.

    A delivery that follows a return is one to the sender. An announcement is news only while nothing is.
    """
    if entry.type in _DELIVERIES and any(one.entry.type == RETURNED for one in earlier):
        return DELIVERED_BACK
    if entry.type == ANNOUNCED and earlier:
        return None
    value = getattr(facts, DISCRIMINATOR[entry.type]) if entry.type in DISCRIMINATOR else ""
    row = ROWS.get((entry.type, value))
    return row if row and row.code else None


_DELIVERIES: Final = frozenset({DELIVERED, HANDED_OVER})
_FINAL_TYPES: Final = _DELIVERIES | {RETURNED}


def _shown(history: ItemHistory) -> tuple[_Shown, ...]:
    """What a customer sees, oldest first. What contradicts a final event is for staff to settle and is hidden,
    unless it is final itself, because then the status follows it."""
    shown: list[_Shown] = []
    for entry in _in_time(history):
        if entry.id in history.contradictions and entry.type not in _FINAL_TYPES:
            continue
        facts = msgspec.json.decode(entry.data, type=_Facts)
        row = _row_of(entry, facts, shown)
        if row:
            shown.append(_Shown(entry, CODES[row.code], row.label, facts))
    return tuple(shown)


def _label(shown: _Shown, lang: str) -> str:
    text = shown.label.in_language(lang)
    if shown.entry.type != HELD or not shown.facts.until:
        return text
    day = "/".join(reversed(shown.facts.until.split("-")))
    return text + HELD_UNTIL.in_language(lang).format(day=day)


def _events(shown: Sequence[_Shown], lang: str) -> tuple[Event, ...]:
    return tuple(
        Event(code=one.code.code, label=_label(one, lang), date=_paris(one.entry.at), order=100 - rank)
        for rank, one in enumerate(reversed(shown))
    )


def _timeline(shown: Sequence[_Shown], status: Status, lang: str) -> tuple[TimelineItem, ...]:
    latest = {one.code.step: one for one in shown}
    reached = STEP_OF_STATUS[status]
    return tuple(
        _timeline_item(step, label, latest.get(step) if step <= reached else None, step <= reached, lang)
        for step, label in enumerate(STEP_LABELS, start=1)
    )


def _timeline_item(step: int, label: Label, latest: _Shown | None, reached: bool, lang: str) -> TimelineItem:
    """One step. Its events are our carriers' own, hence in France."""
    return TimelineItem(
        id=step,
        short_label=label.in_language(lang),
        long_label=_label(latest, lang) if latest else "",
        country="FR" if latest else "",
        status=reached,
        type=int(latest.code.outcome if latest else Outcome.OK),
        date=_paris(latest.entry.at) if latest else UNSET,
    )


def _entry_date(shown: Sequence[_Shown]) -> str:
    """When the item came into the network: the first event that is not the announcement; for an item that is only
    announced, the announcement, because clients expect the field."""
    inside = [one for one in shown if one.code.step > 1]
    return _paris((inside or shown)[0].entry.at)


def _delivery_date(shown: Sequence[_Shown]) -> str | UnsetType:
    """When the addressee got the item, if that is how it ended."""
    final = [one for one in shown if one.entry.type in _FINAL_TYPES]
    return _paris(final[-1].entry.at) if final and final[-1].code.code == "DI1" else UNSET


def _removal_point(shown: Sequence[_Shown], status: Status) -> RemovalPoint | UnsetType:
    """The office where the item waits. The depot that recorded it is not that office, and no name for the public."""
    held = [one for one in shown if one.entry.type == HELD]
    if status is not Status.HELD or not held or not held[-1].entry.place or held[-1].entry.place.startswith("depot/"):
        return UNSET
    return RemovalPoint(name=held[-1].entry.place, type=REMOVAL_POINT_TYPES[HeldAt(held[-1].facts.place)])


def _context(history: ItemHistory, shown: Sequence[_Shown], identifier: Identifier | None) -> ContextData:
    details = identifier.details if identifier else None
    origin = details.country if isinstance(details, S10Details) else "FR"
    return ContextData(
        delivery_choice=DeliveryChoice(delivery_choice=0),
        removal_point=_removal_point(shown, history.status),
        origin_country=origin,
        arrival_country=history.addressee.country if history.addressee else UNSET,
    )


def holder_of(identifier: Identifier) -> Holder:
    """Which part of La Poste answers for an item of this kind."""
    details = identifier.details
    if isinstance(details, S10Details) and details.country == "FR":
        by_letters = HOLDER_OF_S10.get(details.service) or HOLDER_OF_S10.get(details.service[:1])
        return by_letters or HOLDER_OF_KIND[Kind.S10]
    return HOLDER_OF_KIND[identifier.kind]


def _shipment(history: ItemHistory, shown: Sequence[_Shown], identifier: Identifier | None, lang: str) -> Shipment:
    holder = holder_of(identifier) if identifier else Holder.NATIONAL_MAIL
    return Shipment(
        id_ship=history.item,
        holder=int(holder),
        product=PRODUCT_OF_HOLDER[holder],
        is_final=history.final,
        entry_date=_entry_date(shown),
        url=TRACKING_URL + history.item,
        timeline=_timeline(shown, history.status, lang),
        event=_events(shown, lang),
        context_data=_context(history, shown, identifier),
        delivery_date=_delivery_date(shown),
    )


MAX_ECHO: Final = 64
"""How much of what was asked is said again in an answer that refuses it."""


def _nothing(code: int, item: str, lang: str) -> SuiviAnswer:
    return SuiviAnswer(
        lang=lang,
        return_code=code,
        return_message=MESSAGES[code].in_language(lang),
        id_ship=item[:MAX_ECHO],
    )


def _identified(item: str) -> Identifier | None:
    try:
        found = parse(item)
    except IdentifierRefused:
        return None
    return found if found.number else None


def render(history: ItemHistory | None, item: str, lang: str = FRENCH) -> SuiviAnswer:
    """The answer for one item: `item` is the number as it was asked, `history` what is known of it.

    `lang` is fr_FR or en_GB; the answer to any other language is French and says so. The HTTP status of an answer
    for one item is its `return_code`.
    """
    lang = lang if lang == ENGLISH else FRENCH
    identifier = _identified(item)
    if history is None:
        return _nothing(404 if identifier else 400, item, lang)
    shown = _shown(history)
    if not shown:
        return _nothing(404, item, lang)
    return SuiviAnswer(lang=lang, return_code=200, shipment=_shipment(history, shown, identifier, lang))


def render_many(asked: Sequence[tuple[str, ItemHistory | None]], lang: str = FRENCH) -> tuple[SuiviAnswer, ...]:
    """The answers for several items, in the order asked, each with its own code; the HTTP status is 207."""
    return tuple(render(history, item, lang) for item, history in asked)
