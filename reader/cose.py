"""COSE_Sign1 (RFC 9052) in the profile's one form, and P-256 keys as COSE_Key (RFC 9053) with a compressed point."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from reader import cbor
from reader.cbor import Check, Malformed

PublicKey = ec.EllipticCurvePublicKey

ESP256: Final = -9
"""ECDSA on P-256 with SHA-256 (RFC 9864). The older number -7 says less and is refused."""
KID_BYTES: Final = 2
SIGNATURE_BYTES: Final = 64

_TAG: Final = b"\xd2"
"""Tag 18, COSE_Sign1."""
_PARTS: Final = (bytes, dict, bytes, bytes)
_ALG, _KID, _TYPE = 1, 4, 16
_MAX_HEADER_BYTES: Final = 64
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (SEC 2, section 2.4.2)."""
_HIGHEST: Final = _ORDER // 2
"""Of the values of s."""
_ECDSA: Final = ec.ECDSA(hashes.SHA256())

KEY_SHAPE: Final[Mapping[int, Check]] = {
    1: cbor.integer(2, 3),
    -1: cbor.integer(1, 2),
    -2: cbor.octets(32),
    -3: cbor.either,
}
"""kty EC2, crv P-256, x, and whether y is odd."""


class Signed(NamedTuple):
    """A well-formed COSE_Sign1 that nobody has verified yet: its decoded claims, and the `message` that was signed."""

    alg: int
    kid: bytes
    claims: Any
    message: bytes
    signature: bytes


def parse(data: bytes, limit: int, *, media_type: str | None = None, kid_bytes: int = KID_BYTES) -> Signed:
    """Read a tagged COSE_Sign1 of at most `limit` bytes whose header names alg, kid and, if asked for, the type.

    Raises Malformed.
    """
    if data[:1] != _TAG or len(data) > limit:
        raise Malformed("no COSE_Sign1, or too long")
    parts = cbor.decode(data[1:], limit)
    if type(parts) is not list or tuple(map(type, parts)) != _PARTS or parts[1]:
        raise Malformed("not the four parts")
    protected, _, payload, signature = parts
    alg, kid = _header(protected, media_type, kid_bytes)
    if len(signature) != SIGNATURE_BYTES:
        raise Malformed("the signature's length")
    message = cbor.encode(["Signature1", protected, b"", payload])
    return Signed(alg, kid, cbor.decode(payload, limit), message, signature)


def verified(signed: Signed, key: PublicKey) -> bool:
    """Whether the key made the signature."""
    return signed.alg in _VERIFIERS and _VERIFIERS[signed.alg](key, signed.message, signed.signature)


def verify(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether 64 bytes, r and s, are the key's ECDSA signature of a message.

    Of the two values of s that would do only the lower is taken: what was signed has one spelling.
    """
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) != SIGNATURE_BYTES or not (0 < r < _ORDER and 0 < s <= _HIGHEST):
        return False
    try:
        key.verify(encode_dss_signature(r, s), message, _ECDSA)
    except InvalidSignature:
        return False
    return True


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """The key's signature of a message: r and the lower s, 32 bytes each. The same each time (RFC 6979)."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + min(s, _ORDER - s).to_bytes(32, "big")


def sign1(key: ec.EllipticCurvePrivateKey, kid: bytes, claims: Mapping[int, Any]) -> bytes:
    """Claims, signed as a COSE_Sign1."""
    protected, payload = cbor.encode({_ALG: ESP256, _KID: kid}), cbor.encode(dict(claims))
    signature = sign(key, cbor.encode(["Signature1", protected, b"", payload]))
    return _TAG + cbor.encode([protected, {}, payload, signature])


def public_key(told: Mapping[int, Any]) -> PublicKey:
    """The key of a COSE_Key whose shape is right. Raises Malformed if the point is not on the curve."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes([2 + told[-3]]) + told[-2])
    except ValueError as error:
        raise Malformed("no point of the curve") from error


@functools.lru_cache(maxsize=32)
def _header(protected: bytes, media_type: str | None, kid_bytes: int) -> tuple[int, bytes]:
    """alg and kid of a protected header. A reader sees few of them, again and again."""
    typed: dict[int, Check] = {_TYPE: lambda value: type(value) is str and value == media_type} if media_type else {}
    shape = {_ALG: cbor.integer(-(2**31), 2**31), _KID: cbor.octets(kid_bytes), **typed}
    header = cbor.shaped(cbor.decode(protected, _MAX_HEADER_BYTES), shape)
    return header[_ALG], header[_KID]


_VERIFIERS: Final[Mapping[int, Callable[[PublicKey, bytes, bytes], bool]]] = {ESP256: verify}
