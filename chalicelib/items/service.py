"""The use cases of items: announce, look up, correct, and say what a handset's scan means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from chalicelib.core import clock, events, ids, journal, keyring, table
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import ChangedMeanwhile, Conflict, NotFound, Problem
from chalicelib.core.facts import HandsetFact
from chalicelib.core.intake import Taken, in_chunks
from chalicelib.core.journal import EventIdRow
from chalicelib.core.schemas import Schema
from chalicelib.core.table import Place, Rows
from chalicelib.core.transaction import MAX_ITEMS, UnitOfWork, retried, transaction
from chalicelib.items import rules
from chalicelib.items.announced import SAME_LIFE
from chalicelib.items.event_types import CORRECTED
from chalicelib.items.schemas import (
    EVENT_TYPES,
    Addressee,
    Announced,
    Announcement,
    Corrected,
    HandedOver,
    ItemHistory,
    ItemNumber,
)
from chalicelib.items.tables import ItemRow
from chalicelib.people import lookup as people

if TYPE_CHECKING:  # workers have no calls
    from chalicelib.core.call import Call

_ROWS_PER_ANNOUNCEMENT = 4
_ANNOUNCEMENTS_PER_TRANSACTION = MAX_ITEMS // _ROWS_PER_ANNOUNCEMENT


class UnknownIdentifier(Problem):
    status = 422
    title = "The barcode is not the number of an item"


class _OfItem(msgspec.Struct, frozen=True):
    """Of a request, the item that it asks about."""

    item: ItemNumber | None = None


class Fresh(NamedTuple):
    """An announcement that is not known yet, and its fingerprint."""

    announcement: Announcement
    fingerprint: str


def announce(announcements: Sequence[Announcement], *, actor: str, correlation_id: str) -> list[Taken]:
    """Take announcements, each at most once whatever file it comes in; says for each what became of it.

    An announcement is the same when all its content is the same. A changed one of the same item is a new one.
    """
    taken: list[Taken] = []
    for chunk in in_chunks(announcements, _ANNOUNCEMENTS_PER_TRANSACTION):
        taken += retried(lambda chunk=chunk: _announce(chunk, actor, correlation_id))  # type: ignore[misc]
    return taken


def read(item: str) -> ItemHistory:
    """An item's history for staff, with what is held of it and without its addressee: one query. Raises NotFound."""
    found = journal.read_with_held(rules.subject_of(item))
    if not found:
        raise NotFound(f"Nothing is known of the item {item}.")
    return rules.fold(item, found, clock.today())


def with_addressee(history: ItemHistory) -> ItemHistory:
    """The history with its addressee, as long as that can still be read: one call."""
    if history.announcement is None:
        return history
    try:
        key = keyring.key_of(rules.subject_of(history.item))
        addressee = key.open(history.announcement.addressee, Addressee)
    except keyring.KeyGone:
        return history
    return msgspec.structs.replace(history, addressee=addressee)


def addressed(item: str, rows: Rows | None = None) -> tuple[Announced, Addressee | None] | None:
    """What was announced of an item and, as long as it can be read, to whom. None if nothing was.

    One call; none with the `rows` at the places that `asked_for` names, which were read before.
    """
    found = table.find_together(_places(item)) if rows is None else rows
    row = ItemRow.among(found, item)
    if row is None:
        return None
    announced = msgspec.json.decode(row.announced, type=Announced)
    with suppress(keyring.KeyGone):
        return announced, keyring.key_among(found, rules.subject_of(item)).open(announced.addressee, Addressee)
    return announced, None


def asked_for(call: Call, _: str) -> Sequence[Place]:
    """The rows that tell to whom the `item` of a request is addressed; none if it names none, or cannot be read."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        item = msgspec.json.decode(call.body, type=_OfItem).item
        return _places(item) if item else ()
    return ()


def correct(item: str, correction: Corrected, *, by: StaffMember, correlation_id: str) -> ItemHistory:
    """Say that one of the item's events did not happen. Saying it again, or twice at once, changes nothing more.

    A depot manager corrects what happened in their depots, carrier support anything. Raises NotFound if the item has
    no such event, AccessDenied, and Conflict for an event that is itself a correction.
    """
    return retried(lambda: _correct(item, correction, by, correlation_id))


def _correct(item: str, correction: Corrected, by: StaffMember, correlation_id: str) -> ItemHistory:
    subject = rules.subject_of(item)
    found = journal.read_with_held(subject)
    corrected = next((event for event in found if event.id == correction.corrects), None)
    if corrected is None:
        raise NotFound(f"The item {item} has no event {correction.corrects}.")
    if corrected.type == CORRECTED:
        raise Conflict("A correction is not corrected; send the event that did happen.")
    if rules.NATIONWIDE not in by.roles:
        people.require_depot(by, corrected.place.removeprefix("depot/"))
    history = rules.fold(item, found, clock.today())
    if any(entry.voided_by for entry in history.events if entry.id == correction.corrects):
        return history
    event = events.make(CORRECTED, subject, correction, actor=by.actor, correlation_id=correlation_id)
    with transaction() as work:
        work.claim(f"corrected/{corrected.id}", otherwise=ChangedMeanwhile("It was corrected at the same time."))
        work.append(event)
    return rules.fold(item, [*found, event], clock.today())


def scanned_subject(body: Schema) -> str:
    """The item whose barcode was read. Raises UnknownIdentifier."""
    from chalicelib.items import identifiers  # noqa: PLC0415 - only who takes handsets' words reads barcodes

    barcode = body.barcode  # type: ignore[attr-defined]
    try:
        found = identifiers.parse(barcode.raw, symbology=barcode.symbology)
    except identifiers.IdentifierRefused as refusal:
        raise UnknownIdentifier(refusal.reason, code=refusal.code) from refusal
    if found.number is None:
        raise UnknownIdentifier("This barcode does not name an item; scan the tracking barcode.", code="label-only")
    return rules.subject_of(found.number)


HANDSET_FACTS: Mapping[str, HandsetFact] = {
    event_type: HandsetFact(body=body, subject_of=scanned_subject)
    for event_type, body in EVENT_TYPES.items()
    if body not in (Announced, Corrected, HandedOver)
}
"""What a carrier's handset may say of an item in plain words. Announcements come from senders only."""


def _places(item: str) -> Sequence[Place]:
    return keyring.place_of(rules.subject_of(item)), (ItemRow, item)


def _announce(chunk: Sequence[Announcement], actor: str, correlation_id: str) -> list[Taken]:
    prints = [_fingerprint(announcement) for announcement in chunk]
    event_ids = [_event_id(announcement, told) for announcement, told in zip(chunk, prints, strict=True)]
    known = journal.lookup(event_ids)
    fresh = {
        event_id: Fresh(announcement, told)
        for event_id, announcement, told in zip(event_ids, chunk, prints, strict=True)
        if event_id not in known
    }
    if fresh:
        _write(fresh, actor, correlation_id)
    repeated = _repeated(known, correlation_id)
    taken = []
    for position, event_id in enumerate(event_ids):
        first = event_id not in event_ids[:position]
        again = Taken.REPEATED if event_id in repeated and first else Taken.DUPLICATE
        taken.append(Taken.RECORDED if event_id in fresh and first else again)
    return taken


def _write(fresh: Mapping[str, Fresh], actor: str, correlation_id: str) -> None:
    subjects = {new.announcement.item: rules.subject_of(new.announcement.item) for new in fresh.values()}
    held = keyring.keys_of(subjects.values())
    last_day = clock.today() + rules.ADDRESSEE_KEPT_FOR
    keys = {subject: key for subject, key in held.items() if key.last_day >= last_day - SAME_LIFE}
    rows = {row.id: row for row in ItemRow.find_many(list(subjects))}
    with transaction() as work:
        for subject in set(subjects.values()) - keys.keys():
            keys[subject] = keyring.create(work, subject, keep_until=last_day, instead_of=held.get(subject))
        made = []
        for event_id, new in fresh.items():
            subject = subjects[new.announcement.item]
            announced = rules.sealed(new.announcement, keys[subject])
            event = events.make(
                "facteo.item.announced",
                subject,
                announced,
                actor=actor,
                correlation_id=correlation_id,
                event_id=event_id,
            )
            work.append(event, content=new.fingerprint)
            made.append(event)
        latest = {event.subject: event for event in rules.in_order(made)}
        for item, subject in subjects.items():
            event = latest[subject]
            row = ItemRow(id=item, event=event.id, announced=bytes(event.data).decode())
            _replace(work, rows.get(item), row)


def _replace(work: UnitOfWork, former: ItemRow | None, row: ItemRow) -> None:
    unchanged = ItemRow.event == former.event if former else ItemRow.id.does_not_exist()
    work.put(row, when=unchanged, otherwise=ChangedMeanwhile("The item was announced again at the same time."))


def _repeated(known: Mapping[str, EventIdRow], correlation_id: str) -> set[str]:
    """Those of the known events that this very delivery recorded before."""
    recorded = journal.read_many([(row.subject, event_id) for event_id, row in known.items()])
    return {event.id for event in recorded if event.correlationid == correlation_id}


def _fingerprint(announcement: Announcement) -> str:
    """Under a key that dies: a plain hash would let anybody try names until one fits, for ever."""
    month = f"announcements/{announcement.handed_over_on:%Y-%m}"
    key = keyring.shared_key(month, keep_until=clock.today() + rules.ADDRESSEE_KEPT_FOR)
    return key.fingerprint(announcement)


def _event_id(announcement: Announcement, fingerprint: str) -> str:
    handed_over = datetime.combine(announcement.handed_over_on, time(), UTC)
    return ids.derived(handed_over, announcement.item, fingerprint)
