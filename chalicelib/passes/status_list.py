"""The status of all passes in one list (draft-ietf-oauth-status-list, CWT form): two bits for each index."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from chalicelib.passes.cose import Sign, Signer
from chalicelib.passes.schemas import Status

SLOTS: Final = 170_000
"""Indexes of a list: two for each carrier, so that a free one is found at random."""
MEDIA_TYPE: Final = "application/statuslist+cwt"

_BITS: Final = 2
_PER_BYTE: Final = 8 // _BITS
_LEVEL: Final = 9
_TRIES: Final = tuple(itertools.product(range(4, 10), (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED)))
"""Memory levels and strategies of zlib. What is smallest hangs on where the entries lie; trying all saves 20 bytes."""


def packed(statuses: Mapping[int, Status]) -> bytes:
    """The list before compression: the first index in the lowest bits. Raises IndexError beyond SLOTS."""
    content = bytearray(SLOTS // _PER_BYTE)
    for index, status in statuses.items():
        if not 0 <= index < SLOTS:
            raise IndexError(index)
        content[index // _PER_BYTE] |= status << index % _PER_BYTE * _BITS
    return bytes(content)


def signer(kid: bytes, sign: Sign) -> Signer:
    """A key that signs status lists."""
    return Signer(kid, sign, MEDIA_TYPE)


def status_list(
    uri: str, statuses: Mapping[int, Status], *, issued: datetime, expires: datetime, ttl: int, by: Signer
) -> bytes:
    """The signed list. `uri` ends in a slash and the list's number; `ttl` is in seconds; `by` comes from `signer`."""
    compressed = _compressed(packed(statuses))
    return by.sign1(
        {
            2: uri,
            4: int(expires.timestamp()),
            6: int(issued.timestamp()),
            65533: {"lst": compressed, "bits": _BITS},
            65534: ttl,
        }
    )


def _compressed(content: bytes) -> bytes:
    """The shortest of some zlib streams (RFC 1950) of the content; the first, if several are."""
    return min((_with(content, *settings) for settings in _TRIES), key=len)


def _with(content: bytes, memory: int, strategy: int) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, memory, strategy)
    return compressor.compress(content) + compressor.flush()
