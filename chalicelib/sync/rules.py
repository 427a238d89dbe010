"""Pure decisions of sync: which numbers have been taken, and when an event happened."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec

from chalicelib.core.clock import PARIS
from chalicelib.sync.schemas import HandsetClock, HandsetEvent

WINDOW = 10_000
"""How far beyond the first hole a number may lie. It bounds what is kept of a device that leaves holes."""

SKEW_WORTH_A_FLAG = timedelta(minutes=5)

BEFORE_ALL_HANDSETS = datetime(2000, 1, 1, tzinfo=UTC)
"""What is reckoned to lie before it comes from a clock that was never set."""


class Progress(msgspec.Struct, frozen=True):
    """Which sequence numbers of a device have been taken: `1..through`, and the ranges in `beyond`."""

    through: int = 0
    beyond: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, through: int, beyond: str) -> Progress:
        """From the numbers of the access row: `beyond` is `7-9 12-12`."""
        pairs = (text.split("-") for text in beyond.split())
        return cls(through, tuple((int(first), int(last)) for first, last in pairs))

    @property
    def beyond_text(self) -> str:
        """`beyond` as the access row keeps it."""
        return " ".join(f"{first}-{last}" for first, last in self.beyond)

    def has(self, number: int) -> bool:
        """Whether this number has been taken."""
        return number <= self.through or any(first <= number <= last for first, last in self.beyond)

    def admits(self, number: int) -> bool:
        """Whether this number lies within the window."""
        return number <= self.through + WINDOW

    def taking(self, number: int) -> Progress:
        """The progress once this number is taken too."""
        if self.has(number):
            return self
        ranges = sorted([*self.beyond, (number, number)])
        joined = [ranges[0]]
        for first, last in ranges[1:]:
            if first == joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], last)
            else:
                joined.append((first, last))
        if joined[0][0] == self.through + 1:
            return Progress(joined[0][1], tuple(joined[1:]))
        return Progress(self.through, tuple(joined))


class Timing(msgspec.Struct, frozen=True):
    """When an event happened by our reckoning, how that was reckoned, and what a human should look at."""

    corrected: datetime
    method: str
    flags: tuple[str, ...] = ()


def timing(event: HandsetEvent, clock: HandsetClock, received_at: datetime) -> Timing:
    """When the event happened.

    Within the boot in which it is sent, the uptime counter says how long ago (`monotonic`): it does not jump.
    Otherwise the wall clock is moved by the error that it has now (`skew`). Where that leads nowhere, all that is
    known is when it was `received`. Nothing happened after it was received: such a time is clamped. A correction that
    changes the day in Paris is flagged, because presentation and delivery count in days.
    """
    reckoned, method = _reckoned(event, clock, received_at) or (received_at, "received")
    corrected = min(reckoned, received_at)
    flags = {
        "clamped": corrected != reckoned,
        "clock-off": abs(corrected - event.time) > SKEW_WORTH_A_FLAG,
        "clock-unusable": method == "received",
        "day-changed": _day(corrected) != _day(event.time),
    }
    return Timing(corrected, method, tuple(flag for flag, raised in flags.items() if raised))


def _reckoned(event: HandsetEvent, clock: HandsetClock, received_at: datetime) -> tuple[datetime, str] | None:
    """When it happened by the handset's clocks, and how that was reckoned; None where they lead nowhere."""
    try:
        if event.deviceboot == clock.boot and event.devicemonotonic <= clock.monotonic:
            ago = timedelta(milliseconds=clock.monotonic - event.devicemonotonic)
            reckoned, method = received_at - ago, "monotonic"
        else:
            reckoned, method = event.time + (received_at - clock.time), "skew"
    except OverflowError:
        return None
    return (reckoned, method) if reckoned >= BEFORE_ALL_HANDSETS else None


def _day(moment: datetime) -> date | None:
    """The day in Paris, if the calendar has it."""
    try:
        return moment.astimezone(PARIS).date()
    except OverflowError:
        return None
