"""Passkeys (WebAuthn, level 2): what a new one is, and whether one confirmed a text.

Only ES256, which handsets verify as well, and only with the user verified. Counters of uses are not looked at: passkeys
that are kept in several places have none.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chalicelib.core import settings, signing
from chalicelib.core.errors import Problem, RequestInvalid
from chalicelib.core.public_keys import PublicKey
from chalicelib.core.settings import Settings
from chalicelib.fleet.guards import spelling
from chalicelib.fleet.guards.schemas import (
    AllowedCredential,
    Approval,
    Approved,
    Approver,
    ApproverSet,
    Assertion,
    GiveApproval,
    KeyType,
    PasskeyOptions,
    PasskeyUser,
    Registration,
    RelyingParty,
)

NEEDED: Final = 2
"""So many people approve something."""

NO_PASSKEY: Final = "Register it again: that is no passkey for the challenge that you were given last."
LONG_ID: Final = f"Use another authenticator: handsets take an id of {spelling.MOST_CREDENTIAL_BYTES} bytes at most."
NOT_SIGNED: Final = "Confirm the text with your passkey: that is no signature over it."
MISSPELLED: Final = "Confirm the text with your passkey: handsets would not read that approval."
CROSS_ORIGIN: Final = "Confirm the text in our own page, and not in one that another site shows."
"""Why something is refused: sentences of ours, for they are journalled."""

ES256: Final = -7
_P256: Final = 1
_COORDINATE_BYTES: Final = 32
_CHALLENGE_BYTES: Final = 32
_TIMEOUT_MS: Final = 60_000


class PasskeySettings(Settings, frozen=True, kw_only=True):
    """Where staff use their passkeys: the relying party's id, and the origins (separated by spaces)."""

    passkey_rp_id: str
    passkey_origins: str


class PasskeyInvalid(Problem):
    status = 422
    title = "The new passkey cannot be taken"


class ApprovalInvalid(Problem):
    status = 422
    title = "The passkey's signature does not confirm this text"


class NotAnApprover(Problem):
    status = 403
    title = "You are no approver of this"


def options(actor: str) -> PasskeyOptions:
    """What a browser needs to make a passkey for a member of staff."""
    known = settings.load(PasskeySettings)
    name = actor.removeprefix("staff/")
    return PasskeyOptions(
        rp=RelyingParty(id=known.passkey_rp_id, name="Facteo"),
        user=PasskeyUser(id=_base64url_of_text(actor), name=name, display_name=name),
        challenge=signing.base64url(secrets.token_bytes(_CHALLENGE_BYTES)),
        pub_key_cred_params=(KeyType(alg=ES256),),
        timeout=_TIMEOUT_MS,
    )


def registered(made: Registration, *, challenge: str, actor: str) -> Approver:
    """The approver that a new passkey makes of a member of staff. Raises PasskeyInvalid."""
    import webauthn  # noqa: PLC0415 - 200 ms that few requests need
    from webauthn.helpers import decode_credential_public_key  # noqa: PLC0415
    from webauthn.helpers.cose import COSEAlgorithmIdentifier  # noqa: PLC0415

    known = settings.load(PasskeySettings)
    try:
        verified = webauthn.verify_registration_response(
            credential=_as_json(made.id, made.response),
            expected_challenge=signing.from_base64url(challenge),
            expected_rp_id=known.passkey_rp_id,
            expected_origin=known.passkey_origins.split(),
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier.ECDSA_SHA_256],
        )
        key = _public_key(decode_credential_public_key(verified.credential_public_key))
    except Exception as error:  # the library raises many kinds for what browsers may send
        raise PasskeyInvalid(NO_PASSKEY) from error
    if len(verified.credential_id) > spelling.MOST_CREDENTIAL_BYTES:
        raise PasskeyInvalid(LONG_ID)
    return Approver(credential=signing.base64url(verified.credential_id), id=actor, public_key=key)


def approval_of(given: GiveApproval, actor: str) -> Approval:
    """An approval in the form that handsets read, whichever way it came. Raises RequestInvalid, NotAnApprover."""
    forms = [given.approval, _of_assertion(given.assertion, actor) if given.assertion else None]
    found = [approval for approval in forms if approval]
    if len(found) != 1:
        raise RequestInvalid("Give exactly one of approval and assertion.")
    [approval] = found
    if approval.approver != actor:
        raise NotAnApprover("Approve with your own passkey, signed in as yourself.")
    return approval


def require_approval(text: str, approval: Approval, judges: ApproverSet) -> None:
    """Raise NotAnApprover or ApprovalInvalid unless this is what one of a set signed over a text (base64url), spelled
    as handsets read it.
    """
    import webauthn  # noqa: PLC0415 - 200 ms that few requests need

    approver = _among(judges, approval)
    _check_spelling(text, approval)
    try:
        webauthn.verify_authentication_response(
            credential=_as_json(approval.credential, approval),
            expected_challenge=hashlib.sha256(signing.from_base64url(text)).digest(),
            expected_rp_id=judges.rp_id,
            expected_origin=list(judges.origins),
            credential_public_key=_cose(approver.public_key),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception as error:  # as above
        raise ApprovalInvalid(NOT_SIGNED) from error


def is_approved(approved: Approved, judges: ApproverSet) -> bool:
    """Whether two different people of a set confirmed a text, with two different passkeys."""
    try:
        for approval in approved.approvals:
            require_approval(approved.text, approval, judges)
    except (ApprovalInvalid, NotAnApprover):
        return False
    people = {approval.approver for approval in approved.approvals}
    passkeys = {approval.credential for approval in approved.approvals}
    return len(approved.approvals) == len(people) == len(passkeys) == NEEDED


def allowed(judges: ApproverSet) -> tuple[AllowedCredential, ...]:
    """The credentials that count, as a browser wants to be told them."""
    return tuple(AllowedCredential(id=approver.credential) for approver in judges.approvers)


def challenge_of(text: str) -> str:
    """What a passkey is to sign to confirm a text (both base64url): its SHA-256."""
    return signing.base64url(hashlib.sha256(signing.from_base64url(text)).digest())


def digest_of(text: str) -> str:
    """The SHA-256 (hex) of a text that is given in base64url."""
    return hashlib.sha256(signing.from_base64url(text)).hexdigest()


def _check_spelling(text: str, approval: Approval) -> None:
    """Raise ApprovalInvalid for what handsets would read otherwise than the library, or not at all; and for a passkey
    that was used in a page within another site's.
    """
    try:
        spelling.raw(text, spelling.MOST_TEXT_BYTES)
        spelling.raw(approval.credential, spelling.MOST_CREDENTIAL_BYTES)
        spelling.raw(approval.authenticator_data, spelling.MOST_PART_BYTES)
        spelling.raw(approval.signature, spelling.MOST_PART_BYTES)
        client = spelling.json_object(spelling.raw(approval.client_data, spelling.MOST_PART_BYTES))
    except ValueError as error:
        raise ApprovalInvalid(MISSPELLED) from error
    if client.get("challenge") != challenge_of(text):
        raise ApprovalInvalid(NOT_SIGNED)
    if client.get("crossOrigin", False) is not False:
        raise ApprovalInvalid(CROSS_ORIGIN)


def _of_assertion(assertion: Assertion, actor: str) -> Approval:
    told = assertion.response
    return Approval(
        approver=actor,
        credential=assertion.id,
        authenticator_data=told.authenticator_data,
        client_data=told.client_data,
        signature=told.signature,
    )


def _among(judges: ApproverSet, approval: Approval) -> Approver:
    for approver in judges.approvers:
        if (approver.id, approver.credential) == (approval.approver, approval.credential):
            return approver
    raise NotAnApprover(f"That passkey is not one of the approvers' of version {judges.version}.")


_WEBAUTHN_NAMES: Final[Mapping[str, str]] = {
    "client_data": "clientDataJSON",
    "attestation_object": "attestationObject",
    "authenticator_data": "authenticatorData",
    "signature": "signature",
}


def _as_json(credential: str, told: Any) -> dict[str, Any]:
    """A credential as the library reads it."""
    response = {name: getattr(told, ours) for ours, name in _WEBAUTHN_NAMES.items() if hasattr(told, ours)}
    return {"id": credential, "rawId": credential, "type": "public-key", "response": response}


def _public_key(decoded: Any) -> PublicKey:
    if decoded.crv != _P256:
        raise ValueError("the key is not on the curve P-256")
    if {len(decoded.x), len(decoded.y)} != {_COORDINATE_BYTES}:
        raise ValueError("a coordinate has 32 bytes")
    key = PublicKey(crv="P-256", kty="EC", x=signing.base64url(decoded.x), y=signing.base64url(decoded.y))
    key.opened()
    return key


def _cose(key: PublicKey) -> bytes:
    import cbor2  # noqa: PLC0415 - comes with the library

    x, y = signing.from_base64url(key.x), signing.from_base64url(key.y)
    return cbor2.dumps({1: 2, 3: ES256, -1: _P256, -2: x, -3: y})


def _base64url_of_text(text: str) -> str:
    return signing.base64url(hashlib.sha256(text.encode()).digest())


def encoded(text: msgspec.Struct) -> str:
    """A text as it is approved: JSON, its members sorted, in base64url."""
    return signing.base64url(msgspec.json.encode(text, order="sorted"))
