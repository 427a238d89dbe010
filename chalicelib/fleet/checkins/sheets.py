"""A depot's devices as a sheet: CSV (RFC 4180), in UTF-8, with a header.

Spreadsheets calculate what begins like a formula: such a cell gets an apostrophe in front (CWE-1236).
"""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any, Final

import msgspec

from chalicelib.core.callers import StaffMember
from chalicelib.fleet.checkins import views
from chalicelib.fleet.checkins.schemas import SeenDevice

FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")

_COLUMNS: Final = tuple(field.name for field in msgspec.structs.fields(SeenDevice))


def of_depot(depot: str, *, by: StaffMember) -> str:
    """The sheet of a depot, of 1,000 devices at most. Raises AccessDenied."""
    known, looked = views.all_of(depot, by=by), views.looked_now()
    return sheet([views.shown(one, looked) for one in known])


def sheet(devices: list[SeenDevice]) -> str:
    """Devices as a sheet, a line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    writer.writerows([cell(getattr(device, name)) for name in _COLUMNS] for device in devices)
    return text.getvalue()


def cell(value: Any) -> str:
    """A value as the text of a cell."""
    text = _text(value)
    return f"'{text}" if text.startswith(FORMULAS) else text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    return " ".join(value) if isinstance(value, tuple) else str(value)
