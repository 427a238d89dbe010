"""What the back office signs by P-256 keys that never leave KMS: JWS (RFC 7515, ES256), and for doors (`passes`)."""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from chalicelib.core import aws
from chalicelib.core.schemas import Schema
from chalicelib.core.settings import physical_name

_OURS = "signing"
"""The key by which the back office states something."""
_COORDINATE_BYTES = 32
_SPKI_PREFIX_BYTES = 27
"""A P-256 SubjectPublicKeyInfo is 26 fixed bytes, 0x04, then X and Y (RFC 5480)."""


def sign(payload: Schema) -> str:
    """The payload as a compact JWS. `kid` names the key in `public_keys`."""
    header = msgspec.json.encode({"alg": "ES256", "kid": public_keys()[0]["kid"]})
    signing_input = f"{base64url(header)}.{base64url(msgspec.json.encode(payload))}"
    return f"{signing_input}.{base64url(signature(_OURS, signing_input.encode()))}"


def payload_of(compact: str) -> bytes:
    """The payload of a compact JWS that we signed ourselves: nothing is verified."""
    return from_base64url(compact.split(".")[1])


@functools.cache
def public_keys() -> list[dict[str, str]]:
    """Our public keys as JWK (RFC 7517); `kid` is the thumbprint (RFC 7638)."""
    key = public_key(_OURS)
    return [{**key, "kid": thumbprint(key), "alg": "ES256", "use": "sig"}]


def signature(key: str, message: bytes) -> bytes:
    """ECDSA over SHA-256 of a message by the KMS key of that name: r and s, 32 bytes each. One call of KMS."""
    der = aws.client("kms").sign(
        KeyId=_alias(key),
        Message=hashlib.sha256(message).digest(),
        MessageType="DIGEST",
        SigningAlgorithm="ECDSA_SHA_256",
    )["Signature"]
    return raw_signature(der)


def raw_signature(der: bytes) -> bytes:
    """A signature as r and s, 32 bytes each, from its DER form (RFC 3279)."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")


@functools.cache
def public_key(key: str) -> dict[str, str]:
    """The public half of the KMS key of that name, as a P-256 JWK. One call of KMS in a process."""
    spki: bytes = aws.client("kms").get_public_key(KeyId=_alias(key))["PublicKey"]
    x, y = spki[_SPKI_PREFIX_BYTES : _SPKI_PREFIX_BYTES + 32], spki[_SPKI_PREFIX_BYTES + 32 :]
    return {"crv": "P-256", "kty": "EC", "x": base64url(x), "y": base64url(y)}


def thumbprint(key: dict[str, Any]) -> str:
    """The SHA-256 thumbprint of a P-256 JWK (RFC 7638): base64url without padding."""
    required = {name: key[name] for name in ("crv", "kty", "x", "y")}
    return base64url(hashlib.sha256(msgspec.json.encode(required, order="sorted")).digest())


def base64url(raw: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The bytes of base64url without padding. Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _alias(key: str) -> str:
    return f"alias/{physical_name(key)}"
