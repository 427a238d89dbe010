"""Walks along the journal by the time at which events were received: the sweeper's, and replays.

The sweeper finds what the relay missed and relays it. A replay gives one consumer everything again, or a new one
everything from the beginning; consumers tell repeats by the event's id. Both meet what was released where its marker
stands: that is when it began to count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from chalicelib.connectors.relay import service
from chalicelib.connectors.relay.subscriptions import SUBSCRIPTIONS, is_relayed
from chalicelib.core import clock, inbox, journal, telemetry
from chalicelib.core.events import Event
from chalicelib.core.intake import in_chunks
from chalicelib.core.progress import ProgressRow

SWEEPER: Final = "sweeper"

PATIENCE: Final = timedelta(minutes=10)
"""What the relay has not taken by then is swept: longer than the index lags behind and a batch is tried again."""

FIRST_SWEEP: Final = timedelta(days=1)
"""How far the very first sweep looks back."""

STEP: Final = timedelta(minutes=5)
RUN_FOR: Final = timedelta(minutes=4)
"""A run begins no new step after that, and its function ends a minute later."""

CHUNK: Final = 100

REMEMBERING: Final = frozenset({"judging", "tracking"})
"""Consumers that tell repeats by their inbox; the others work out the same again, however old an event is.

A new consumer with an inbox is filled from the beginning first, and then added.
"""

REMEMBERED_FOR: Final = inbox.KEPT_FOR - timedelta(days=14)
"""How far back such a consumer surely knows repeats: what is sent to it may wait for 14 days, dead letters included."""


class NotReplayable(Exception):  # noqa: N818 - reads as the fact it is
    """A replay of that time would send too little or too much; the message says why."""


class Replayed(msgspec.Struct, frozen=True):
    """A stretch of a replay: when the events were received, how many there are, and how many the consumer was sent."""

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
    """Give a consumer every event received in that time that it takes, hour by hour.

    Asked for the same again after it was interrupted, it goes on where it stopped; after it came to its end, it begins
    anew. A dry run only counts what a run would do. Raises KeyError, NotReplayable, NotQueued.
    """
    if consumer not in SUBSCRIPTIONS:
        raise KeyError(consumer)
    _check(consumer, since, until)
    progress = _begun(f"replay/{consumer}", since, until)
    for start, end in _steps(progress.through, until, journal.HOUR):
        yield _replay(consumer, start, end, dry_run=dry_run)
        if not dry_run:
            progress.through = end
            progress.save()
    if not dry_run:
        progress.delete()


def _check(consumer: str, since: datetime, until: datetime) -> None:
    last = clock.now() - PATIENCE
    if until > last:
        raise NotReplayable(
            f"The end is later than {last:%Y-%m-%d %H:%M} UTC: what is younger than {PATIENCE.seconds // 60} minutes "
            "may still be on its way, and what is received later would be missed."
        )
    if since >= until:
        raise NotReplayable("The end is not after the beginning.")
    first = clock.now() - REMEMBERED_FOR
    if consumer in REMEMBERING and since < first:
        raise NotReplayable(
            f"The beginning is earlier than {first:%Y-%m-%d %H:%M} UTC: {consumer} knows for {REMEMBERED_FOR.days} "
            "days what it has dealt with, and would do again what is older."
        )


def _begun(name: str, since: datetime, until: datetime) -> ProgressRow:
    """How far a replay has come that was asked for the same and interrupted, or one that begins."""
    known = ProgressRow.find(name)
    if known is not None and (known.since, known.until) == (since, until) and known.through < until:
        return known
    return ProgressRow(name, through=since, since=since, until=until)


def _replay(consumer: str, since: datetime, until: datetime, *, dry_run: bool) -> Replayed:
    found = sent = 0
    for chunk in in_chunks(journal.received(since, until), CHUNK):
        wanted = [event for event in (*chunk, *journal.released_by(chunk)) if is_relayed(consumer, event)]
        found += len(chunk)
        sent += len(wanted) if dry_run else service.send(consumer, wanted)
    return Replayed(since, until, found, sent)


def _relay_missed(missed: Sequence[Event]) -> None:
    if missed:
        telemetry.logger.warning("events had not been relayed", extra={"event_ids": [event.id for event in missed]})
        telemetry.count("EventsSwept", len(missed))
        service.relay([*missed, *journal.released_by(missed)])


def _steps(since: datetime, until: datetime, step: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """The time from `since` to `until` in pieces."""
    while since < until:
        to = min(since + step, until)
        yield since, to
        since = to
