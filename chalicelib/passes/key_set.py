"""The keys that sign passes, signed by a root and published ahead: a COSE key set for readers, JWKS for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import cbor2
import msgspec

from chalicelib.passes.cose import ALG, CRV, ESP256, ISSUER, KID, KTY, Y_IS_ODD, CoseKey, Signer, X, cose_key

_WINDOW, _SEQUENCE, _KEYS, _ROOTS = -65539, -65540, -65541, -65542


class IssuingKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that signs passes, lists and the time: its name of two bytes, its JWK, and the dates that it may sign."""

    kid: bytes
    jwk: Mapping[str, str]
    not_before: datetime
    not_after: datetime


def key_set(
    sequence: int,
    keys: Sequence[IssuingKey],
    *,
    issued: datetime,
    expires: datetime,
    by: Signer,
    next_roots: Sequence[CoseKey] = (),
) -> bytes:
    """The signed set. Its sequence must be higher than that of every set before it; `by` is a root.

    `next_roots`, if given, are two, made by `root`: readers forget their roots and keep these.
    """
    claims: dict[int, Any] = {
        1: ISSUER,
        4: int(expires.timestamp()),
        6: int(issued.timestamp()),
        _SEQUENCE: sequence,
        _KEYS: [_told(key) for key in keys],
    }
    return by.sign1(claims | ({_ROOTS: list(next_roots)} if next_roots else {}))


def root(kid: bytes, jwk: Mapping[str, str]) -> CoseKey:
    """A root key as readers keep it."""
    return _ordered({**cose_key(jwk), KID: kid})


def encoded_root(kid: bytes, jwk: Mapping[str, str]) -> bytes:
    """A root key as installers give it to readers: CBOR."""
    return cbor2.dumps(root(kid, jwk))


def jwks(keys: Sequence[IssuingKey]) -> dict[str, Any]:
    """The same keys as a JWK set (RFC 7517); `kid` in hex, `nbf` and `exp` in seconds since 1970."""
    return {
        "keys": [
            {
                **key.jwk,
                "kid": key.kid.hex(),
                "alg": "ESP256",
                "use": "sig",
                "nbf": int(key.not_before.timestamp()),
                "exp": int(key.not_after.timestamp()),
            }
            for key in keys
        ]
    }


def _told(key: IssuingKey) -> CoseKey:
    window = [int(key.not_before.timestamp()), int(key.not_after.timestamp())]
    return _ordered({**cose_key(key.jwk), KID: key.kid, ALG: ESP256, _WINDOW: window})


def _ordered(key: CoseKey) -> CoseKey:
    """In the order of deterministic CBOR."""
    return {label: key[label] for label in (KTY, KID, ALG, CRV, X, Y_IS_ODD, _WINDOW) if label in key}
