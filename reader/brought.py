"""What handsets bring to a reader: the set of issuing keys, the time, and the status lists. Each is signed.

The handset is only its carrier: nothing of it is believed but what a root or an issuing key signed.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reader import cbor, cose
from reader.cbor import Check, Malformed
from reader.tokens import ISSUER

MAX_KEY_SET_BYTES: Final = 4_096
MAX_TIME_BYTES: Final = 128
MAX_LIST_BYTES: Final = 16_384
MAX_UNPACKED_BYTES: Final = 65_536

_LIST_TYPE: Final = "application/statuslist+cwt"
_MAX_KEYS: Final = 16
_WINDOW, _SEQUENCE, _KEYS, _ROOTS = -65539, -65540, -65541, -65542
_TTL, _LIST = 65534, 65533
_BITS: Final = 2
_PER_BYTE: Final = 4


@dataclass(frozen=True)
class Key:
    """A key, and what it may sign: by one algorithm, dated within its window (seconds since 1970, both ends in)."""

    kid: bytes
    alg: int
    public: cose.PublicKey
    not_before: int
    not_after: int

    def made(self, signed: cose.Signed, dated: int) -> bool:
        """Whether it may have signed that, at that date; the signature itself is looked at elsewhere."""
        return signed.kid == self.kid and signed.alg == self.alg and self.not_before <= dated <= self.not_after


@dataclass(frozen=True)
class KeySet:
    """The issuing keys by their names. The one with the highest sequence stands; `next_roots` replace the roots."""

    signed: cose.Signed
    sequence: int
    issued: int
    keys: Mapping[bytes, Key]
    next_roots: tuple[Mapping[int, Any], ...]


@dataclass(frozen=True)
class StatusList:
    """The status of each index, two bits each. `number` is the list's own, as tokens name it."""

    signed: cose.Signed
    number: int
    issued: int
    packed: bytes

    def status(self, index: int) -> int | None:
        """0 valid, 1 revoked, 2 suspended, 3 of no meaning here. None if the list does not reach so far."""
        if index >= len(self.packed) * _PER_BYTE:
            return None
        return self.packed[index // _PER_BYTE] >> index % _PER_BYTE * _BITS & 3


@dataclass(frozen=True)
class SignedTime:
    """A moment that an issuing key vouches for: it is not earlier than `issued`."""

    signed: cose.Signed
    issued: int


def key_set(data: bytes) -> KeySet:
    """Read a key set without verifying it. Raises Malformed."""
    signed = cose.parse(data, MAX_KEY_SET_BYTES)
    claims = cbor.shaped(signed.claims, _KEY_SET_SHAPE, {_ROOTS: cbor.row(_is_root, _is_root)})
    _ends_after_it_begins(claims)
    keys = [_key(told) for told in claims[_KEYS]]
    if len({key.kid for key in keys}) != len(keys):
        raise Malformed("two keys of one name")
    roots = tuple(claims.get(_ROOTS, ()))
    for root in roots:
        cose.public_key(root)
    return KeySet(signed, claims[_SEQUENCE], claims[6], {key.kid: key for key in keys}, roots)


def signed_time(data: bytes) -> SignedTime:
    """Read a signed time without verifying it. Raises Malformed."""
    signed = cose.parse(data, MAX_TIME_BYTES)
    return SignedTime(signed, cbor.shaped(signed.claims, _TIME_SHAPE)[6])


def status_list(data: bytes) -> StatusList:
    """Read a status list (draft-ietf-oauth-status-list, CWT form) without verifying it. Raises Malformed."""
    signed = cose.parse(data, MAX_LIST_BYTES, media_type=_LIST_TYPE)
    claims = cbor.shaped(signed.claims, _LIST_SHAPE)
    _ends_after_it_begins(claims)
    number = int(claims[2].rpartition("/")[2])
    return StatusList(signed, number, claims[6], _unpacked(claims[_LIST]["lst"]))


def roots(told: Sequence[Mapping[int, Any]]) -> dict[bytes, cose.PublicKey]:
    """The root keys by their names. Raises Malformed."""
    return {key[2]: cose.public_key(cbor.shaped(key, _ROOT_SHAPE)) for key in told}


def _key(told: Mapping[int, Any]) -> Key:
    not_before, not_after = told[_WINDOW]
    return Key(told[2], told[3], cose.public_key(told), not_before, not_after)


def _unpacked(packed: bytes) -> bytes:
    """The list behind zlib (RFC 1950): never more than MAX_UNPACKED_BYTES of it, and nothing behind its end."""
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(packed, MAX_UNPACKED_BYTES + 1)
    except zlib.error as error:
        raise Malformed("not packed by zlib") from error
    if len(unpacked) > MAX_UNPACKED_BYTES or not unpacking.eof or unpacking.unused_data:
        raise Malformed("the packed list's length")
    return unpacked


def _ends_after_it_begins(claims: Mapping[int, Any]) -> None:
    if claims[4] <= claims[6]:
        raise Malformed("it ends before it begins")


def _is_issuer(value: Any) -> bool:
    return type(value) is str and value == ISSUER


def _is_root(value: Any) -> bool:
    return bool(cbor.shaped(value, _ROOT_SHAPE))


def _are_keys(value: Any) -> bool:
    return type(value) is list and 0 < len(value) <= _MAX_KEYS and all(cbor.shaped(key, _KEY_SHAPE) for key in value)


def _is_packed(value: Any) -> bool:
    return bool(cbor.shaped(value, {"bits": lambda bits: type(bits) is int and bits == _BITS, "lst": _is_bytes}))


def _is_bytes(value: Any) -> bool:
    return type(value) is bytes


_ROOT_SHAPE: Final[Mapping[int, Check]] = {**cose.KEY_SHAPE, 2: cbor.octets(cose.KID_BYTES)}
_KEY_SHAPE: Final[Mapping[int, Check]] = {
    **_ROOT_SHAPE,
    3: cbor.integer(-(2**31), 2**31),
    _WINDOW: cbor.row(cbor.integer(), cbor.integer()),
}
_KEY_SET_SHAPE: Final[Mapping[int, Check]] = {
    1: _is_issuer,
    4: cbor.integer(),
    6: cbor.integer(),
    _SEQUENCE: cbor.integer(1),
    _KEYS: _are_keys,
}
_TIME_SHAPE: Final[Mapping[int, Check]] = {1: _is_issuer, 6: cbor.integer()}
_LIST_SHAPE: Final[Mapping[int, Check]] = {
    2: cbor.text(r"[!-~]{0,100}/(1?[0-9]|2[0-3])"),
    4: cbor.integer(),
    6: cbor.integer(),
    _TTL: cbor.integer(),
    _LIST: _is_packed,
}
