"""Why a handset may destroy what it holds: a warrant that two approvers signed with their passkeys (WebAuthn, level 2).

docs/protocol/commands.md, section 4. Nothing here trusts the back office: the handset judges by the set of approvers
that it keeps. All of it is pure: what is given may be anything, and is either good or `Untrusted`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from handset.signing import base64url
from handset.strict import Malformed, json_object, moment, public_key, signed_by, unbase64url

OF_ANOTHER: Final = "warrant-of-another"
OVER: Final = "warrant-over"
UNKNOWN: Final = "approvers-unknown"
INVALID: Final = "approval-invalid"

MOST_TEXT_BYTES: Final = 16_384
"""Of a warrant or a set of approvers."""
MOST_PART_BYTES: Final = 2_048
"""Of the authenticator's data, the client's data, a signature or the id of a credential."""
MOST_TARGETS: Final = 10
FEWEST_APPROVERS: Final = 2

_FLAGS_AT: Final = 32
_FEWEST_AUTHENTICATOR_BYTES: Final = 37
"""Hash of the rp_id, flags, counter (WebAuthn, section 6.1)."""
_PRESENT_AND_VERIFIED: Final = 0x01 | 0x04


class Untrusted(Exception):  # noqa: N818
    """A warrant or a set of approvers does not hold; `code` is what the table of section 4 says."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Approver:
    """Who may approve, the id of their passkey (base64url) and its public key: the coordinates x and y."""

    id: str
    credential: str
    key: tuple[str, str]


@dataclass(frozen=True)
class ApproverSet:
    """Who may approve, and where. `text` is what two of the set before approved, byte by byte."""

    text: bytes
    version: int
    previous: str
    rp_id: str
    origins: tuple[str, ...]
    approvers: tuple[Approver, ...]

    def find(self, approver: Any, credential: Any) -> Approver | None:
        """The approver of that id with that passkey."""
        named = (one for one in self.approvers if (one.id, one.credential) == (approver, credential))
        return next(named, None)


def read_set(text: Any) -> ApproverSet:
    """The set of approvers that a `text` (base64url) describes. Raises Untrusted."""
    try:
        raw = unbase64url(text, MOST_TEXT_BYTES)
        return _set(raw, json_object(raw))
    except (Malformed, KeyError, TypeError) as error:
        raise Untrusted(UNKNOWN) from error


def successor(signed: Any, known: ApproverSet) -> ApproverSet:
    """The set that follows `known`, if two of `known` approved it. Raises Untrusted.

    `signed` is `{"text": …, "approvals": […]}`.
    """
    told = signed if isinstance(signed, dict) else {}
    following = read_set(told.get("text"))
    follows = (following.version, following.previous) == (known.version + 1, hashlib.sha256(known.text).hexdigest())
    if not follows:
        raise Untrusted(UNKNOWN)
    _check_approvals(told.get("approvals"), following.text, known)
    return following


def check_warrant(
    warrant: Any, order: dict[str, Any], known: ApproverSet | None, now: datetime, voided: Collection[str]
) -> None:
    """Check the warrant of an order for this handset, in the order of the table. Raises Untrusted.

    `voided` are the ids of warrants that are not obeyed any more.
    """
    text = _text(warrant)
    told = _told(text)
    if not _is_for(told, order):
        raise Untrusted(OF_ANOTHER)
    if told["id"] in voided or not _is_before(now, told.get("expires_at")):
        raise Untrusted(OVER)
    if known is None:
        raise Untrusted(UNKNOWN)
    _check_approvals(warrant.get("approvals"), text, known)


def read_warrant(warrant: Any) -> dict[str, Any]:
    """What a warrant says, whoever approved it. Raises Untrusted."""
    return _told(_text(warrant))


def version_named(warrant: Any) -> int:
    """The version of the approvers that a warrant names; 0 if it names none."""
    try:
        version = read_warrant(warrant).get("approvers_version")
    except Untrusted:
        return 0
    return version if type(version) is int else 0


def _set(raw: bytes, told: dict[str, Any]) -> ApproverSet:
    approvers = tuple(_approver(one) for one in told["approvers"])
    origins = tuple(_string(one) for one in told["origins"])
    well_formed = (
        told["type"] == "facteo.approvers"
        and type(told["version"]) is int
        and len({one.id for one in approvers}) >= FEWEST_APPROVERS
    )
    if not well_formed:
        raise Malformed("no set of approvers")
    previous, rp_id = told.get("previous"), _string(told["rp_id"])
    return ApproverSet(raw, told["version"], previous if isinstance(previous, str) else "", rp_id, origins, approvers)


def _approver(told: dict[str, Any]) -> Approver:
    jwk = told["public_key"]
    public_key(jwk)
    unbase64url(told["credential"], MOST_PART_BYTES)
    return Approver(_string(told["id"]), told["credential"], (jwk["x"], jwk["y"]))


def _string(value: Any) -> str:
    """A text that has an UTF-8 form. Raises Malformed."""
    if not isinstance(value, str) or not value.isprintable():
        raise Malformed("no text")
    return value


def _text(warrant: Any) -> bytes:
    try:
        return unbase64url(warrant.get("text") if isinstance(warrant, dict) else None, MOST_TEXT_BYTES)
    except Malformed as error:
        raise Untrusted(OF_ANOTHER) from error


def _told(text: bytes) -> dict[str, Any]:
    try:
        return json_object(text)
    except Malformed as error:
        raise Untrusted(OF_ANOTHER) from error


def _is_for(told: dict[str, Any], order: dict[str, Any]) -> bool:
    """Whether a warrant is for that order. The order's device and generation are this handset's."""
    targets = told.get("targets")
    mine = _spelled({name: order[name] for name in ("device", "generation")})
    return (
        told.get("type") == "facteo.warrant"
        and isinstance(told.get("id"), str)
        and told.get("kind") == order["kind"]
        and _spelled(told.get("parameters")) == _spelled(order["parameters"])
        and isinstance(targets, list)
        and len(targets) <= MOST_TARGETS
        and mine in [_spelled(target) for target in targets]
    )


def _spelled(content: Any) -> str:
    """Content to be compared: unlike in Python, in JSON `true` is not 1."""
    try:
        return json.dumps(content, sort_keys=True)
    except RecursionError as error:
        raise Untrusted(OF_ANOTHER) from error


def _is_before(now: datetime, until: Any) -> bool:
    try:
        return now < moment(until)
    except Malformed:
        return False


def _check_approvals(approvals: Any, text: bytes, known: ApproverSet) -> None:
    """Two approvals of a text by two different approvers of a set. Raises Untrusted."""
    if not isinstance(approvals, list) or len(approvals) != FEWEST_APPROVERS:
        raise Untrusted(UNKNOWN)
    approvers = [_approver_of(approval, known) for approval in approvals]
    for different in ("id", "credential", "key"):
        if len({getattr(approver, different) for approver in approvers}) != FEWEST_APPROVERS:
            raise Untrusted(UNKNOWN)
    for approval, approver in zip(approvals, approvers, strict=True):
        _check_assertion(approval, approver, text, known)


def _approver_of(approval: Any, known: ApproverSet) -> Approver:
    told = approval if isinstance(approval, dict) else {}
    approver = known.find(told.get("approver"), told.get("credential"))
    if approver is None:
        raise Untrusted(UNKNOWN)
    return approver


def _check_assertion(approval: dict[str, Any], approver: Approver, text: bytes, known: ApproverSet) -> None:
    """A WebAuthn assertion (level 2, section 7.2) by that approver, of that text, at one of the set's origins."""
    try:
        authenticator, client, signature = (
            unbase64url(approval.get(part), MOST_PART_BYTES)
            for part in ("authenticator_data", "client_data", "signature")
        )
        told = json_object(client)
    except Malformed as error:
        raise Untrusted(INVALID) from error
    x, y = approver.key
    key = public_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    holds = (
        _is_of_text(told, text, known)
        and _is_verified(authenticator, known.rp_id)
        and signed_by(key, signature, authenticator + hashlib.sha256(client).digest())
    )
    if not holds:
        raise Untrusted(INVALID)


def _is_of_text(client: dict[str, Any], text: bytes, known: ApproverSet) -> bool:
    return (
        client.get("type") == "webauthn.get"
        and client.get("challenge") == base64url(hashlib.sha256(text).digest())
        and client.get("origin") in known.origins
        and client.get("crossOrigin", False) is False
    )


def _is_verified(authenticator: bytes, rp_id: str) -> bool:
    """Whether an authenticator speaks to that relying party, of a user who is there and whom it knows."""
    return (
        len(authenticator) >= _FEWEST_AUTHENTICATOR_BYTES
        and authenticator[:_FLAGS_AT] == hashlib.sha256(rp_id.encode()).digest()
        and authenticator[_FLAGS_AT] & _PRESENT_AND_VERIFIED == _PRESENT_AND_VERIFIED
    )
