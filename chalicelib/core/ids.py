"""Identifiers: UUIDv7 (RFC 9562, section 5.7), whose text order is the order of time."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from chalicelib.core import clock
from chalicelib.core.schemas import END

UUID7_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}" + END
_UUID7 = re.compile(UUID7_PATTERN)

_RANDOM_BITS = 74
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LAST_MILLISECOND = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // _MILLISECOND


def new(at: datetime | None = None) -> str:
    """A fresh UUIDv7 for the moment `at` (default: now)."""
    return _build(at or clock.now(), secrets.randbits(_RANDOM_BITS))


def derived(at: datetime, *parts: str) -> str:
    """The one UUIDv7 that belongs to these parts at that moment: made again, it is the same."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return _build(at, int.from_bytes(digest, "big") % (1 << _RANDOM_BITS))


def first(at: datetime) -> str:
    """The UUIDv7 before which there is none of that moment: ids from it on are of that millisecond, or later."""
    return _build(at, 0)


def moment(uuid7: str) -> datetime:
    """The moment that a UUIDv7 carries, to the millisecond; the last one that can be written for any beyond it."""
    return _EPOCH + min(UUID(uuid7).int >> 80, _LAST_MILLISECOND) * _MILLISECOND


def is_uuid7(text: str) -> bool:
    """Whether the text is a UUIDv7 in its canonical, lower-case form."""
    return _UUID7.fullmatch(text) is not None


def _build(at: datetime, random: int) -> str:
    milliseconds = (at - _EPOCH) // _MILLISECOND & ((1 << 48) - 1)
    high, low = random >> 62, random & ((1 << 62) - 1)
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))
