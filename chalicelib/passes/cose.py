"""What the back office signs for doors: COSE_Sign1 (RFC 9052) with ESP256 (RFC 9864), and P-256 keys as COSE_Key."""

from __future__ import annotations

import binascii
import io
from collections.abc import Callable, Mapping
from typing import Any, Final

import cbor2
import msgspec

Sign = Callable[[bytes], bytes]
"""ECDSA over SHA-256 of a message: r and s, 32 bytes each."""
CoseKey = dict[int, Any]

ISSUER: Final = "lp"
KID_BYTES: Final = 2
SIGNATURE_BYTES: Final = 64
ESP256: Final = -9
KTY, KID, ALG, CRV, X, Y_IS_ODD = 1, 2, 3, -1, -2, -3
"""Labels of a COSE_Key (RFC 9052, RFC 9053)."""

_EC2: Final = 2
_P256: Final = 1
_TYPE: Final = 16
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256. Of s and order − s, which verify alike, the lower is sent: readers want one spelling."""
_HIGHEST: Final = (_ORDER // 2).to_bytes(32, "big")
_JWK: Final = msgspec.json.Decoder(dict[str, str])


class Signer:
    """A key that signs for doors, by its name: one at a time.

    What does not change from one token to the next is made once, the encoder too: it costs more than what it encodes.
    """

    def __init__(self, kid: bytes, sign: Sign, media_type: str | None = None) -> None:
        """`kid` has two bytes; `media_type` is the header `typ` (RFC 9596) of what it signs, if that has one."""
        if len(kid) != KID_BYTES:
            raise ValueError("a key's name has two bytes")
        header = {1: ESP256, 4: kid} | ({_TYPE: media_type} if media_type else {})
        protected = cbor2.dumps(cbor2.dumps(header))
        self._sign = sign
        self._encoded = cbor2.CBOREncoder(io.BytesIO()).encode_to_bytes
        self._signed_before = b"\x84\x6aSignature1" + protected + b"\x40"
        self._sent_before = b"\xd2\x84" + protected + b"\xa0"

    def sign1(self, claims: Mapping[Any, Any]) -> bytes:
        """The claims as a tagged COSE_Sign1. Their keys must stand in the order of deterministic CBOR already."""
        payload = self._encoded(self._encoded(claims))
        return self._sent_before + payload + b"\x58\x40" + _lower(self._sign(self._signed_before + payload))


def cose_key(jwk: Mapping[str, str]) -> CoseKey:
    """A P-256 JWK as a COSE_Key with a compressed point: x, and whether y is odd."""
    return {KTY: _EC2, CRV: _P256, X: from_base64url(jwk["x"]), Y_IS_ODD: bool(from_base64url(jwk["y"])[-1] & 1)}


def kept_key(jwk: str) -> CoseKey:
    """The same of a JWK in JSON, as a handset's key is kept."""
    return cose_key(_JWK.decode(jwk))


def from_base64url(text: str) -> bytes:
    """The bytes of base64url without padding (RFC 7515, section 2)."""
    return binascii.a2b_base64(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))


def _lower(signature: bytes) -> bytes:
    r, s = signature[:32], signature[32:]
    return signature if s <= _HIGHEST else r + (_ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
