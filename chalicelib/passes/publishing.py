"""What everybody may read: the key set, the status list and the time, signed by those who may, and each kept as a row.

Whoever reads them costs one read and no signature.
"""

from __future__ import annotations

import hashlib
from typing import Final, TypeVar

import msgspec

from chalicelib.core.errors import Unavailable
from chalicelib.core.schemas import Schema
from chalicelib.passes.tables import PassesRow

KEY_SET: Final = "key-set"
KEYS_AS_JWK: Final = "jwks"
TIME: Final = "time"
STATUS_LIST: Final = "status-list/0"

SchemaT = TypeVar("SchemaT", bound=Schema)


def key_of(name: str) -> str:
    """Where it stands what was published last under that name."""
    return f"published/{name}"


def published(name: str, content: Schema, *, revision: int = 1) -> PassesRow:
    """The row by which everybody reads something."""
    return PassesRow(key_of(name), content=msgspec.json.encode(content).decode(), revision=revision)


def read(name: str, kind: type[SchemaT]) -> tuple[SchemaT, str]:
    """What was published last under that name, and its ETag: one read. Raises Unavailable."""
    row = PassesRow.find(key_of(name))
    if row is None:
        raise Unavailable("It has not been published yet. Try again in a minute.")
    return row.holds(kind), f'"{hashlib.sha256(row.content.encode()).hexdigest()[:32]}"'
