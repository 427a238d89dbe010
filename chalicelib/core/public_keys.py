"""The public keys of handsets, and what was signed with the private ones: P-256, as JWK and JWS."""

from __future__ import annotations

import base64

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from chalicelib.core.errors import RequestInvalid

_COORDINATE_BYTES = 32
_HIGHEST_S = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 // 2
"""Half of the order of P-256."""


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """A P-256 public key as JWK (RFC 7517, RFC 7518 section 6.2)."""

    crv: str
    kty: str
    x: str
    y: str

    def opened(self) -> ec.EllipticCurvePublicKey:
        """The key itself. Raises RequestInvalid if it is not a point of P-256."""
        if (self.kty, self.crv) != ("EC", "P-256"):
            raise RequestInvalid("The public key must be a JWK with kty EC and crv P-256.")
        try:
            return ec.EllipticCurvePublicNumbers(_coordinate(self.x), _coordinate(self.y), ec.SECP256R1()).public_key()
        except ValueError as error:
            raise RequestInvalid("The public key's x and y are not a point of the curve P-256.") from error

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether 64 bytes, r and s, are this key's ECDSA signature of a message over SHA-256.

        Of the two values of s that would do only the lower is taken: what was signed has one spelling.
        """
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        if s > _HIGHEST_S:
            return False
        try:
            self.opened().verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def payload_of(self, compact: str) -> bytes:
        """What a compact JWS (RFC 7515, ES256) says, once it is known to be signed with this key. Raises ValueError."""
        from joserfc import jws  # noqa: PLC0415 - 50 ms, and few requests need it
        from joserfc.errors import JoseError  # noqa: PLC0415
        from joserfc.jwk import ECKey  # noqa: PLC0415

        try:
            key = ECKey.import_key(msgspec.structs.asdict(self))
            return jws.deserialize_compact(compact, key, algorithms=["ES256"]).payload
        except JoseError as error:
            raise ValueError(f"the JWS is not signed with that key: {error}") from error


def of_point(compressed: bytes) -> PublicKey:
    """The key whose compressed point (SEC 1, section 2.3.3) this is. Raises RequestInvalid if it is none of P-256."""
    try:
        numbers = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), compressed).public_numbers()
    except ValueError as error:
        raise RequestInvalid("The key is not a point of the curve P-256.") from error
    return PublicKey(crv="P-256", kty="EC", x=_base64url(numbers.x), y=_base64url(numbers.y))


def _coordinate(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(_COORDINATE_BYTES, "big")).rstrip(b"=").decode()
