"""Walks along the journal by the time at which events were received: the sweeper's, and replays.

The sweeper finds what the relay missed and relays it. A replay gives one consumer everything again, or a new one
everything from the beginning; consumers tell repeats by the event's id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from chalicelib.connectors.relay import service
from chalicelib.connectors.relay.subscriptions import SUBSCRIPTIONS, is_relayed
from chalicelib.core import clock, journal, telemetry
from chalicelib.core.events import Event
from chalicelib.core.intake import in_chunks
from chalicelib.core.progress import ProgressRow
from chalicelib.core.queues import NotQueued

SWEEPER: Final = "sweeper"

PATIENCE: Final = timedelta(minutes=10)
"""What the relay has not taken by then is swept: longer than the index lags behind and a batch is tried again."""

FIRST_SWEEP: Final = timedelta(days=1)
"""How far the very first sweep looks back."""

STEP: Final = timedelta(minutes=5)
RUN_FOR: Final = timedelta(minutes=4)
"""A run begins no new step after that, and its function ends a minute later."""

CHUNK: Final = 100


class Replayed(msgspec.Struct, frozen=True):
    """A stretch of a replay: when the events were received, how many there are, and how many the consumer takes."""

    since: datetime
    until: datetime
    found: int
    sent: int


def sweep() -> None:
    """Relay what was received up to ten minutes ago and never relayed, and say how far behind the sweeper is."""
    end = clock.now() + RUN_FOR
    until = clock.now() - PATIENCE
    progress = ProgressRow.find(SWEEPER) or ProgressRow(SWEEPER, through=until - FIRST_SWEEP)
    for since, to in _steps(progress.through, until, STEP):
        if clock.now() >= end:
            break
        for chunk in in_chunks(journal.received(since, to), CHUNK):
            _relay_missed(service.missed(chunk))
        progress.through = to
        progress.save()
    telemetry.seconds("SweeperBehind", until - progress.through)


def replay(consumer: str, since: datetime, until: datetime, *, dry_run: bool = False) -> Iterator[Replayed]:
    """Give a consumer every event received in that time that it takes, hour by hour. Raises KeyError, NotQueued.

    Asked for the same again after it was interrupted, it goes on where it stopped. A dry run only counts.
    """
    if consumer not in SUBSCRIPTIONS:
        raise KeyError(consumer)
    progress = ProgressRow(f"replay/{consumer}", through=since, since=since, until=until)
    known = None if dry_run else ProgressRow.find(progress.name)
    if known is not None and (known.since, known.until) == (since, until):
        progress = known
    for start, end in _steps(progress.through, until, journal.HOUR):
        yield _replay(consumer, start, end, dry_run=dry_run)
        if not dry_run:
            progress.through = end
            progress.save()


def _replay(consumer: str, since: datetime, until: datetime, *, dry_run: bool) -> Replayed:
    found = sent = 0
    for chunk in in_chunks(journal.received(since, until), CHUNK):
        wanted = [event for event in chunk if is_relayed(consumer, event)]
        if not dry_run:
            service.send(consumer, wanted)
        found, sent = found + len(chunk), sent + len(wanted)
    return Replayed(since, until, found, sent)


def _relay_missed(missed: Sequence[Event]) -> None:
    """Relay them together; if that fails each alone, so that one that cannot be put holds back no other."""
    if not missed:
        return
    telemetry.logger.warning("events had not been relayed", extra={"event_ids": [event.id for event in missed]})
    telemetry.count("EventsSwept", len(missed))
    try:
        service.relay(missed)
    except NotQueued:
        for event in missed:
            _relay_alone(event)


def _relay_alone(event: Event) -> None:
    """Only what no queue will ever take is passed over; in an outage the sweeper stands still."""
    try:
        service.relay([event])
    except NotQueued as refusal:
        if not refusal.for_ever:
            raise
        telemetry.logger.exception("no queue takes this event", extra={"event_id": event.id})
        telemetry.count("EventsNotRelayable")


def _steps(since: datetime, until: datetime, step: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """The time from `since` to `until` in pieces."""
    while since < until:
        to = min(since + step, until)
        yield since, to
        since = to
