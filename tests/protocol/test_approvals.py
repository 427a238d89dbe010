"""What the back office lets pass a handset obeys, judging by itself: the two implementations agree."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from chalicelib.core import clock, signing
from chalicelib.fleet.guards import spelling
from handset import approvals
from handset.signing import base64url
from tests.support.api import Api
from tests.support.factories import HeldHandset
from tests.support.fleet import NewHandset
from tests.support.guards import (
    EVE,
    Person,
    a_lost_handset,
    a_warrant,
    approved,
    approvers,
    follow,
    path_of,
    people,
    propose,
    raw,
    spoilt_spellings,
)


@pytest.fixture
def judges(post: Api) -> list[Person]:
    return approvers(post)


def walked(handset: HeldHandset) -> approvals.ApproverSet:
    """The set in force, to which a handset comes step by step from the first one."""
    known = approvals.read_set(sets_after(handset, 0)[0]["text"])
    while following := sets_after(handset, known.version):
        for one in following:
            known = approvals.successor(one, known)
    return known


def sets_after(handset: HeldHandset, version: int) -> list[Any]:
    sets: list[Any] = handset.calls().get("/v1/approver-sets", after=str(version)).body["sets"]
    return sets


def order_of(handset: HeldHandset) -> dict[str, Any]:
    [order] = handset.calls().get("/v1/commands").body["orders"]
    told: dict[str, Any] = json.loads(signing.payload_of(order))
    return told


@pytest.mark.parametrize("followed", [0, 1, 25])
def test_a_warrant_that_was_approved_holds_for_the_handset(post: Api, judges: list[Person], followed: int) -> None:
    present = judges
    for _ in range(followed):
        others = [*judges, *people(post, EVE)]
        follow(present, others)
        present = others
    handset = a_lost_handset(post)
    approved(a_warrant(present[0].calls, handset, witnessed=True), *present[:2])
    order, known = order_of(handset), walked(handset)
    approvals.check_warrant(order["warrant"], order, known, clock.now(), ())
    assert approvals.version_named(order["warrant"]) == followed + 1


def test_a_set_that_two_strangers_approved_is_no_successor(post: Api, judges: list[Person]) -> None:
    handset = a_lost_handset(post)
    [first] = sets_after(handset, 0)
    known = approvals.read_set(first["text"])
    with pytest.raises(approvals.Untrusted):
        approvals.successor(first, known)


def test_the_numbers_are_those_of_the_handset() -> None:
    assert (spelling.MOST_TEXT_BYTES, spelling.MOST_PART_BYTES) == (
        approvals.MOST_TEXT_BYTES,
        approvals.MOST_PART_BYTES,
    )
    assert spelling.MOST_CREDENTIAL_BYTES <= approvals.MOST_PART_BYTES


NAMES = sorted(spoilt_spellings(Person(None, "ada"), base64url(b"{}")))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_handset_would_not_read_is_never_kept(post: Api, judges: list[Person], name: str) -> None:
    """Neither in a set, where it would cut every handset off, nor in a warrant."""
    ada, bob = judges
    handset = a_lost_handset(post)
    warrant, following = a_warrant(ada.calls, handset, witnessed=True), propose([*judges, *people(post, EVE)])
    for path, text in ((path_of(warrant), warrant["text"]), ("/v1/approver-sets/2", following["text"])):
        spoilt = spoilt_spellings(ada, text)[name]
        answer = ada.calls.post(f"{path}/approvals", {"approval": spoilt})
        assert answer.problem in {"approval-invalid", "request-invalid"}, answer.text
        asserted = {"clientDataJSON": spoilt["client_data"], "authenticatorData": spoilt["authenticator_data"]}
        assertion = {"id": spoilt["credential"], "response": asserted | {"signature": spoilt["signature"]}}
        answer = ada.calls.post(f"{path}/approvals", {"assertion": assertion})
        assert answer.problem in {"approval-invalid", "request-invalid"}, answer.text
        known = walked(handset)
        signed = {"text": text, "approvals": [spoilt, bob.approval(text)]}
        with pytest.raises(approvals.Untrusted):
            approvals._check_approvals(signed["approvals"], raw(text), known)
        assert ada.approves(path, text).status == bob.approves(path, text).status == 200
    order = order_of(handset)
    approvals.check_warrant(order["warrant"], order, known, clock.now(), ())
    assert walked(handset).version == 2


def test_the_largest_set_is_one_that_handsets_read(post: Api, judges: list[Person]) -> None:
    many = [Person(post, f"{number:02}{'x' * 190}") for number in range(20)]
    for one in many:
        one.passkey.credential = secrets.token_bytes(spelling.MOST_CREDENTIAL_BYTES)
        assert one.registers().status == 201
    follow(judges, many)
    assert len(walked(NewHandset(post).enrolled()).approvers) == 20
