"""A wipe: from its approval on the handset is shut out, and only what proves it is called wiped."""

from __future__ import annotations

import msgspec
import pytest

from chalicelib.attention.tables import AttentionRow
from chalicelib.core.access import AccessRow
from chalicelib.core.keyring import KeyRow
from chalicelib.core.transaction import transaction
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.commands.kinds import Kind
from chalicelib.fleet.commands.states import Proof, State, may_become
from chalicelib.fleet.guards.choke import escrow_of
from chalicelib.fleet.tables import CommandsRow
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.commands import (
    a_report,
    a_wipe,
    declared_lost,
    fetched,
    ordered,
    payload,
    reported,
    send,
    sweep,
    told,
)
from tests.support.factories import HeldHandset
from tests.support.fleet import HERE, NewHandset, a_ticket, retire

WIPED = "wiped"


@pytest.fixture
def handset(newcomer: NewHandset) -> HeldHandset:
    """The newcomer, enrolled for our carrier, and lost."""
    enrolled = newcomer.enrolled()
    declared_lost(enrolled)
    return enrolled


def state_of(handset: HeldHandset) -> str:
    return str(AccessRow.get(handset.device, consistent_read=True).state)


def announced(handset: HeldHandset, clock: FakeClock) -> tuple[str, dict[str, object]]:
    """A wipe that the handset has announced: its id, and the report."""
    wipe = a_wipe(handset)
    [given] = fetched(handset)
    assert reported(handset, given, "accepted") == "accepted"
    clock.advance(seconds=20)
    report = a_report(given, "wiping", detail={"sent": 7, "lost": 2})
    assert send(handset, report).body == {"state": "wipe-claimed"}
    return wipe, report


def found(handset: HeldHandset) -> None:
    """It was found: it may enrol again, with a new key."""
    before = boxes.load(handset.device)
    with transaction() as work:
        boxes.save(work, before, msgspec.structs.replace(before.box, loss=""), retired=True)


def words(depot: str = HERE) -> set[str]:
    return {row.flags for row in AttentionRow.query(depot, consistent_read=True)}


def test_from_its_approval_on_the_handset_is_shut_out(handset: HeldHandset, clock: FakeClock) -> None:
    a_wipe(handset, cools_off=True)
    assert state_of(handset) == "wiping"
    assert handset.calls().get("/v1/round").problem == "device-blocked"
    assert handset.sync(handset.event()).status == 200


def test_what_a_handset_announces_is_never_called_wiped(post: Api, handset: HeldHandset, clock: FakeClock) -> None:
    wipe, _ = announced(handset, clock)
    read = told(post, wipe)
    assert (read["state"], read["evidence"]["proof"]) == ("wipe-claimed", "announced")
    assert read["shown"] == "wipe announced by the handset, not proven"
    assert (read["events_sent"], read["events_lost"]) == (7, 2)
    assert state_of(handset) == "wiping"


def test_a_handset_that_says_it_succeeded_has_only_announced_it(post: Api, handset: HeldHandset) -> None:
    wipe = a_wipe(handset)
    [given] = fetched(handset)
    reported(handset, given, "accepted")
    assert reported(handset, given, "succeeded") == "wipe-claimed"
    assert told(post, wipe)["shown"] != WIPED


def test_the_same_handset_with_a_new_key_proves_it(
    post: Api, newcomer: NewHandset, handset: HeldHandset, clock: FakeClock
) -> None:
    wipe, _ = announced(handset, clock)
    found(handset)
    again = NewHandset(post, serial=newcomer.serial).enrolled()
    assert (again.device, again.generation) == (handset.device, 2)
    read = told(post, wipe)
    assert (read["shown"], read["evidence"]["how"]) == (WIPED, "the same handset was enrolled with a new key")
    assert fetched(again) == []
    assert state_of(again) == "enrolled"


def test_the_old_key_seen_again_proves_that_it_failed(post: Api, handset: HeldHandset, clock: FakeClock) -> None:
    wipe, _ = announced(handset, clock)
    clock.advance(minutes=1)
    assert fetched(handset) == []
    read = told(post, wipe)
    assert (read["state"], read["evidence"]["proof"]) == ("wipe-claimed", "failed")
    assert read["shown"] == "wipe failed: the handset was seen again with its old key"
    assert "wipe-failed" in words()
    assert state_of(handset) == "wiping"


def test_the_announcement_repeated_is_no_proof_of_failure(post: Api, handset: HeldHandset, clock: FakeClock) -> None:
    wipe, report = announced(handset, clock)
    clock.advance(minutes=1)
    assert send(handset, report).body == {"state": "wipe-claimed"}
    assert told(post, wipe)["evidence"]["proof"] == "announced"


def test_what_was_signed_before_and_comes_late_is_no_proof_of_failure(
    post: Api, handset: HeldHandset, clock: FakeClock
) -> None:
    wipe, _ = announced(handset, clock)
    late = handset.calls(clock_off_by=-30)
    assert late.get("/v1/commands").status == 200
    assert told(post, wipe)["evidence"]["proof"] == "announced"


def test_silence_is_not_confirmed_and_a_late_proof_still_counts(
    post: Api, newcomer: NewHandset, handset: HeldHandset, clock: FakeClock
) -> None:
    wipe, _ = announced(handset, clock)
    clock.advance(hours=72)
    sweep()
    assert told(post, wipe)["shown"] == "wipe not confirmed"
    assert "wipe-not-confirmed" in words()
    found(handset)
    NewHandset(post, serial=newcomer.serial).enrolled()
    read = told(post, wipe)
    assert (read["state"], read["shown"]) == ("wipe-claimed", WIPED)


def test_a_wipe_that_was_accepted_and_never_announced_is_not_confirmed_either(
    post: Api, newcomer: NewHandset, handset: HeldHandset, clock: FakeClock
) -> None:
    wipe = a_wipe(handset)
    reported(handset, fetched(handset)[0], "accepted")
    clock.advance(hours=72)
    sweep()
    read = told(post, wipe)
    assert (read["state"], read["evidence"]["proof"], read["events_lost"]) == ("unanswered", "unconfirmed", None)
    found(handset)
    NewHandset(post, serial=newcomer.serial).enrolled()
    assert told(post, wipe)["shown"] == "wipe not confirmed"


def test_what_was_open_is_superseded_by_a_new_enrolment(post: Api, newcomer: NewHandset, handset: HeldHandset) -> None:
    wipe, lock = a_wipe(handset), ordered(post, handset, "lock")
    fetched(handset)
    found(handset)
    again = NewHandset(post, serial=newcomer.serial).enrolled()
    assert [told(post, one)["state"] for one in (wipe, lock)] == ["superseded", "superseded"]
    assert told(post, wipe)["evidence"] is None
    assert fetched(again) == []


def test_a_lost_handset_does_not_join_silently(post: Api, newcomer: NewHandset, handset: HeldHandset) -> None:
    code = a_ticket(post)["code"]
    answer = NewHandset(post, serial=newcomer.serial).asks(code)
    assert (answer.status, answer.problem) == (409, "handset-under-review")
    assert answer.body["loss_case"] == "01a20719-c8a0-7000-8000-0000000000f1"


def test_a_full_wipe_is_proven_as_a_container_wipe_is(
    post: Api, newcomer: NewHandset, handset: HeldHandset, clock: FakeClock
) -> None:
    wipe = a_wipe(handset, Kind.FULL_WIPE)
    [given] = fetched(handset)
    reported(handset, given, "accepted")
    reported(handset, given, "wiping")
    found(handset)
    NewHandset(post, serial=newcomer.serial).enrolled()
    assert told(post, wipe)["shown"] == WIPED


@pytest.mark.parametrize("proof", Proof)
def test_nothing_undoes_what_is_proven(proof: Proof) -> None:
    assert not may_become(Proof.CONFIRMED, proof)


def test_over_is_over_and_better_knowledge_still_counts(post: Api, handset: HeldHandset, clock: FakeClock) -> None:
    wipe, report = announced(handset, clock)
    clock.advance(hours=72)
    sweep()
    late = report | {"id": "01a20719-c8a0-7000-8000-0000000000aa", "what": "accepted"}
    assert send(handset, late).body == {"state": State.WIPE_CLAIMED}
    assert (told(post, wipe)["state"], told(post, wipe)["evidence"]["proof"]) == ("wipe-claimed", "failed")
    assert fetched(handset) == []


def test_a_new_key_does_not_undo_that_a_wipe_failed_and_who_saw_it_wiped_does(
    post: Api, newcomer: NewHandset, clock: FakeClock
) -> None:
    """Whoever has the handset makes as many keys as they like."""
    handset = newcomer.enrolled()
    case = declared(post, handset)
    wipe, _ = announced(handset, clock)
    clock.advance(minutes=1)
    fetched(handset)
    assert told(post, wipe)["evidence"]["proof"] == "failed"
    dispatcher = post.as_staff("dispatcher")
    assert dispatcher.post(f"/v1/loss-cases/{case}/found").status == 200
    NewHandset(post, serial=newcomer.serial).enrolled()
    assert told(post, wipe)["evidence"]["proof"] == "failed"


def declared(post: Api, handset: HeldHandset) -> str:
    """The case of a handset that was declared stolen."""
    body = {"device": handset.device, "kind": "stolen"}
    return str(post.as_staff("dispatcher").post("/v1/loss-cases", body).body["id"])


class TestShutOut:
    """A person lets a handset in again whose wipe was approved; neither silence nor its own word does."""

    @pytest.mark.parametrize("what", ["unsupported", "refused"])
    def test_not_by_its_word(self, post: Api, handset: HeldHandset, what: str) -> None:
        a_wipe(handset)
        reported(handset, fetched(handset)[0], what)
        assert state_of(handset) == "wiping"
        assert handset.calls().post("/v1/lease").problem == "device-blocked"

    def test_not_because_it_failed(self, handset: HeldHandset) -> None:
        a_wipe(handset)
        [given] = fetched(handset)
        reported(handset, given, "accepted")
        assert reported(handset, given, "failed") == "failed"
        assert state_of(handset) == "wiping"

    @pytest.mark.parametrize("whats", [("accepted",), ("accepted", "wiping")])
    def test_not_by_silence(self, handset: HeldHandset, clock: FakeClock, whats: tuple[str, ...]) -> None:
        a_wipe(handset)
        [given] = fetched(handset)
        for what in whats:
            reported(handset, given, what)
        clock.advance(hours=73)
        sweep()
        assert state_of(handset) == "wiping"

    @pytest.mark.parametrize("kind", [Kind.CONTAINER_WIPE, Kind.RELEASE])
    def test_what_said_that_it_wipes_stays_out(self, newcomer: NewHandset, clock: FakeClock, kind: Kind) -> None:
        handset = newcomer.enrolled()
        if kind is Kind.CONTAINER_WIPE:
            declared_lost(handset)
        a_wipe(handset, kind)
        [given] = fetched(handset)
        reported(handset, given, "accepted")
        reported(handset, given, "wiping")
        clock.advance(hours=73)
        sweep()
        assert state_of(handset) == "wiping"

    def test_what_its_carrier_gives_up_works_until_it_wipes_itself(self, newcomer: NewHandset) -> None:
        """So that what it sends first counts."""
        handset = newcomer.enrolled()
        a_wipe(handset, Kind.RELEASE)
        reported(handset, fetched(handset)[0], "accepted")
        assert state_of(handset) == "enrolled"

    def test_what_was_found_never_obeys_what_was_approved_before(self, post: Api, newcomer: NewHandset) -> None:
        """Not even what it refused: whoever holds our keys later may show it again."""
        handset = newcomer.enrolled()
        case = declared(post, handset)
        wipe = a_wipe(handset)
        reported(handset, fetched(handset)[0], "refused", code="approval-invalid")
        assert post.as_staff("dispatcher").post(f"/v1/loss-cases/{case}/found").status == 200
        [freed] = fetched(handset)
        assert payload(freed)["parameters"] == {"void": [told(post, wipe)["warrant"]]}
        assert state_of(handset) == "enrolled"

    def test_a_lock_that_was_accepted_does_not_begin_after_it_was_found(self, post: Api, newcomer: NewHandset) -> None:
        """The answer was lost, so that it asks again: it is told that the order is over."""
        handset = newcomer.enrolled()
        case = declared(post, handset)
        ordered(post, handset, "lock")
        [given] = fetched(handset)
        report = a_report(given, "accepted")
        send(handset, report)
        assert post.as_staff("dispatcher").post(f"/v1/loss-cases/{case}/found").status == 200
        assert send(handset, report).body == {"state": "unanswered"}
        assert [payload(one)["kind"] for one in fetched(handset)] == ["stand-down"]

    def test_a_wipe_that_was_approved_is_not_undone_by_a_retirement(self, post: Api, handset: HeldHandset) -> None:
        a_wipe(handset, cools_off=True)
        assert retire(post, handset.device).problem == "device-blocked"
        assert state_of(handset) == "wiping"


class TestTheEscrow:
    """What a container can be opened with again, once its lease has run out."""

    @pytest.fixture
    def handset(self, newcomer: NewHandset) -> HeldHandset:
        return newcomer.enrolled()

    def key(self, handset: HeldHandset) -> str:
        return str(handset.calls().post("/v1/lease").body["key"])

    def is_there(self, handset: HeldHandset) -> bool:
        return KeyRow.find(escrow_of(handset.device)) is not None

    def test_outlives_an_approval_that_the_handset_did_not_sign_for(
        self, post: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        before, case = self.key(handset), declared(post, handset)
        a_wipe(handset)
        clock.advance(hours=1)
        sweep()
        fetched(handset)
        assert self.is_there(handset)
        assert post.as_staff("dispatcher").post(f"/v1/loss-cases/{case}/found").status == 200
        assert self.key(handset) == before

    def test_ends_when_the_handset_has_signed_that_it_will_wipe(self, post: Api, handset: HeldHandset) -> None:
        self.key(handset)
        declared(post, handset)
        a_wipe(handset)
        [given] = fetched(handset)
        reported(handset, given, "not-now", code="in-a-call")
        assert self.is_there(handset)
        reported(handset, given, "accepted")
        assert not self.is_there(handset)

    @pytest.mark.parametrize(("cools_off", "there"), [(False, False), (True, True)])
    def test_ends_when_a_handset_is_given_up_that_two_people_had_wiped(
        self, post: Api, handset: HeldHandset, *, cools_off: bool, there: bool
    ) -> None:
        self.key(handset)
        case = declared(post, handset)
        a_wipe(handset, cools_off=cools_off)
        sweep()
        closed = post.as_staff("dispatcher").post(f"/v1/loss-cases/{case}/closed", {"reason": "not-found"})
        assert closed.status == 200, closed.text
        assert self.is_there(handset) is there

    def test_outlives_a_handset_that_is_given_up_without_them(self, post: Api, handset: HeldHandset) -> None:
        self.key(handset)
        case = declared(post, handset)
        closed = post.as_staff("dispatcher").post(f"/v1/loss-cases/{case}/closed", {"reason": "not-found"})
        assert closed.status == 200, closed.text
        assert self.is_there(handset)

    def test_is_not_destroyed_for_approvals_that_prove_nothing(self, post: Api, handset: HeldHandset) -> None:
        """Whoever writes into the tables: the order is not accepted, and so not obeyed."""
        self.key(handset)
        declared(post, handset)
        wipe = a_wipe(handset)
        [given] = fetched(handset)
        warrant = CommandsRow.get(f"warrant/{told(post, wipe)['warrant']}")
        warrant.content = warrant.content.replace('"signature":"', '"signature":"AA')
        warrant.save()
        assert send(handset, a_report(given, "accepted")).problem == "approvals-required"
        assert self.is_there(handset)
