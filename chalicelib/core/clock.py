"""The time. Everything inside is UTC; business days and hours are those of Paris."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


def _wall() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _wall


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return _source()


def today() -> date:
    """The present business day: the date in Paris."""
    return now().astimezone(PARIS).date()


def pause(seconds: float) -> None:
    """Wait between two tries. With a clock of its own a test waits for nothing."""
    if _source is _wall:
        time.sleep(seconds)


@contextmanager
def using(source: Callable[[], datetime]) -> Iterator[None]:
    """Take the time from `source` instead of the machine, as tests and simulations do."""
    global _source  # noqa: PLW0603 - the one switch between the machine's clock and another
    previous, _source = _source, source
    try:
        yield
    finally:
        _source = previous


def stamp(moment: datetime) -> str:
    """A moment as a fixed-width UTC text whose order is the order of time: `2026-11-23T20:00:00.000000Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
