"""A passkey in software: what a browser and its authenticator answer, without either (WebAuthn, level 2; ES256).

An approver of the demo has one in a file, and tests approve with it. It always says that its user is there and
verified: it proves nothing of them.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from handset.files import write_whole
from handset.signing import base64url

_ES256: Final = -7
_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40
_NO_AAGUID: Final = bytes(16)


@dataclass
class Passkey:
    """A P-256 passkey for one relying party, used at one origin. `counter` counts its uses."""

    rp_id: str
    origin: str
    private: ec.EllipticCurvePrivateKey
    credential: bytes
    counter: int = 0

    @classmethod
    def new(cls, rp_id: str, origin: str) -> Passkey:
        """One that nobody has yet."""
        return cls(rp_id, origin, ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(32))

    @classmethod
    def load(cls, path: Path) -> Passkey:
        """The passkey that `save` wrote."""
        kept = json.loads(path.read_text())
        private = ec.derive_private_key(int(kept["private"], 16), ec.SECP256R1())
        return cls(kept["rp_id"], kept["origin"], private, bytes.fromhex(kept["credential"]), kept["counter"])

    def save(self, path: Path) -> None:
        """Write it to a file that only its owner reads."""
        kept = {
            "rp_id": self.rp_id,
            "origin": self.origin,
            "private": f"{self.private.private_numbers().private_value:x}",
            "credential": self.credential.hex(),
            "counter": self.counter,
        }
        write_whole(path, json.dumps(kept).encode())

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public key as JWK (RFC 7517)."""
        x, y = (base64url(one) for one in self._point())
        return {"crv": "P-256", "kty": "EC", "x": x, "y": y}

    def as_approver(self, approver: str) -> dict[str, Any]:
        """How a set of approvers names this passkey (docs/protocol/commands.md, section 4)."""
        return {"credential": base64url(self.credential), "id": approver, "public_key": self.public_jwk}

    def register(self, challenge: bytes) -> dict[str, Any]:
        """The answer to `navigator.credentials.create`, attestation `none`: `PublicKeyCredential.toJSON`."""
        data = self._data(_PRESENT | _VERIFIED | _ATTESTED) + self._attested()
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        public = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        response = {
            "clientDataJSON": base64url(self._client_data("webauthn.create", challenge)),
            "attestationObject": base64url(attestation),
            "authenticatorData": base64url(data),
            "publicKey": base64url(public),
            "publicKeyAlgorithm": _ES256,
            "transports": ["internal"],
        }
        return self._credential(response)

    def get(self, challenge: bytes) -> dict[str, Any]:
        """The answer to `navigator.credentials.get`: `PublicKeyCredential.toJSON`."""
        self.counter += 1
        client, data = self._client_data("webauthn.get", challenge), self._data(_PRESENT | _VERIFIED)
        signature = self.private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": base64url(client),
            "authenticatorData": base64url(data),
            "signature": base64url(signature),
            "userHandle": None,
        }
        return self._credential(response)

    def approve(self, approver: str, text: bytes) -> dict[str, str]:
        """An approval of a warrant's or a set's text as handsets read it (docs/protocol/commands.md, section 4)."""
        response = self.get(hashlib.sha256(text).digest())["response"]
        return {
            "approver": approver,
            "credential": base64url(self.credential),
            "authenticator_data": response["authenticatorData"],
            "client_data": response["clientDataJSON"],
            "signature": response["signature"],
        }

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": base64url(self.credential),
            "rawId": base64url(self.credential),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": response,
        }

    def _client_data(self, kind: str, challenge: bytes) -> bytes:
        told = {"type": kind, "challenge": base64url(challenge), "origin": self.origin, "crossOrigin": False}
        return json.dumps(told, separators=(",", ":")).encode()

    def _data(self, flags: int) -> bytes:
        """The authenticator's data without a credential (section 6.1)."""
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _attested(self) -> bytes:
        """The credential's data (section 6.5.1): the key as COSE_Key (RFC 9053)."""
        x, y = self._point()
        key = cbor2.dumps({1: 2, 3: _ES256, -1: 1, -2: x, -3: y})
        return _NO_AAGUID + len(self.credential).to_bytes(2, "big") + self.credential + key

    def _point(self) -> tuple[bytes, bytes]:
        numbers = self.private.public_key().public_numbers()
        return numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
