"""What the journal keeps of an erasure."""

from __future__ import annotations

from datetime import date

from chalicelib.core.schemas import Schema


class DayErased(Schema, frozen=True):
    """`facteo.day.erased`: every data key whose last day that was has been destroyed."""

    day: date
