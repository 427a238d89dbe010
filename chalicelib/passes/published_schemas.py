"""What everybody may read: keys, the status list and the time; and what the journal says of keys."""

from __future__ import annotations

from datetime import datetime

from chalicelib.core.schemas import Schema


class SignedList(Schema, frozen=True):
    """The status list that was signed last, by the key `kid`; `says` tells (SHA-256) whether it says something new."""

    issued_at: datetime
    status_list: bytes
    kid: str
    says: str


class StatusListTold(Schema, frozen=True):
    """The signed status list (base64, COSE_Sign1 of CWT claims) and when it was issued."""

    issued_at: datetime
    status_list: bytes


class TimeTold(Schema, frozen=True):
    """The signed time (base64, COSE_Sign1 of CWT claims)."""

    time: bytes


class KeysTold(Schema, frozen=True):
    """The signed set of issuing keys (base64, COSE_Sign1) with its sequence, and the two roots (base64, COSE_Key)."""

    sequence: int
    key_set: bytes
    roots: tuple[bytes, ...]


class Jwk(Schema, frozen=True):
    """An issuing key (RFC 7517). `kid` in hex; it signs what is dated from `nbf` to `exp` (seconds since 1970)."""

    kty: str
    crv: str
    x: str
    y: str
    kid: str
    alg: str
    use: str
    nbf: int
    exp: int


class JwkSet(Schema, frozen=True):
    """The issuing keys (RFC 7517)."""

    keys: tuple[Jwk, ...]


class KeysRotated(Schema, frozen=True):
    """`facteo.pass-keys.rotated`: the set of issuing keys changed; which ones are in it, and which was dropped."""

    sequence: int
    kids: tuple[str, ...]
    dropped: str = ""
