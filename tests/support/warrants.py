"""Warrants and sets of approvers (docs/protocol/commands.md, section 4), approved by passkeys in software."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from demo.passkey import Passkey
from handset.approvals import ApproverSet, read_set
from handset.signing import base64url

RP_ID, ORIGIN = "ops.facteo.test", "https://ops.facteo.test"
DEVICE = "019ac9a0-0000-7000-8000-0000000000d1"

WARRANT: dict[str, Any] = {
    "approvers_version": 1,
    "expires_at": "2027-11-27T09:00:00Z",
    "id": "01a20719-c8a0-7000-8000-0000000000aa",
    "kind": "container-wipe",
    "parameters": {},
    "reason": "Stolen on the round.",
    "requested_at": "2026-11-27T09:00:00Z",
    "requested_by": "staff/anna",
    "targets": [{"device": DEVICE, "generation": 2}],
    "type": "facteo.warrant",
}

Passkeys = Mapping[str, Passkey]


def encoded(text: bytes) -> str:
    """A text as it travels."""
    return base64url(text)


def a_warrant(by: Passkeys, **members: Any) -> dict[str, Any]:
    """A warrant with other members than usual, approved by these."""
    return approved(_json({**WARRANT, **members}), by)


def approved(text: bytes, by: Passkeys) -> dict[str, Any]:
    """A text with the approvals of these."""
    return {"text": base64url(text), "approvals": [passkey.approve(name, text) for name, passkey in by.items()]}


def approved_by(warrant: dict[str, Any], by: Sequence[tuple[str, Passkey]]) -> dict[str, Any]:
    """A warrant approved by these, of whom some may have the same name."""
    text = _json(warrant)
    return {"text": base64url(text), "approvals": [passkey.approve(name, text) for name, passkey in by]}


def approved_over(
    signed: dict[str, Any],
    name: str,
    passkey: Passkey,
    *,
    flags: int = 0x05,
    rest: bytes = bytes(4),
    client: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The warrant with a second approval that is signed over those flags and other members of the client data."""
    text = text_of(signed)
    challenge = base64url(hashlib.sha256(text).digest())
    told = _json({"type": "webauthn.get", "challenge": challenge, "origin": ORIGIN, **(client or {})})
    data = hashlib.sha256(RP_ID.encode()).digest() + bytes([flags]) + rest
    signature = passkey.private.sign(data + hashlib.sha256(told).digest(), ec.ECDSA(hashes.SHA256()))
    approval = {
        "approver": name,
        "credential": base64url(passkey.credential),
        "authenticator_data": base64url(data),
        "client_data": base64url(told),
        "signature": base64url(signature),
    }
    return {**signed, "approvals": [signed["approvals"][0], approval]}


def a_set(approvers: Passkeys, /, **members: Any) -> bytes:
    """The text of a set of approvers, the first one unless said otherwise."""
    told = {
        "approvers": [passkey.as_approver(name) for name, passkey in approvers.items()],
        "origins": [ORIGIN],
        "previous": "",
        "rp_id": RP_ID,
        "type": "facteo.approvers",
        "version": 1,
    }
    return _json({**told, **members})


def signed_set(before: bytes, approvers: Passkeys, /, *, by: Passkeys, **members: Any) -> dict[str, Any]:
    """The set that follows another's text, approved by these."""
    follows = {"previous": hashlib.sha256(before).hexdigest(), "version": json.loads(before)["version"] + 1}
    return approved(a_set(approvers, **{**follows, **members}), by)


def read(approvers: Sequence[tuple[str, Passkey]]) -> ApproverSet:
    """A set in which some may have the same name."""
    return read_set(encoded(a_set({}, approvers=[passkey.as_approver(name) for name, passkey in approvers])))


def text_of(signed: dict[str, Any]) -> bytes:
    """The text that was signed."""
    return _raw(signed["text"])


def payload(token: str) -> bytes:
    """The payload of a JWS, unverified."""
    return _raw(token.split(".")[1])


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
