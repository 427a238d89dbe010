"""Receipts of readers as the back office reads them: docs/protocol/pass.md, section 7.

A receipt has one spelling: deterministic CBOR of an exact shape. So a pattern of bytes reads all of it and lets nothing
else pass, and who takes what handsets send need not load a library for CBOR.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

MAX_BYTES: Final = 255
OPENED: Final = "opened"
UNREAD: Final = "unread"
"""In the place of the pass, where the reader could read none."""

_SECONDS: Final = rb"(?P<at>[\x00-\x17]|\x18[\x18-\xff]|\x19[^\x00].|\x1a(?:[^\x00]...|\x00[^\x00]..))"
"""An integer below 2³² in its shortest form (RFC 8949, section 3)."""
_HEAD: Final = (
    rb"\xd2\x84"  # tag 18, an array of four
    rb"(?P<protected>\x4d\xa2\x01\x28\x04\x48(?P<reader>.{8}))"  # {1: -9, 4: the reader's id}
    rb"\xa0"  # nothing unprotected
    rb"(?P<payload>\x58(?P<length>.)(?P<claims>\xa5"
    rb"\x06" + _SECONDS + rb"\x07(?:\x40|\x48(?P<pass>.{8}))"
)
_REST: Final = (
    rb"\x3a\x00\x01\x00\x06\x58\x20(?P<challenge>.{32})"  # -65543
    rb"\x3a\x00\x01\x00\x07(?P<size>[\x61-\x74])(?P<result>[a-z-]{1,20})"  # -65544
    rb"\x3a\x00\x01\x00\x08\x58\x20.{32}))"  # -65545
    rb"\x58\x40(?P<signature>.{64})"
)
_BEGINNING: Final = re.compile(_HEAD + rb"))", re.DOTALL)
_WHOLE: Final = re.compile(_HEAD + _REST, re.DOTALL)
_TEXT: Final = 0x60
"""The head of an empty text."""


class Receipt(NamedTuple):
    """What a reader says of a use of its door; ids and challenge in hex. `id` is that of the pass, empty if it was
    unread; `result` is `opened` or the refusal. `signature` is to be that of `message`: nobody has looked yet.
    """

    reader: str
    at: datetime
    id: str
    challenge: str
    result: str
    message: bytes
    signature: bytes


def pass_of(receipt: bytes) -> str | None:
    """The id of the pass that a receipt names (hex), or UNREAD; None if it does not begin as a receipt does."""
    found = _BEGINNING.match(receipt)
    if found is None:
        return None
    return found["pass"].hex() if found["pass"] else UNREAD


def parse(receipt: bytes) -> Receipt | None:
    """What a receipt says, or None if a single byte is not as it must be."""
    found = _WHOLE.fullmatch(receipt)
    if found is None or len(receipt) > MAX_BYTES:
        return None
    if (found["length"][0], found["size"][0]) != (len(found["claims"]), _TEXT + len(found["result"])):
        return None
    return Receipt(
        reader=found["reader"].hex(),
        at=datetime.fromtimestamp(_number(found["at"]), UTC),
        id=(found["pass"] or b"").hex(),
        challenge=found["challenge"].hex(),
        result=found["result"].decode(),
        message=b"\x84\x6aSignature1" + found["protected"] + b"\x40" + found["payload"],
        signature=found["signature"],
    )


def _number(encoded: bytes) -> int:
    """An integer by its bytes: the argument is in the head, or behind it."""
    return int.from_bytes(encoded[1:] or encoded, "big")
