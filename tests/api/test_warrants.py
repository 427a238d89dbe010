"""Warrants: two different people confirm the exact words, and only then something is destroyed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from chalicelib.core import ids, journal, settings, signing
from chalicelib.core.transaction import transaction
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.commands.kinds import KINDS
from chalicelib.fleet.guards import choke, passkeys, warrants
from chalicelib.fleet.guards.schemas import GuardRefused
from chalicelib.fleet.guards.warrant_schemas import Warrant, WarrantChanged
from chalicelib.fleet.tables import CommandsRow
from chalicelib.fleet.workers import settle_fleet
from demo.passkey import Passkey
from handset.signing import base64url
from tests.support import dynamodb
from tests.support.api import Answered, Api
from tests.support.cloud import Cloud
from tests.support.events import SCHEDULED, invoke
from tests.support.factories import HeldHandset
from tests.support.fleet import HERE, THEIRS, THERE, NewHandset, a_carrier, retire
from tests.support.guards import (
    ADA,
    BOB,
    EVE,
    LOSS,
    ORIGIN,
    OTHER_ORIGIN,
    RP_ID,
    Person,
    a_lost_handset,
    a_warrant,
    approved,
    approvers,
    asks_for,
    change_box,
    follow,
    path_of,
    people,
    propose,
    raw,
    read_text,
    signed_report,
    with_client,
)
from tests.support.races import overtaken

DESTROYING = sorted(kind for kind, traits in KINDS.items() if traits.destroys)
HARMLESS = sorted(kind for kind, traits in KINDS.items() if not traits.destroys)
PARAMETERS = {"full-wipe": {"external_storage": True, "esim": True}}


@pytest.fixture
def judges(post: Api) -> list[Person]:
    """Ada and Bob, the approvers in force."""
    return approvers(post)


@pytest.fixture
def lost(post: Api) -> HeldHandset:
    """A handset in an open loss case."""
    return a_lost_handset(post)


def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets in which there is always room."""
    for whose in ("person", "depot", "zone", "fleet"):
        monkeypatch.setitem(os.environ, f"FACTEO_WIPES_OF_{whose.upper()}", "1000")
    settings.load.cache_clear()


def orders(handset: HeldHandset) -> list[dict[str, Any]]:
    """What the handset is given to do."""
    answer = handset.calls().get("/v1/commands")
    assert answer.status == 200, answer.text
    return [json.loads(signing.payload_of(order)) for order in answer.body["orders"]]


def kinds_of(handset: HeldHandset) -> list[str]:
    return [order["kind"] for order in orders(handset)]


def refusals(subject: str) -> list[tuple[str, str]]:
    """What was refused, and to whom."""
    found = [event for event in journal.read(subject) if event.type == "facteo.guard.refused"]
    return [(event.body(GuardRefused).problem, event.actor) for event in found]


def told_of(warrant: dict[str, Any]) -> set[str]:
    types = [event.type for event in journal.read(f"warrant/{warrant['id']}")]
    return {one.removeprefix("facteo.warrant.") for one in types if one.startswith("facteo.warrant.")}


class TestRequest:
    def test_the_text_is_the_protocol_s_byte_by_byte(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        text = {
            "approvers_version": 1,
            "expires_at": "2027-02-21T07:00:00Z",
            "id": warrant["id"],
            "kind": "container-wipe",
            "parameters": {},
            "reason": "Stolen on the round.",
            "requested_at": "2026-11-23T07:00:00Z",
            "requested_by": "staff/ada",
            "targets": [{"device": lost.device, "generation": 1}],
            "type": "facteo.warrant",
            "witnessed": False,
        }
        assert raw(warrant["text"]) == json.dumps(text, sort_keys=True, separators=(",", ":")).encode()
        assert (warrant["state"], warrant["missing"], warrant["approved_by"]) == ("awaiting-approval", 2, [])
        assert [one["id"] for one in warrant["credentials"]] == [base64url(one.passkey.credential) for one in judges]
        assert lost.row.state == "quarantined", "nothing happens before two have approved"

    def test_that_it_does_not_cool_off_is_in_what_is_approved(
        self, post: Api, judges: list[Person], lost: HeldHandset
    ) -> None:
        warrant = a_warrant(judges[0].calls, lost, witnessed=True)
        assert read_text(warrant)["witnessed"] is True
        unseen = a_warrant(judges[0].calls, lost)
        _rewrite(f"warrant/{unseen['id']}", witnessed=True)
        assert approved(unseen, *judges).body["cooling_until"] == "2026-11-23T07:10:00Z", "the words count"

    def test_approvers_are_told_at_once(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        assert told_of(warrant) == {"requested"}
        [entry] = post.as_staff("depot-manager").get(f"/v1/depots/{HERE}/attention").body["entries"]
        assert (entry["subject"], entry["flags"]) == (f"warrant/{warrant['id']}", ["warrant-to-approve"])
        assert judges[1].calls.get("/v1/warrants").body["warrants"] == [warrant]
        assert judges[1].calls.get(path_of(warrant)).body == warrant

    def test_the_list_leaves_out_what_is_for_other_depots(
        self, post: Api, judges: list[Person], lost: HeldHandset
    ) -> None:
        ours = a_warrant(judges[0].calls, lost)
        both = a_warrant(judges[0].calls, lost, a_lost_handset(post, THEIRS))
        listed = {
            depot: [one["id"] for one in found.body["warrants"]]
            for depot in (HERE, THERE, "99999A")
            if (found := post.as_staff("auditor", scope=f"depot/{depot}").get("/v1/warrants"))
        }
        assert listed == {HERE: sorted([ours["id"], both["id"]]), THERE: [both["id"]], "99999A": []}

    def test_the_list_has_pages(
        self, post: Api, judges: list[Person], lost: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(records, "PAGE", 2)
        made = sorted(a_warrant(judges[0].calls, lost)["id"] for _ in range(3))
        first = judges[0].calls.get("/v1/warrants").body
        second = judges[0].calls.get("/v1/warrants", after=first["after"]).body
        assert [[one["id"] for one in page["warrants"]] for page in (first, second)] == [made[:2], made[2:]]
        assert second["after"] is None

    @pytest.mark.parametrize("kind", HARMLESS)
    def test_what_destroys_nothing_needs_none(
        self, post: Api, judges: list[Person], lost: HeldHandset, kind: str
    ) -> None:
        answer = asks_for(judges[0].calls, lost, kind=kind)
        assert (answer.status, answer.problem, answer.body["reason"]) == (409, "not-applicable", "destroys-nothing")

    def test_before_there_are_approvers(self, post: Api, lost: HeldHandset) -> None:
        answer = asks_for(post.as_staff("fleet-admin"), lost)
        assert (answer.status, answer.problem) == (409, "no-approvers")

    def test_handsets_are_named_and_ten_at_most(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        ask = judges[0].calls
        for wanted in (
            {"devices": []},
            {"devices": [ids.new() for _ in range(11)]},
            {"devices": [lost.device, lost.device]},
            {"devices": {"depot": HERE}},
            {"devices": "*"},
            {"depot": HERE},
            {"parameters": {"esim": True}},
            {"parameters": {"kind": "full-wipe"}},
            {"reason": ""},
        ):
            assert asks_for(ask, lost, **wanted).problem == "request-invalid", wanted
        assert asks_for(ask, lost, devices=[ids.new()]).problem == "not-found"

    @pytest.mark.parametrize(
        ("spoil", "problem"),
        [
            (lambda post, handset: retire(post, handset.device), "device-blocked"),
            (lambda post, handset: change_box(handset.device, loss=""), "not-applicable"),
            (lambda post, handset: change_box(handset.device, capabilities=()), "not-applicable"),
        ],
        ids=["retired", "no loss case", "cannot"],
    )
    def test_what_can_never_be_done_is_refused_now(
        self, post: Api, judges: list[Person], lost: HeldHandset, spoil: Callable[[Api, HeldHandset], Any], problem: str
    ) -> None:
        spoil(post, lost)
        assert asks_for(judges[0].calls, lost).problem == problem
        assert judges[0].calls.get("/v1/warrants").body["warrants"] == []

    def test_what_is_ordered_already_is_not_asked_for_again(
        self, post: Api, judges: list[Person], lost: HeldHandset
    ) -> None:
        approved(a_warrant(judges[0].calls, lost), *judges)
        answer = asks_for(judges[0].calls, lost)
        assert (answer.problem, answer.body["reason"]) == ("not-applicable", "ordered-already")
        assert refusals("guard/staff/ada") == [("not-applicable", "staff/ada")]

    def test_another_depot_s_manager_and_other_roles(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        theirs = Person(post, EVE, roles=("depot-manager",), scope=f"depot/{THERE}")
        assert asks_for(theirs.calls, lost).problem == "access-denied"
        assert refusals("guard/staff/eve") == [("access-denied", "staff/eve")]
        both = [lost, a_lost_handset(post, THEIRS)]
        assert asks_for(theirs.calls, *both).problem == "access-denied", "each target is theirs, or none is asked for"
        for role in ("dispatcher", "auditor", "ops", "carrier-support"):
            assert asks_for(post.as_staff(role), lost).status == 403


class TestApproval:
    def test_two_people_have_a_handset_wiped_and_it_is_blocked_at_once(
        self, post: Api, judges: list[Person], lost: HeldHandset
    ) -> None:
        ada, bob = judges
        warrant = a_warrant(post.as_staff("depot-manager", sub="requester"), lost)
        first = ada.approves(path_of(warrant), warrant["text"])
        assert (first.body["state"], first.body["missing"], lost.row.state) == ("awaiting-approval", 1, "quarantined")
        second = bob.approves(path_of(warrant), warrant["text"])
        assert (second.status, second.body["state"], second.body["missing"]) == (200, "approved", 0)
        assert lost.row.state == "wiping"
        assert second.body["cooling_until"] == "2026-11-23T07:10:00Z"
        assert (told_of(warrant), kinds_of(lost)) == ({"requested", "confirmed", "approved"}, [])

        post.clock.advance(minutes=10)
        [order] = orders(lost)
        [target] = second.body["targets"]
        assert (order["id"], order["kind"], order["reason"]) == (target["command"], "container-wipe", warrant["reason"])
        assert order["warrant"]["text"] == warrant["text"]
        assert [one["approver"] for one in order["warrant"]["approvals"]] == ["staff/ada", "staff/bob"]
        assert "facteo.device.wiping" in {event.type for event in journal.read(f"device/{lost.device}")}

    def test_the_requester_may_be_one_of_the_two(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        assert approved(a_warrant(judges[0].calls, lost), *judges).body["state"] == "approved"

    def test_a_browser_s_own_answer_will_do(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        for person in judges:
            given = {"assertion": person.passkey.get(raw(warrant["challenge"]))}
            answer = person.calls.post(f"{path_of(warrant)}/approvals", given)
            assert answer.status == 200, answer.text
        assert answer.body["state"] == "approved"

    def test_one_person_twice_is_one(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        ada, _ = judges
        warrant = a_warrant(ada.calls, lost)
        first, again = (ada.approves(path_of(warrant), warrant["text"]) for _ in range(2))
        assert (first.body, lost.row.state) == (again.body, "quarantined")
        other, ada.passkey = ada.passkey, Passkey.new(RP_ID, ORIGIN)
        assert ada.registers().status == 201
        assert ada.approves(path_of(warrant), warrant["text"]).body["missing"] == 1, "nor with a second passkey"
        ada.passkey = other

    def test_nobody_approves_for_another(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        """Who has one account and two passkeys, or two accounts and one passkey, has one approval."""
        ada, bob = judges
        warrant = a_warrant(ada.calls, lost)
        path, text = path_of(warrant), warrant["text"]
        stolen = ada.calls.post(f"{path}/approvals", {"approval": bob.approval(text)})
        renamed = ada.calls.post(f"{path}/approvals", {"approval": bob.approval(text) | {"approver": ada.actor}})
        disguised = ada.calls.post(f"{path}/approvals", {"approval": ada.approval(text) | {"approver": bob.actor}})
        borrowed = ada.calls.post(f"{path}/approvals", {"assertion": bob.passkey.get(raw(warrant["challenge"]))})
        assert {one.problem for one in (stolen, renamed, disguised, borrowed)} == {"not-an-approver"}
        assert refusals(f"warrant/{warrant['id']}") == [("not-an-approver", ada.actor)] * 4

    def test_exactly_one_form_is_given(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        ada, _ = judges
        warrant = a_warrant(ada.calls, lost)
        both = {"approval": ada.approval(warrant["text"]), "assertion": ada.passkey.get(raw(warrant["challenge"]))}
        for given in ({}, both):
            assert ada.calls.post(f"{path_of(warrant)}/approvals", given).problem == "request-invalid"

    @pytest.mark.parametrize(
        "name", ["challenge", "origin", "rp", "present", "verified", "create", "signature", "text"]
    )
    def test_a_signature_over_anything_else_is_refused(
        self, post: Api, judges: list[Person], lost: HeldHandset, name: str
    ) -> None:
        ada, _ = judges
        warrant = a_warrant(ada.calls, lost)
        given = _SPOILT[name](ada, warrant["text"])
        answer = ada.calls.post(f"{path_of(warrant)}/approvals", {"approval": given})
        assert (answer.status, answer.problem) == (422, "approval-invalid"), answer.text
        assert refusals(f"warrant/{warrant['id']}") == [("approval-invalid", ada.actor)]
        assert ada.approves(path_of(warrant), warrant["text"]).body["missing"] == 1

    @pytest.mark.parametrize("member", ["authenticator_data", "client_data", "signature"])
    @pytest.mark.parametrize("spoil", ["", "AA", "%%%", "é", "A"])
    def test_nonsense_is_refused(
        self, post: Api, judges: list[Person], lost: HeldHandset, member: str, spoil: str
    ) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        answer = judges[0].approves(path_of(warrant), warrant["text"], **{member: spoil})
        assert answer.problem == "approval-invalid"

    def test_every_flipped_bit_is_noticed(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        ada, _ = judges
        warrant = a_warrant(ada.calls, lost)
        good = ada.approval(warrant["text"])
        for member in ("authenticator_data", "client_data", "signature"):
            held = raw(good[member])
            for position in range(0, len(held), 7):
                spoilt = held[:position] + bytes([held[position] ^ 1]) + held[position + 1 :]
                answer = ada.calls.post(
                    f"{path_of(warrant)}/approvals", {"approval": good | {member: base64url(spoilt)}}
                )
                assert answer.problem == "approval-invalid", (member, position)

    def test_an_approval_of_one_warrant_is_none_of_another(
        self, post: Api, judges: list[Person], lost: HeldHandset
    ) -> None:
        ada, _ = judges
        one, other = (a_warrant(ada.calls, lost) for _ in range(2))
        approval = ada.approval(one["text"])
        assert ada.calls.post(f"{path_of(one)}/approvals", {"approval": approval}).status == 200
        assert ada.calls.post(f"{path_of(other)}/approvals", {"approval": approval}).problem == "approval-invalid"

    def test_who_is_not_of_the_set_approves_nothing(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        [eve] = people(post, EVE)
        warrant = a_warrant(eve.calls, lost)
        assert eve.approves(path_of(warrant), warrant["text"]).problem == "not-an-approver"

    def test_a_warrant_of_a_former_set_is_over(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        """Neither those who have left the set approve it, nor those who came: handsets would refuse it."""
        ada, bob = judges
        [eve] = people(post, EVE)
        warrant = a_warrant(ada.calls, lost)
        ada.approves(path_of(warrant), warrant["text"])
        follow(judges, [ada, eve])
        answers = [person.approves(path_of(warrant), warrant["text"]) for person in (bob, eve)]
        assert {answer.problem for answer in answers} == {"warrant-over"}
        assert lost.row.state == "quarantined"

    def test_its_set_s_own_origins_count(
        self, post: Api, judges: list[Person], lost: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        monkeypatch.setitem(os.environ, "FACTEO_PASSKEY_RP_ID", "evil.test")
        monkeypatch.setitem(os.environ, "FACTEO_PASSKEY_ORIGINS", "https://evil.test")
        settings.load.cache_clear()
        judges[1].passkey.origin = OTHER_ORIGIN
        assert approved(warrant, *judges).body["state"] == "approved"

    def test_two_second_approvals_at_once_are_carried_out_once(self, post: Api, lost: HeldHandset) -> None:
        ada, bob, eve = approvers(post, ADA, BOB, EVE)
        warrant = a_warrant(ada.calls, lost)
        ada.approves(path_of(warrant), warrant["text"])
        answers: list[Answered] = []
        with overtaken(by=lambda: answers.append(bob.approves(path_of(warrant), warrant["text"]))):
            answers.append(eve.approves(path_of(warrant), warrant["text"]))
        assert [(answer.status, answer.problem) for answer in answers] == [(200, ""), (409, "warrant-over")]
        assert len(boxes.load(lost.device).box.open) == 1

    def test_an_approval_counts_only_while_its_set_is_in_force(
        self, post: Api, judges: list[Person], lost: HeldHandset
    ) -> None:
        ada, bob = judges
        [eve] = people(post, EVE)
        warrant, proposed = a_warrant(ada.calls, lost), propose([ada, eve])
        ada.approves(path_of(warrant), warrant["text"])
        ada.approves("/v1/approver-sets/2", proposed["text"])
        with overtaken(by=lambda: bob.approves("/v1/approver-sets/2", proposed["text"])):
            answer = bob.approves(path_of(warrant), warrant["text"])
        assert (answer.problem, lost.row.state) == ("warrant-over", "quarantined")

    @pytest.mark.parametrize("told", [True, 1, "false", None])
    def test_a_passkey_that_was_used_within_another_site_s_page_confirms_nothing(
        self, post: Api, judges: list[Person], lost: HeldHandset, told: Any
    ) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        client = json.loads(raw(judges[0].approval(warrant["text"])["client_data"])) | {"crossOrigin": told}
        given = with_client(judges[0], warrant["text"], json.dumps(client).encode())
        answer = judges[0].calls.post(f"{path_of(warrant)}/approvals", {"approval": given})
        assert answer.problem == "approval-invalid"
        [event] = [one for one in journal.read(f"warrant/{warrant['id']}") if one.type == "facteo.guard.refused"]
        assert event.body(GuardRefused).detail in {passkeys.CROSS_ORIGIN, passkeys.NOT_SIGNED}

    def test_two_first_approvals_at_once_are_two(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        ada, bob = judges
        warrant = a_warrant(ada.calls, lost)
        with overtaken(by=lambda: bob.approves(path_of(warrant), warrant["text"])):
            answer = ada.approves(path_of(warrant), warrant["text"])
        assert (answer.body["state"], answer.body["approved_by"]) == ("approved", [bob.actor, ada.actor])

    def test_a_replay_afterwards_changes_nothing(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        given = [(person, {"approval": person.approval(warrant["text"])}) for person in judges]
        answers = [person.calls.post(f"{path_of(warrant)}/approvals", body) for person, body in given * 2]
        assert answers[1].body == answers[2].body == answers[3].body
        assert len(boxes.load(lost.device).box.open) == 1

    def test_within_a_day(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        post.clock.advance(hours=24)
        assert judges[0].approves(path_of(warrant), warrant["text"]).problem == "warrant-over"
        assert invoke(settle_fleet, SCHEDULED) == []
        assert judges[0].calls.get(path_of(warrant)).body["state"] == "expired"
        assert told_of(warrant) == {"requested", "expired"}
        assert judges[0].calls.get("/v1/warrants").body["warrants"] == []

    def test_another_depot_s_manager_approves_nothing_here(self, post: Api, lost: HeldHandset) -> None:
        ada, bob = approvers(post)
        warrant = a_warrant(ada.calls, lost, a_lost_handset(post, THEIRS))
        bob.scope = f"depot/{HERE}"
        assert bob.approves(path_of(warrant), warrant["text"]).problem == "access-denied"
        assert bob.calls.get(path_of(warrant)).status == 200


class TestTargets:
    def test_what_was_enrolled_again_since_is_left_out(self, post: Api, judges: list[Person]) -> None:
        newcomer = NewHandset(post)
        moved, stays = newcomer.enrolled(), a_lost_handset(post, THEIRS)
        change_box(moved.device, loss=LOSS)
        warrant = a_warrant(judges[0].calls, moved, stays)
        retire(post, moved.device)
        change_box(moved.device, loss="")
        again = NewHandset(post, serial=newcomer.serial).enrolled()
        assert again.device == moved.device

        told = approved(warrant, *judges).body
        assert [one["skipped"] for one in told["targets"]] == ["enrolled-again", ""]
        assert (again.row.state, stays.row.state) == ("enrolled", "wiping")
        assert boxes.load(again.device).box.open == ()

    def test_what_was_retired_or_found_since_is_left_out(self, post: Api, judges: list[Person]) -> None:
        handsets = [a_lost_handset(post), a_lost_handset(post), a_lost_handset(post, THEIRS)]
        warrant = a_warrant(judges[0].calls, *handsets)
        retire(post, handsets[0].device)
        change_box(handsets[1].device, loss="")
        told = approved(warrant, *judges).body
        assert [one["skipped"] for one in told["targets"]] == ["device-blocked", "no-loss-case", ""]
        assert [handset.row.state for handset in handsets] == ["retired", "enrolled", "wiping"]

    @pytest.mark.parametrize("kind", DESTROYING)
    def test_each_kind_that_destroys(self, post: Api, judges: list[Person], lost: HeldHandset, kind: str) -> None:
        warrant = a_warrant(judges[0].calls, lost, kind=kind, parameters=PARAMETERS.get(kind, {}), witnessed=True)
        assert approved(warrant, *judges).body["state"] == "approved"
        assert read_text(warrant)["parameters"] == PARAMETERS.get(kind, {})
        [order] = orders(lost)
        assert (order["kind"], order["parameters"]) == (kind, PARAMETERS.get(kind, {}))

    def test_ten_handsets_of_ten_regions_are_one_transaction(
        self, post: Api, judges: list[Person], aws: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unbounded(monkeypatch)
        handsets = [a_lost_handset(post, _a_carrier_of_another_zone(post, number)) for number in range(10)]
        warrant = a_warrant(judges[0].calls, *handsets)
        judges[0].approves(path_of(warrant), warrant["text"])
        with aws.counting() as calls, dynamodb.sent("TransactWriteItems") as sent:
            answer = judges[1].approves(path_of(warrant), warrant["text"])
        assert answer.body["state"] == "approved"
        assert {handset.row.state for handset in handsets} == {"wiping"}
        assert dict(calls) == {"GetItem": 3, "BatchGetItem": 2, "TransactWriteItems": 1}
        assert len(sent[0]["TransactItems"]) == 97


class TestCoolingOff:
    def test_called_off_the_handset_is_quarantined_as_before_and_told_that_the_warrant_is_void(
        self, post: Api, judges: list[Person], lost: HeldHandset
    ) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        approved(warrant, *judges)
        post.clock.advance(minutes=9, seconds=59)
        dispatcher = post.as_staff("dispatcher", scope=f"depot/{HERE}", sub=EVE)
        answer = dispatcher.post(f"{path_of(warrant)}/cancellation", {"reason": "It was found."})
        assert (answer.status, answer.body["state"]) == (200, "cancelled")
        assert [one["called_off"] for one in answer.body["targets"]] == [True]
        assert lost.row.state == "quarantined"
        post.clock.advance(minutes=5)
        assert invoke(settle_fleet, SCHEDULED) == []
        [order] = orders(lost)
        assert (order["kind"], order["parameters"]) == ("stand-down", {"void": [warrant["id"]]})
        again = dispatcher.post(f"{path_of(warrant)}/cancellation", {"reason": "It was found."})
        assert again.body == answer.body
        assert judges[0].calls.get("/v1/warrants").body["warrants"] == []

    @pytest.mark.parametrize("path", ["warrant", "command"])
    def test_a_release_that_is_called_off_lets_the_handset_in_again_and_says_so(
        self, post: Api, judges: list[Person], path: str
    ) -> None:
        handset = NewHandset(post).enrolled()
        warrant = approved(a_warrant(judges[0].calls, handset, kind="release"), *judges).body
        assert handset.row.state == "enrolled"
        path = path_of(warrant) if path == "warrant" else f"/v1/commands/{warrant['targets'][0]['command']}"
        body = {"reason": "It is needed."} if path == path_of(warrant) else None
        assert judges[0].calls.post(f"{path}/cancellation", body).status == 200
        assert handset.row.state == "enrolled"
        assert (boxes.load(handset.device).box.shut, handset.calls().get("/v1/policy").status) == ("", 200)

    def test_one_that_the_handset_refuses_too(self, post: Api, judges: list[Person]) -> None:
        handset = NewHandset(post).enrolled()
        approved(a_warrant(judges[0].calls, handset, kind="release", witnessed=True), *judges)
        orders(handset)
        [command] = boxes.load(handset.device).box.open
        refusing = {"report": signed_report(handset, command, "unsupported")}
        assert handset.calls().post(f"/v1/commands/{command.id}/reports", refusing).body == {"state": "unsupported"}
        assert handset.row.state == "enrolled"

    def test_it_is_listed_until_it_has_cooled_off(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        approved(warrant, *judges)
        [listed] = judges[0].calls.get("/v1/warrants").body["warrants"]
        assert (listed["id"], listed["state"]) == (warrant["id"], "approved")
        post.clock.advance(minutes=10)
        assert invoke(settle_fleet, SCHEDULED) == []
        assert judges[0].calls.get("/v1/warrants").body["warrants"] == []
        assert judges[0].calls.get(path_of(warrant)).body["state"] == "approved"

    def test_before_it_is_approved_too(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        manager = post.as_staff("depot-manager", scope=f"depot/{HERE}")
        assert manager.post(f"{path_of(warrant)}/cancellation", {"reason": "A mistake."}).body["state"] == "cancelled"
        assert judges[0].approves(path_of(warrant), warrant["text"]).problem == "warrant-over"

    def test_by_nobody_of_another_depot_or_role(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        for caller in (post.as_staff("dispatcher", scope=f"depot/{THERE}"), post.as_staff("auditor")):
            for what in ("cancellation", "rejection"):
                assert caller.post(f"{path_of(warrant)}/{what}", {"reason": "It was found."}).status == 403
        assert judges[0].calls.get(path_of(warrant)).body["state"] == "awaiting-approval"

    def test_somebody_of_one_depot_calls_off_what_is_there_and_no_more(self, post: Api, judges: list[Person]) -> None:
        handsets = [a_lost_handset(post), a_lost_handset(post, THEIRS)]
        warrant = a_warrant(judges[0].calls, *handsets)
        path, why = f"{path_of(warrant)}/cancellation", {"reason": "It was found."}
        here, there = (post.as_staff("dispatcher", scope=f"depot/{depot}", sub=depot) for depot in (HERE, THERE))
        assert here.post(path, why).problem == "access-denied", "what waits is called off by who has all of its depots"
        approved(warrant, *judges)
        answers = [here.post(path, why) for _ in range(2)]
        assert answers[0].body == answers[1].body
        assert (answers[0].status, answers[0].body["state"]) == (200, "approved")
        assert [one["called_off"] for one in answers[0].body["targets"]] == [True, False]
        assert [handset.row.state for handset in handsets] == ["quarantined", "wiping"]
        said = [event.type for event in journal.read(f"warrant/{warrant['id']}")]
        assert said.count("facteo.warrant.cancelled-in-part") == 1
        assert len(judges[0].calls.get("/v1/warrants").body["warrants"]) == 1, "the other one cools off still"

        post.clock.advance(minutes=10)
        assert kinds_of(handsets[1]) == ["container-wipe"], "the other one goes on"
        assert there.post(path, why).body["state"] == "cancelled", "nothing is left that could go"
        assert [handset.row.state for handset in handsets] == ["quarantined"] * 2

    def test_once_the_others_have_signed_what_is_called_off_is_all_that_was_left(
        self, post: Api, judges: list[Person]
    ) -> None:
        handsets = [a_lost_handset(post), a_lost_handset(post, THEIRS)]
        warrant = a_warrant(judges[0].calls, *handsets, witnessed=True)
        approved(warrant, *judges)
        _accept(handsets[1], orders(handsets[1]))
        path, why = f"{path_of(warrant)}/cancellation", {"reason": "It was found."}
        there = post.as_staff("dispatcher", scope=f"depot/{THERE}", sub=EVE)
        assert there.post(path, why).problem == "warrant-over"
        here = post.as_staff("dispatcher", scope=f"depot/{HERE}", sub=EVE)
        assert here.post(path, why).body["state"] == "cancelled"
        assert handsets[1].row.state == "wiping"

    def test_what_was_signed_for_goes_on(self, post: Api, judges: list[Person]) -> None:
        handsets = [a_lost_handset(post), a_lost_handset(post)]
        warrant = a_warrant(judges[0].calls, *handsets, witnessed=True)
        told = approved(warrant, *judges).body
        _accept(handsets[0], orders(handsets[0]))
        path, why = f"{path_of(told)}/cancellation", {"reason": "It was found."}
        answer = judges[0].calls.post(path, why)
        assert [one["called_off"] for one in answer.body["targets"]] == [False, True]
        assert [handset.row.state for handset in handsets] == ["wiping", "quarantined"]

    def test_when_all_have_signed_it_is_too_late(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        warrant = a_warrant(judges[0].calls, lost, witnessed=True)
        approved(warrant, *judges)
        _accept(lost, orders(lost))
        answer = judges[0].calls.post(f"{path_of(warrant)}/cancellation", {"reason": "It was found."})
        assert (answer.status, answer.problem) == (409, "warrant-over")

    def test_a_call_that_ended_half_way_is_taken_up_again(
        self, post: Api, judges: list[Person], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        handsets = [a_lost_handset(post), a_lost_handset(post)]
        warrant = a_warrant(judges[0].calls, *handsets)
        approved(warrant, *judges)
        path, why = f"{path_of(warrant)}/cancellation", {"reason": "It was found."}
        with monkeypatch.context() as broken:
            broken.setattr(warrants, "_ended", lambda *_, **__: 1 / 0)
            assert judges[0].calls.post(path, why).status == 500
        answer = judges[0].calls.post(path, why)
        assert [one["called_off"] for one in answer.body["targets"]] == [True, True]
        assert {handset.row.state for handset in handsets} == {"quarantined"}

    def test_a_witnessed_theft_does_not_wait_and_needs_both_all_the_same(
        self, post: Api, judges: list[Person], lost: HeldHandset
    ) -> None:
        warrant = a_warrant(judges[0].calls, lost, witnessed=True)
        judges[0].approves(path_of(warrant), warrant["text"])
        assert (kinds_of(lost), lost.row.state) == ([], "quarantined")
        judges[1].approves(path_of(warrant), warrant["text"])
        assert kinds_of(lost) == ["container-wipe"]

    def test_the_sweeper_ends_it_without_the_handset(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        approved(a_warrant(judges[0].calls, lost), *judges)
        post.clock.advance(minutes=10)
        assert invoke(settle_fleet, SCHEDULED) == []
        [command] = boxes.load(lost.device).box.open
        assert command.state == "queued"


class TestRefusals:
    def test_what_is_refused_is_journalled_whatever_the_reason(
        self, post: Api, judges: list[Person], lost: HeldHandset
    ) -> None:
        admin = post.as_staff("fleet-admin", sub="mallory")
        warrant = a_warrant(judges[0].calls, lost, witnessed=True)
        approved(warrant, *judges)
        _accept(lost, orders(lost))
        assert admin.post(f"{path_of(warrant)}/cancellation", {"reason": "Not now."}).problem == "warrant-over"
        assert refusals(f"warrant/{warrant['id']}") == [("warrant-over", "staff/mallory")]

        [command] = boxes.load(lost.device).box.open
        assert admin.post(f"/v1/commands/{command.id}/cancellation").problem == "command-over"
        other = post.as_staff("dispatcher", scope=f"depot/{THERE}", sub="mallory")
        assert other.post(f"/v1/commands/{command.id}/cancellation").problem == "access-denied"
        retired = a_lost_handset(post)
        retire(post, retired.device)
        assert asks_for(admin, retired).problem == "device-blocked"
        found = {problem for problem, _ in refusals("guard/staff/mallory")}
        assert found == {"command-over", "access-denied", "device-blocked"}

    def test_so_is_what_finds_no_approvers(self, post: Api, lost: HeldHandset) -> None:
        assert asks_for(post.as_staff("fleet-admin", sub="mallory"), lost).problem == "no-approvers"
        assert refusals("guard/staff/mallory") == [("no-approvers", "staff/mallory")]


class TestRejection:
    def test_an_approver_rejects_it_for_all(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        ada, bob = judges
        warrant = a_warrant(ada.calls, lost)
        ada.approves(path_of(warrant), warrant["text"])
        answer = bob.calls.post(f"{path_of(warrant)}/rejection", {"reason": "The carrier has it."})
        assert (answer.status, answer.body["state"]) == (200, "rejected")
        assert bob.approves(path_of(warrant), warrant["text"]).problem == "warrant-over"
        [event] = [one for one in journal.read(f"warrant/{warrant['id']}") if one.type == "facteo.warrant.rejected"]
        assert (event.actor, event.body(WarrantChanged).why) == (bob.actor, "The carrier has it.")

    def test_others_do_not(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        answer = Person(post, EVE).calls.post(f"{path_of(warrant)}/rejection", {"reason": "Not wanted."})
        assert (answer.status, answer.problem) == (403, "not-an-approver")


class TestEscrow:
    """What a container could be opened with again is destroyed only by what is proven once more."""

    def test_the_authority_is_proven_again(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        approved(a_warrant(judges[0].calls, lost), *judges)
        [command] = boxes.load(lost.device).box.open
        authority = warrants.authority_of(command)
        assert authority is not None
        assert authority.targets == {choke.Target(lost.device, 1)}

    @pytest.mark.parametrize("name", ["text", "approvals", "twice", "state", "set", "gone"])
    def test_without_it_nothing_is_destroyed(
        self, post: Api, judges: list[Person], lost: HeldHandset, name: str
    ) -> None:
        warrant = a_warrant(judges[0].calls, lost)
        approved(warrant, *judges)
        [command] = boxes.load(lost.device).box.open
        _SPOILT_RECORDS[name](f"warrant/{warrant['id']}")
        assert warrants.authority_of(command) is None

    def test_not_after_it_has_run_out(self, post: Api, judges: list[Person], lost: HeldHandset) -> None:
        approved(a_warrant(judges[0].calls, lost), *judges)
        [command] = boxes.load(lost.device).box.open
        post.clock.advance(days=90)
        assert warrants.authority_of(command) is None


class TestOtherRoutes:
    @pytest.mark.parametrize("kind", DESTROYING)
    def test_no_command_destroys_without_a_warrant(self, post: Api, lost: HeldHandset, kind: str) -> None:
        wanted = {"devices": [lost.device], "kind": kind, "reason": "Because.", "parameters": PARAMETERS.get(kind, {})}
        answer = post.as_staff("fleet-admin", "security-officer").post("/v1/commands", wanted)
        assert (answer.status, answer.problem) == (409, "approvals-required")
        assert refusals("guard/staff/s-1") == [("approvals-required", "staff/s-1")]

    @pytest.mark.parametrize("kind", HARMLESS)
    @pytest.mark.parametrize("parameters", [{"external_storage": True, "esim": True}, {"kind": "full-wipe"}])
    def test_nor_one_that_is_called_otherwise(
        self, post: Api, lost: HeldHandset, kind: str, parameters: dict[str, Any]
    ) -> None:
        wanted = {"devices": [lost.device], "kind": kind, "reason": "Because.", "parameters": parameters}
        assert post.as_staff("fleet-admin").post("/v1/commands", wanted).problem == "request-invalid"
        more = {"devices": [lost.device], "kind": kind, "reason": "Because.", "warrant": "x", "authority": {}}
        assert post.as_staff("fleet-admin").post("/v1/commands", more).problem == "request-invalid"


# --- what is spoilt -------------------------------------------------------------------------------------------


def _a_carrier_of_another_zone(post: Api, number: int) -> str:
    depot, carrier = f"7500{number}A", f"Z{number}"
    address = {"street": "12 rue Lecourbe", "postcode": "75015", "town": "Paris"}
    ops = post.as_staff("ops")
    assert ops.put(f"/v1/zones/ZONE-{number}", {"name": "Paris"}).status == 200
    stated = {"name": "Paris", "zone": f"ZONE-{number}", "postcodes": [depot[:5]], "address": address}
    assert ops.put(f"/v1/depots/{depot}", stated).status == 200
    assert post.as_staff("depot-manager").put(f"/v1/carriers/{carrier}", a_carrier(depot)).status == 200
    return carrier


def _accept(handset: HeldHandset, given: list[dict[str, Any]]) -> None:
    """The handset signs that it will obey."""
    [command] = boxes.load(handset.device).box.open
    answer = handset.calls().post(f"/v1/commands/{command.id}/reports", {"report": signed_report(handset, command)})
    assert (answer.status, answer.body) == (200, {"state": "accepted"}), answer.text


def _by(person: Person, text: str, **changes: Any) -> dict[str, str]:
    """An approval by the person's own key at another origin, for another party, or with other flags."""
    former = {name: getattr(person.passkey, name) for name in changes}
    for name, value in changes.items():
        setattr(person.passkey, name, value)
    try:
        return person.approval(text)
    finally:
        for name, value in former.items():
            setattr(person.passkey, name, value)


def _with_flags(person: Person, text: str, flags: int) -> dict[str, str]:
    data = Passkey._data
    Passkey._data = lambda passkey, _: data(passkey, flags)  # type: ignore[method-assign]
    try:
        return person.approval(text)
    finally:
        Passkey._data = data  # type: ignore[method-assign]


def _as_created(person: Person, text: str) -> dict[str, str]:
    said = Passkey._client_data
    Passkey._client_data = lambda passkey, _, challenge: said(passkey, "webauthn.create", challenge)  # type: ignore[method-assign]
    try:
        return person.approval(text)
    finally:
        Passkey._client_data = said  # type: ignore[method-assign]


_SPOILT: dict[str, Callable[[Person, str], dict[str, str]]] = {
    "challenge": lambda person, _: person.approval(base64url(b"{}")),
    "origin": lambda person, text: _by(person, text, origin="https://evil.test"),
    "rp": lambda person, text: _by(person, text, rp_id="evil.test"),
    "present": lambda person, text: _with_flags(person, text, 0x04),
    "verified": lambda person, text: _with_flags(person, text, 0x01),
    "create": _as_created,
    "signature": lambda person, text: (
        person.approval(text) | {"signature": Person(person.api, EVE).approval(text)["signature"]}
    ),
    "text": lambda person, text: person.approval(base64url(raw(text).replace(b"container", b"conteiner"))),
}


def _rewrite(key: str, **changes: Any) -> None:
    kept = records.load(key, Warrant)
    assert kept is not None
    with transaction() as work:
        records.save(work, key, msgspec.structs.replace(kept.record, **changes), instead_of=kept.revision)


def _record(key: str) -> Warrant:
    kept = records.load(key, Warrant)
    assert kept is not None
    return kept.record


def _delete(key: str) -> None:
    CommandsRow(key).delete()


_SPOILT_RECORDS: dict[str, Callable[[str], None]] = {
    "text": lambda key: _rewrite(key, text=base64url(raw(_record(key).text).replace(b"Stolen", b"Broken"))),
    "approvals": lambda key: _rewrite(key, approvals=_record(key).approvals[:1]),
    "twice": lambda key: _rewrite(key, approvals=_record(key).approvals[:1] * 2),
    "state": lambda key: _rewrite(key, state="cancelled"),
    "set": lambda _: _delete("approvers/1"),
    "gone": _delete,
}
