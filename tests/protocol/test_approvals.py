"""What the back office lets pass a handset obeys, judging by itself: the two implementations agree."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.core import clock, signing
from handset import approvals
from tests.support.api import Api
from tests.support.factories import HeldHandset
from tests.support.guards import EVE, Person, a_lost_handset, a_warrant, approved, approvers, follow, people


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
