"""How a handset signs: HTTP Message Signatures (RFC 9421, ecdsa-p256-sha256) with Content-Digest (RFC 9530)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

from handset.files import write_whole

_COORDINATE_BYTES = 32
_COVERED = ("@method", "@authority", "@path")


@dataclass
class Request:
    """An HTTP request to be signed. `url` is the public address, with the query."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    query_names: tuple[str, ...] = ()


class HandsetKey(HTTPSignatureKeyResolver):
    """The handset's P-256 key. A real handset keeps it in its hardware keystore; here it is a file."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private

    @classmethod
    def generate(cls) -> HandsetKey:
        """A new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: Path) -> HandsetKey:
        """The key that `save` wrote."""
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{path} does not hold an elliptic-curve key")
        return cls(key)

    def save(self, path: Path) -> None:
        """Write the key to a file that only its owner reads."""
        pem = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_whole(path, pem)

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public key as JWK (RFC 7517)."""
        numbers = self._private.public_key().public_numbers()
        x, y = (value.to_bytes(_COORDINATE_BYTES, "big") for value in (numbers.x, numbers.y))
        return {"crv": "P-256", "kty": "EC", "x": base64url(x), "y": base64url(y)}

    @property
    def thumbprint(self) -> str:
        """The key's RFC 7638 thumbprint, by which it is named before the device has an id."""
        canonical = json.dumps(self.public_jwk, sort_keys=True, separators=(",", ":")).encode()
        return base64url(hashlib.sha256(canonical).digest())

    def sign_raw(self, message: bytes) -> bytes:
        """The ECDSA signature over SHA-256 of a message, as R and S of 32 bytes each (RFC 7518, section 3.4)."""
        pair = decode_dss_signature(self._private.sign(message, ec.ECDSA(hashes.SHA256())))
        return b"".join(value.to_bytes(_COORDINATE_BYTES, "big") for value in pair)

    def resolve_private_key(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        """The key to sign with (for the signature library)."""
        return self._private

    def resolve_public_key(self, key_id: str) -> ec.EllipticCurvePublicKey:
        """The public key (for the signature library)."""
        return self._private.public_key()


def sign(request: Request, key: HandsetKey, *, key_id: str, created: datetime) -> None:
    """Add Content-Digest, Signature-Input and Signature to the request's headers."""
    covered = [*_COVERED, *(f'"@query-param";name="{name}"' for name in request.query_names)]
    HTTPMessageSigner(signature_algorithm=algorithms.ECDSA_P256_SHA256, key_resolver=key).sign(
        request,
        key_id=key_id,
        created=created,
        nonce=secrets.token_urlsafe(16),
        label="facteo",
        include_alg=False,
        covered_component_ids=covered,
        body=request.body or None,
    )


def base64url(raw: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
