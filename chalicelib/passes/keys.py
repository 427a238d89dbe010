"""The ring of issuing keys: one for each week, made and signed by a root a week ahead, sealed by KMS.

KMS is asked when a key is made, when a process uses it for the first time, and when the set of keys changes; never for
a single pass.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.core import aws, clock, events, signing
from chalicelib.core.errors import ChangedMeanwhile, NotFound, Unavailable
from chalicelib.core.schemas import Schema
from chalicelib.core.settings import physical_name
from chalicelib.core.table import Place, Rows
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.passes import key_set, rules, status_list
from chalicelib.passes.cose import KID_BYTES, Sign, Signer, from_base64url
from chalicelib.passes.key_set import IssuingKey
from chalicelib.passes.published_schemas import JwkSet, KeysRotated, KeysTold
from chalicelib.passes.publishing import KEY_SET, KEYS_AS_JWK, published
from chalicelib.passes.tables import PassesRow

ROOTS: Final = ("pass-root-a", "pass-root-b")
"""The KMS keys by which readers know issuing keys. The first one signs; the other one waits for the day it is lost."""
RING: Final = "ring"
SYSTEM: Final = "system/passes"
PLACE: Final[Place] = (PassesRow, RING)
SET_LIFE: Final = timedelta(days=14)

_SCALAR_BYTES: Final = 32


class SealedKey(Schema, frozen=True):
    """An issuing key: its name (2 bytes in hex), the week in which it signs, and its private half sealed by KMS."""

    kid: str
    jwk: dict[str, str]
    sealed: bytes
    not_before: datetime
    not_after: datetime

    @property
    def told(self) -> IssuingKey:
        """Its public half."""
        kid = bytes.fromhex(self.kid)
        return IssuingKey(kid=kid, jwk=self.jwk, not_before=self.not_before, not_after=self.not_after)


class Ring(Schema, frozen=True):
    """The issuing keys, the oldest first; the sequence of the set that was signed last, and the last name given."""

    sequence: int = 0
    last_name: int = 0
    keys: tuple[SealedKey, ...] = ()

    def has(self, kid: str) -> bool:
        """Whether a key of that name is in it."""
        return any(key.kid == kid for key in self.keys)

    def key_for(self, dated: datetime) -> SealedKey:
        """The key that signs what is dated then. Raises Unavailable."""
        for key in reversed(self.keys):
            if key.not_before <= dated <= key.not_after:
                return key
        raise Unavailable("There is no key for passes of that day yet. Try again in a minute.")

    def signer(self, dated: datetime) -> tuple[str, Signer]:
        """The name of the key that signs passes and times dated then, and the key."""
        key = self.key_for(dated)
        return key.kid, _signer(key.kid, key.sealed)

    def list_signer(self, dated: datetime) -> tuple[str, Signer]:
        """The name of the key that signs status lists dated then, and the key."""
        key = self.key_for(dated)
        return key.kid, status_list.signer(bytes.fromhex(key.kid), _opened(key.kid, key.sealed))


def among(rows: Rows) -> Ring:
    """The ring, of rows that were read together. Raises Unavailable if there is none yet."""
    row = PassesRow.among(rows, RING)
    if row is None:
        raise Unavailable("There are no keys for passes yet. Try again in a minute.")
    return row.holds(Ring)


def standing() -> Ring:
    """The ring as it stands: one read. Raises Unavailable if there is none yet."""
    return among({PLACE: PassesRow.find(RING)})


def kept_up() -> Ring:
    """The ring, with keys for this week and the next, and without those whose passes are all over.

    One read; if anything changes also a transaction, and KMS is asked for each new key and for the set's signature.
    """
    return retried(lambda: _turned((), by=SYSTEM))


def rotate(drop: Sequence[str], *, by: str) -> Ring:
    """Take keys out of the ring for ever, and put new ones in their places at once. Raises NotFound.

    What they signed is worth nothing to a reader from the next set on that it is brought.
    """
    return retried(lambda: _turned(drop, by=by))


def _turned(drop: Sequence[str], *, by: str) -> Ring:
    row = PassesRow.find(RING)
    former, now = row.holds(Ring) if row else Ring(), clock.now()
    for kid in drop:
        if not former.has(kid):
            raise NotFound(f"There is no issuing key {kid}.")
    ring = _filled(_thinned(former, drop, now), now)
    if ring == former:
        return ring
    ring = msgspec.structs.replace(ring, sequence=former.sequence + 1)
    with transaction() as work:
        _save(work, row, ring)
        _publish(work, ring, now)
        kids = tuple(key.kid for key in ring.keys)
        turned = KeysRotated(sequence=ring.sequence, kids=kids, dropped=" ".join(drop))
        work.append(events.make("facteo.pass-keys.rotated", "pass-keys", turned, actor=by, correlation_id=RING))
    return ring


def _thinned(ring: Ring, drop: Sequence[str], now: datetime) -> Ring:
    """Without what was dropped, and without keys whose last pass is over."""
    over = now - rules.MAX_LIFE - rules.SKEW
    keys = tuple(key for key in ring.keys if key.kid not in drop and key.not_after >= over)
    return msgspec.structs.replace(ring, keys=keys)


def _filled(ring: Ring, now: datetime) -> Ring:
    """With a key for this week and one for the next."""
    for begins, ends in (rules.week_of(now), rules.week_of(now + rules.WEEK)):
        if not any(key.not_after == ends for key in ring.keys):
            key = _made(ring.last_name + 1, begins, ends)
            ring = msgspec.structs.replace(ring, last_name=ring.last_name + 1, keys=(*ring.keys, key))
    return ring


def _made(name: int, begins: datetime, ends: datetime) -> SealedKey:
    private = ec.generate_private_key(ec.SECP256R1())
    kid = (name % 2 ** (8 * KID_BYTES)).to_bytes(KID_BYTES, "big").hex()
    numbers = private.private_numbers()
    x, y = (_base64url(number) for number in (numbers.public_numbers.x, numbers.public_numbers.y))
    sealed = aws.client("kms").encrypt(
        KeyId=_sealing_key(),
        Plaintext=numbers.private_value.to_bytes(_SCALAR_BYTES, "big"),
        EncryptionContext={"issuing-key": kid},
    )["CiphertextBlob"]
    jwk = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
    return SealedKey(kid=kid, jwk=jwk, sealed=sealed, not_before=begins, not_after=ends)


@functools.lru_cache(maxsize=8)
def _signer(kid: str, sealed: bytes) -> Signer:
    """The key, ready to sign passes and times. Making it ready costs nearly half a signature."""
    return Signer(bytes.fromhex(kid), _opened(kid, sealed))


@functools.lru_cache(maxsize=8)
def _opened(kid: str, sealed: bytes) -> Sign:
    """How an issuing key signs. KMS is asked once in a process for each key."""
    scalar: bytes = aws.client("kms").decrypt(
        CiphertextBlob=sealed, KeyId=_sealing_key(), EncryptionContext={"issuing-key": kid}
    )["Plaintext"]
    private = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
    algorithm = ec.ECDSA(hashes.SHA256())
    return lambda message: signing.raw_signature(private.sign(message, algorithm))


def forget() -> None:
    """Drop the opened keys that this process holds."""
    _signer.cache_clear()
    _opened.cache_clear()


def _save(work: UnitOfWork, row: PassesRow | None, ring: Ring) -> None:
    revision = int(row.revision) if row else 0
    meanwhile = ChangedMeanwhile("The keys of passes changed at the same time.")
    content = msgspec.json.encode(ring).decode()
    work.put(
        PassesRow(RING, content=content, revision=revision + 1), when=PassesRow.is_still(revision), otherwise=meanwhile
    )


def _publish(work: UnitOfWork, ring: Ring, now: datetime) -> None:
    """Sign the set of keys, and have it read by everybody from the moment on at which its keys may sign."""
    roots = [(_root_name(jwk), jwk) for jwk in map(signing.public_key, ROOTS)]
    signer = Signer(roots[0][0], lambda message: signing.signature(ROOTS[0], message))
    keys = [key.told for key in ring.keys]
    signed = key_set.key_set(ring.sequence, keys, issued=now, expires=now + SET_LIFE, by=signer)
    spelled = tuple(key_set.encoded_root(name, jwk) for name, jwk in roots)
    work.put(published(KEY_SET, KeysTold(sequence=ring.sequence, key_set=signed, roots=spelled)))
    work.put(published(KEYS_AS_JWK, msgspec.convert(key_set.jwks(keys), JwkSet)))


def _root_name(jwk: dict[str, str]) -> bytes:
    """A root's name: the first bytes of its thumbprint (RFC 7638)."""
    return from_base64url(signing.thumbprint(jwk))[:KID_BYTES]


def _sealing_key() -> str:
    return f"alias/{physical_name('pass-keys')}"


def _base64url(number: int) -> str:
    return signing.base64url(number.to_bytes(_SCALAR_BYTES, "big"))
