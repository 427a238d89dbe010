"""Strict CBOR (RFC 8949): one spelling for one value, small, flat, and of the exact types that the profile names.

What comes from a stranger is measured before it is parsed: its length, then, head by head and without recursion, its
depth and the kinds of item. The library reads what passed, and what it read must give the same bytes again.
"""

from __future__ import annotations

import io
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import cbor2

Check = Callable[[Any], bool]
"""Whether a decoded value is what the profile wants at that place."""

MAX_DEPTH: Final = 6
SECONDS_END: Final = 2**32

_ENCODER: Final = cbor2.CBOREncoder(io.BytesIO(), canonical=True)
"""To make one takes longer than to use it. It keeps nothing from one value to the next."""
_NUMBERS, _STRINGS = frozenset({0, 1}), frozenset({2, 3})
_ITEMS_OF: Final = {4: 1, 5: 2}
"""Major type of a container, array or map → how many items an entry of it has."""
_FALSE_AND_TRUE: Final = frozenset({0xF4, 0xF5})
_IN_THE_HEAD: Final = 24
"""An argument below it is in the head itself."""
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}
"""Additional information → the bytes of the argument behind it. 28 to 31 are reserved or of unknown length: refused."""


def _flat(head: int) -> int:
    major, argument = head >> 5, head & 31
    if major in _NUMBERS:
        return 1 if argument < _IN_THE_HEAD else 1 + _WIDTHS.get(argument, -1)
    if major in _STRINGS and argument < _IN_THE_HEAD:
        return 1 + argument
    return int(head in _FALSE_AND_TRUE)


_LENGTHS: Final = bytes(map(_flat, range(256)))
"""First byte → the bytes of a whole number, truth or short string that begins so. 0: it is something else."""


class Malformed(Exception):  # noqa: N818
    """Not the profile's bytes; the text says what is wrong with them."""


def decode(data: bytes, limit: int) -> Any:
    """The value of one deterministically encoded item of at most `limit` bytes, with nothing behind it.

    Integers, bytes, text, arrays, maps, false and true only. Raises Malformed, and nothing else.
    """
    if len(data) > limit:
        raise Malformed(f"longer than {limit} bytes")
    try:
        _scan(data)
        value = cbor2.loads(data)
        again = encode(value)
    except (cbor2.CBORError, LookupError, ValueError, TypeError) as error:
        raise Malformed("not CBOR") from error
    if again != data:
        raise Malformed("not deterministic, or something behind it")
    return value


def encode(value: Any) -> bytes:
    """The value in deterministic encoding: of labels as short as the profile's, the library's canonical one is it."""
    return _ENCODER.encode_to_bytes(value)


def shaped(value: Any, checks: Mapping[Any, Check], optional: Mapping[Any, Check] | None = None) -> dict[Any, Any]:
    """The value, if it is a map of exactly these keys and each value is as its check wants. Raises Malformed."""
    may = {**checks, **optional} if optional else checks
    if type(value) is not dict or (value.keys() != may.keys() and not checks.keys() <= value.keys() <= may.keys()):
        raise Malformed("not these keys")
    for key, one in value.items():
        if not may[key](one):
            raise Malformed(f"key {key}")
    return value


def integer(least: int = 0, below: int = SECONDS_END) -> Check:
    """An integer in [least, below). True is none."""
    return lambda value: type(value) is int and least <= value < below


def text(pattern: str) -> Check:
    """A text that the pattern matches from end to end."""
    matcher = re.compile(pattern, re.ASCII)
    return lambda value: type(value) is str and matcher.fullmatch(value) is not None


def octets(*lengths: int) -> Check:
    """A byte string of one of these lengths."""
    return lambda value: type(value) is bytes and len(value) in lengths


def row(*checks: Check) -> Check:
    """An array of as many values as checks, each as its check wants."""

    def check(value: Any) -> bool:
        return type(value) is list and len(value) == len(checks) and all(map(operator.call, checks, value))

    return check


def either(value: Any) -> bool:
    """False or true."""
    return type(value) is bool


def _scan(data: bytes) -> None:
    """Walk over the heads of all items: no tag, no float, no unknown length, not too deep, not too short or long.

    Of this container `left` items are to come; `above` has as many as are to come in those around it. Raises Malformed,
    or LookupError where the bytes end too early or an argument has no width (RFC 8949, section 3).
    """
    place, left, above = 0, 1, list[int]()
    while left or above:
        if not left:
            left = above.pop()
            continue
        head, left = data[place], left - 1
        if length := _LENGTHS[head]:
            place += length
            continue
        major, argument, place = head >> 5, head & 31, place + 1
        if argument >= _IN_THE_HEAD:
            begins, place = place, place + _WIDTHS[argument]
            argument = int.from_bytes(data[begins:place], "big")
        if major in _STRINGS:
            place += argument
        elif major in _ITEMS_OF:
            if argument > len(data) - place or len(above) >= MAX_DEPTH:
                raise Malformed("too short, or too deep")
            above.append(left)
            left = argument * _ITEMS_OF[major]
        else:
            raise Malformed("a tag, a float, null or undefined")
    if place != len(data):
        raise Malformed("too short, or something behind it")
