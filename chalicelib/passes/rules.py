"""When a pass is given, and for how long: no I/O."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from chalicelib.core.clock import PARIS
from chalicelib.passes.schemas import Held
from chalicelib.people.schemas import Duty

MAX_LIFE: Final = timedelta(hours=12)
MAX_LIFE_UNATTESTED: Final = timedelta(hours=8)
"""Of a pass whose holder's key may be copied, for all we know."""
HELP_LIFE: Final = timedelta(hours=1)
BEFORE_THE_SHIFT: Final = timedelta(minutes=30)
AFTER_THE_SHIFT: Final = timedelta(hours=1)
"""Rounds last longer than the roster says."""
SKEW: Final = timedelta(seconds=120)
"""By which readers' clocks may be off: for so long they take a pass that has expired."""
MARKS_REMEMBERED: Final = timedelta(hours=48)
"""How long a reader may go by a list after which it heard of no other: for so long nobody gets a place that was marked.
"""

WEEK: Final = timedelta(days=7)
_A_MONDAY: Final = datetime(2026, 1, 5, tzinfo=UTC)


def window(duty: Duty, now: datetime, *, attested: bool) -> tuple[datetime, datetime] | None:
    """From when until when a pass for a duty is valid, in whole seconds; None if the shift is over."""
    begins, ends = _at(duty.day, duty.starts) - BEFORE_THE_SHIFT, _at(duty.day, duty.ends) + AFTER_THE_SHIFT
    not_before = max(begins, now).replace(microsecond=0)
    expires = min(ends, not_before + (MAX_LIFE if attested else MAX_LIFE_UNATTESTED))
    return (not_before, expires) if expires > now else None


def fits(held: Held, duty: Duty | None) -> bool:
    """Whether a pass is for that duty still: the same round, and not beyond its end."""
    if duty is None or (held.depot, held.route, held.day) != (duty.depot, duty.route, duty.day):
        return False
    return held.expires_at <= _at(duty.day, duty.ends) + AFTER_THE_SHIFT


def is_over(held: Held, now: datetime) -> bool:
    """Whether no reader takes it any more."""
    return now >= over_at(held)


def over_at(held: Held) -> datetime:
    """From when on no reader takes it, whatever its clock says."""
    return held.expires_at + SKEW


def week_of(moment: datetime) -> tuple[datetime, datetime]:
    """The week, from Monday to Monday (UTC), in which a moment lies: the window of an issuing key."""
    monday = _A_MONDAY + (moment - _A_MONDAY) // WEEK * WEEK
    return monday, monday + WEEK


def _at(day: date, hour: str) -> datetime:
    """An hour of the roster, which is Paris time."""
    return datetime.combine(day, time.fromisoformat(hour), PARIS).astimezone(UTC)
