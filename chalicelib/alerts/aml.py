"""Where a carrier is, as one SMS: an AML text (ETSI TS 103 625), which is read when it comes and handed on to 112.

`fu` is ours: the alert's UUID as base64url. It tells which alert a text belongs to, and a reader that does not know it
skips it. Identifiers of the SIM and of the telephone (`si`, `ei`) are never written.
"""

from __future__ import annotations

import base64
import contextlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from chalicelib.alerts.schemas import Fix, Method
from chalicelib.core import ids
from chalicelib.core.schemas import Schema

LONGEST: Final = 160
"""Characters of one SMS in the GSM alphabet (3GPP TS 23.038)."""
ALERT_KEY: Final = "fu"

METHODS: Final[Mapping[str, Method]] = {"G": Method.GNSS, "W": Method.WIFI, "C": Method.CELL, "U": Method.UNKNOWN}
"""AML's letters. N is none of them: it says that there is no position."""
NO_POSITION: Final = "N"
LETTERS: Final[Mapping[Method, str]] = {method: letter for letter, method in METHODS.items()}

_HEADER = re.compile(r"A\W{0,6}ML\s*=\s*(?P<version>[0-9]+)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?[0-9]{1,8}(\.[0-9]{0,12})?", re.ASCII)
_TIME = re.compile(r"[0-9]{14}", re.ASCII)
_ALERT = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class AMLText(Schema, frozen=True):
    """What an AML text says. `incomplete`: it was cut or changed on its way, or a part of it could not be read."""

    alert: str | None = None
    fix: Fix | None = None
    incomplete: bool = False


def text_of(alert: str, fix: Fix | None) -> str:
    """The AML text for an alert (its UUIDv7), 160 characters of the GSM alphabet at most.

    Without a fix it tells the null position; `top` is then when the alert was raised. A radius is rounded up: nobody is
    to look for the carrier in too small a circle.
    """
    fields = {**(_position(fix) if fix else _nowhere(ids.moment(alert))), ALERT_KEY: _packed(alert)}
    return _with_length("".join(['A"ML=1', *(f";{key}={value}" for key, value in fields.items()), ";ml="]))


def read(text: str, *, received_at: datetime | None = None) -> AMLText:
    """What a text says that came as an SMS. Nothing but its beginning is needed: what cannot be read is left out.

    A position whose time cannot be read is given that of the alert, or `received_at`. Raises ValueError for what is no
    AML text at all.
    """
    text = text.strip()
    header = _HEADER.match(text)
    if not header:
        raise ValueError('An AML text begins with A"ML=.')
    fields = _fields(text[header.end() :])
    alert = _unpacked(fields.get(ALERT_KEY, ""))
    if header["version"] != "1":
        return AMLText(alert=alert, incomplete=True)
    fix, read_in_full = _fix(fields, ids.moment(alert) if alert else received_at)
    whole = fields.get("ml", "").lstrip("0") == str(len(text)) and (alert is not None or ALERT_KEY not in fields)
    return AMLText(alert=alert, fix=fix, incomplete=not (whole and read_in_full))


def _position(fix: Fix) -> dict[str, str]:
    radius, confidence = ("N", 0) if fix.radius is None else (str(math.ceil(fix.radius)), fix.confidence)
    return {
        "lt": f"{fix.latitude:+09.5f}",
        "lg": f"{fix.longitude:+010.5f}",
        "top": _stamp(fix.fixed_at),
        "rd": radius,
        "lc": str(confidence),
        "pm": LETTERS[fix.method],
    }


def _nowhere(at: datetime) -> dict[str, str]:
    return {"lt": "+00.00000", "lg": "+000.00000", "top": _stamp(at), "rd": "N", "lc": "0", "pm": NO_POSITION}


def _stamp(moment: datetime) -> str:
    """Fourteen digits, UTC. A moment at the very ends of the calendar keeps its own hours."""
    with contextlib.suppress(OverflowError):
        moment = moment.astimezone(UTC)
    return f"{moment.year:04}{moment:%m%d%H%M%S}"


def _with_length(text: str) -> str:
    """The text with its own length at the end, the digits of that length included."""
    two_digits = len(text) + len("99")
    return f"{text}{two_digits}" if two_digits <= 99 else f"{text}{two_digits + 1}"  # noqa: PLR2004


def _fields(text: str) -> dict[str, str]:
    """Key → value. Of a key that comes twice the first counts."""
    fields: dict[str, str] = {}
    for part in text.split(";"):
        key, equals, value = part.partition("=")
        if equals:
            fields.setdefault(key.strip().lower(), value.strip())
    return fields


def _fix(fields: Mapping[str, str], otherwise: datetime | None) -> tuple[Fix | None, bool]:
    """The position, or None, and whether everything of it could be read."""
    letter = fields.get("pm", "").upper()
    place = _within(fields.get("lt", "0"), -90, 90), _within(fields.get("lg", "0"), -180, 180)
    if letter == NO_POSITION and place == (0, 0):
        return None, True
    latitude, longitude = place
    found_at = _moment(fields.get("top", ""))
    fixed_at = found_at or otherwise
    if latitude is None or longitude is None or fixed_at is None or not {"lt", "lg"} <= fields.keys():
        return None, False
    radius, confidence = _within(fields.get("rd", ""), 0, 1_000_000), _within(fields.get("lc", ""), 0, 100)
    fix = Fix(
        latitude=latitude,
        longitude=longitude,
        fixed_at=fixed_at,
        radius=radius,
        confidence=0 if radius is None or confidence is None else int(confidence),
        method=METHODS.get(letter, Method.UNKNOWN),
    )
    has_radius = radius is not None or fields.get("rd", "").upper() == "N"
    return fix, has_radius and found_at is not None and confidence is not None and letter in METHODS


def _within(text: str, least: float, most: float) -> float | None:
    """The number that the text is, if it lies between the two."""
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if least <= number <= most else None


def _moment(text: str) -> datetime | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _packed(alert: str) -> str:
    return base64.urlsafe_b64encode(UUID(alert).bytes).decode().rstrip("=")


def _unpacked(text: str) -> str | None:
    if not _ALERT.fullmatch(text):
        return None
    alert = str(UUID(bytes=base64.urlsafe_b64decode(f"{text}==")))
    return alert if ids.is_uuid7(alert) else None
