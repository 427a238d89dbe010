"""Reading what somebody may have forged: base64url, JSON, moments, keys and JWS. Strictly as written, or not at all."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from handset.signing import base64url

Jwk = dict[str, Any]

_COORDINATE_BYTES = 32
_MOST_CHARACTERS = 65_536


class Malformed(ValueError):  # noqa: N818
    """What was given is not what it should be."""


def unbase64url(text: Any, most: int) -> bytes:
    """At most so many bytes from base64url without padding (RFC 4648, section 5). Raises Malformed.

    Bytes have one spelling only: unused bits at the end that are not zero are refused.
    """
    if not isinstance(text, str) or len(text) > 2 * most:
        raise Malformed("no base64url of that length")
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise Malformed("no base64url") from error
    if base64url(raw) != text or len(raw) > most:
        raise Malformed("no base64url of that length")
    return raw


def json_object(raw: bytes) -> dict[str, Any]:
    """The object of a JSON text (RFC 8259) in UTF-8 that names no member twice. Raises Malformed."""
    try:
        content = json.loads(raw.decode(), object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed("no JSON") from error
    if not isinstance(content, dict):
        raise Malformed("no JSON object")
    return content


def moment(text: Any) -> datetime:
    """A moment with its offset (RFC 3339). Raises Malformed."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise Malformed("no moment") from error
    if at.tzinfo is None:
        raise Malformed("a moment without an offset")
    return at


def public_key(jwk: Any) -> ec.EllipticCurvePublicKey:
    """The P-256 key of a JWK (RFC 7517). Raises Malformed."""
    if not isinstance(jwk, dict) or (jwk.get("kty"), jwk.get("crv")) != ("EC", "P-256"):
        raise Malformed("no P-256 key")
    coordinates = [unbase64url(jwk.get(name), _COORDINATE_BYTES) for name in ("x", "y")]
    if any(len(one) != _COORDINATE_BYTES for one in coordinates):
        raise Malformed("a coordinate has 32 bytes")
    x, y = (int.from_bytes(one, "big") for one in coordinates)
    try:
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError as error:
        raise Malformed("a point that is not on the curve") from error


def signed_by(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Whether an ECDSA signature over SHA-256, in DER, is of that key."""
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def opened(token: Any, keys: Sequence[Jwk]) -> bytes:
    """The payload of a compact JWS (RFC 7515, ES256) by the one of `keys` that its `kid` names. Raises Malformed."""
    parts = token.split(".") if isinstance(token, str) and len(token) <= _MOST_CHARACTERS else []
    if len(parts) != len(("header", "payload", "signature")):
        raise Malformed("no compact JWS")
    header, payload, signature = (unbase64url(part, _MOST_CHARACTERS) for part in parts)
    key = _named(json_object(header), keys)
    if len(signature) != 2 * _COORDINATE_BYTES:
        raise Malformed("no ES256 signature")
    r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]))
    if not signed_by(key, encode_dss_signature(r, s), f"{parts[0]}.{parts[1]}".encode()):
        raise Malformed("a signature of somebody else")
    return payload


def _named(header: dict[str, Any], keys: Sequence[Jwk]) -> ec.EllipticCurvePublicKey:
    """The key that a JWS header names. What must be understood (`crit`) is not."""
    if header.get("alg") != "ES256" or "crit" in header:
        raise Malformed("not ES256")
    for jwk in keys:
        if isinstance(header.get("kid"), str) and jwk.get("kid") == header["kid"]:
            return public_key(jwk)
    raise Malformed("a key that is not known")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("a member is named twice")
    return members


def _no_constant(name: str) -> None:
    raise Malformed(f"{name} is no JSON")
