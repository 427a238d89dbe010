"""What a door did, signed by its reader and chained to what it did before: a receipt is also an entry of the log."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from reader import cbor, cose
from reader.cbor import Check, Malformed
from reader.proofs import READER_BYTES

OPENED: Final = "opened"
MAX_BYTES: Final = 255
BEFORE_THE_FIRST: Final = bytes(32)

_NONCE, _RESULT, _PREVIOUS = -65543, -65544, -65545


class BrokenLog(Exception):  # noqa: N818
    """A log that somebody changed, cut or mixed; the text says at which entry."""


@dataclass(frozen=True)
class Entry:
    """One use of a door. `pass_id` is empty if nothing could be read; `nonce` is SHA-256 of what was to be signed.

    `result` is `opened` or a refusal; `previous` is SHA-256 of the receipt before it, zeros for the first.
    """

    reader: bytes
    at: int
    pass_id: bytes
    nonce: bytes
    result: str
    previous: bytes


def make(key: ec.EllipticCurvePrivateKey, entry: Entry) -> bytes:
    """The receipt: a COSE_Sign1 whose key is named by the reader's id."""
    claims = {
        6: entry.at,
        7: entry.pass_id,
        _NONCE: entry.nonce,
        _RESULT: entry.result,
        _PREVIOUS: entry.previous,
    }
    return cose.sign1(key, entry.reader, claims)


def read(receipt: bytes, key: cose.PublicKey) -> Entry:
    """The entry of a receipt that the key signed. Raises Malformed."""
    signed = cose.parse(receipt, MAX_BYTES, kid_bytes=READER_BYTES)
    claims = cbor.shaped(signed.claims, _SHAPE)
    if not cose.verified(signed, key):
        raise Malformed("another key's signature")
    return Entry(signed.kid, claims[6], claims[7], claims[_NONCE], claims[_RESULT], claims[_PREVIOUS])


def name(receipt: bytes) -> bytes:
    """What the next entry calls it by."""
    return hashlib.sha256(receipt).digest()


def chained(log: Iterable[bytes], key: cose.PublicKey, previous: bytes = BEFORE_THE_FIRST) -> Iterator[Entry]:
    """The entries of a log, oldest first, each proven by its signature and by the entry before it. Raises BrokenLog."""
    for number, receipt in enumerate(log, start=1):
        try:
            entry = read(receipt, key)
        except Malformed as error:
            raise BrokenLog(f"entry {number}: {error}") from error
        if entry.previous != previous:
            raise BrokenLog(f"entry {number}: it does not follow the one before it")
        previous = name(receipt)
        yield entry


_SHAPE: Final[Mapping[int, Check]] = {
    6: cbor.integer(),
    7: cbor.octets(0, 8),
    _NONCE: cbor.octets(32),
    _RESULT: cbor.text(r"[a-z-]{1,20}"),
    _PREVIOUS: cbor.octets(32),
}
