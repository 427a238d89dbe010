"""The exchange over NFC as command and response APDUs (ISO/IEC 7816-4): what the reader sends to a handset's card.

| command | bytes | answer |
|---|---|---|
| SELECT | `00 A4 04 00 08` AID `00` | `90 00` |
| ANSWER | `80 50 00 00 18` nonce, reader's id `00` | token and proof |
| RECEIPT | `80 52 00 00` Lc, receipt | `90 00` |
| FETCH | `80 54` kind, list `08` what the reader has, 8 bytes `00` | the newer one, or `6A 88` |
| GET RESPONSE | `00 C0 00 00` Le | what of an answer did not fit in 256 bytes: `61 xx` says so |
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from reader.brought import MAX_LIST_BYTES
from reader.door import Decision, Door, Kind, Outcome

AID: Final = bytes.fromhex("F046414354454F01")
"""Proprietary (ISO/IEC 7816-5, category F): F0, "FACTEO", version 1."""
OK: Final = 0x9000

_MORE: Final = 0x61
_FETCHED: Final = {Kind.KEY_SET: 1, Kind.TIME: 2, Kind.STATUS_LIST: 3}
"""Kind → P1 of FETCH."""


class Card(Protocol):
    """The other side: a handset that emulates a card."""

    def transmit(self, command: bytes) -> bytes:
        """Send a command APDU; the response APDU, status word at the end."""


class NoPass(Exception):  # noqa: N818
    """What came near is no handset with a pass."""


def visit(door: Door, card: Card, monotonic: Callable[[], float] = time.monotonic) -> tuple[Decision, list[Outcome]]:
    """One handset at the door: ask, judge, hand out the receipt; then take what it brings. Raises NoPass."""
    if transmitted(card, command(0x00, 0xA4, 0x04, 0x00, AID)) != (b"", OK):
        raise NoPass("it does not know the application")
    challenge = door.challenge()
    asked_at = monotonic()
    response, _ = transmitted(card, command(0x80, 0x50, 0, 0, challenge))
    decision = door.answer(response, monotonic() - asked_at)
    transmitted(card, command(0x80, 0x52, 0, 0, decision.receipt, expects=False))
    return decision, list(_fetched(door, card))


def command(cla: int, ins: int, p1: int, p2: int, data: bytes, *, expects: bool = True) -> bytes:
    """A short command APDU with up to 255 bytes of data. `expects`: an answer of up to 256 bytes."""
    return bytes([cla, ins, p1, p2, len(data)]) + data + (b"\x00" if expects else b"")


def transmitted(card: Card, sent: bytes) -> tuple[bytes, int]:
    """The whole answer to a command, and its status word; no longer than the longest thing that is ever asked for."""
    answer = card.transmit(sent)
    data = answer[:-2]
    while answer[-2:-1] == bytes([_MORE]) and len(data) <= MAX_LIST_BYTES:
        answer = card.transmit(bytes([0x00, 0xC0, 0x00, 0x00, answer[-1]]))
        data += answer[:-2]
        if not answer[:-2]:
            break
    return data, int.from_bytes(answer[-2:], "big")


def _fetched(door: Door, card: Card) -> Iterator[Outcome]:
    """Take what is newer: the key set first, since it may have the key of the rest; the lists, and one that is new."""
    wanted = [(Kind.KEY_SET, 0), (Kind.TIME, 0), *((Kind.STATUS_LIST, number) for number in door.lists)]
    for kind, number in wanted:
        if (outcome := _fetch(door, card, kind, number)) is not None:
            yield outcome


def _fetch(door: Door, card: Card, kind: Kind, number: int) -> Outcome | None:
    """Ask for what is newer than what the reader has. None if the handset has nothing newer."""
    has = door.has(kind, number).to_bytes(8, "big")
    data, status = transmitted(card, command(0x80, 0x54, _FETCHED[kind], number, has))
    return door.take(kind, data) if status == OK else None
