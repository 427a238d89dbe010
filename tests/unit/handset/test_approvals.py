"""Warrants and sets of approvers: what a handset believes, and the code with which it refuses whatever else comes."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.passkey import Passkey
from handset import approvals
from handset.approvals import INVALID, OF_ANOTHER, OVER, UNKNOWN, ApproverSet, Untrusted, check_warrant, read_set
from handset.signing import base64url
from tests.support import warrants
from tests.support.warrants import DEVICE, ORIGIN, RP_ID, WARRANT, a_set, a_warrant, encoded, signed_set

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
ANNA, BERT, CARA = (Passkey.new(RP_ID, ORIGIN) for _ in range(3))
KNOWN_TEXT = a_set({"staff/anna": ANNA, "staff/bert": BERT})
KNOWN = read_set(encoded(KNOWN_TEXT))
BOTH = {"staff/anna": ANNA, "staff/bert": BERT}
ORDER = {"device": DEVICE, "generation": 2, "kind": "container-wipe", "parameters": {}}

Change = Callable[[dict[str, Any]], Any]


def code(
    warrant: Any, *, order: dict[str, Any] = ORDER, known: ApproverSet | None = KNOWN, voided: tuple[str, ...] = ()
) -> str:
    """The code with which a warrant is refused; empty if it holds."""
    try:
        check_warrant(warrant, order, known, NOW, voided)
    except Untrusted as refusal:
        return refusal.code
    return ""


def changed(signed: dict[str, Any], part: str, value: Any, number: int = 1) -> dict[str, Any]:
    """A warrant of whose approvals one has another value."""
    copy: dict[str, Any] = json.loads(json.dumps(signed))
    copy["approvals"][number][part] = value
    return copy


def with_client(**members: Any) -> dict[str, Any]:
    """A warrant whose second approval is signed over other client data."""
    return warrants.approved_over(a_warrant(BOTH), "staff/bert", BERT, client=members)


def test_a_warrant_of_two_approvers_holds() -> None:
    assert code(a_warrant(BOTH)) == ""


class TestWhatItIsFor:
    @pytest.mark.parametrize(
        "members",
        [
            {"type": "facteo.order"},
            {"kind": "full-wipe"},
            {"parameters": {"esim": True}},
            {"targets": []},
            {"targets": [{"device": "another", "generation": 2}]},
            {"targets": [{"device": DEVICE, "generation": 1}]},
            {"targets": [{"device": DEVICE, "generation": 2.0}]},
            {"targets": [{"device": DEVICE, "generation": 2}] * 11},
            {"targets": {"device": DEVICE}},
            {"targets": None},
            {"id": None},
        ],
    )
    def test_one_of_something_else_is_refused(self, members: dict[str, Any]) -> None:
        assert code(a_warrant(BOTH, **members)) == OF_ANOTHER

    def test_ten_targets_are_not_too_many(self) -> None:
        others = [{"device": f"other-{number}", "generation": 1} for number in range(9)]
        assert code(a_warrant(BOTH, targets=[*others, {"device": DEVICE, "generation": 2}])) == ""

    def test_true_is_not_one(self) -> None:
        order = {**ORDER, "kind": "full-wipe", "parameters": {"external_storage": True, "esim": False}}
        warrant = a_warrant(BOTH, kind="full-wipe", parameters={"external_storage": 1, "esim": 0})
        assert code(warrant, order=order) == OF_ANOTHER

    @pytest.mark.parametrize(
        "warrant",
        [None, 1, "text", [], {}, {"text": None}, {"text": "!"}, {"text": "AA=="}, {"text": base64url(b"[]")}]
        + [{"text": base64url(text)} for text in (b"", b"\xff", b"NaN", b"[" * 9000, b'{"id":"1","id":"2"}')]
        + [{"text": base64url(b" " * 16_385)}, {"text": "A" * 100_000}],
    )
    def test_what_is_no_warrant_is_none(self, warrant: Any) -> None:
        assert code(warrant) == OF_ANOTHER
        assert approvals.version_named(warrant) == 0

    def test_a_member_named_twice_is_refused(self) -> None:
        text = json.dumps(WARRANT)[:-1] + ', "kind": "container-wipe"}'
        assert code(warrants.approved(text.encode(), BOTH)) == OF_ANOTHER


class TestHowLong:
    def test_it_holds_until_the_moment_that_it_names(self) -> None:
        assert code(a_warrant(BOTH, expires_at=(NOW + timedelta(seconds=1)).isoformat())) == ""
        assert code(a_warrant(BOTH, expires_at=NOW.isoformat())) == OVER

    @pytest.mark.parametrize("never", [None, "", "soon", 1, "2027-11-27T09:00:00"])
    def test_without_a_moment_it_is_over(self, never: Any) -> None:
        assert code(a_warrant(BOTH, expires_at=never)) == OVER

    def test_one_that_was_voided_is_over(self) -> None:
        assert code(a_warrant(BOTH), voided=("another", WARRANT["id"])) == OVER
        assert code(a_warrant(BOTH), voided=("another",)) == ""


class TestWhoApproved:
    def test_without_a_set_nobody_may(self) -> None:
        assert code(a_warrant(BOTH), known=None) == UNKNOWN

    def test_one_approver_is_not_two(self) -> None:
        signed = a_warrant(BOTH)
        assert code({**signed, "approvals": signed["approvals"][:1]}) == UNKNOWN
        assert code({**signed, "approvals": [signed["approvals"][0]] * 2}) == UNKNOWN

    def test_one_approver_with_two_passkeys_is_not_two(self) -> None:
        known = warrants.read([("staff/anna", ANNA), ("staff/anna", CARA), ("staff/bert", BERT)])
        signed = warrants.approved_by(WARRANT, [("staff/anna", ANNA), ("staff/anna", CARA)])
        assert code(signed, known=known) == UNKNOWN

    def test_the_same_key_under_two_ids_is_not_two(self) -> None:
        twin = Passkey(RP_ID, ORIGIN, ANNA.private, b"another credential")
        pairs = [("staff/anna", ANNA), ("staff/bert", twin)]
        assert code(warrants.approved_by(WARRANT, pairs), known=warrants.read(pairs)) == UNKNOWN

    def test_the_same_credential_under_two_ids_is_not_two(self) -> None:
        twin = Passkey(RP_ID, ORIGIN, BERT.private, ANNA.credential)
        pairs = [("staff/anna", ANNA), ("staff/bert", twin)]
        assert code(warrants.approved_by(WARRANT, pairs), known=warrants.read(pairs)) == UNKNOWN

    def test_who_is_of_another_set_may_not(self) -> None:
        assert code(a_warrant({"staff/anna": ANNA, "staff/cara": CARA})) == UNKNOWN
        assert code(a_warrant({"staff/anna": ANNA, "staff/bert": CARA})) == UNKNOWN

    @pytest.mark.parametrize("given", [None, 1, {}, [], [1, 2], [None, None], "ab"])
    def test_what_are_no_approvals_is_refused(self, given: Any) -> None:
        assert code({**a_warrant(BOTH), "approvals": given}) == UNKNOWN

    def test_three_are_not_two(self) -> None:
        three = {**BOTH, "staff/cara": CARA}
        known = read_set(encoded(a_set(three)))
        assert code(a_warrant(BOTH), known=known) == ""
        assert code(a_warrant(three), known=known) == UNKNOWN


class TestTheAssertion:
    @pytest.mark.parametrize(
        "members",
        [
            {"type": "webauthn.create"},
            {"challenge": base64url(b"another text")},
            {"challenge": None},
            {"origin": "https://elsewhere.example"},
            {"origin": [ORIGIN]},
            {"crossOrigin": True},
            {"crossOrigin": "false"},
        ],
    )
    def test_client_data_of_something_else(self, members: dict[str, Any]) -> None:
        assert code(with_client(**members)) == INVALID
        assert code(with_client()) == "", "what is changed is all that is wrong"

    @pytest.mark.parametrize("flags", [0x00, 0x01, 0x04, 0xFA])
    def test_the_user_was_not_there_or_not_verified(self, flags: int) -> None:
        assert code(warrants.approved_over(a_warrant(BOTH), "staff/bert", BERT, flags=flags)) == INVALID

    @pytest.mark.parametrize("rest", [b"", bytes(3)])
    def test_authenticator_data_that_is_cut_off(self, rest: bytes) -> None:
        assert code(warrants.approved_over(a_warrant(BOTH), "staff/bert", BERT, rest=rest)) == INVALID

    def test_authenticator_data_without_flags(self) -> None:
        hashed = base64url(hashlib.sha256(RP_ID.encode()).digest())
        assert code(changed(a_warrant(BOTH), "authenticator_data", hashed)) == INVALID

    def test_authenticator_data_may_go_on(self) -> None:
        assert code(warrants.approved_over(a_warrant(BOTH), "staff/bert", BERT, rest=bytes(20))) == ""

    def test_another_relying_party(self) -> None:
        foreign = Passkey("evil.example", ORIGIN, BERT.private, BERT.credential)
        assert code(a_warrant({"staff/anna": ANNA, "staff/bert": foreign})) == INVALID

    def test_the_signature_is_of_somebody_else(self) -> None:
        forged = Passkey(RP_ID, ORIGIN, CARA.private, BERT.credential)
        assert code(a_warrant({"staff/anna": ANNA, "staff/bert": forged})) == INVALID

    def test_the_approval_is_of_another_warrant(self) -> None:
        other = a_warrant(BOTH, reason="Found again.")
        assert code({**a_warrant(BOTH), "approvals": other["approvals"]}) == INVALID

    @pytest.mark.parametrize("part", ["authenticator_data", "client_data", "signature"])
    @pytest.mark.parametrize("value", [None, 1, "", "AA==", "A", "é", "A" * 9000, base64url(b"{}"), base64url(b"[1]")])
    def test_a_part_that_is_odd(self, part: str, value: Any) -> None:
        assert code(changed(a_warrant(BOTH), part, value)) == INVALID

    def test_other_spellings_of_the_same_bytes(self) -> None:
        signed = a_warrant(BOTH)
        data = signed["approvals"][1]["authenticator_data"]
        assert len(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))) % 3, "its last letter has unused bits"
        spelled = data[:-1] + chr(ord(data[-1]) + 1)
        for odd in (data + "=", data + "\n", spelled):
            assert code(changed(signed, "authenticator_data", odd)) == INVALID

    @given(st.sampled_from([0, 1]), st.data())
    def test_no_byte_can_be_another(self, number: int, data: st.DataObject) -> None:
        signed = SIGNED
        part = data.draw(st.sampled_from(sorted(signed["approvals"][number])))
        given = signed["approvals"][number][part]
        raw = given.encode() if part == "approver" else base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))
        at, by = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(1, 255))
        other = bytes([*raw[:at], raw[at] ^ by, *raw[at + 1 :]])
        spelled = other.decode("latin-1") if part == "approver" else base64url(other)
        assert code(changed(signed, part, spelled, number)) in {UNKNOWN, INVALID}

    @given(st.data())
    def test_no_byte_of_the_text_can_be_another(self, data: st.DataObject) -> None:
        raw = base64.urlsafe_b64decode(SIGNED["text"] + "=" * (-len(SIGNED["text"]) % 4))
        at, by = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(1, 255))
        other = bytes([*raw[:at], raw[at] ^ by, *raw[at + 1 :]])
        assert code({**SIGNED, "text": base64url(other)}) in {OF_ANOTHER, OVER, INVALID}

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
    def test_whatever_is_given_has_a_code(self, odd: Any) -> None:
        assert code(odd) == OF_ANOTHER
        assert code({**SIGNED, "approvals": odd}) == UNKNOWN
        assert code({**SIGNED, "approvals": [{**SIGNED["approvals"][0], "signature": odd}] * 2}) == UNKNOWN


SIGNED = a_warrant(BOTH)


class TestSets:
    def test_the_next_one_is_taken_if_two_of_the_set_before_approved_it(self) -> None:
        following = signed_set(KNOWN_TEXT, {**BOTH, "staff/cara": CARA}, by=BOTH)
        taken = approvals.successor(following, KNOWN)
        assert (taken.version, len(taken.approvers)) == (2, 3)
        assert code(a_warrant({"staff/anna": ANNA, "staff/cara": CARA}), known=taken) == ""

    def test_who_left_may_not_any_more(self) -> None:
        taken = approvals.successor(signed_set(KNOWN_TEXT, {"staff/anna": ANNA, "staff/cara": CARA}, by=BOTH), KNOWN)
        assert code(a_warrant(BOTH), known=taken) == UNKNOWN

    @pytest.mark.parametrize(
        ("members", "why"),
        [
            ({"version": 3}, "a hole"),
            ({"version": 1}, "not a newer one"),
            ({"version": True}, "no number"),
            ({"previous": "0" * 64}, "it follows another"),
            ({"previous": None}, "it follows none"),
            ({"type": "facteo.warrant"}, "no set"),
            ({"origins": [1]}, "origins are texts"),
            ({"rp_id": None}, "no relying party"),
            ({"approvers": []}, "nobody"),
            ({"approvers": [ANNA.as_approver("staff/anna")]}, "one approver"),
            ({"approvers": [ANNA.as_approver("staff/anna"), CARA.as_approver("staff/anna")]}, "one approver"),
            ({"approvers": [ANNA.as_approver("staff/anna"), {"id": "staff/bert"}]}, "no key"),
        ],
    )
    def test_one_that_does_not_follow_is_refused(self, members: dict[str, Any], why: str) -> None:
        with pytest.raises(Untrusted) as refused:
            approvals.successor(signed_set(KNOWN_TEXT, BOTH, by=BOTH, **members), KNOWN)
        assert refused.value.code == UNKNOWN, why

    @pytest.mark.parametrize("jwk", [{"crv": "P-384"}, {"kty": "OKP"}, {"x": "AA"}, {"x": base64url(bytes(32))}])
    def test_a_key_that_is_none_is_refused(self, jwk: dict[str, str]) -> None:
        bert = BERT.as_approver("staff/bert")
        bert["public_key"] = {**bert["public_key"], **jwk}
        with pytest.raises(Untrusted):
            read_set(encoded(a_set(BOTH, approvers=[ANNA.as_approver("staff/anna"), bert])))

    def test_only_the_set_that_is_kept_can_approve_it(self) -> None:
        following = {"staff/anna": ANNA, "staff/cara": CARA}
        with pytest.raises(Untrusted, match=UNKNOWN):
            approvals.successor(signed_set(KNOWN_TEXT, following, by=following), KNOWN)

    @pytest.mark.parametrize("odd", [None, [], {}, {"text": 1}, {"text": "AA"}, {"text": encoded(KNOWN_TEXT)}])
    def test_what_is_no_set_is_refused(self, odd: Any) -> None:
        with pytest.raises(Untrusted, match=UNKNOWN):
            approvals.successor(odd, KNOWN)
