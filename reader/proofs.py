"""Whoever shows a pass must hold the key that it is bound to: it signs a nonce of this reader, or a half minute.

The answer over NFC is the token and 64 bytes of signature. A QR code is `FP1:` and base45 (RFC 9285) of the token, the
slot (4 bytes), the reader's id (8 bytes, zeros: any door) and the signature.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from reader import cbor, cose, tokens
from reader.cbor import Malformed
from reader.cose import SIGNATURE_BYTES

NONCE_BYTES: Final = 16
READER_BYTES: Final = 8
SLOT_SECONDS: Final = 30
SLOT_SKEW: Final = 5
"""Seconds before and after its slot in which a code is still taken."""
ANY_READER: Final = bytes(READER_BYTES)
QR_PREFIX: Final = "FP1:"

_SLOT_BYTES: Final = 4
_TAIL: Final = _SLOT_BYTES + READER_BYTES + SIGNATURE_BYTES
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES: Final = {letter: value for value, letter in enumerate(_ALPHABET)}
_MAX_LETTERS: Final = len(QR_PREFIX) + (tokens.MAX_BYTES + _TAIL + 1) // 2 * 3
_BYTES_OF: Final = {3: 2, 2: 1}
"""Letters of a group in base45 → its bytes."""


@dataclass(frozen=True)
class Code:
    """What a QR code says. `challenge` is what stands in for a nonce: slot and reader's id."""

    token: bytes
    slot: int
    reader: bytes
    challenge: bytes
    signature: bytes

    def is_of(self, now: int) -> bool:
        """Whether it was made for this moment (seconds since 1970)."""
        begins = self.slot * SLOT_SECONDS
        return begins - SLOT_SKEW <= now < begins + SLOT_SECONDS + SLOT_SKEW


def split(response: bytes) -> tuple[bytes, bytes]:
    """Token and proof of an answer over NFC. Raises Malformed."""
    if not SIGNATURE_BYTES < len(response) <= tokens.MAX_BYTES + SIGNATURE_BYTES:
        raise Malformed("the answer's length")
    return response[:-SIGNATURE_BYTES], response[-SIGNATURE_BYTES:]


def of_nonce(key: cose.PublicKey, challenge: bytes, token: bytes, signature: bytes) -> bool:
    """Whether the holder's key answered a challenge: 16 bytes of nonce and 8 of the reader's id."""
    return cose.verify(key, b"FPASS1" + challenge + hashlib.sha256(token).digest(), signature)


def of_code(key: cose.PublicKey, code: Code) -> bool:
    """Whether the holder's key made a QR code."""
    return cose.verify(key, b"FPASSQ1" + code.challenge + hashlib.sha256(code.token).digest(), code.signature)


def read_code(text: str) -> Code:
    """Read what a camera saw. Raises Malformed."""
    if not text.startswith(QR_PREFIX) or len(text) > _MAX_LETTERS:
        raise Malformed("no code of ours, or too long")
    content = _from_base45(text[len(QR_PREFIX) :])
    if len(content) <= _TAIL:
        raise Malformed("the code's length")
    token, tail = content[:-_TAIL], content[-_TAIL:]
    challenge, signature = tail[:-SIGNATURE_BYTES], tail[-SIGNATURE_BYTES:]
    slot, reader = int.from_bytes(challenge[:_SLOT_BYTES], "big"), challenge[_SLOT_BYTES:]
    if not cbor.integer()(slot * SLOT_SECONDS):
        raise Malformed("the code's slot")
    return Code(token, slot, reader, challenge, signature)


def _from_base45(text: str) -> bytes:
    groups = [text[place : place + 3] for place in range(0, len(text), 3)]
    return b"".join(map(_group, groups))


def _group(letters: str) -> bytes:
    try:
        value: int = sum(_VALUES[letter] * 45**place for place, letter in enumerate(letters))
        return value.to_bytes(_BYTES_OF[len(letters)], "big")
    except (KeyError, OverflowError) as error:
        raise Malformed("not base45") from error
