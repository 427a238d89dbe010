"""UUIDv7 (RFC 9562, section 5.7): what events, presses and reports are named by."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

RANDOM_BITS: Final = 74


def new_id(at: datetime | None = None) -> str:
    """A UUIDv7 of that moment; of now unless said otherwise."""
    return uuid7(at or datetime.now(UTC), secrets.randbits(RANDOM_BITS))


def uuid7(at: datetime, random: int) -> str:
    """The UUIDv7 of that moment with those 74 bits."""
    milliseconds = int(at.timestamp() * 1000)
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & ((1 << 62) - 1)))
