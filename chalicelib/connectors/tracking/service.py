"""From item events to lines that wait to be sent.

An event's line and its inbox row are written in one transaction: taken twice, in any order, by two workers at
once, it gives one line. An event may come before its item is announced, when nobody knows whose it is. It is left
alone then, and the announcement fetches it: it reads the item's journal and takes what has no inbox row yet. No
event falls between the two. One that found no announcement was in the journal before the announcement, which
therefore finds it there; one recorded later finds the announcement, for both are read with strong consistency.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from chalicelib.connectors.relay.subscriptions import is_relayed
from chalicelib.connectors.return_file import ENCODING, ReturnLine, render_file
from chalicelib.connectors.tracking import rules
from chalicelib.connectors.tracking.rules import Draft
from chalicelib.connectors.tracking.tables import DueRow, LineRow
from chalicelib.core import clock, ids, inbox, journal, settings, telemetry
from chalicelib.core.events import Event
from chalicelib.core.intake import in_chunks
from chalicelib.core.settings import Settings
from chalicelib.core.transaction import MAX_ITEMS, UnitOfWork, retried, transaction
from chalicelib.items import announced
from chalicelib.items.event_types import ANNOUNCED
from chalicelib.items.schemas import Announced

CONSUMER: Final = "tracking"

_ROWS_PER_LINE = 2
_LINES_PER_TRANSACTION = MAX_ITEMS // _ROWS_PER_LINE


def take(found: Sequence[Event]) -> None:
    """Write the lines of those events that have none yet, and mark their clients.

    For 100 events: two reads, two transactions, a write for each 25 clients, and a query for each announcement.
    Raises LookupError or msgspec.ValidationError if one of the events cannot be told in this format: then nothing
    of the batch is written.
    """
    given = {event.id: event for event in found}
    retried(lambda: _take(given))


def _take(given: Mapping[str, Event]) -> None:
    new = [given[event_id] for event_id in inbox.unseen(CONSUMER, given)]
    facts = announced.facts_of([rules.item_of(event) for event in given.values()])
    drafts = [*_drafts(new, facts), *_earlier_drafts(new, given, facts)]
    # An announcement's inbox row says that what came before it was fetched: it must not be written first.
    drafts.sort(key=lambda draft: draft.event.type == ANNOUNCED)
    for chunk in in_chunks(drafts, _LINES_PER_TRANSACTION):
        with transaction() as work:
            for draft in chunk:
                _write(work, draft)
    _mark_due({fact.client for fact in facts.values()} | {draft.client for draft in drafts})


def _drafts(found: Iterable[Event], facts: Mapping[str, Announced]) -> Iterator[Draft]:
    """What the events give. One whose code awaits confirmation stays out of the inbox: a replay brings it back."""
    stage = settings.load(Settings).stage
    for event in found:
        draft = rules.draft(event, facts.get(rules.item_of(event)), stage=stage)
        if draft is not None and draft.withheld:
            telemetry.count("LinesWithheld")
        elif draft is not None:
            yield draft


def _earlier_drafts(
    new: Iterable[Event], given: Mapping[str, Event], facts: Mapping[str, Announced]
) -> Iterator[Draft]:
    """What the events give that came before the announcement of their item, in the same life of its number.

    One that cannot be told is passed over: it has, or will get, a message of its own, which fails alone.
    """
    since = clock.now() - announced.SAME_LIFE
    subjects = dict.fromkeys(event.subject for event in new if event.type == ANNOUNCED)
    history = {
        event.id: event
        for subject in subjects
        for event in journal.read(subject)
        if event.receivedat > since and event.id not in given and is_relayed(CONSUMER, event)
    }
    for event_id in inbox.unseen(CONSUMER, history):
        try:
            yield from list(_drafts([history[event_id]], facts))
        except (LookupError, msgspec.ValidationError):
            telemetry.logger.warning("left to its own message", extra={"event_id": event_id})


def _write(work: UnitOfWork, draft: Draft) -> None:
    inbox.mark(work, CONSUMER, draft.event.id)
    if draft.line is None:
        return
    row = LineRow(
        pk=rules.line_partition(draft.client, draft.event.id),
        sk=rules.position_of(draft.event),
        text=_record(draft.line, draft.event),
        correlation_id=draft.event.correlationid,
    )
    work.put(row)


def _record(line: ReturnLine, event: Event) -> str:
    """The record with its end of line. What the format could not carry is counted and logged by field."""
    rendered = render_file([line])
    if rendered.substitutions:
        ranks = sorted({substitution.rank for substitution in rendered.substitutions})
        telemetry.count("CharactersReplaced", len(rendered.substitutions))
        telemetry.logger.info("characters replaced", extra={"event_id": event.id, "ranks": ranks})
    return rendered.content.decode(ENCODING)


def _mark_due(clients: set[str]) -> None:
    """Mark the clients after their lines are written, those of repeated events too: a worker may have died between.

    The marker's new value keeps a despatcher that saw no line a moment ago from deleting it.
    """
    with DueRow.batch_write() as batch:
        for client in sorted(clients):
            batch.save(DueRow(pk=rules.due_partition(client), sk=client, touched=ids.new()))
