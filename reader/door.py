"""One door: it asks, judges the answer, opens or not, and takes what the handset brings when that is done."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import cbor2

from reader import brought, cbor, checks, cose, proofs, receipts, tokens
from reader.brought import Key, KeySet, StatusList
from reader.cbor import Malformed
from reader.checks import Asked
from reader.memory import Log, Memory, load_key, make_key, write_whole
from reader.places import Place
from reader.proofs import NONCE_BYTES
from reader.refusals import Refusal
from reader.tokens import Token

ANSWER_SECONDS: Final = 0.5
"""An answer that takes longer may have come from afar."""

_REMEMBERED_NONCES: Final = 4


class Kind(StrEnum):
    """What a handset may bring."""

    KEY_SET = "key-set"
    TIME = "time"
    STATUS_LIST = "status-list"


class Outcome(StrEnum):
    """What became of something that was brought."""

    TAKEN = "taken"
    NOT_NEWER = "not-newer"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"


@dataclass(frozen=True)
class Decision:
    """Whether the door opened, why not, and the receipt that says so."""

    refusal: Refusal | None
    receipt: bytes

    @property
    def opened(self) -> bool:
        """Whether it did."""
        return self.refusal is None


Proof = Callable[[Token], Refusal | None]
"""What is wrong with whoever shows this token."""


class Door:
    """A reader whose memory is a folder: take it up again from there after the current failed."""

    def __init__(
        self,
        folder: Path,
        own_clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        """`own_clock` says the time as well as it can, in seconds since 1970; `uptime` counts on whatever happens."""
        self._folder, self._own_clock, self._uptime = folder, own_clock, uptime
        self._learnt_at = uptime()
        self.place = Place.of(json.loads((folder / "place.json").read_text()))
        self._key = load_key(folder)
        self._memory = Memory.load(folder)
        self._log = Log(folder / "log", self._key)
        self._key_set = brought.key_set(bytes.fromhex(self._memory.key_set)) if self._memory.key_set else None
        kept = (brought.status_list(bytes.fromhex(one)) for one in self._memory.lists.values())
        self._lists: dict[int, StatusList] = {one.number: one for one in kept}

    @classmethod
    def install(
        cls,
        folder: Path,
        place: Mapping[str, Any],
        roots: Sequence[bytes],
        own_clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = time.monotonic,
    ) -> Door:
        """A new reader: its line of the registry, and the two root keys as COSE_Keys. It makes a key for receipts.

        Raises FileExistsError if the folder is there, ValueError or Malformed if place or roots are none.
        """
        Place.of(place)
        brought.roots([cbor.decode(root, brought.MAX_KEY_SET_BYTES) for root in roots])
        folder.mkdir(mode=0o700, parents=True)
        write_whole(folder / "place.json", json.dumps(place).encode())
        make_key(folder)
        Memory(roots=[root.hex() for root in roots]).save(folder)
        return cls(folder, own_clock, uptime)

    @property
    def public_key(self) -> cose.PublicKey:
        """The key that receipts verify with."""
        return self._key.public_key()

    @property
    def now(self) -> int:
        """The time as far as it is known (seconds since 1970): the reader's own, or what has passed since a signed one.

        After the current failed, that is no less than the signed one. A clock that is put right is right again.
        """
        signed = self._memory.floor + self._uptime() - self._learnt_at
        return min(int(max(self._own_clock(), signed)), cbor.SECONDS_END - 1)

    def challenge(self) -> bytes:
        """What a handset must answer: a nonce, for one answer, and the reader's id."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        self._memory.nonce = nonce.hex()
        self._memory.save(self._folder)
        return nonce + self.place.reader

    def answer(self, response: bytes, seconds: float = 0.0) -> Decision:
        """Judge the answer to the last challenge, and how long it took. Either way the challenge is over."""
        nonce, self._memory.nonce = bytes.fromhex(self._memory.nonce), ""
        if nonce:
            self._memory.answered = [nonce.hex(), *self._memory.answered][:_REMEMBERED_NONCES]
        challenge = nonce + self.place.reader
        if seconds > ANSWER_SECONDS:
            return self._conclude(Refusal.TOO_SLOW, None, challenge)
        try:
            told, signature = proofs.split(response)
            token = tokens.parse(told)
        except Malformed:
            return self._conclude(Refusal.MALFORMED, None, challenge)
        return self._judge(token, challenge, lambda token: self._of_nonce(token, told, nonce, signature))

    def show(self, text: str) -> Decision:
        """Judge what a camera saw."""
        try:
            code = proofs.read_code(text)
            token = tokens.parse(code.token)
        except Malformed:
            return self._conclude(Refusal.MALFORMED, None, b"")
        return self._judge(token, code.challenge, lambda token: self._of_code(token, code))

    def take(self, kind: Kind, data: bytes) -> Outcome:
        """Take what a handset brings, if it is signed and newer than what is kept. Called after the door's decision."""
        takers = {
            Kind.KEY_SET: self._take_key_set,
            Kind.TIME: self._take_time,
            Kind.STATUS_LIST: self._take_status_list,
        }
        try:
            return takers[kind](data)
        except Malformed:
            return Outcome.MALFORMED

    def has(self, kind: Kind, number: int = 0) -> int:
        """How new what it keeps is: the key set's sequence, the time, or the moment of that list. 0 if it has none.

        0 too for a list that the key set of today would not let in: any other takes its place, whatever it is dated.
        """
        if kind is Kind.KEY_SET:
            return self._key_set.sequence if self._key_set else 0
        if kind is Kind.TIME:
            return self._memory.floor
        held = self._lists.get(number)
        return held.issued if held and self._doubt(held.signed, held.issued) is None else 0

    @property
    def lists(self) -> range:
        """The numbers of the status lists to ask for: those that it has, and the next."""
        return range(max(self._lists, default=-1) + 2)

    def log(self) -> Iterator[receipts.Entry]:
        """What the door did, oldest first, each entry proven. Raises BrokenLog."""
        return self._log.entries()

    def _judge(self, token: Token, challenge: bytes, proof: Proof) -> Decision:
        keys = self._key_set.keys if self._key_set else {}
        used = {bytes.fromhex(one) for one in self._memory.used}
        asked = Asked(token, self.place, keys, self._lists, used, self.now)
        return self._conclude(checks.refusal(asked) or proof(token), token, challenge)

    def _conclude(self, refusal: Refusal | None, token: Token | None, challenge: bytes) -> Decision:
        """Remember, write the log, and only then say what was decided."""
        now = self.now
        if token and refusal is None and token.service in checks.ONE_TIME:
            self._memory.used[token.id.hex()] = token.expires
        for until in (self._memory.used, self._memory.codes):
            for name in [name for name, ends in until.items() if ends + checks.SKEW < now]:
                del until[name]
        self._memory.save(self._folder)
        entry = receipts.Entry(
            reader=self.place.reader,
            at=now,
            pass_id=token.id if token else b"",
            nonce=hashlib.sha256(challenge).digest(),
            result=refusal or receipts.OPENED,
            previous=self._log.last,
        )
        receipt = receipts.make(self._key, entry)
        self._log.add(receipt, now)
        return Decision(refusal, receipt)

    def _of_nonce(self, token: Token, told: bytes, nonce: bytes, signature: bytes) -> Refusal | None:
        """None if the holder answered this challenge; replayed if an earlier one, or none was open; else copied."""

        def answers(one: bytes) -> bool:
            return proofs.of_nonce(token.holder, one + self.place.reader, told, signature)

        if nonce and answers(nonce):
            return None
        earlier = any(answers(bytes.fromhex(one)) for one in self._memory.answered)
        return Refusal.REPLAYED if earlier or not nonce else Refusal.COPIED

    def _of_code(self, token: Token, code: proofs.Code) -> Refusal | None:
        if not proofs.of_code(token.holder, code) or code.reader not in (self.place.reader, proofs.ANY_READER):
            return Refusal.COPIED
        if not code.is_of(self.now):
            return Refusal.STALE_CODE
        name = f"{token.id.hex()}/{code.slot}"
        if name in self._memory.codes:
            return Refusal.REPLAYED
        self._memory.codes[name] = (code.slot + 1) * proofs.SLOT_SECONDS
        return None

    def _take_key_set(self, data: bytes) -> Outcome:
        told = brought.key_set(data)
        kept = [cbor.decode(bytes.fromhex(root), brought.MAX_KEY_SET_BYTES) for root in self._memory.roots]
        root = brought.roots(kept).get(told.signed.kid)
        if root is None or told.signed.alg != cose.ESP256:
            return Outcome.UNKNOWN_KEY
        if not cose.verified(told.signed, root):
            return Outcome.BAD_SIGNATURE
        if told.sequence <= self.has(Kind.KEY_SET):
            return Outcome.NOT_NEWER
        self._keep_key_set(told, data)
        return Outcome.TAKEN

    def _keep_key_set(self, told: KeySet, data: bytes) -> None:
        self._key_set = told
        self._memory.key_set = data.hex()
        if told.next_roots:
            self._memory.roots = [cbor2.dumps(root, canonical=True).hex() for root in told.next_roots]
        self._learn(told.issued)

    def _take_time(self, data: bytes) -> Outcome:
        told = brought.signed_time(data)
        if (wrong := self._doubt(told.signed, told.issued)) is not None:
            return wrong
        if told.issued <= self._memory.floor:
            return Outcome.NOT_NEWER
        self._learn(told.issued)
        return Outcome.TAKEN

    def _take_status_list(self, data: bytes) -> Outcome:
        told = brought.status_list(data)
        if (wrong := self._doubt(told.signed, told.issued)) is not None:
            return wrong
        if told.issued <= self.has(Kind.STATUS_LIST, told.number):
            return Outcome.NOT_NEWER
        self._lists[told.number] = told
        self._memory.lists[str(told.number)] = data.hex()
        self._learn(told.issued)
        return Outcome.TAKEN

    def _doubt(self, signed: cose.Signed, dated: int) -> Outcome | None:
        """Why not to believe an issuing key's signature at that date."""
        key: Key | None = self._key_set.keys.get(signed.kid) if self._key_set else None
        if key is None or not key.made(signed, dated):
            return Outcome.UNKNOWN_KEY
        return None if cose.verified(signed, key.public) else Outcome.BAD_SIGNATURE

    def _learn(self, signed_at: int) -> None:
        """Move the time forward to what was signed; never back. Then save all that was learnt."""
        up, ahead = self._uptime(), signed_at - self._memory.floor
        if ahead > 0:
            self._memory.floor, self._learnt_at = signed_at, min(self._learnt_at + ahead, up)
        self._memory.save(self._folder)
