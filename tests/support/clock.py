"""A clock that tests set and move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from chalicelib.core import clock

MONDAY_MORNING = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


class FakeClock:
    """Stands still until it is moved."""

    _running: ClassVar[list[FakeClock]] = []

    def __init__(self, at: datetime = MONDAY_MORNING) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **parts: float) -> datetime:
        """Move on by a timedelta's parts: `advance(minutes=5)`."""
        self.at += timedelta(**parts)
        return self.at

    @contextmanager
    def running(self) -> Iterator[FakeClock]:
        self._running.append(self)
        try:
            with clock.using(self):
                yield self
        finally:
            self._running.remove(self)

    @classmethod
    def current(cls) -> FakeClock:
        """The one that runs."""
        return cls._running[-1]
