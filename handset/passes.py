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
from handset.transport import monotonic_milliseconds

Sign = Callable[[bytes], bytes]
"""ECDSA over SHA-256 by the handset's key: r and s, 32 bytes each."""

FILE: Final = "passes.json"
KEY_SET: Final = "key-set"
TIME: Final = "time"
STATUS_LIST: Final = "status-list"
ANY_READER: Final = bytes(8)
SLOT_SECONDS: Final = 30
CHALLENGE_BYTES: Final = 24
"""Nonce and reader's id."""
AID: Final = bytes.fromhex("F046414354454F01")

_NONCE_BYTES: Final = 16
_CHUNK: Final = 256
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_BASE45: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_ISSUED: Final = 6
_SEQUENCE: Final = -65540
_EXPIRES: Final = 4
_PASS_ID: Final = 7
_HOLDER: Final = 8
_NONCE: Final = -65543
_RESULT: Final = -65544
_RECEIPT_BYTES: Final = 255
_LAST_OF_HELP: Final = {"opened", "already-used"}
"""Results after which a pass to help opens nothing more."""
_KINDS: Final = {1: KEY_SET, 2: TIME, 3: STATUS_LIST}
"""P1 of FETCH → what the reader asks for."""

_OK, _MORE = b"\x90\x00", 0x61
_WRONG_LENGTH, _NOT_NOW, _NOT_FOUND = b"\x67\x00", b"\x69\x85", b"\x6a\x82"
_NOTHING_NEWER, _UNKNOWN_COMMAND = b"\x6a\x88", b"\x6d\x00"


class NoPass(Exception):  # noqa: N818
    """The handset holds no pass."""


class NotAReceipt(Exception):  # noqa: N818
    """What a reader gave is no receipt of a use of a pass that this handset holds."""


class Wallet:
    """What a handset keeps for doors, in the file `passes.json` of its folder.

    That is its token, and that of a pass to help; the newest key set, time and status lists, for readers; and the uses
    of its passes that are not in the outbox yet. `boot` names the time in which the uptime counter counts.
    """

    def __init__(
        self, folder: Path, sign: Sign, now: Callable[[], datetime] = lambda: datetime.now(UTC), boot: str = ""
    ) -> None:
        self._file, self._sign, self._now, self._boot = folder / FILE, sign, now, boot
        self._kept: dict[str, Any] = {"token": "", "help": "", "carried": {}, "tags": {}, "uses": []}
        if self._file.exists():
            self._kept |= json.loads(self._file.read_text())
        self._selected, self._rest = False, b""

    @property
    def token(self) -> bytes:
        """The token to show: of a pass to help until it opened its door or expired, else the day's. Raises NoPass."""
        token = bytes.fromhex(self._kept["help"])
        if not token or expires_at(token) <= self._now():
            token = bytes.fromhex(self._kept["token"])
        if not token:
            raise NoPass
        return token

    @property
    def day_pass(self) -> bytes | None:
        """The token of the day's pass, whether it has expired or not; None if there is none."""
        return bytes.fromhex(self._kept["token"]) or None

    def keep(self, token: bytes) -> None:
        """Keep a token instead of the one before; none, if it is empty."""
        self._kept["token"] = token.hex()
        self._save()

    def keep_help(self, token: bytes) -> None:
        """Keep the token of a pass to help: it is shown next, and the day's pass afterwards again."""
        self._kept["help"] = token.hex()
        self._save()

    def carry(self, kind: str, data: bytes, number: int = 0, tag: str = "") -> bool:
        """Carry a key set, a signed time or the status list of that number to readers, if it is newer than what was.

        `tag` is the ETag under which the back office gave it.
        """
        name, newer = _name(kind, number), _how_new(kind, data) > self._has(kind, number)
        if newer:
            self._kept["carried"][name] = data.hex()
        self._kept["tags"][name] = tag
        self._save()
        return newer

    def tag(self, kind: str, number: int = 0) -> str:
        """The ETag of what the back office gave last of that kind; empty if there is none."""
        return str(self._kept["tags"].get(_name(kind, number), ""))

    def answer(self, challenge: bytes) -> bytes:
        """The token, and the proof that its holder is here: over the reader's nonce and id. Raises NoPass.

        The use is on the disk before the answer leaves.
        """
        token = self.token
        proof = self._lower(b"FPASS1" + challenge + hashlib.sha256(token).digest())
        self._note(challenge, challenge[_NONCE_BYTES:])
        self._save()
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
        """When a pass was shown: its id, the reader's, SHA-256 of what was signed, and the receipt if any came.

        A receipt that came late has no use beside it: then the SHA-256 is empty.
        """
        return list(self._kept["uses"])

    def keep_receipt(self, receipt: bytes) -> str:
        """Keep what a reader signed of a use, and give its result. Raises NotAReceipt.

        One of a use that was told of before stands alone.
        """
        pass_id, nonce, result = _read_receipt(receipt)
        use = next((one for one in self._kept["uses"] if one["nonce"] == nonce), None)
        if use is None:
            use = self._use_before(pass_id)
            self._kept["uses"].append(use)
        use["receipt"] = receipt.hex()
        if result in _LAST_OF_HELP and use["pass"] == _id_of(self._kept["help"]):
            self._kept["help"] = ""
        self._save()
        return result

    def told(self, number: int) -> None:
        """The oldest uses, so many, are in the outbox: forget them."""
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
        if len(challenge) != CHALLENGE_BYTES:
            return _WRONG_LENGTH
        try:
            return self._long(self.answer(challenge))
        except NoPass:
            return _NOT_NOW

    def _take_receipt(self, command: bytes) -> bytes:
        try:
            self.keep_receipt(_data(command))
        except NotAReceipt:
            return _NOT_NOW
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
        nonce = hashlib.sha256(challenge).hexdigest()
        if not any(one["nonce"] == nonce for one in self._kept["uses"]):
            self._kept["uses"].append(self._use(_id_of(self.token.hex()), nonce, reader.hex()))

    def _use_before(self, pass_id: str) -> dict[str, Any]:
        """What stands for a use that was told of before. Raises NotAReceipt if the pass is none that is held."""
        if pass_id not in {_id_of(self._kept["token"]), _id_of(self._kept["help"])} - {""}:
            raise NotAReceipt
        return self._use(pass_id, nonce="", reader="")

    def _use(self, pass_id: str, nonce: str, reader: str) -> dict[str, Any]:
        """A use at this moment, by all clocks that the handset has."""
        return {
            "pass": pass_id,
            "reader": reader,
            "at": self._now().isoformat(),
            "monotonic": monotonic_milliseconds(),
            "boot": self._boot,
            "nonce": nonce,
            "receipt": None,
        }

    def _has(self, kind: str, number: int) -> int:
        data = self._carried(kind, number)
        return _how_new(kind, data) if data else 0

    def _carried(self, kind: str, number: int) -> bytes:
        return bytes.fromhex(self._kept["carried"].get(_name(kind, number), ""))

    def _save(self) -> None:
        write_whole(self._file, json.dumps(self._kept).encode())


def expires_at(token: bytes) -> datetime:
    """Until when a pass opens doors."""
    return datetime.fromtimestamp(_claims(token)[_EXPIRES], UTC)


def holder_of(token: bytes) -> dict[int, Any]:
    """The COSE_Key that a pass is bound to."""
    return dict(_claims(token)[_HOLDER][1])


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


def _id_of(token: str) -> str:
    """The id of a pass, in hex like its token; empty without one."""
    return str(_claims(bytes.fromhex(token))[_PASS_ID].hex()) if token else ""


def named_in(receipt: bytes) -> str:
    """The id of the pass (hex) that a receipt names, `unread` if its reader read none. Raises NotAReceipt."""
    return _read_receipt(receipt)[0] or "unread"


def _read_receipt(receipt: bytes) -> tuple[str, str, str]:
    """The pass's id, the SHA-256 of what was to be signed, and the result; not verified. Raises NotAReceipt."""
    if len(receipt) > _RECEIPT_BYTES:
        raise NotAReceipt
    try:
        claims = _claims(receipt)
        return claims[_PASS_ID].hex(), claims[_NONCE].hex(), str(claims[_RESULT])
    except (cbor2.CBORError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise NotAReceipt from error


def _how_new(kind: str, data: bytes) -> int:
    claims = _claims(data)
    return int(claims[_SEQUENCE if kind == KEY_SET else _ISSUED])


def _name(kind: str, number: int) -> str:
    return f"{kind}/{number}"
