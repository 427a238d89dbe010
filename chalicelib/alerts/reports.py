"""After an alert: what happened when, and how fast the centre was (BS 8484)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from chalicelib.alerts.schemas import Alert, Flag, Happened, Purpose, Reason, State
from chalicelib.core.schemas import Schema

TARGETS: Final = ((10, 80.0), (40, 98.5))
"""BS 8484: within so many seconds so many per cent of a rolling year's alarms are taken."""
FLOOR: Final = ((30, 80.0), (60, 98.5))
"""What a centre must not fall below (EN 50518, hold-up alarms)."""
FEBRUARY_29: Final = (2, 29)
_MILLISECOND = timedelta(milliseconds=1)


class Told(NamedTuple):
    """An event of an alert, as far as a report needs it: `what` is the last part of its type, `at` when we had it."""

    what: str
    at: datetime
    by: str
    body: Happened


def in_order(events: Iterable[Told]) -> list[Told]:
    """Events in the order in which they happened."""
    return sorted(events, key=lambda event: event.body.number)


# --- of one alert -------------------------------------------------------------------------------------------


class TimelineEntry(Schema, frozen=True):
    """A line of the timeline. Delays are in milliseconds: since the alert was received, and since the line before."""

    number: int
    what: str
    at: datetime
    by: str
    state: State
    epoch: int
    step: int
    since_reception_ms: int
    since_previous_ms: int
    flags: tuple[Flag, ...] = ()
    reached: tuple[str, ...] = ()
    reason: str = ""
    other: str = ""


class AlertDelays(Schema, frozen=True):
    """How long it took from reception until each stage was reached first, in milliseconds; null: it never was.

    `alarmed_ms` is when the carrier could not cancel it alone any more: from there the seconds of BS 8484 are counted.
    """

    alarmed_ms: int | None = None
    feed_ms: int | None = None
    notified_ms: int | None = None
    seen_ms: int | None = None
    acked_ms: int | None = None
    responding_ms: int | None = None
    closed_ms: int | None = None


class AlertReport(Schema, frozen=True):
    """What happened to an alert, in the order in which it happened."""

    alert: str
    zone: str
    purpose: Purpose
    state: State
    received_at: datetime
    reason: Reason | None
    delays: AlertDelays
    timeline: tuple[TimelineEntry, ...]


def of_alert(alert: Alert, events: Iterable[Told]) -> AlertReport:
    """The report of an alert from its events, in whatever order they come."""
    told = in_order(events)
    befores = [alert.received_at, *(event.at for event in told)]
    return AlertReport(
        alert=alert.id,
        zone=alert.zone,
        purpose=alert.purpose,
        state=alert.state,
        received_at=alert.received_at,
        reason=alert.reason,
        delays=_delays(alert, told),
        timeline=tuple(_entry(event, alert.received_at, before) for event, before in zip(told, befores, strict=False)),
    )


def _delays(alert: Alert, told: Sequence[Told]) -> AlertDelays:
    def since(moment: datetime | None) -> int | None:
        return None if moment is None else _ms(alert.received_at, moment)

    return AlertDelays(
        alarmed_ms=since(alert.alarmed_at),
        feed_ms=since(alert.told_at),
        notified_ms=since(next((event.at for event in told if event.what == "notified"), None)),
        seen_ms=since(alert.seen_at),
        acked_ms=since(alert.acked_at),
        responding_ms=since(alert.responding_at),
        closed_ms=since(alert.closed_at),
    )


def _entry(event: Told, received_at: datetime, before: datetime) -> TimelineEntry:
    body = event.body
    return TimelineEntry(
        number=body.number,
        what=event.what,
        at=event.at,
        by=event.by,
        state=body.state,
        epoch=body.epoch,
        step=body.step,
        since_reception_ms=_ms(received_at, event.at),
        since_previous_ms=_ms(before, event.at),
        flags=body.flags,
        reached=body.with_,
        reason=body.reason,
        other=body.other,
    )


def _ms(start: datetime, end: datetime) -> int:
    return round((end - start) / _MILLISECOND)


# --- of a centre --------------------------------------------------------------------------------------------


class Row(Schema, frozen=True):
    """Of an alert what counts for a centre that had it: after how many seconds somebody of it took it, null if nobody.

    They are counted from the alarm, or from when another centre handed it over. `reason` is null if this one did.
    """

    raised_at: datetime
    zone: str
    ack_seconds: float | None
    purpose: Purpose
    reason: Reason | None


class CentreShare(Schema, frozen=True):
    """How many of the alarms were taken within so many seconds, in per cent; null if there were none."""

    seconds: int
    per_cent: float | None
    wanted: float
    reached: bool | None


class CentreFigures(Schema, frozen=True):
    """How fast alarms were taken. An alarm that nobody took counts, as one that is still waited for.

    The median and the 98.5th percentile are waiting times that occurred (nearest rank); null if there were no alarms,
    or if nobody took that one. `withdrawn` are those that their carriers cancelled before they became alarms; they are
    in no other figure. `reasons` counts why alarms were closed.
    """

    alarms: int
    taken: int
    withdrawn: int
    targets: tuple[CentreShare, ...]
    floor: tuple[CentreShare, ...]
    median_seconds: float | None
    percentile_98_5_seconds: float | None
    reasons: dict[Reason, int]


class CentreReport(Schema, frozen=True):
    """A centre's figures over twelve months up to `until`: what was meant, and exercises apart from it."""

    zone: str
    since: datetime
    until: datetime
    actual: CentreFigures
    exercises: CentreFigures
    self_tests: int


def row_of(alert: Alert, until: datetime) -> Row:
    """What counts of an alert for its zone, until which it was that one's.

    Who closes or hands over one that nobody had taken takes it by that.
    """
    begun = alert.handed_at or alert.alarmed_at
    return Row(
        raised_at=alert.received_at,
        zone=alert.zone,
        ack_seconds=((alert.zone_acked_at or until) - begun).total_seconds() if begun else None,
        purpose=alert.purpose,
        reason=alert.reason,
    )


def of_centre(zone: str, rows: Iterable[Row], until: datetime) -> CentreReport:
    """The report of a centre over the twelve months before `until`, which is the first moment that is not in it."""
    since = _year_before(until)
    counted = [row for row in rows if row.zone == zone and since <= row.raised_at < until]
    meant = {purpose: [row for row in counted if row.purpose is purpose] for purpose in Purpose}
    return CentreReport(
        zone=zone,
        since=since,
        until=until,
        actual=_figures(meant[Purpose.ACTUAL]),
        exercises=_figures(meant[Purpose.EXERCISE]),
        self_tests=len(meant[Purpose.SELF_TEST]),
    )


def _figures(rows: Sequence[Row]) -> CentreFigures:
    alarms = [row for row in rows if not _withdrawn(row)]
    waits = sorted(math.inf if row.ack_seconds is None else row.ack_seconds for row in alarms)
    return CentreFigures(
        alarms=len(alarms),
        taken=sum(wait < math.inf for wait in waits),
        withdrawn=len(rows) - len(alarms),
        targets=tuple(_share(waits, seconds, wanted) for seconds, wanted in TARGETS),
        floor=tuple(_share(waits, seconds, wanted) for seconds, wanted in FLOOR),
        median_seconds=_nearest_rank(waits, 50),
        percentile_98_5_seconds=_nearest_rank(waits, 98.5),
        reasons=dict(sorted(Counter(row.reason for row in alarms if row.reason).items())),
    )


def _withdrawn(row: Row) -> bool:
    return row.ack_seconds is None and row.reason is Reason.CANCELLED


def _share(waits: Sequence[float], seconds: int, wanted: float) -> CentreShare:
    if not waits:
        return CentreShare(seconds=seconds, per_cent=None, wanted=wanted, reached=None)
    per_cent = 100 * sum(wait <= seconds for wait in waits) / len(waits)
    return CentreShare(seconds=seconds, per_cent=round(per_cent, 2), wanted=wanted, reached=per_cent >= wanted)


def _nearest_rank(waits: Sequence[float], per_cent: float) -> float | None:
    """The smallest wait that so many per cent do not exceed."""
    if not waits:
        return None
    wait = waits[math.ceil(len(waits) * per_cent / 100) - 1]
    return None if wait == math.inf else wait


def _year_before(moment: datetime) -> datetime:
    """The same day of the year before; 28 February for 29 February."""
    day = 28 if (moment.month, moment.day) == FEBRUARY_29 else moment.day
    return moment.replace(year=moment.year - 1, day=day)
