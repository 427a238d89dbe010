"""Test vectors for makers of handsets: `python -m infra.vectors_warrants` writes `docs/protocol/vectors/warrants.json`.

Keys and times are fixed and the signatures are deterministic (RFC 6979), so that the same text comes out each time.
Everything is put together here by the letter of docs/protocol/commands.md, section 4; tests hold it against the
reference handset.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from infra.build import ROOT

PATH = ROOT / "docs" / "protocol" / "vectors" / "warrants.json"

Text = dict[str, Any]
Vector = dict[str, Any]

NOW: Final = "2026-11-27T09:10:00Z"
DEVICE: Final = "019ac9a0-0000-7000-8000-0000000000d1"
OTHER_DEVICE: Final = "019ac9a0-0000-7000-8000-0000000000d2"
ORDER: Final = {"device": DEVICE, "generation": 2, "kind": "container-wipe", "parameters": {}}
RP_ID, ORIGIN = "ops.facteo.test", "https://ops.facteo.test"
PRESENT, VERIFIED = 0x01, 0x04
MOST_TARGETS: Final = 10

KEYS: Final = {
    name: ec.derive_private_key(
        int.from_bytes(hashlib.sha256(f"facteo approver {name}".encode()).digest(), "big"), ec.SECP256R1()
    )
    for name in ("anna", "bert", "cara")
}
"""The passkeys by their owner's name. Cara is no approver of the first set."""

SET: Final[Text] = {
    "approvers": [],
    "origins": [ORIGIN],
    "previous": "",
    "rp_id": RP_ID,
    "type": "facteo.approvers",
    "version": 1,
}
WARRANT: Final[Text] = {
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


@dataclass(frozen=True, kw_only=True)
class Approval:
    """How somebody approves. Every field is as it should be, unless a vector says otherwise; `client` are members of
    the client data that are otherwise.
    """

    by: str
    key: str = ""
    approver: str = ""
    client: tuple[tuple[str, Any], ...] = ()
    rp_id: str = RP_ID
    flags: int = PRESENT | VERIFIED

    def of(self, text: bytes) -> dict[str, str]:
        """The approval of a text."""
        told = {"type": "webauthn.get", "challenge": _base64url(hashlib.sha256(text).digest()), "origin": ORIGIN}
        client = json.dumps({**told, "crossOrigin": False, **dict(self.client)}, separators=(",", ":")).encode()
        data = hashlib.sha256(self.rp_id.encode()).digest() + bytes([self.flags]) + bytes(4)
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        signature = KEYS[self.key or self.by].sign(data + hashlib.sha256(client).digest(), algorithm)
        return {
            "approver": self.approver or f"staff/{self.by}",
            "credential": _credential(self.by),
            "authenticator_data": _base64url(data),
            "client_data": _base64url(client),
            "signature": _base64url(signature),
        }


ANNA, BERT, CARA = (Approval(by=name) for name in KEYS)
ELSEWHERE: Final = ("origin", "https://elsewhere.example")


def text() -> str:
    """The vectors as JSON."""
    first = _spelled(_set("anna", "bert"))
    content = {
        "about": "Test vectors for docs/protocol/commands.md, section 4; 'python -m infra.vectors_warrants' writes it.",
        "now": NOW,
        "order": ORDER,
        "keys": [_key(name) for name in KEYS],
        "approvers": {"text": _base64url(first), "approvals": []},
        "warrants": _warrants(),
        "sets": _sets(first),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _warrants() -> list[Vector]:
    other = {"device": OTHER_DEVICE, "generation": 2}
    many = [WARRANT["targets"][0], *[other] * MOST_TARGETS]
    signed_before = _warrant("the text was changed after it was approved", "approval-invalid")
    signed_before["warrant"]["text"] = _base64url(_spelled({**WARRANT, "reason": "Stolen off the round."}))
    return [
        _warrant("two approvals", ""),
        _warrant("approvals in another order", "", BERT, ANNA),
        _warrant("crossOrigin is neither true nor false", "approval-invalid", ANNA, _with(("crossOrigin", None))),
        _warrant("another type of text", "warrant-of-another", type="facteo.approvers"),
        _warrant("another kind", "warrant-of-another", kind="release"),
        _warrant("other parameters", "warrant-of-another", parameters={"esim": True}),
        _warrant("another device", "warrant-of-another", targets=[other]),
        _warrant("another generation", "warrant-of-another", targets=[{"device": DEVICE, "generation": 1}]),
        _warrant("a generation that is a text", "warrant-of-another", targets=[{"device": DEVICE, "generation": "2"}]),
        _warrant("eleven targets", "warrant-of-another", targets=many),
        _warrant("its time is over", "warrant-over", expires_at=NOW),
        _warrant("a moment without an offset", "warrant-over", expires_at="2027-11-27T09:00:00"),
        {**_warrant("voided", "warrant-over"), "voided": [WARRANT["id"]]},
        _warrant("one approval", "approvers-unknown", ANNA),
        _warrant("three approvals", "approvers-unknown", ANNA, BERT, BERT),
        _warrant("the same approver twice", "approvers-unknown", ANNA, ANNA),
        _warrant("somebody who is not in the set", "approvers-unknown", ANNA, CARA),
        _warrant("an approver with another's passkey", "approvers-unknown", ANNA, replace(BERT, approver="staff/anna")),
        _warrant("another type of client data", "approval-invalid", ANNA, _with(("type", "webauthn.create"))),
        _warrant("another challenge", "approval-invalid", ANNA, _with(("challenge", _base64url(bytes(32))))),
        _warrant("another origin", "approval-invalid", ANNA, _with(ELSEWHERE)),
        _warrant("from within a page of another site", "approval-invalid", ANNA, _with(("crossOrigin", True))),
        _warrant("another rp_id", "approval-invalid", ANNA, replace(BERT, rp_id="elsewhere.example")),
        _warrant("nobody was present", "approval-invalid", ANNA, replace(BERT, flags=VERIFIED)),
        _warrant("nobody was verified", "approval-invalid", ANNA, replace(BERT, flags=PRESENT)),
        _warrant("another key", "approval-invalid", ANNA, replace(BERT, key="cara")),
        signed_before,
    ]


def _sets(first: bytes) -> list[Vector]:
    follows = {"previous": hashlib.sha256(first).hexdigest(), "version": 2}
    good = _set("anna", "cara", **follows)
    return [
        _followed("two of the set before approved it", True, good),
        _followed("one approval", False, good, ANNA),
        _followed("approved by one of its own", False, good, ANNA, CARA),
        _followed("a version is left out", False, {**good, "version": 3}),
        _followed("it follows another text", False, {**good, "previous": hashlib.sha256(b"").hexdigest()}),
        _followed("one approver", False, _set("anna", **follows)),
        _followed("an approval from another origin", False, good, ANNA, _with(ELSEWHERE)),
    ]


def _warrant(name: str, code: str, *approvals: Approval, **members: Any) -> Vector:
    """A warrant with other members than usual, and the code with which it is refused; empty if it holds."""
    return {"name": name, "warrant": _signed({**WARRANT, **members}, approvals), "voided": [], "code": code}


def _followed(name: str, taken: bool, told: Text, *approvals: Approval) -> Vector:
    """A set, and whether it is taken by a handset that keeps `approvers`."""
    return {"name": name, "set": _signed(told, approvals), "taken": taken}


def _signed(told: Text, approvals: tuple[Approval, ...]) -> dict[str, Any]:
    spelled = _spelled(told)
    return {"text": _base64url(spelled), "approvals": [one.of(spelled) for one in approvals or (ANNA, BERT)]}


def _with(member: tuple[str, Any]) -> Approval:
    """Bert's approval with another member in its client data."""
    return replace(BERT, client=(member,))


def _set(*names: str, **members: Any) -> Text:
    approvers = [
        {"credential": _credential(name), "id": f"staff/{name}", "public_key": _key(name)["public"]} for name in names
    ]
    return {**SET, "approvers": approvers, **members}


def _key(name: str) -> dict[str, Any]:
    private = KEYS[name].private_numbers()
    numbers = private.private_value, private.public_numbers.x, private.public_numbers.y
    d, x, y = (_base64url(number.to_bytes(32, "big")) for number in numbers)
    return {"name": name, "public": {"crv": "P-256", "kty": "EC", "x": x, "y": y}, "d": d}


def _credential(name: str) -> str:
    return _base64url(hashlib.sha256(f"facteo credential {name}".encode()).digest())


def _spelled(told: Text) -> bytes:
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


if __name__ == "__main__":
    PATH.write_text(text())
