"""The shapes that every feature's requests, answers and events are built from."""

from __future__ import annotations

from typing import NewType

import msgspec

END = r"(?![\s\S])"
"""The end of the text in a pattern, for Python and JSON Schema alike: `$` lets a last line feed pass."""

Sealed = NewType("Sealed", str)
"""Personal data as ciphertext (see `core.keyring`): never readable without its subject's data key."""


class Schema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every body that crosses the edge: immutable, keyword only, unknown fields refused."""


class Page(Schema, frozen=True):
    """Where to go on reading: the `after` of the page before."""

    after: str | None = None
