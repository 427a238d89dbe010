"""Destroy the data keys whose last day is over, day after day, and say so in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from chalicelib.core import clock, events, keyring, telemetry
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.intake import in_chunks
from chalicelib.core.progress import ProgressRow
from chalicelib.core.transaction import MAX_ITEMS, transaction
from chalicelib.erasure.schemas import DayErased

ERASURE: Final = "erasure"
ACTOR: Final = "system/erasure"

FIRST_LOOK: Final = timedelta(days=31)
"""How far the very first run looks back."""

RUN_FOR: Final = timedelta(minutes=4)
"""A run begins nothing new after that, and its function ends a minute later."""

ONE_DAY: Final = timedelta(days=1)


def erase_due() -> None:
    """Destroy every data key whose last day is over. What a run cannot finish the next one does."""
    end = clock.now() + RUN_FOR
    today = clock.today()
    progress = ProgressRow.find(ERASURE) or ProgressRow(ERASURE, through=_moment(today - FIRST_LOOK))
    day = progress.through.astimezone(UTC).date()
    while day < today and _erase(day, end):
        day += ONE_DAY
        progress.through = _moment(day)
        _record(day - ONE_DAY, progress)
    telemetry.seconds("ErasureBehind", today - day)


def _erase(day: date, end: datetime) -> bool:
    """Whether every key of that day is destroyed: False if there was no time for it."""
    for chunk in in_chunks(keyring.ending_on(day), MAX_ITEMS):
        if clock.now() >= end:
            return False
        _destroy(chunk)
    return True


def _destroy(subjects: Sequence[str]) -> None:
    """All in one transaction; if one of them has a newer key by now, each alone."""
    try:
        with transaction() as work:
            for subject in subjects:
                keyring.destroy(work, subject)
    except ChangedMeanwhile:
        if len(subjects) > 1:
            for subject in subjects:
                _destroy([subject])
        return
    telemetry.count("KeysDestroyed", len(subjects))


def _record(day: date, progress: ProgressRow) -> None:
    event = events.make(
        "facteo.day.erased",
        f"erasure/{day.isoformat()}",
        DayErased(day=day),
        actor=ACTOR,
        correlation_id=f"erasure/{day.isoformat()}",
    )
    try:
        with transaction() as work:
            work.claim(event.subject, otherwise=ChangedMeanwhile("Another run has recorded it."))
            work.put(progress)
            work.append(event)
    except ChangedMeanwhile:
        """Another run has recorded it, and has come at least as far."""


def _moment(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
