"""Strict CBOR (RFC 8949): one spelling for one value, small, flat, and of the exact types that the profile names.

What comes from a stranger is measured before it is parsed: its length, then, head by head and without recursion, its
depth and the kinds of item. The library reads what passed, and what it read must give the same bytes again.
"""

from __future__ import annotations

import io
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


class Malformed(Exception):  # noqa: N818
    """Not the profile's bytes; the text says what is wrong with them."""


def decode(data: bytes, limit: int) -> Any:
    """The value of one deterministically encoded item of at most `limit` bytes, with nothing behind it.

    Integers, bytes, text, arrays, maps, false and true only. Raises Malformed, and nothing else.
    """
    if len(data) > limit:
        raise Malformed(f"longer than {limit} bytes")
    _scan(data)
    try:
        value = cbor2.loads(data)
        again = encode(value)
    except (cbor2.CBORError, ValueError, TypeError) as error:
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
    if type(value) is not dict or not checks.keys() <= value.keys() <= may.keys():
        raise Malformed("not these keys")
    wrong = [key for key, one in value.items() if not may[key](one)]
    if wrong:
        raise Malformed(f"key {wrong[0]}")
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
        return type(value) is list and len(value) == len(checks) and all(map(_holds, checks, value))

    return check


def either(value: Any) -> bool:
    """False or true."""
    return type(value) is bool


def _holds(check: Check, value: Any) -> bool:
    return check(value)


def _scan(data: bytes) -> None:
    """Walk over the heads of all items: no tag, no float, no unknown length, not too deep, not too short or long."""
    place, end, waiting = 0, len(data), [1]
    while waiting:
        if waiting[-1] == 0:
            waiting.pop()
            continue
        waiting[-1] -= 1
        if place >= end:
            raise Malformed("too short")
        head = data[place]
        major, argument, place = head >> 5, head & 31, place + 1
        if argument >= _IN_THE_HEAD:
            argument, place = _argument(data, argument, place)
        if major in _STRINGS:
            place += argument
        elif major in _ITEMS_OF:
            if argument > end - place or len(waiting) > MAX_DEPTH:
                raise Malformed("too short, or too deep")
            waiting.append(argument * _ITEMS_OF[major])
        elif major not in _NUMBERS and head not in _FALSE_AND_TRUE:
            raise Malformed("a tag, a float, null or undefined")
    if place != end:
        raise Malformed("too short, or something behind it")


def _argument(data: bytes, information: int, place: int) -> tuple[int, int]:
    """The argument that stands at a place, behind the first byte of a head (RFC 8949, section 3), and where it ends."""
    if information not in _WIDTHS:
        raise Malformed("of unknown length")
    end = place + _WIDTHS[information]
    return int.from_bytes(data[place:end], "big"), end
