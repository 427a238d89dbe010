"""Where a reader hangs and whom its manager lets in: its line of the registry of buildings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

_PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True)
class Opening:
    """Hours of some weekdays: 1 is Monday. Minutes since midnight in Paris, from the first until before the second."""

    days: frozenset[int]
    opens: int
    closes: int

    def holds(self, at: datetime) -> bool:
        """Whether a moment of Paris lies in it."""
        return at.isoweekday() in self.days and self.opens <= at.hour * 60 + at.minute < self.closes


@dataclass(frozen=True)
class Place:
    """A reader's id (8 bytes), its sector, its building's secret (16 bytes), and the hours of each service."""

    reader: bytes
    sector: str
    building: bytes
    services: Mapping[int, tuple[Opening, ...]]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Place:
        """From the registry's JSON: ids in hex, `services` as `{"1": [{"days": "123456", "from": "06:00", …}]}`.

        Raises ValueError or KeyError if it is none.
        """
        reader, building = bytes.fromhex(told["reader"]), bytes.fromhex(told["building"])
        if (len(reader), len(building)) != (8, 16):
            raise ValueError("a reader has 8 bytes, a building 16")
        services = {int(number): tuple(map(_opening, hours)) for number, hours in told["services"].items()}
        return cls(reader, told["sector"], building, services)

    def admits(self, service: int, at: int) -> bool:
        """Whether a service may enter at a moment (seconds since 1970)."""
        local = datetime.fromtimestamp(at, _PARIS)
        return any(opening.holds(local) for opening in self.services[service])


def _opening(told: Mapping[str, str]) -> Opening:
    return Opening(frozenset(map(int, told["days"])), _minute(told["from"]), _minute(told["to"]))


def _minute(told: str) -> int:
    hours, minutes = told.split(":")
    return int(hours) * 60 + int(minutes)
