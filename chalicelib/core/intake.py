"""What became of something that came from outside and may come again."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import TypeVar

ThingT = TypeVar("ThingT")


class Taken(enum.StrEnum):
    """RECORDED now; REPEATED: recorded earlier by this very delivery; DUPLICATE: known from another one."""

    RECORDED = "recorded"
    REPEATED = "repeated"
    DUPLICATE = "duplicate"


def in_chunks(things: Sequence[ThingT], size: int) -> Iterator[Sequence[ThingT]]:
    """The things in their order, at most `size` at a time."""
    for start in range(0, len(things), size):
        yield things[start : start + size]
