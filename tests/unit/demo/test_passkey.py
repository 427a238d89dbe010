"""The passkey in software against a library that was written by others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers.exceptions import WebAuthnException

from demo.passkey import Passkey
from handset.signing import base64url

RP_ID, ORIGIN = "ops.facteo.test", "https://ops.facteo.test"
CHALLENGE = b"what the relying party asked"


@pytest.fixture
def passkey() -> Passkey:
    return Passkey.new(RP_ID, ORIGIN)


def registered(passkey: Passkey, **expected: Any) -> Any:
    wanted = {"expected_challenge": CHALLENGE, "expected_rp_id": RP_ID, "expected_origin": ORIGIN, **expected}
    return verify_registration_response(
        credential=json.dumps(passkey.register(CHALLENGE)), require_user_verification=True, **wanted
    )


def verified(passkey: Passkey, public_key: bytes, count: int, **expected: Any) -> Any:
    wanted = {"expected_challenge": CHALLENGE, "expected_rp_id": RP_ID, "expected_origin": ORIGIN, **expected}
    return verify_authentication_response(
        credential=json.dumps(passkey.get(CHALLENGE)),
        credential_public_key=public_key,
        credential_current_sign_count=count,
        require_user_verification=True,
        **wanted,
    )


def test_its_registration_is_good(passkey: Passkey) -> None:
    made = registered(passkey)
    assert (made.credential_id, made.sign_count, made.fmt) == (passkey.credential, 0, "none")
    assert made.user_verified


def test_its_assertions_are_good_and_counted(passkey: Passkey) -> None:
    key = registered(passkey).credential_public_key
    assert verified(passkey, key, 0).new_sign_count == 1
    assert verified(passkey, key, 1).new_sign_count == 2
    with pytest.raises(WebAuthnException):
        verified(passkey, key, 7)


@pytest.mark.parametrize(
    "expected",
    [{"expected_challenge": b"other"}, {"expected_rp_id": "evil.example"}, {"expected_origin": "https://evil.example"}],
)
def test_what_was_not_asked_is_not_good(passkey: Passkey, expected: dict[str, Any]) -> None:
    with pytest.raises(WebAuthnException):
        registered(passkey, **expected)
    with pytest.raises(WebAuthnException):
        verified(passkey, registered(passkey).credential_public_key, 0, **expected)


def test_another_passkey_is_not_this_one(passkey: Passkey) -> None:
    other = Passkey(RP_ID, ORIGIN, Passkey.new(RP_ID, ORIGIN).private, passkey.credential)
    with pytest.raises(WebAuthnException):
        verified(other, registered(passkey).credential_public_key, 0)


def test_it_is_the_same_again_from_its_file(passkey: Passkey, tmp_path: Path) -> None:
    key = registered(passkey).credential_public_key
    passkey.get(CHALLENGE)
    passkey.save(tmp_path / "passkey.json")
    again = Passkey.load(tmp_path / "passkey.json")
    assert again.as_approver("staff/anna") == passkey.as_approver("staff/anna")
    assert verified(again, key, 1).new_sign_count == 2


def test_an_approval_names_its_approver_and_credential(passkey: Passkey) -> None:
    approval = passkey.approve("staff/anna", b"text")
    assert (approval["approver"], approval["credential"]) == ("staff/anna", base64url(passkey.credential))
    assert sorted(approval) == ["approver", "authenticator_data", "client_data", "credential", "signature"]
