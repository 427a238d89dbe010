"""What became of something that came from outside and may come again."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from chalicelib.core.errors import Problem

ThingT = TypeVar("ThingT")


class Taken(enum.StrEnum):
    """RECORDED now; REPEATED: recorded earlier by this very delivery; DUPLICATE: known from another one."""

    RECORDED = "recorded"
    REPEATED = "repeated"
    DUPLICATE = "duplicate"


class Superseded(Problem):
    status = 422
    title = "Something that was stated later says otherwise"


def last_of_each(
    numbered: Sequence[tuple[ThingT, int]], name_of: Callable[[ThingT], Hashable]
) -> tuple[list[tuple[ThingT, int]], dict[int, Taken | Problem]]:
    """Of things with their lines, the last one of each name; and what becomes of the earlier ones, by line.

    Taking one after the other would be no use to anybody, and the first could not be told from a new one when the
    same lines come again after a crash.
    """
    last = {name_of(thing): (thing, line) for thing, line in numbered}
    superseded: dict[int, Taken | Problem] = {}
    for thing, line in numbered:
        counting, its_line = last[name_of(thing)]
        if line != its_line:
            same = thing == counting
            superseded[line] = Taken.DUPLICATE if same else Superseded(f"Line {its_line} says otherwise, and counts.")
    return [(thing, line) for thing, line in numbered if line not in superseded], superseded


def in_chunks(things: Iterable[ThingT], size: int) -> Iterator[Sequence[ThingT]]:
    """The things in their order, at most `size` at a time."""
    rest = iter(things)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk
