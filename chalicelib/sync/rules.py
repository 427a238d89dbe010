"""Pure decisions of sync: which numbers have been taken, and when an event happened."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from chalicelib.core.clock import PARIS
from chalicelib.sync.schemas import HandsetClock, HandsetEvent

WINDOW = 10_000
"""How far beyond the first hole a number may lie. It bounds what is kept of a device that leaves holes."""

SKEW_WORTH_A_FLAG = timedelta(minutes=5)


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
    Otherwise the wall clock is moved by the error that it has now (`skew`). Nothing happened after it was
    received: such a time is clamped. A correction that changes the day in Paris is flagged, because presentation and
    delivery count in days.
    """
    if event.deviceboot == clock.boot and event.devicemonotonic <= clock.monotonic:
        ago = timedelta(milliseconds=clock.monotonic - event.devicemonotonic)
        corrected, method = received_at - ago, "monotonic"
    else:
        corrected, method = event.time + (received_at - clock.time), "skew"
    clamped = corrected > received_at
    corrected = min(corrected, received_at)
    flags = {
        "clamped": clamped,
        "clock-off": abs(corrected - event.time) > SKEW_WORTH_A_FLAG,
        "day-changed": corrected.astimezone(PARIS).date() != event.time.astimezone(PARIS).date(),
    }
    return Timing(corrected, method, tuple(flag for flag, raised in flags.items() if raised))
