"""The part of the test vectors that leads from an alert to its text (SMS): where the carrier is, in AML."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from handset import aml
from infra.vectors_events import NOW

ALERT: Final = "01a20719-c8a0-7000-8000-0000000000e1"

_FIX: Final = {
    "latitude": 48.843204,
    "longitude": 2.305617,
    "fixed_at": (NOW - timedelta(seconds=12)).isoformat(),
    "radius": 12.4,
    "confidence": 68,
    "method": "gnss",
}

_TEXTS: Final[tuple[tuple[str, dict[str, Any] | None], ...]] = (
    ("a position by GNSS, the radius rounded up: the worked example", _FIX),
    ("no position: the null position, and when the button was pressed", None),
    ("by Wi-Fi", {**_FIX, "method": "wifi"}),
    ("by the cell", {**_FIX, "method": "cell", "radius": 1800, "confidence": 80}),
    ("by a method that is not known", {**_FIX, "method": "unknown"}),
    ("a radius that is not known: N, and a confidence of 0", {**_FIX, "radius": None}),
    ("south and west, with zeros in front", {**_FIX, "latitude": -4.5, "longitude": -7.25}),
    ("the most digits that there are", {**_FIX, "latitude": -89.99999, "longitude": -179.99999, "radius": 1_000_000}),
    ("a time with an offset is told in UTC", {**_FIX, "fixed_at": "2026-11-23T00:30:05+01:00"}),
)
"""What it is about, and the position as the API takes it."""


def texts() -> list[dict[str, Any]]:
    """Alerts pressed at NOW, what the handset knows, and the text."""
    return [
        {
            "name": name,
            "alert": ALERT,
            "pressed_at": NOW.isoformat(),
            "fix": fix,
            "text": aml.text_of(ALERT, NOW, fix),
        }
        for name, fix in _TEXTS
    ]
