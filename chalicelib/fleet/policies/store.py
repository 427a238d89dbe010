"""How records of policy are written."""

from __future__ import annotations

import msgspec

from chalicelib.core.schemas import Schema


def key_of(version: int) -> str:
    """A version in a key: the order of texts is that of versions."""
    return f"{version:08}"


def encoded(record: Schema) -> str:
    """A record as JSON."""
    return msgspec.json.encode(record).decode()
