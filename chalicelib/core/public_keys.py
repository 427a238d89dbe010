"""The public keys of handsets, and what was signed with the private ones: P-256, as JWK and JWS."""

from __future__ import annotations

import base64

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.core.errors import RequestInvalid


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


def _coordinate(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
