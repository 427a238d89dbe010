"""The holder's side of the building pass (docs/protocol/pass.md): it answers a reader, shows a code, and carries news.

A real handset does this in the service that emulates a card, and answers only while it is unlocked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import cbor2

from handset.files import write_whole

Sign = Callable[[bytes], bytes]
"""ECDSA over SHA-256 by the handset's key: r and s, 32 bytes each."""

KEY_SET: Final = "key-set"
TIME: Final = "time"
STATUS_LIST: Final = "status-list"
ANY_READER: Final = bytes(8)
SLOT_SECONDS: Final = 30
AID: Final = bytes.fromhex("F046414354454F01")

_CHALLENGE_BYTES: Final = 24
_NONCE_BYTES: Final = 16
_CHUNK: Final = 256
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_BASE45: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_ISSUED: Final = 6
_SEQUENCE: Final = -65540
_PASS_ID: Final = 7
_KINDS: Final = {1: KEY_SET, 2: TIME, 3: STATUS_LIST}
"""P1 of FETCH → what the reader asks for."""

_OK, _MORE = b"\x90\x00", 0x61
_WRONG_LENGTH, _NOT_NOW, _NOT_FOUND = b"\x67\x00", b"\x69\x85", b"\x6a\x82"
_NOTHING_NEWER, _UNKNOWN_COMMAND = b"\x6a\x88", b"\x6d\x00"


class NoPass(Exception):  # noqa: N818
    """The handset holds no pass."""


class Wallet:
    """What a handset keeps for doors, in the file `passes.json` of its folder.

    That is its token; the newest key set, time and status lists, for readers; and the uses of the pass that the back
    office has not been told of.
    """

    def __init__(self, folder: Path, sign: Sign, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._file, self._sign, self._now = folder / "passes.json", sign, now
        self._kept: dict[str, Any] = {"token": "", "carried": {}, "uses": []}
        if self._file.exists():
            self._kept = json.loads(self._file.read_text())
        self._selected, self._rest = False, b""

    @property
    def token(self) -> bytes:
        """The token. Raises NoPass."""
        if not self._kept["token"]:
            raise NoPass
        return bytes.fromhex(self._kept["token"])

    def keep(self, token: bytes) -> None:
        """Keep a token instead of the one before; none, if it is empty."""
        self._kept["token"] = token.hex()
        self._save()

    def carry(self, kind: str, data: bytes, number: int = 0) -> bool:
        """Carry a key set, a signed time or the status list of that number to readers, if it is newer than what was."""
        if _how_new(kind, data) <= self._has(kind, number):
            return False
        self._kept["carried"][_name(kind, number)] = data.hex()
        self._save()
        return True

    def answer(self, challenge: bytes) -> bytes:
        """The token, and the proof that its holder is here: over the reader's nonce and id. Raises NoPass."""
        token = self.token
        proof = self._lower(b"FPASS1" + challenge + hashlib.sha256(token).digest())
        self._note(challenge, challenge[_NONCE_BYTES:])
        return token + proof

    def code(self, reader: bytes = ANY_READER) -> str:
        """What a QR code says now, for one reader or for any: for half a minute. Raises NoPass."""
        token = self.token
        challenge = (int(self._now().timestamp()) // SLOT_SECONDS).to_bytes(4, "big") + reader
        proof = self._lower(b"FPASSQ1" + challenge + hashlib.sha256(token).digest())
        self._note(challenge, reader)
        self._save()
        return "FP1:" + base45(token + challenge + proof)

    @property
    def uses(self) -> list[dict[str, Any]]:
        """When the pass was shown: its id, the reader's, SHA-256 of what was signed, and the receipt if any came."""
        return list(self._kept["uses"])

    def told(self, number: int) -> None:
        """The back office has been told of the oldest uses, so many: forget them."""
        del self._kept["uses"][:number]
        self._save()

    def transmit(self, command: bytes) -> bytes:
        """Answer a command APDU of a reader as a card would."""
        if len(command) < len(("CLA", "INS", "P1", "P2", "L")):
            return _WRONG_LENGTH
        handlers = {
            b"\x00\xa4": self._select,
            b"\x80\x50": self._answer,
            b"\x80\x52": self._take_receipt,
            b"\x80\x54": self._fetch,
            b"\x00\xc0": self._more,
        }
        handler = handlers.get(command[:2])
        if handler is None:
            return _UNKNOWN_COMMAND
        return handler(command) if self._selected or handler == self._select else _NOT_NOW

    def _select(self, command: bytes) -> bytes:
        self._selected = _data(command) == AID
        return _OK if self._selected else _NOT_FOUND

    def _answer(self, command: bytes) -> bytes:
        challenge = _data(command)
        if len(challenge) != _CHALLENGE_BYTES:
            return _WRONG_LENGTH
        try:
            return self._long(self.answer(challenge))
        except NoPass:
            return _NOT_NOW

    def _take_receipt(self, command: bytes) -> bytes:
        if not self._kept["uses"]:
            return _NOT_NOW
        self._kept["uses"][-1]["receipt"] = _data(command).hex()
        self._save()
        return _OK

    def _fetch(self, command: bytes) -> bytes:
        kind, number, has = _KINDS.get(command[2], ""), command[3], int.from_bytes(_data(command), "big")
        if self._has(kind, number) <= has:
            return _NOTHING_NEWER
        return self._long(self._carried(kind, number))

    def _more(self, _: bytes) -> bytes:
        return self._long(self._rest)

    def _long(self, data: bytes) -> bytes:
        """The first 256 bytes, and how many wait: at most 255 can be told, zero says more than that."""
        chunk, self._rest = data[:_CHUNK], data[_CHUNK:]
        waiting = len(self._rest) if len(self._rest) < _CHUNK else 0
        return chunk + (bytes([_MORE, waiting]) if self._rest else _OK)

    def _lower(self, message: bytes) -> bytes:
        """The signature with the lower of its two values of s, as readers want it."""
        signature = self._sign(message)
        s = int.from_bytes(signature[32:], "big")
        return signature[:32] + min(s, _ORDER - s).to_bytes(32, "big")

    def _note(self, challenge: bytes, reader: bytes) -> None:
        use = {
            "pass": _claims(self.token)[_PASS_ID].hex(),
            "reader": reader.hex(),
            "at": self._now().isoformat(),
            "nonce": hashlib.sha256(challenge).hexdigest(),
            "receipt": None,
        }
        if not any(one["nonce"] == use["nonce"] for one in self._kept["uses"]):
            self._kept["uses"].append(use)

    def _has(self, kind: str, number: int) -> int:
        data = self._carried(kind, number)
        return _how_new(kind, data) if data else 0

    def _carried(self, kind: str, number: int) -> bytes:
        return bytes.fromhex(self._kept["carried"].get(_name(kind, number), ""))

    def _save(self) -> None:
        write_whole(self._file, json.dumps(self._kept).encode())


def base45(content: bytes) -> str:
    """Base45 (RFC 9285): what a QR code holds in its alphanumeric mode."""
    pairs = [content[place : place + 2] for place in range(0, len(content), 2)]
    return "".join(map(_letters, pairs))


def _letters(pair: bytes) -> str:
    value, letters = int.from_bytes(pair, "big"), ""
    for _ in range(len(pair) + 1):
        value, digit = divmod(value, len(_BASE45))
        letters += _BASE45[digit]
    return letters


def _data(command: bytes) -> bytes:
    """The data of a short command APDU."""
    return command[5 : 5 + command[4]]


def _claims(signed: bytes) -> Any:
    return cbor2.loads(cbor2.loads(signed).value[2])


def _how_new(kind: str, data: bytes) -> int:
    claims = _claims(data)
    return int(claims[_SEQUENCE if kind == KEY_SET else _ISSUED])


def _name(kind: str, number: int) -> str:
    return f"{kind}/{number}"
