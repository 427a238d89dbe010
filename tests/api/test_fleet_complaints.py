"""What users of other fleets complain of, each by its name: none of it can happen here."""

from __future__ import annotations

import msgspec
import pytest

from chalicelib.core import journal
from chalicelib.core.transaction import transaction
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.commands.kinds import KINDS, Kind
from chalicelib.fleet.commands.schemas import CommandReported
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.commands import (
    REASON,
    a_report,
    a_wipe,
    declared_lost,
    fetched,
    kinds,
    order,
    ordered,
    payload,
    reported,
    send,
    sweep,
    told,
)
from tests.support.factories import HeldHandset
from tests.support.fleet import NewHandset


@pytest.fixture
def handset(newcomer: NewHandset) -> HeldHandset:
    """The newcomer, enrolled for our carrier."""
    return newcomer.enrolled()


def enrolled_again(post: Api, newcomer: NewHandset, handset: HeldHandset) -> HeldHandset:
    """The same hardware, found and enrolled with a new key."""
    before = boxes.load(handset.device)
    with transaction() as work:
        boxes.save(work, before, msgspec.structs.replace(before.box, loss=""), retired=True)
    return NewHandset(post, serial=newcomer.serial).enrolled()


def test_wiped_again_after_re_enrolment(
    post: Api, newcomer: NewHandset, handset: HeldHandset, clock: FakeClock
) -> None:
    """The wipe cut the link before it could be acknowledged, and was still pending when the handset came back."""
    declared_lost(handset)
    wipe = a_wipe(handset)
    [given] = fetched(handset)
    assert reported(handset, given, "accepted") == "accepted"
    assert reported(handset, given, "wiping") == "wipe-claimed"
    again = enrolled_again(post, newcomer, handset)
    for _ in range(3):
        clock.advance(hours=1)
        sweep()
        assert fetched(again) == []
    assert told(post, wipe)["shown"] == "wiped"
    assert again.calls().get("/v1/round").problem != "device-blocked"


def test_old_commands_run_on_the_new_enrolment(post: Api, newcomer: NewHandset, handset: HeldHandset) -> None:
    old = [ordered(post, handset, "lock"), ordered(post, handset, "message", text="Call us.")]
    [first, _] = fetched(handset)
    again = enrolled_again(post, newcomer, handset)
    assert fetched(again) == []
    assert {told(post, one)["state"] for one in old} == {"superseded"}
    assert send(again, a_report(first, "accepted")).problem == "not-found"


def test_a_wipe_that_is_never_confirmed_blocks_the_next_one(post: Api, handset: HeldHandset, clock: FakeClock) -> None:
    declared_lost(handset)
    first = a_wipe(handset)
    reported(handset, fetched(handset)[0], "accepted")
    second = a_wipe(handset)
    assert kinds(handset) == ["container-wipe"]
    clock.advance(hours=72)
    sweep()
    assert told(post, first)["shown"] == "wipe not confirmed"
    assert told(post, second)["state"] == "delivered"


@pytest.mark.parametrize("kind", [kind for kind in Kind if KINDS[kind].destroys])
def test_a_generic_route_goes_around_the_guard(post: Api, handset: HeldHandset, kind: Kind) -> None:
    declared_lost(handset)
    parameters = {"external_storage": True, "esim": True} if kind is Kind.FULL_WIPE else {}
    answer = order(post, handset, kind=kind, **parameters)
    assert (answer.status, answer.problem) == (409, "approvals-required")
    assert fetched(handset) == []


@pytest.mark.parametrize(
    "parameters", [{"wipe": {}}, {"external_storage": True}, {"kind": "full-wipe"}, {"void": None}]
)
def test_an_effect_hides_in_the_parameters_of_another_kind(
    post: Api, handset: HeldHandset, parameters: dict[str, object]
) -> None:
    declared_lost(handset)
    body = {"devices": [handset.device], "kind": "policy-refresh", "reason": REASON, "parameters": parameters}
    answer = post.as_staff("fleet-admin").post("/v1/commands", body)
    assert (answer.problem == "request-invalid") is (parameters != {"void": None})
    assert {payload(one)["kind"] for one in fetched(handset)} <= {"policy-refresh"}


def test_200_without_effect(post: Api, handset: HeldHandset) -> None:
    """What the API took is not yet done: it says so until the handset has signed for it."""
    command = ordered(post, handset, "lock")
    assert told(post, command)["shown"] == "waits for the handset"
    [given] = fetched(handset)
    assert told(post, command)["shown"] == "given to the handset, which has not signed for it yet"
    reported(handset, given, "accepted")
    assert told(post, command)["shown"] == "signed for by the handset, not done yet"
    reported(handset, given, "failed", code="screen-lock-refused")
    assert told(post, command)["shown"] == "failed, by the handset's signed word"


def test_a_pending_wipe_is_hidden_or_a_handset_is_still_called_wiped(
    post: Api, newcomer: NewHandset, handset: HeldHandset
) -> None:
    declared_lost(handset)
    wipe = a_wipe(handset)
    manager = post.as_staff("depot-manager")
    assert manager.get(f"/v1/devices/{handset.device}").body["state"] == "wiping"
    reported(handset, fetched(handset)[0], "accepted")
    assert told(post, wipe)["shown"] != "wiped"
    enrolled_again(post, newcomer, handset)
    device = manager.get(f"/v1/devices/{handset.device}").body
    assert (device["state"], device["generation"]) == ("enrolled", 2)


def test_stale_facts_survive_the_wipe(post: Api) -> None:
    newcomer = NewHandset(post)
    handset = newcomer.enrolled(ownership="personal")
    declared_lost(handset)
    a_wipe(handset)
    again = enrolled_again(post, newcomer, handset)
    box = boxes.load(again.device).box
    assert (box.ownership, box.loss, box.void, box.open) == ("company", "", (), ())
    assert again.row.acknowledged_through == 0


def test_a_wipe_waits_behind_a_backlog(post: Api, handset: HeldHandset) -> None:
    for number in range(15):
        ordered(post, handset, "message", text=f"Number {number}")
    declared_lost(handset)
    a_wipe(handset)
    assert kinds(handset)[0] == "container-wipe"


def test_several_locks_queue_up(post: Api, handset: HeldHandset) -> None:
    locks = [ordered(post, handset, "lock") for _ in range(3)]
    assert kinds(handset) == ["lock"]
    assert [told(post, one)["state"] for one in locks] == ["superseded", "superseded", "delivered"]


def test_a_late_or_doubled_result_reopens_a_command(post: Api, handset: HeldHandset) -> None:
    command = ordered(post, handset, "lock")
    [given] = fetched(handset)
    not_now = a_report(given, "not-now", code="in-a-call")
    reported(handset, given, "accepted")
    reported(handset, given, "succeeded")
    for late in (not_now, a_report(given, "failed"), a_report(given, "accepted")):
        assert send(handset, late).body == {"state": "succeeded"}
    assert told(post, command)["state"] == "succeeded"
    assert fetched(handset) == []
    kept = [event.body(CommandReported) for event in journal.read(f"command/{command}") if "reported" in event.type]
    assert sorted(one.late for one in kept) == [False, False, True, True, True]


def test_a_command_is_accepted_for_a_handset_that_can_never_run_it(post: Api) -> None:
    newcomer = NewHandset(post)
    handset = newcomer.enrolled(hardware=newcomer.request("")["hardware"] | {"capabilities": []})
    answer = order(post, handset, kind="container-lock")
    assert (answer.status, answer.problem, answer.body["reason"]) == (409, "not-applicable", "no-capability")


def test_silence_is_shown_as_failure(post: Api, handset: HeldHandset, clock: FakeClock) -> None:
    command = ordered(post, handset, "diagnostics")
    reported(handset, fetched(handset)[0], "accepted")
    clock.advance(hours=72)
    sweep()
    assert told(post, command)["shown"] == "signed for, and nothing heard since: whether it was done is not known"


def test_the_expiry_is_rewritten(post: Api, handset: HeldHandset, clock: FakeClock) -> None:
    command = ordered(post, handset, "lock")
    asked = told(post, command)["expires_at"]
    [given] = fetched(handset)
    assert payload(given)["expires_at"] == asked
    reported(handset, given, "not-now", code="in-a-call")
    clock.advance(days=29)
    assert fetched(handset) == [given]
    assert told(post, command)["expires_at"] == asked
    clock.advance(days=1)
    assert fetched(handset) == []
    assert told(post, command)["state"] == "expired"
