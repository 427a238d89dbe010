"""What became of something that came from outside and may come again."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

ThingT = TypeVar("ThingT")


class Taken(enum.StrEnum):
    """RECORDED now; REPEATED: recorded earlier by this very delivery; DUPLICATE: known from another one."""

    RECORDED = "recorded"
    REPEATED = "repeated"
    DUPLICATE = "duplicate"


def in_chunks(things: Iterable[ThingT], size: int) -> Iterator[Sequence[ThingT]]:
    """The things in their order, at most `size` at a time."""
    rest = iter(things)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk
