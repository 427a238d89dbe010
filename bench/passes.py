"""Passes, beside bare calls of `cryptography`: one issued, a morning's in a batch, and an exchange verified at a door.

Issuing is the token with a fresh id, signed as the product's ring of keys signs; the bare one signs as many bytes, and
turns the signature from DER into r and s, as it is sent. The batch is the passes of all 85,000 handsets, in slices by
turns: a place of the status list is drawn for each, at random and none twice, and the ring is asked for its key each
time; the bare loop only signs. KMS is a double in this process that counts how often it is asked. Apart: the same, with
each handset's key read from its JWK, too.

Verifying is what a reader checks of an answer: its bytes, the key and its window, the issuer's signature, times,
service, perimeter, hours, status, and the holder's proof; each exchange of a turn is another handset's. The bare one
loads the holder's compressed point and verifies the two signatures of the same bytes. Messages, point and signatures
are cut out for it beforehand; it also turns r and s, which are sent, into DER: `cryptography` takes nothing else.
Apart: all that the door does with an answer. It writes its memory, signs a receipt and writes its log, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.turns import Compared, Work, compared, cpu
from chalicelib.core import aws
from chalicelib.passes import cose, key_set, keys, rules, status_list, tokens
from chalicelib.passes.cose import CoseKey, Signer
from chalicelib.passes.keys import Ring, SealedKey
from chalicelib.passes.schemas import Status
from chalicelib.passes.status_list import SLOTS
from chalicelib.passes.tokens import Pass
from handset.signing import HandsetKey
from reader import brought, checks, proofs
from reader import tokens as read_tokens
from reader.checks import Asked
from reader.cose import SIGNATURE_BYTES, sign
from reader.door import Door, Kind
from reader.places import Place
from reader.proofs import NONCE_BYTES

BOUND: Final = 1.5
BATCH: Final = 85_000
TURNS: Final = 200
ISSUED: Final = 100
"""Passes of a turn."""
SLICES: Final = 85
"""Turns of the batch."""
HANDSETS: Final = 50
"""Exchanges of a turn, each with another handset."""

_ALGORITHM: Final = ec.ECDSA(hashes.SHA256())
_KID: Final = "0001"
_ROOT, _OTHER_ROOT = b"ra", b"rb"
_PLACE: Final[Mapping[str, Any]] = {
    "reader": "00000000000000d1",
    "sector": "7511602",
    "building": "00112233445566778899aabbccddeeff",
    "services": {"1": [{"days": "1234567", "from": "00:00", "to": "24:00"}]},
}
_AT: Final = Place.of(_PLACE)
_URI: Final = "https://api.facteo.bench/v1/status-lists/0"


class Figure(NamedTuple):
    """What one of it costs, how many make a turn, and how many turns there were. Without a bound it stands apart."""

    name: str
    cost: Compared
    bound: float | None
    each: int
    turns: int
    note: str = ""


class Handset(NamedTuple):
    """A handset's key; its public half as the back office keeps it, a JWK in JSON; and as a pass names it."""

    private: ec.EllipticCurvePrivateKey
    key: str
    holder: CoseKey

    @classmethod
    def made(cls) -> Handset:
        """A new one."""
        private = ec.generate_private_key(ec.SECP256R1())
        jwk = HandsetKey(private).public_jwk
        return cls(private, json.dumps(jwk), cose.cose_key(jwk))


class Exchange(NamedTuple):
    """An answer to a challenge, and what a bare verification needs of it: the point, messages, and r and s of each."""

    response: bytes
    challenge: bytes
    point: bytes
    token_message: bytes
    token_signature: bytes
    proof_message: bytes
    proof_signature: bytes


def measure() -> list[Figure]:
    """Every figure, ours and the bare one by turns."""
    office = Office()
    with office.kms():
        by_sector, by_buildings = (office.exchanges(perimeter) for perimeter in (_by_sector, _by_buildings))
        return [
            _issuing(office),
            _batch(office, " in a batch", lambda handset: handset.holder),
            _batch(office, ", keys of handsets read first", lambda handset: cose.kept_key(handset.key), bound=None),
            _verifying("an exchange verified, pass of a sector", office, by_sector),
            _verifying("an exchange verified, pass of 20 buildings", office, by_buildings),
            _answering(office, by_sector),
        ]


# --- the back office ------------------------------------------------------------------------------------------


Perimeter = Callable[[bytes], str | bytes]
"""What a pass of that id opens."""


class Office:
    """As much of the back office as passes need: a ring with the key of this week, and handsets with theirs."""

    def __init__(self) -> None:
        self.begins = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        self.ends = self.begins + timedelta(hours=8)
        self.private, self.root = ec.generate_private_key(ec.SECP256R1()), HandsetKey.generate()
        self.handsets = [Handset.made() for _ in range(HANDSETS)]
        since, until = rules.week_of(self.begins)
        self._key = SealedKey(
            kid=_KID, jwk=HandsetKey(self.private).public_jwk, sealed=b"sealed", not_before=since, not_after=until
        )
        self.ring, self.kms_asked = Ring(keys=(self._key,)), 0

    @contextmanager
    def kms(self) -> Iterator[None]:
        """Until the block ends, KMS is this object."""
        with patch.dict(os.environ, FACTEO_STAGE="bench"), patch.object(aws, "client", lambda _: self):
            yield

    def decrypt(self, **_: Any) -> dict[str, bytes]:
        """KMS: unseal the issuing key."""
        self.kms_asked += 1
        return {"Plaintext": self.private.private_numbers().private_value.to_bytes(32, "big")}

    def issued(self, holder: CoseKey, perimeter: Perimeter, slot: int) -> bytes:
        """A pass, as the product makes it."""
        _, signer = self.ring.signer(self.begins)
        return tokens.token(self.told(holder, perimeter, slot), signer)

    def told(self, holder: CoseKey, perimeter: Perimeter, slot: int) -> Pass:
        """What a pass with a fresh id says."""
        token_id = secrets.token_bytes(tokens.ID_BYTES)
        return Pass(
            carrier="C10011",
            not_before=self.begins,
            expires=self.ends,
            id=token_id,
            holder=holder,
            service=1,
            perimeter=perimeter(token_id),
            status=(0, slot),
        )

    def key_set(self) -> bytes:
        """What tells readers of the issuing key."""
        signer = Signer(_ROOT, self.root.sign_raw)
        return key_set.key_set(1, [self._key.told], issued=self.begins, expires=self.ends, by=signer)

    def status_list(self) -> bytes:
        """The list, with one handset of a hundred on it, but none of those that come."""
        _, signer = self.ring.list_signer(self.begins)
        listed = dict.fromkeys(range(HANDSETS, SLOTS, 2 * 100), Status.REVOKED)
        return status_list.status_list(_URI, listed, issued=self.begins, expires=self.ends, ttl=60, by=signer)

    def exchanges(self, perimeter: Perimeter) -> list[Exchange]:
        """An answer of each handset to a challenge of its own."""
        return [
            _exchange(handset, self.issued(handset.holder, perimeter, slot), secrets.token_bytes(NONCE_BYTES))
            for slot, handset in enumerate(self.handsets)
        ]


def _by_sector(_: bytes) -> str:
    return _AT.sector


def _by_buildings(token_id: bytes) -> bytes:
    others = [bytes([number]) * tokens.BUILDING_BYTES for number in range(1, tokens.MAX_BUILDINGS)]
    return tokens.marks(token_id, [_AT.building, *others])


def _exchange(handset: Handset, token: bytes, nonce: bytes) -> Exchange:
    challenge = nonce + _AT.reader
    response = token + sign(handset.private, _to_be_proven(token, challenge))
    read = read_tokens.parse(token)
    return Exchange(
        response=response,
        challenge=challenge,
        point=read.holder.public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
        token_message=read.signed.message,
        token_signature=read.signed.signature,
        proof_message=_to_be_proven(token, challenge),
        proof_signature=response[-SIGNATURE_BYTES:],
    )


def _to_be_proven(token: bytes, challenge: bytes) -> bytes:
    return b"FPASS1" + challenge + hashlib.sha256(token).digest()


# --- issuing --------------------------------------------------------------------------------------------------


def _issuing(office: Office) -> Figure:
    holder = office.handsets[0].holder
    _, signer = office.ring.signer(office.begins)
    slot = SLOTS - 1

    def ours() -> None:
        for _ in range(ISSUED):
            tokens.token(office.told(holder, _by_sector, slot), signer)

    bare = _bare_signing(office, ISSUED)
    turns = [(cpu(bare), cpu(ours)) for _ in range(TURNS)]
    return _figure("a pass issued", turns, ISSUED, BOUND)


def _batch(office: Office, how: str, holder_of: Callable[[Handset], CoseKey], bound: float | None = BOUND) -> Figure:
    each, places, issued = BATCH // SLICES, list[int](), list[bytes]()
    bare, handsets = _bare_signing(office, each), office.handsets * (each // HANDSETS)

    def drawn() -> None:
        places.extend(secrets.SystemRandom().sample(range(SLOTS), BATCH))

    def ours() -> None:
        issued.extend(office.issued(holder_of(handset), _by_sector, places.pop()) for handset in handsets)

    keys.forget()
    office.kms_asked, drawing = 0, cpu(drawn) / SLICES
    turns = [(cpu(bare), cpu(ours) + drawing) for _ in range(SLICES)]
    theirs, mine = map(sum, zip(*turns, strict=True))
    note = f"together {mine:.2f} s, bare {theirs:.2f} s: {mine / theirs:.2f}; KMS was asked {office.kms_asked} x"
    return _figure(f"{len(set(issued)):,} passes{how}", turns, each, bound, note)


def _bare_signing(office: Office, number: int) -> Work:
    token = office.issued(office.handsets[0].holder, _by_sector, SLOTS - 1)
    message = read_tokens.parse(token).signed.message

    def bare() -> None:
        for _ in range(number):
            r, s = decode_dss_signature(office.private.sign(message, _ALGORITHM))
            _ = r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return bare


# --- at the door ----------------------------------------------------------------------------------------------


def _verifying(name: str, office: Office, exchanges: Sequence[Exchange]) -> Figure:
    known = brought.key_set(office.key_set()).keys
    lists = {0: brought.status_list(office.status_list())}
    now = int(datetime.now(UTC).timestamp())

    def ours() -> None:
        for one in exchanges:
            told, signature = proofs.split(one.response)
            token = read_tokens.parse(told)
            refused = checks.refusal(Asked(token, _AT, known, lists, (), now))
            proven = proofs.of_nonce(token.holder, one.challenge, told, signature)
            if refused or not proven:
                raise AssertionError(refused or "not proven")

    bare = _bare_verifying(office, exchanges)
    return _figure(name, [(cpu(bare), cpu(ours)) for _ in range(TURNS)], len(exchanges), BOUND)


def _bare_verifying(office: Office, exchanges: Sequence[Exchange]) -> Work:
    public = office.private.public_key()

    def bare() -> None:
        for one in exchanges:
            holder = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), one.point)
            public.verify(_in_der(one.token_signature), one.token_message, _ALGORITHM)
            holder.verify(_in_der(one.proof_signature), one.proof_message, _ALGORITHM)

    return bare


def _in_der(signature: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


def _answering(office: Office, exchanges: Sequence[Exchange]) -> Figure:
    """Each turn is one answer: a door has one challenge at a time."""
    with tempfile.TemporaryDirectory() as folder:
        roots = [key_set.encoded_root(name, office.root.public_jwk) for name in (_ROOT, _OTHER_ROOT)]
        door = Door.install(Path(folder) / "door", _PLACE, roots)
        door.take(Kind.KEY_SET, office.key_set())
        door.take(Kind.STATUS_LIST, office.status_list())
        handset, token = office.handsets[0], exchanges[0].response[:-SIGNATURE_BYTES]
        bare = _bare_verifying(office, exchanges[:1])

        def answered() -> float:
            response = token + sign(handset.private, _to_be_proven(token, door.challenge()))
            begun = time.process_time()
            decision = door.answer(response)
            spent = time.process_time() - begun
            if not decision.opened:
                raise AssertionError(decision.refusal)
            return spent

        return _figure("all that a door does with an answer", [(cpu(bare), answered()) for _ in range(TURNS)], 1, None)


def _figure(name: str, turns: Sequence[tuple[float, float]], each: int, bound: float | None, note: str = "") -> Figure:
    """Of the seconds of whole turns, what one costs."""
    return Figure(name, compared([(bare / each, ours / each) for bare, ours in turns]), bound, each, len(turns), note)
