"""The pass itself: a CWT (RFC 8392) bound to its holder's key (RFC 8747), small enough for one short APDU."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from reader import cbor, cose
from reader.cbor import Check, Malformed

MAX_BYTES: Final = 320
ISSUER: Final = "lp"
MARK_BYTES: Final = 3
MAX_BUILDINGS: Final = 20

_IS_SECTOR: Final = cbor.text(r"[0-9][0-9AB][0-9]{3}[0-9A-Z]{1,6}")
"""The municipality's INSEE code, then the sector within it."""
_SERVICE_AND_PERIMETER, _STATUS = -65537, -65538


@dataclass(frozen=True)
class Token:
    """What a pass says. Times are seconds since 1970; `perimeter` is a sector, or the marks of buildings."""

    signed: cose.Signed
    carrier: str
    not_before: int
    expires: int
    id: bytes
    holder: cose.PublicKey
    service: int
    perimeter: str | bytes
    status_list: int
    index: int


def parse(data: bytes) -> Token:
    """Read a token without judging it. Raises Malformed."""
    signed = cose.parse(data, MAX_BYTES)
    claims = cbor.shaped(signed.claims, _SHAPE)
    if claims[4] <= claims[5]:
        raise Malformed("it ends before it begins")
    (service, perimeter), (status_list, index) = claims[_SERVICE_AND_PERIMETER], claims[_STATUS]
    return Token(
        signed=signed,
        carrier=claims[2],
        not_before=claims[5],
        expires=claims[4],
        id=claims[7],
        holder=cose.public_key(claims[8][1]),
        service=service,
        perimeter=perimeter,
        status_list=status_list,
        index=index,
    )


def mark(token_id: bytes, building: bytes) -> bytes:
    """What a pass names a building by: three bytes that only who knows the building's 16 secret ones can tell.

    They differ from pass to pass. A pass of 20 buildings opens a strange one once in 840,000 times.
    """
    return hashlib.sha256(b"FBLDG1" + token_id + building).digest()[:MARK_BYTES]


def marks_of(perimeter: bytes) -> list[bytes]:
    """The marks of a perimeter of buildings."""
    return [perimeter[place : place + MARK_BYTES] for place in range(0, len(perimeter), MARK_BYTES)]


def _is_perimeter(value: Any) -> bool:
    return _IS_SECTOR(value) if type(value) is str else _are_marks(value)


def _are_marks(value: Any) -> bool:
    """Whether it is 1 to 20 marks, each greater than the one before."""
    if type(value) is not bytes or len(value) % MARK_BYTES or not 0 < len(value) <= MARK_BYTES * MAX_BUILDINGS:
        return False
    marks = marks_of(value)
    return all(map(operator.lt, marks, marks[1:]))


def _is_holder(value: Any) -> bool:
    return bool(cbor.shaped(value, _HOLDER_SHAPE))


def _is_key(value: Any) -> bool:
    return bool(cbor.shaped(value, cose.KEY_SHAPE))


_HOLDER_SHAPE: Final[Mapping[int, Check]] = {1: _is_key}
_SHAPE: Final[Mapping[int, Check]] = {
    1: lambda value: type(value) is str and value == ISSUER,
    2: cbor.text(r"[0-9A-Z]{1,20}"),
    4: cbor.integer(),
    5: cbor.integer(),
    7: cbor.octets(8),
    8: _is_holder,
    _SERVICE_AND_PERIMETER: cbor.row(cbor.integer(0, 24), _is_perimeter),
    _STATUS: cbor.row(cbor.integer(0, 24), cbor.integer(0, 2**32)),
}
