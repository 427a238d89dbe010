"""The approvers: passkeys are registered, and nobody but two approvers of a set has another one follow it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import cbor2
import pytest

from chalicelib.core import journal
from chalicelib.fleet.guards import passkeys
from chalicelib.fleet.guards.approvers import IN_FORCE
from chalicelib.fleet.guards.schemas import GuardRefused
from chalicelib.fleet.tables import CommandsRow
from demo.passkey import Passkey
from handset.signing import base64url
from tests.support.api import Answered, Api
from tests.support.cloud import Cloud
from tests.support.fleet import NewHandset, a_ticket
from tests.support.guards import (
    ADA,
    BOB,
    EVE,
    ORIGIN,
    OTHER_ORIGIN,
    RP_ID,
    Person,
    approvers,
    follow,
    people,
    propose,
    raw,
    read_text,
)
from tests.support.races import overtaken


def sets(post: Api, after: int = 0) -> list[Any]:
    """What a handset is told of the sets after the one that it knows, each as text and approvers."""
    answer = NewHandset(post).enrolled().calls().get("/v1/approver-sets", after=str(after))
    assert answer.status == 200, answer.text
    return [json.loads(raw(one["text"])) for one in answer.body["sets"]]


def versions(post: Api, after: int = 0) -> list[int]:
    return [told["version"] for told in sets(post, after)]


class TestPasskeys:
    def test_a_passkey_is_registered_and_waits_for_a_set(self, post: Api) -> None:
        [ada] = people(post, ADA)
        told = ada.calls.get("/v1/approvers").body
        waiting = {
            "id": ada.actor,
            "credential": base64url(ada.passkey.credential),
            "registered_at": told["candidates"][0]["registered_at"],
        }
        assert told == {"in_force": None, "proposed": None, "candidates": [waiting]}
        assert [event.type for event in journal.read(f"approver/{ada.actor}")] == ["facteo.passkey.registered"]

    def test_what_a_browser_is_told(self, post: Api) -> None:
        told = Person(post, ADA).calls.post("/v1/approver-passkeys/options").body
        assert (told["rp"], told["user"]["name"]) == ({"id": RP_ID, "name": "Facteo"}, ADA)
        assert told["pubKeyCredParams"] == [{"alg": -7, "type": "public-key"}]
        assert told["authenticatorSelection"]["userVerification"] == "required"
        assert len(raw(told["challenge"])) == 32

    def test_a_challenge_is_good_once_and_for_five_minutes(self, post: Api) -> None:
        ada = Person(post, ADA)
        assert (
            ada.calls.post("/v1/approver-passkeys", {"credential": ada.passkey.register(bytes(32))}).problem
            == "passkey-invalid"
        )
        challenge = raw(ada.calls.post("/v1/approver-passkeys/options").body["challenge"])
        made = {"credential": ada.passkey.register(challenge)}
        post.clock.advance(minutes=4, seconds=59)
        assert ada.calls.post("/v1/approver-passkeys", made).status == 201
        assert ada.calls.post("/v1/approver-passkeys", made).problem == "passkey-invalid"
        challenge = raw(ada.calls.post("/v1/approver-passkeys/options").body["challenge"])
        post.clock.advance(minutes=5)
        late = ada.calls.post("/v1/approver-passkeys", {"credential": ada.passkey.register(challenge)})
        assert (late.status, late.problem) == (422, "passkey-invalid")

    def test_a_challenge_is_its_own_callers(self, post: Api) -> None:
        ada, eve = Person(post, ADA), Person(post, EVE)
        challenge = raw(ada.calls.post("/v1/approver-passkeys/options").body["challenge"])
        eve.calls.post("/v1/approver-passkeys/options")
        assert (
            eve.calls.post("/v1/approver-passkeys", {"credential": eve.passkey.register(challenge)}).problem
            == "passkey-invalid"
        )

    def test_a_new_registration_takes_the_place_of_the_former(self, post: Api) -> None:
        [ada] = people(post, ADA)
        ada.passkey = Passkey.new(RP_ID, ORIGIN)
        assert ada.registers().status == 201
        [waiting] = ada.calls.get("/v1/approvers").body["candidates"]
        assert waiting["credential"] == base64url(ada.passkey.credential)

    @pytest.mark.parametrize(
        "passkey",
        [
            Passkey.new("evil.test", ORIGIN),
            Passkey.new(RP_ID, "https://evil.test"),
            Passkey.new(RP_ID, f"{ORIGIN}.evil.test"),
        ],
        ids=["rp", "origin", "an origin that begins like ours"],
    )
    def test_one_made_elsewhere_is_refused(self, post: Api, passkey: Passkey) -> None:
        assert Person(post, ADA, passkey).registers().problem == "passkey-invalid"

    def test_each_of_our_origins_will_do(self, post: Api) -> None:
        assert Person(post, ADA, Passkey.new(RP_ID, OTHER_ORIGIN)).registers().status == 201

    @pytest.mark.parametrize("name", ["flags", "algorithm", "curve", "nonsense"])
    def test_one_that_is_not_what_we_ask_for_is_refused(
        self, post: Api, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada = Person(post, ADA)
        spoil: dict[str, Callable[[bytes], bytes]] = {
            "flags": lambda data: data[:32] + b"\x41" + data[33:],
            "algorithm": lambda data: data.replace(cbor2.dumps({3: -7})[1:], cbor2.dumps({3: -35})[1:]),
            "curve": lambda data: data.replace(cbor2.dumps({-1: 1})[1:], cbor2.dumps({-1: 2})[1:]),
            "nonsense": lambda _: b"nonsense",
        }
        register = Passkey.register

        def spoiled(passkey: Passkey, challenge: bytes) -> dict[str, Any]:
            made = register(passkey, challenge)
            attestation = cbor2.loads(raw(made["response"]["attestationObject"]))
            attestation["authData"] = spoil[name](attestation["authData"])
            made["response"]["attestationObject"] = base64url(cbor2.dumps(attestation))
            return made

        monkeypatch.setattr(Passkey, "register", spoiled)
        assert ada.registers().problem == "passkey-invalid"


class TestFirstSet:
    def test_two_of_its_own_approve_it(self, post: Api) -> None:
        ada, bob, eve = people(post, ADA, BOB, EVE)
        proposed = propose([ada, bob, eve])
        text = read_text(proposed)
        assert text == {
            "approvers": [person.passkey.as_approver(person.actor) for person in (ada, bob, eve)],
            "origins": [ORIGIN, OTHER_ORIGIN],
            "previous": "",
            "rp_id": RP_ID,
            "type": "facteo.approvers",
            "version": 1,
        }
        assert raw(proposed["text"]) == json.dumps(text, sort_keys=True, separators=(",", ":")).encode()
        assert proposed["challenge"] == base64url(hashlib.sha256(raw(proposed["text"])).digest())
        assert [one["id"] for one in proposed["credentials"]] == [
            base64url(one.passkey.credential) for one in (ada, bob, eve)
        ]

        first = ada.approves("/v1/approver-sets/1", proposed["text"])
        assert (first.body["in_force"], first.body["missing"], versions(post)) == (False, 1, [])
        second = eve.approves("/v1/approver-sets/1", proposed["text"])
        assert (second.body["in_force"], second.body["missing"], versions(post)) == (True, 0, [1])
        told = ada.calls.get("/v1/approvers").body
        assert told["in_force"]["approvers"] == [ada.actor, bob.actor, eve.actor]
        assert (told["proposed"], told["candidates"]) == (None, [])
        assert {event.type.removeprefix("facteo.approvers.") for event in journal.read("approvers/1")} == {
            "proposed",
            "approved",
            "in-force",
        }

    def test_one_person_twice_is_one(self, post: Api) -> None:
        ada, bob = people(post, ADA, BOB)
        proposed = propose([ada, bob])
        first, again = (ada.approves("/v1/approver-sets/1", proposed["text"]) for _ in range(2))
        assert first.body == again.body
        assert versions(post) == []

    def test_it_comes_by_itself_once_only(self, post: Api) -> None:
        """With the first set in force, a second one of strangers is nothing without two approvers of the first."""
        ada, bob = approvers(post)
        eve, zoe = people(post, EVE, "zoe")
        proposed = propose([eve, zoe])
        answers = [person.approves("/v1/approver-sets/2", proposed["text"]) for person in (eve, zoe)]
        assert {answer.problem for answer in answers} == {"not-an-approver"}
        again = eve.approves("/v1/approver-sets/1", proposed["text"])
        assert (again.status, again.problem) == (409, "set-over")
        assert versions(post) == [1]
        assert ada.calls.get("/v1/approvers").body["in_force"]["approvers"] == [ada.actor, bob.actor]

    @pytest.mark.parametrize(
        "named", [[], ["staff/ada"], ["staff/ada", "staff/ada"], ["ada", "bob"], [f"staff/{n}" for n in range(21)]]
    )
    def test_how_many_there_are(self, post: Api, named: list[str]) -> None:
        people(post, ADA, BOB)
        answer = post.as_staff("security-officer").post("/v1/approver-sets", {"approvers": named})
        assert (answer.status, answer.problem) == (400, "request-invalid")

    def test_everybody_has_registered(self, post: Api) -> None:
        people(post, ADA)
        answer = post.as_staff("security-officer").post("/v1/approver-sets", {"approvers": ["staff/ada", "staff/bob"]})
        assert (answer.status, answer.problem, answer.body["approver"]) == (409, "not-registered", "staff/bob")

    def test_two_people_with_one_passkey_are_one(self, post: Api) -> None:
        [ada] = people(post, ADA)
        bob = Person(post, BOB, ada.passkey)
        assert bob.registers().status == 201
        named = {"approvers": [ada.actor, bob.actor]}
        assert post.as_staff("security-officer").post("/v1/approver-sets", named).problem == "request-invalid"

    def test_a_new_proposal_takes_the_place_of_the_former_and_of_its_approvals(self, post: Api) -> None:
        ada, bob, eve = people(post, ADA, BOB, EVE)
        former = propose([ada, bob, eve])
        ada.approves("/v1/approver-sets/1", former["text"])
        proposed = propose([ada, bob])
        assert proposed["approved_by"] == []
        assert bob.approves("/v1/approver-sets/1", former["text"]).problem == "approval-invalid"
        assert bob.approves("/v1/approver-sets/1", proposed["text"]).body["missing"] == 1

    def test_what_was_not_proposed_is_not_there(self, post: Api) -> None:
        [ada] = people(post, ADA)
        assert ada.approves("/v1/approver-sets/1", base64url(b"{}")).problem == "not-found"
        assert ada.approves("/v1/approver-sets/0", base64url(b"{}")).problem == "not-found"


class TestFollowing:
    def test_two_approvers_of_the_set_before_have_another_follow(self, post: Api) -> None:
        ada, bob = approvers(post)
        [eve] = people(post, EVE)
        proposed = propose([bob, eve])
        assert [one["id"] for one in proposed["credentials"]] == [
            base64url(one.passkey.credential) for one in (ada, bob)
        ]
        assert eve.approves("/v1/approver-sets/2", proposed["text"]).problem == "not-an-approver"
        assert ada.approves("/v1/approver-sets/2", proposed["text"]).body["in_force"] is False
        assert bob.approves("/v1/approver-sets/2", proposed["text"]).body["in_force"] is True

        first, second = sets(post)
        assert [one["id"] for one in second["approvers"]] == [bob.actor, eve.actor]
        assert second["previous"] == hashlib.sha256(raw(propose_text(post, 0))).hexdigest()
        assert (first["version"], second["version"]) == (1, 2)

    def test_handsets_walk_from_the_set_that_they_know(self, post: Api) -> None:
        judges = approvers(post)
        for _ in range(24):
            follow(judges, judges)
        assert versions(post) == list(range(1, 21))
        assert versions(post, after=20) == [21, 22, 23, 24, 25]
        assert versions(post, after=25) == []

    def test_a_blocked_handset_walks_too_and_staff_do_not(self, post: Api) -> None:
        approvers(post)
        handset = NewHandset(post).enrolled()
        row = handset.row
        row.state = "wiping"
        row.save()
        assert len(handset.calls().get("/v1/approver-sets", after="0").body["sets"]) == 1
        assert post.as_staff("fleet-admin").get("/v1/approver-sets", after="0").status == 401

    def test_a_new_passkey_of_an_approver_counts_from_the_next_set_on(self, post: Api) -> None:
        ada, bob = approvers(post)
        former, ada.passkey = ada.passkey, Passkey.new(RP_ID, ORIGIN)
        assert ada.registers().status == 201
        proposed = propose([ada, bob], new=[ada])
        assert ada.approves("/v1/approver-sets/2", proposed["text"]).problem == "not-an-approver"
        new, ada.passkey = ada.passkey, former
        assert ada.approves("/v1/approver-sets/2", proposed["text"]).status == 200
        assert bob.approves("/v1/approver-sets/2", proposed["text"]).body["in_force"] is True
        assert read_text(proposed)["approvers"][0]["public_key"] == new.public_jwk

    def test_who_registers_anew_keeps_the_passkey_of_the_present_set_unless_that_is_asked_for(self, post: Api) -> None:
        """Whoever has stolen an approver's token gets no passkey of their own into the next set unseen."""
        ada, bob = approvers(post)
        [eve] = people(post, EVE)
        thief = Person(post, ADA)
        assert thief.registers().status == 201
        kept, changed = propose([ada, bob, eve]), propose([ada, bob, eve], new=[ada])
        own, stolen, eves = (base64url(one.passkey.credential) for one in (ada, thief, eve))
        told = [{one["id"]: (one["credential"], one["is_new"]) for one in each["people"]} for each in (kept, changed)]
        bobs = (base64url(bob.passkey.credential), False)
        assert told[0] == {ada.actor: (own, False), bob.actor: bobs, eve.actor: (eves, True)}
        assert told[1] == {ada.actor: (stolen, True), bob.actor: bobs, eve.actor: (eves, True)}
        assert {one["id"]: one["credential"] for one in read_text(kept)["approvers"]}[ada.actor] == own

    def test_a_passkey_that_a_set_had_is_no_candidate_any_more(self, post: Api) -> None:
        ada, bob = approvers(post)
        [eve] = people(post, EVE)
        follow([ada, bob], [bob, eve])
        assert ada.calls.get("/v1/approvers").body["candidates"] == []
        named = {"approvers": [ada.actor, bob.actor], "new_passkeys": [bob.actor]}
        officer = post.as_staff("security-officer")
        assert officer.post("/v1/approver-sets", named).problem == "not-registered"
        assert officer.post("/v1/approver-sets", named | {"new_passkeys": []}).body["approver"] == ada.actor
        assert ada.registers().status == 201
        assert propose([ada, bob])["approvers"] == [ada.actor, bob.actor]

    def test_only_an_approver_to_be_gets_a_new_passkey(self, post: Api) -> None:
        ada, bob = approvers(post)
        named = {"approvers": [ada.actor, bob.actor], "new_passkeys": ["staff/eve"]}
        assert post.as_staff("security-officer").post("/v1/approver-sets", named).problem == "request-invalid"

    def test_without_the_set_in_force_nobody_founds_another_one(self, post: Api) -> None:
        approvers(post)
        CommandsRow(IN_FORCE).delete()
        eve, zoe = people(post, EVE, "zoe")
        named = {"approvers": [eve.actor, zoe.actor]}
        answer = post.as_staff("security-officer", sub="mallory").post("/v1/approver-sets", named)
        assert (answer.status, answer.problem) == (409, "set-over")
        assert versions(post) == [1], "it stands as it did"
        assert refused("mallory") == ["set-over"]

    def test_two_second_approvals_at_once_are_two(self, post: Api) -> None:
        ada, bob = approvers(post)
        proposed = propose([ada, bob])
        answers: list[Answered] = []
        with overtaken(by=lambda: answers.append(bob.approves("/v1/approver-sets/2", proposed["text"]))):
            answers.append(ada.approves("/v1/approver-sets/2", proposed["text"]))
        assert [answer.body["missing"] for answer in answers] == [1, 0]
        assert versions(post) == [1, 2]

    def test_an_approval_of_another_set_is_none(self, post: Api) -> None:
        ada, bob = approvers(post)
        proposed = propose([ada, bob])
        first = post.as_staff("security-officer").get("/v1/approvers").body["in_force"]["text"]
        assert ada.approves("/v1/approver-sets/2", first).problem == "approval-invalid"
        assert ada.approves("/v1/approver-sets/2", proposed["text"]).status == 200


class TestEnrolment:
    def test_a_handset_is_given_the_set_in_force_and_its_digest_is_signed(self, post: Api) -> None:
        handset = NewHandset(post)
        before = enrolment(handset)
        assert (before["approvers"], statement(before)["approvers_digest"]) == (None, "")
        judges = approvers(post)
        follow(judges, judges)
        given = enrolment(NewHandset(post))
        assert (
            given["approvers"]
            == NewHandset(post).enrolled().calls().get("/v1/approver-sets", after="1").body["sets"][0]
        )
        assert statement(given)["approvers_digest"] == hashlib.sha256(raw(given["approvers"]["text"])).hexdigest()
        assert len(given["approvers"]["approvals"]) == 2


def test_what_it_costs(post: Api, aws: Cloud) -> None:
    ada, bob = approvers(post)
    proposed = propose([ada, bob])
    with aws.counting() as calls:
        assert ada.approves("/v1/approver-sets/2", proposed["text"]).status == 200
    assert dict(calls) == {"GetItem": 2, "TransactWriteItems": 1}
    with aws.counting() as calls:
        assert bob.approves("/v1/approver-sets/2", proposed["text"]).body["in_force"]
    assert dict(calls) == {"GetItem": 2, "BatchGetItem": 1, "TransactWriteItems": 1}
    handset = NewHandset(post).enrolled()
    with aws.counting() as calls:
        handset.calls().get("/v1/approver-sets", after="0")
    assert dict(calls) == {"GetItem": 1, "BatchGetItem": 1}


def test_refusals_are_journalled(post: Api) -> None:
    approvers(post)
    [eve] = people(post, EVE)
    proposed = propose([eve, Person(post, ADA)])
    assert eve.approves("/v1/approver-sets/2", proposed["text"]).status == 403
    [refused] = [event for event in journal.read(f"guard/{eve.actor}") if event.type == "facteo.guard.refused"]
    assert (refused.actor, refused.place) == (eve.actor, "")
    assert refused.body(GuardRefused).problem == "not-an-approver"


def test_so_is_what_is_registered_and_proposed_in_vain_and_no_text_of_others_with_it(post: Api) -> None:
    mallory = Person(post, "mallory", Passkey.new("evil.test", "https://evil.test"))
    assert mallory.registers().problem == "passkey-invalid"
    officer = post.as_staff("security-officer", sub="mallory")
    assert officer.post("/v1/approver-sets", {"approvers": ["staff/a", "staff/b"]}).problem == "not-registered"
    assert sorted(refused("mallory")) == ["not-registered", "passkey-invalid"]
    details = [event.body(GuardRefused).detail for event in journal.read("guard/staff/mallory")]
    assert passkeys.NO_PASSKEY in details
    assert not any("evil" in detail for detail in details)


@pytest.mark.parametrize(("length", "status"), [(256, 201), (257, 400), (1000, 400)])
def test_how_long_the_id_of_a_passkey_may_be(post: Api, length: int, status: int) -> None:
    ada = Person(post, ADA)
    ada.passkey.credential = bytes(range(256)) * 4
    ada.passkey.credential = ada.passkey.credential[:length]
    assert ada.registers().status == status


def test_an_id_that_is_longer_than_it_says_is_refused(post: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = Person(post, ADA)
    ada.passkey.credential = bytes(257)
    made = Passkey.register

    def renamed(passkey: Passkey, challenge: bytes) -> dict[str, Any]:
        return made(passkey, challenge) | {"id": "AAAA", "rawId": "AAAA"}

    monkeypatch.setattr(Passkey, "register", renamed)
    assert ada.registers().problem == "passkey-invalid"


def test_people_whose_names_handsets_would_not_read_are_no_approvers(post: Api) -> None:
    odd, _ = people(post, "a\u200bda", BOB)
    named = {"approvers": [odd.actor, "staff/bob"]}
    assert post.as_staff("security-officer").post("/v1/approver-sets", named).problem == "request-invalid"
    long = people(post, *("\U00020000" * 190 + chr(97 + number) for number in range(20)))
    named = {"approvers": [one.actor for one in long]}
    assert post.as_staff("security-officer").post("/v1/approver-sets", named).problem == "request-invalid"


def refused(name: str) -> list[str]:
    found = [event for event in journal.read(f"guard/staff/{name}") if event.type == "facteo.guard.refused"]
    return [event.body(GuardRefused).problem for event in found]


def enrolment(newcomer: NewHandset) -> dict[str, Any]:
    answer = newcomer.asks(a_ticket(newcomer.api)["code"])
    assert answer.status == 201, answer.text
    told: dict[str, Any] = answer.body
    return told


def statement(told: dict[str, Any]) -> dict[str, Any]:
    signed: dict[str, Any] = json.loads(raw(told["statement"].split(".")[1]))
    return signed


def propose_text(post: Api, position: int) -> str:
    """The text of a set, as handsets are given it."""
    given = NewHandset(post).enrolled().calls().get("/v1/approver-sets", after="0").body["sets"]
    return str(given[position]["text"])
