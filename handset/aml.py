"""An alert as one SMS for a handset without data: an AML text (ETSI TS 103 625), with the alert's id as `fu`."""

from __future__ import annotations

import base64
import math
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

Fix = dict[str, Any]
"""A position as the API takes it: `latitude`, `longitude`, `fixed_at`, `radius`, `confidence`, `method`."""

LONGEST = 160
"""Characters of one SMS."""

LETTERS = {"gnss": "G", "wifi": "W", "cell": "C", "unknown": "U"}
"""The methods by which a position is found, and AML's letters for them. `N` says that there is no position."""


def text_of(alert: str, pressed_at: datetime, fix: Fix | None) -> str:
    """The text for an alert: its id, where the carrier is, and as of when. Without a position: when it was pressed."""
    fields = {**(_position(fix) if fix else _nowhere(pressed_at)), "fu": _packed(alert)}
    return _with_length("".join(['A"ML=1', *(f";{key}={value}" for key, value in fields.items()), ";ml="]))


def _position(fix: Fix) -> dict[str, str]:
    """A radius is rounded up: nobody is to look for the carrier in too small a circle."""
    radius, confidence = ("N", 0) if fix["radius"] is None else (str(math.ceil(fix["radius"])), fix["confidence"])
    return {
        "lt": f"{fix['latitude']:+09.5f}",
        "lg": f"{fix['longitude']:+010.5f}",
        "top": _stamp(datetime.fromisoformat(fix["fixed_at"])),
        "rd": radius,
        "lc": str(confidence),
        "pm": LETTERS[fix["method"]],
    }


def _nowhere(at: datetime) -> dict[str, str]:
    return {"lt": "+00.00000", "lg": "+000.00000", "top": _stamp(at), "rd": "N", "lc": "0", "pm": "N"}


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}"


def _packed(alert: str) -> str:
    return base64.urlsafe_b64encode(UUID(alert).bytes).decode().rstrip("=")


def _with_length(text: str) -> str:
    """The text with its own length at the end, the digits of that length included."""
    return next(f"{text}{length}" for length in range(LONGEST) if len(f"{text}{length}") == length)
