"""Loss cases: declared by one person, with all that follows at once, and ended by what is known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.attention.tables import AttentionRow
from chalicelib.core import ids, settings
from chalicelib.fleet.commands.kinds import Kind
from chalicelib.fleet.guards import withholding
from chalicelib.fleet.tables import CommandsRow
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.commands import a_report, a_wipe, fetched, kinds, order, ordered, payload, reported, send, sweep
from tests.support.commands import told as command_told
from tests.support.factories import HeldHandset
from tests.support.fleet import (
    HERE,
    OURS,
    THEIRS,
    THERE,
    NewHandset,
    a_carrier,
    a_ticket,
    events_of_device,
    everything_stored,
    retire,
)
from tests.support.losses import SHOWN, a_case, box_of, case, declare, does, in_lost_mode, said
from tests.support.races import contended, overtaken

DECLARERS = {"depot-manager", "dispatcher", "fleet-admin", "security-officer"}


@pytest.fixture
def handset(newcomer: NewHandset) -> HeldHandset:
    """The newcomer, enrolled for our carrier."""
    return newcomer.enrolled()


@pytest.fixture
def lost(post: Api, handset: HeldHandset) -> str:
    """The case of the handset."""
    return a_case(post, handset)


def of_device(handset: HeldHandset) -> list[str]:
    """What the journal says of the device since it was enrolled."""
    types = [event.type.removeprefix("facteo.device.") for event in events_of_device(handset.device)]
    return sorted(set(types) - {"enrolled"})


def refuse(monkeypatch: pytest.MonkeyPatch, *, taken: bool = False) -> None:
    """No lease may be withheld now."""
    monkeypatch.setattr(withholding, "take", lambda *_: taken)


class TestDeclaring:
    def test_the_very_next_request_meets_a_quarantined_handset(self, post: Api, handset: HeldHandset) -> None:
        assert handset.calls().get("/v1/round").problem != "device-blocked"

        a_case(post, handset)

        assert handset.calls().get("/v1/round").body["state"] == "quarantined"
        assert handset.calls().get("/v1/commands").status == 200
        assert handset.sync(handset.event()).body["results"][0]["result"] == "recorded"

    def test_a_case_says_what_is_known(self, post: Api, handset: HeldHandset, clock: FakeClock) -> None:
        duty = {"depot": HERE, "route": "T12", "starts": "06:30", "ends": "13:00"}
        post.as_staff("depot-manager").put(f"/v1/carriers/{OURS}/duties/2026-11-23", duty)
        handset.sync(handset.event(), handset.event())
        ordered(post, handset, "message", text="Call your depot.")
        since = (clock() - timedelta(hours=1)).isoformat().replace("+00:00", "Z")

        opened = declare(post, handset, lost_since=since, witnessed=True).body

        assert (opened["device"], opened["generation"]) == (handset.device, 1)
        assert (opened["carrier"], opened["depot"], opened["kind"]) == (OURS, HERE, "stolen")
        assert (opened["lost_since"], opened["witnessed"], opened["how"]) == (since, True, "staff")
        assert opened["on_device"] == {"acknowledged_through": 2, "route": "T12", "open_commands": 1}
        assert (opened["state"], opened["lease_withheld"]) == ("open", True)
        assert handset.row.lease_withheld

    def test_both_journals_say_so(self, handset: HeldHandset, lost: str) -> None:
        assert said(lost) == ["opened"]
        assert of_device(handset) == ["quarantined"]
        assert box_of(handset).loss == lost

    def test_declared_again_it_is_the_same_case(self, post: Api, handset: HeldHandset, lost: str) -> None:
        again = declare(post, handset, "fleet-admin", kind="lost")

        assert (again.status, again.body["id"], again.body["kind"]) == (201, lost, "stolen")
        assert (said(lost), of_device(handset)) == (["opened"], ["quarantined"])

    def test_by_its_serial_number(self, post: Api, newcomer: NewHandset, handset: HeldHandset) -> None:
        assert declare(post, handset, device=None, serial=newcomer.serial.lower()).body["device"] == handset.device
        assert declare(post, handset, device=None, serial="unheard of").problem == "not-found"

    @pytest.mark.parametrize("race", [overtaken, contended])
    def test_two_at_once_open_one_case(self, post: Api, handset: HeldHandset, race: Any) -> None:
        answers = []
        with race(by=lambda: answers.append(declare(post, handset, "depot-manager"))):
            answers.append(declare(post, handset))

        assert {answer.status for answer in answers} == {201}
        assert {answer.body["id"] for answer in answers} == {box_of(handset).loss}
        assert of_device(handset) == ["quarantined"]

    def test_it_costs_five_calls(self, post: Api, handset: HeldHandset, aws: Cloud) -> None:
        with aws.counting() as calls:
            assert declare(post, handset).status == 201
        assert dict(calls) == {"BatchGetItem": 2, "GetItem": 2, "TransactWriteItems": 1}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"device": None},
            {"serial": "SN-1"},
            {"kind": "mislaid"},
            {"lost_since": "2027-01-01T00:00:00Z"},
            {"lost_since": "2026-11-01T00:00:00"},
            {"note": "Zoé says that"},
        ],
    )
    def test_what_cannot_be_understood(self, post: Api, handset: HeldHandset, wrong: dict[str, Any]) -> None:
        answer = declare(post, handset, **wrong)
        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert of_device(handset) == []

    def test_by_those_roles_and_for_their_depots_only(self, post: Api, handset: HeldHandset) -> None:
        body = {"device": handset.device, "kind": "lost"}
        theirs = [post.as_staff(role, scope=f"depot/{THERE}").post("/v1/loss-cases", body) for role in DECLARERS]
        assert {answer.problem for answer in theirs} == {"access-denied"}
        assert of_device(handset) == []
        assert {declare(post, handset, role).status for role in DECLARERS} == {201}

    def test_a_handset_that_nobody_knows(self, post: Api, handset: HeldHandset) -> None:
        assert declare(post, handset, device=ids.new()).problem == "not-found"

    def test_a_retired_one_is_refused_already(self, post: Api, handset: HeldHandset) -> None:
        retire(post, handset.device)
        assert declare(post, handset).problem == "device-blocked"

    def test_one_that_is_to_be_given_up_goes_on_until_it_is_lost(self, post: Api, handset: HeldHandset) -> None:
        a_wipe(handset, kind=Kind.RELEASE)
        assert handset.row.state == "enrolled"
        lost = a_case(post, handset)
        assert (handset.row.state, box_of(handset).loss, of_device(handset)) == ("quarantined", lost, ["quarantined"])

    def test_no_serial_and_no_words_of_anybody_are_kept(self, newcomer: NewHandset, lost: str) -> None:
        assert newcomer.serial not in everything_stored()


class TestLease:
    def test_if_too_many_are_withheld_the_lease_goes_on_and_the_case_says_so(
        self, post: Api, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refuse(monkeypatch)
        lost = a_case(post, handset)
        assert (handset.row.state, handset.row.lease_withheld) == ("quarantined", False)
        assert case(post, lost)["case"]["lease_withheld"] is False
        assert "withholding" in case(post, lost)["possible"]
        assert does(post, lost, "withholding").body["lease_withheld"] is False
        assert said(lost) == ["opened"]

    def test_it_is_withheld_later(self, post: Api, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch) -> None:
        refuse(monkeypatch)
        lost = a_case(post, handset)
        refuse(monkeypatch, taken=True)

        answers = [does(post, lost, "withholding") for _ in range(2)]

        assert [answer.body["lease_withheld"] for answer in answers] == [True, True]
        assert handset.row.lease_withheld
        assert said(lost) == ["lease-withheld", "opened"]

    def test_by_a_security_officer_only(self, post: Api, lost: str) -> None:
        assert does(post, lost, "withholding", role="dispatcher").problem == "access-denied"

    def test_not_in_a_case_that_has_ended(self, post: Api, lost: str) -> None:
        does(post, lost, "found")
        assert does(post, lost, "withholding").problem == "case-over"


class TestReporting:
    def reports(self, by: HeldHandset, carrier: str = OURS, kind: str = "lost") -> Any:
        return by.calls().post("/v1/loss-reports", {"carrier": carrier, "kind": kind})

    @pytest.fixture
    def colleague(self, post: Api) -> HeldHandset:
        """Another carrier's handset at the same depot."""
        return NewHandset(post).enrolled(self.another(post, 0))

    def another(self, post: Api, number: int, depot: str = HERE) -> str:
        carrier = f"C3{number}"
        assert post.as_staff("depot-manager").put(f"/v1/carriers/{carrier}", a_carrier(depot)).status == 200
        return carrier

    def test_on_a_colleague_s_handset(self, post: Api, handset: HeldHandset, colleague: HeldHandset) -> None:
        answer = self.reports(colleague)

        assert (answer.status, answer.body) == (201, {"cases": [box_of(handset).loss]})
        opened = case(post, box_of(handset).loss)["case"]
        assert (opened["how"], opened["declared_by"]) == ("handset", "carrier/C30")
        assert handset.row.state == "quarantined"
        assert colleague.row.state == "enrolled"
        assert [row.flags for row in AttentionRow.query(HERE, consistent_read=True)] == ["reported-lost"]

    def test_on_a_second_handset_of_one_s_own(self, post: Api, handset: HeldHandset) -> None:
        second = NewHandset(post).enrolled()
        assert self.reports(second).body == {"cases": [box_of(handset).loss]}
        assert second.row.state == "enrolled"

    def test_again_it_is_the_same_case(self, handset: HeldHandset, colleague: HeldHandset) -> None:
        assert self.reports(colleague).body == self.reports(colleague, kind="stolen").body
        assert of_device(handset) == ["quarantined"]

    def test_not_a_carrier_of_another_depot(self, post: Api, colleague: HeldHandset) -> None:
        theirs = NewHandset(post).enrolled(THEIRS)
        assert self.reports(colleague, THEIRS).problem == "not-found"
        assert theirs.row.state == "enrolled"

    def test_not_a_handset_that_another_carrier_has_by_now(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset, colleague: HeldHandset
    ) -> None:
        retire(post, handset.device)
        NewHandset(post, serial=newcomer.serial).enrolled(self.another(post, 1))
        assert self.reports(colleague).problem == "not-found"
        assert handset.row.state == "enrolled"

    def test_nobody_who_has_none(self, colleague: HeldHandset) -> None:
        assert self.reports(colleague, "C404").problem == "not-found"

    def test_three_carriers_a_day_and_the_same_one_counts_once(
        self, post: Api, colleague: HeldHandset, clock: FakeClock
    ) -> None:
        for number in range(1, 5):
            NewHandset(post).enrolled(self.another(post, number))
        answers = [self.reports(colleague, f"C3{number}") for number in (1, 2, 2, 3, 4)]
        assert [answer.status for answer in answers] == [201, 201, 201, 201, 429]
        assert answers[-1].problem == "too-many-reports"

        clock.advance(hours=24)
        assert self.reports(colleague, "C34").status == 201

    def test_two_at_once_are_counted_both(self, post: Api, colleague: HeldHandset) -> None:
        for number in (1, 2):
            NewHandset(post).enrolled(self.another(post, number))
        with overtaken(by=lambda: self.reports(colleague, "C31")):
            assert self.reports(colleague, "C32").status == 201
        assert "C31" in CommandsRow.get(f"loss-reports/{colleague.device}").content
        assert "C32" in CommandsRow.get(f"loss-reports/{colleague.device}").content

    def test_a_quarantined_handset_reports_nobody(self, post: Api, handset: HeldHandset, lost: str) -> None:
        assert self.reports(handset).problem == "device-blocked"


class TestLostMode:
    def test_it_is_ordered_by_one_person(self, post: Api, handset: HeldHandset, lost: str) -> None:
        answer = does(post, lost, "lost-mode", SHOWN, role="dispatcher")

        [given] = fetched(handset)
        assert (answer.status, answer.body["id"]) == (201, payload(given)["id"])
        assert payload(given)["parameters"] == SHOWN
        assert payload(given)["reason"] == "This handset was reported stolen."
        assert said(lost) == ["lost-mode-ordered", "opened"]

    def test_ordered_again_one_is_given(self, post: Api, handset: HeldHandset, lost: str) -> None:
        for _ in range(2):
            assert does(post, lost, "lost-mode", SHOWN).status == 201
        assert kinds(handset) == ["lost-mode"]

    @pytest.mark.parametrize(
        "wrong", [{"text": "Call."}, SHOWN | {"phone": "01 55"}, SHOWN | {"text": ""}, SHOWN | {"sound": True}]
    )
    def test_what_cannot_be_understood(self, post: Api, lost: str, wrong: dict[str, Any]) -> None:
        assert does(post, lost, "lost-mode", wrong).problem == "request-invalid"

    def test_not_once_the_case_has_ended(self, post: Api, handset: HeldHandset, lost: str) -> None:
        does(post, lost, "found")
        assert does(post, lost, "lost-mode", SHOWN).problem == "case-over"
        assert fetched(handset) == []

    def test_not_for_a_handset_that_can_never_do_it(self, post: Api) -> None:
        handset = NewHandset(post)
        enrolled = handset.enrolled(hardware=handset.request("")["hardware"] | {"os_version": "10"})
        answer = does(post, a_case(post, enrolled), "lost-mode", SHOWN)
        assert (answer.status, answer.body["reason"]) == (409, "android-too-old")


class TestAsking:
    def asked(self) -> list[str]:
        return [row.flags for row in AttentionRow.query(HERE, consistent_read=True)]

    def test_after_24_hours_the_depot_is_asked_once_and_nothing_is_destroyed(
        self, post: Api, handset: HeldHandset, lost: str, clock: FakeClock
    ) -> None:
        clock.advance(hours=23, minutes=59)
        sweep()
        assert self.asked() == []

        clock.advance(minutes=1)
        for _ in range(2):
            sweep()
            clock.advance(hours=30)

        assert self.asked() == ["lost-for-24-hours"]
        assert said(lost) == ["approvals-asked", "opened"]
        assert case(post, lost)["case"]["approvals_asked_at"] is not None
        assert fetched(handset) == []

    def test_nobody_is_asked_of_what_was_found(self, post: Api, lost: str, clock: FakeClock) -> None:
        does(post, lost, "found")
        clock.advance(hours=25)
        sweep()
        assert self.asked() == []

    def test_nobody_is_asked_of_what_is_to_be_wiped(self, handset: HeldHandset, lost: str, clock: FakeClock) -> None:
        a_wipe(handset)
        clock.advance(hours=25)
        sweep()
        assert "lost-for-24-hours" not in self.asked()
        assert said(lost) == ["opened"]


class TestFound:
    def test_it_may_work_again_at_its_next_request(self, post: Api, handset: HeldHandset, lost: str) -> None:
        assert does(post, lost, "found").body["state"] == "found"

        assert (handset.row.state, handset.row.lease_withheld, box_of(handset).loss) == ("enrolled", False, "")
        assert of_device(handset) == ["quarantined", "readmitted"]
        assert said(lost) == ["found", "opened"]
        assert fetched(handset) == []

    def test_said_again_it_is_answered_as_it_was(self, post: Api, handset: HeldHandset, lost: str) -> None:
        first, second = does(post, lost, "found"), does(post, lost, "found", role="dispatcher")
        assert (first.body, first.status) == (second.body, 200)
        assert said(lost) == ["found", "opened"]

    def test_what_waits_is_called_off(self, post: Api, handset: HeldHandset, lost: str) -> None:
        does(post, lost, "lost-mode", SHOWN)
        ordered(post, handset, "lock")
        message = ordered(post, handset, "message", text="Call your depot.")

        does(post, lost, "found")

        assert [one["state"] for one in case(post, lost)["commands"]] == ["cancelled", "cancelled", "queued"]
        assert kinds(handset) == ["message"]
        assert command_told(post, message)["state"] == "delivered"

    @pytest.mark.parametrize("what", ["accepted", "succeeded"])
    def test_it_is_told_to_stand_down_if_it_may_be_locked(
        self, post: Api, handset: HeldHandset, lost: str, what: str
    ) -> None:
        in_lost_mode(post, handset, lost, what)
        does(post, lost, "found")
        assert kinds(handset) == ["stand-down"]

    def test_also_if_lost_mode_was_only_given_out(self, post: Api, handset: HeldHandset, lost: str) -> None:
        does(post, lost, "lost-mode", SHOWN)
        fetched(handset)
        does(post, lost, "found")
        assert kinds(handset) == ["stand-down"]

    def test_a_wipe_that_was_not_signed_for_is_void_for_ever(self, post: Api, handset: HeldHandset, lost: str) -> None:
        wipe = a_wipe(handset)
        warrant = command_told(post, wipe)["warrant"]
        fetched(handset)

        does(post, lost, "found")

        [order] = fetched(handset)
        assert payload(order)["parameters"] == {"void": [warrant]}
        assert command_told(post, wipe)["state"] == "cancelled"
        assert (handset.row.state, box_of(handset).void) == ("enrolled", (warrant,))

    def test_a_full_box_is_no_reason_to_keep_what_was_found(self, post: Api, handset: HeldHandset, lost: str) -> None:
        does(post, lost, "lost-mode", SHOWN)
        fetched(handset)
        for number in range(19):
            ordered(post, handset, "message", text=f"Message {number}")
        assert does(post, lost, "found").status == 200
        assert box_of(handset).open[-1].kind == "stand-down"

    @pytest.mark.parametrize(("what", "shown"), [("accepted", "wipe not confirmed"), ("wiping", "wiped")])
    def test_one_that_has_signed_for_a_wipe_must_enrol_again_and_that_proves_it_if_it_was_announced(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset, lost: str, *, what: str, shown: str
    ) -> None:
        wipe = a_wipe(handset)
        [given] = fetched(handset)
        reported(handset, given, "accepted")
        if what == "wiping":
            reported(handset, given, "wiping", detail={"sent": 1, "lost": 0})

        assert does(post, lost, "found").body["state"] == "found"

        assert (handset.row.state, box_of(handset).loss) == ("retired", "")
        assert of_device(handset) == ["quarantined", "retired", "wiping"]
        assert handset.calls().get("/v1/commands").problem == "device-blocked"
        again = NewHandset(post, serial=newcomer.serial).enrolled()
        assert (again.device, again.row.state) == (handset.device, "enrolled")
        assert command_told(post, wipe)["shown"] == shown

    def test_while_the_handset_signs_for_a_wipe(self, post: Api, handset: HeldHandset, lost: str) -> None:
        wipe = a_wipe(handset)
        [given] = fetched(handset)
        with overtaken(by=lambda: send(handset, a_report(given, "accepted"))):
            assert does(post, lost, "found").status == 200
        assert command_told(post, wipe)["state"] == "accepted"
        assert handset.row.state == "retired"

    def test_a_handset_retired_meanwhile_stays_so(self, post: Api, handset: HeldHandset, lost: str) -> None:
        retire(post, handset.device)
        assert does(post, lost, "found").status == 200
        assert (handset.row.state, box_of(handset).loss) == ("retired", "")

    def test_lost_again_it_is_another_case(self, post: Api, handset: HeldHandset, lost: str, clock: FakeClock) -> None:
        does(post, lost, "found")
        clock.advance(minutes=5)
        again = a_case(post, handset)
        assert again != lost
        does(post, again, "lost-mode", SHOWN)
        assert case(post, lost)["commands"] == []
        assert len(case(post, again)["commands"]) == 1


class TestGivenUp:
    def test_it_is_retired_and_its_hardware_waits_for_somebody_to_find_it(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset, lost: str
    ) -> None:
        lock = ordered(post, handset, "lock")

        assert does(post, lost, "closed", {"reason": "not-found"}).body["state"] == "closed"

        assert (handset.row.state, box_of(handset).loss) == ("retired", lost)
        assert command_told(post, lock)["state"] == "cancelled"
        answer = NewHandset(post, serial=newcomer.serial).asks(a_ticket(post)["code"])
        assert (answer.problem, answer.body["loss_case"]) == ("handset-under-review", lost)

    def test_found_after_all_it_can_be_enrolled(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset, lost: str
    ) -> None:
        does(post, lost, "closed", {"reason": "written-off"})
        assert does(post, lost, "found").body["state"] == "found"
        assert handset.row.state == "retired"
        assert NewHandset(post, serial=newcomer.serial).enrolled().row.state == "enrolled"
        assert does(post, lost, "closed", {"reason": "written-off"}).problem == "case-over"

    def test_said_again_it_is_answered_as_it_was(self, post: Api, lost: str) -> None:
        answers = [does(post, lost, "closed", {"reason": "destroyed"}) for _ in range(2)]
        assert answers[0].body == answers[1].body
        assert said(lost) == ["closed", "opened"]

    def test_given_up_it_is_as_unreadable_as_any_that_is_retired(
        self, post: Api, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever may withhold no lease any more does not get there by giving handsets up."""
        monkeypatch.setenv("FACTEO_WITHHELD_OF_DEPOT", "1")
        settings.load.cache_clear()
        withheld, other = a_case(post, NewHandset(post).enrolled()), a_case(post, handset)
        assert case(post, other)["case"]["lease_withheld"] is False

        assert does(post, other, "closed", {"reason": "not-found"}).problem == "blast-limit-reached"
        assert handset.row.state == "quarantined"
        assert does(post, withheld, "closed", {"reason": "not-found"}).status == 200
        assert does(post, other, "found").status == 200

    @pytest.mark.parametrize("race", [overtaken, contended])
    def test_found_and_given_up_at_once_it_ends_once(
        self, post: Api, handset: HeldHandset, lost: str, race: Any
    ) -> None:
        with race(by=lambda: does(post, lost, "found")):
            does(post, lost, "closed", {"reason": "not-found"})
        state = case(post, lost)["case"]["state"]
        assert state == "found"
        assert (handset.row.state, box_of(handset).loss) in {("enrolled", ""), ("retired", "")}

    def test_what_cannot_be_understood(self, post: Api, lost: str) -> None:
        assert does(post, lost, "closed", {"reason": "Zoé lost it"}).problem == "request-invalid"
        assert does(post, ids.new(), "closed", {"reason": "not-found"}).problem == "not-found"


class TestSeenWiped:
    EVIDENCE = {"seen": "set-up-screen"}  # noqa: RUF012

    def a_claimed_wipe(self, handset: HeldHandset) -> str:
        wipe = a_wipe(handset)
        [given] = fetched(handset)
        reported(handset, given, "accepted")
        reported(handset, given, "wiping", detail={"sent": 3, "lost": 1})
        return wipe

    def test_it_proves_what_was_claimed(self, post: Api, newcomer: NewHandset, handset: HeldHandset, lost: str) -> None:
        wipe = self.a_claimed_wipe(handset)
        assert case(post, lost)["commands"][0]["shown"] == "wipe announced by the handset, not proven"
        assert "wipe-evidence" in case(post, lost)["possible"]

        assert does(post, lost, "wipe-evidence", self.EVIDENCE).body["state"] == "wiped"

        told = command_told(post, wipe)
        assert (told["shown"], told["evidence"]["how"]) == ("wiped", "seen by staff")
        assert (handset.row.state, box_of(handset).loss, box_of(handset).open) == ("retired", "", ())
        assert said(lost) == ["opened", "wiped"]
        assert NewHandset(post, serial=newcomer.serial).enrolled().row.state == "enrolled"

    def test_it_proves_what_was_only_accepted(self, post: Api, handset: HeldHandset, lost: str) -> None:
        wipe = a_wipe(handset)
        reported(handset, fetched(handset)[0], "accepted")
        assert does(post, lost, "wipe-evidence", self.EVIDENCE).status == 200
        assert (command_told(post, wipe)["state"], command_told(post, wipe)["shown"]) == ("unanswered", "wiped")

    def test_it_proves_what_was_not_confirmed_for_days(
        self, post: Api, handset: HeldHandset, lost: str, clock: FakeClock
    ) -> None:
        wipe = self.a_claimed_wipe(handset)
        clock.advance(hours=72)
        sweep()
        assert command_told(post, wipe)["evidence"]["proof"] == "unconfirmed"
        assert does(post, lost, "wipe-evidence", self.EVIDENCE).status == 200
        assert (command_told(post, wipe)["shown"], box_of(handset).unproven) == ("wiped", "")

    @pytest.mark.parametrize("end", ["found", "closed"])
    def test_also_after_another_end(self, post: Api, handset: HeldHandset, lost: str, end: str) -> None:
        wipe = self.a_claimed_wipe(handset)
        does(post, lost, end, {"reason": "not-found"} if end == "closed" else None)
        assert does(post, lost, "wipe-evidence", self.EVIDENCE).body["state"] == "wiped"
        assert command_told(post, wipe)["shown"] == "wiped"

    def test_once_it_is_enrolled_anew_that_has_proven_it(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset, lost: str
    ) -> None:
        self.a_claimed_wipe(handset)
        does(post, lost, "found")
        again = NewHandset(post, serial=newcomer.serial).enrolled()
        assert does(post, lost, "wipe-evidence", self.EVIDENCE).problem == "case-over"
        assert again.row.state == "enrolled"
        assert case(post, lost)["commands"][0]["shown"] == "wiped"

    def test_without_a_signed_wipe_there_is_nothing_to_prove(self, post: Api, handset: HeldHandset, lost: str) -> None:
        a_wipe(handset)
        assert does(post, lost, "wipe-evidence", self.EVIDENCE).problem == "no-wipe"
        assert case(post, lost)["case"]["state"] == "open"

    def test_said_again_it_is_answered_as_it_was(self, post: Api, handset: HeldHandset, lost: str) -> None:
        self.a_claimed_wipe(handset)
        answers = [does(post, lost, "wipe-evidence", self.EVIDENCE) for _ in range(2)]
        assert answers[0].body == answers[1].body


class TestReading:
    def test_a_case_says_who_did_what(self, post: Api, handset: HeldHandset, lost: str, clock: FakeClock) -> None:
        clock.advance(minutes=1)
        in_lost_mode(post, handset, lost)
        handset.sync(handset.event(), handset.event())
        clock.advance(minutes=1)
        does(post, lost, "closed", {"reason": "not-found"})

        told = case(post, lost)

        assert [step["what"] for step in told["steps"]] == ["opened", "lost-mode-ordered", "closed"]
        assert {step["by"].split("/")[0] for step in told["steps"]} == {"staff"}
        assert told["steps"][1]["command"] == told["commands"][0]["id"]
        assert (told["steps"][2]["reason"], told["events_since"]) == ("not-found", 2)
        assert told["possible"] == ["found"]

    def test_what_is_possible_next(self, post: Api, handset: HeldHandset, lost: str) -> None:
        assert case(post, lost)["possible"] == ["lost-mode", "container-wipe", "full-wipe", "found", "closed"]
        private = NewHandset(post).enrolled(ownership="personal")
        assert case(post, a_case(post, private))["possible"] == ["lost-mode", "container-wipe", "found", "closed"]

    def test_a_depot_s_cases_are_listed(self, post: Api, lost: str, clock: FakeClock) -> None:
        clock.advance(seconds=1)
        other = a_case(post, NewHandset(post).enrolled())
        a_case(post, NewHandset(post).enrolled(THEIRS))
        does(post, other, "found")
        manager = post.as_staff("depot-manager", scope=f"depot/{HERE}")

        def listed(**query: str) -> list[str]:
            answer = manager.get("/v1/loss-cases", depot=HERE, **query)
            assert (answer.status, answer.body["after"]) == (200, None)
            return [one["id"] for one in answer.body["cases"]]

        assert listed() == [lost, other]
        assert (listed(state="open"), listed(state="found"), listed(after=other)) == ([lost], [other], [])
        assert manager.get("/v1/loss-cases", depot=THERE).problem == "access-denied"
        assert manager.get("/v1/loss-cases").problem == "request-invalid"

    def test_another_depot_s_case_is_not_theirs(self, post: Api, lost: str) -> None:
        theirs = post.as_staff("security-officer", "dispatcher", scope=f"depot/{THERE}")
        asked = [theirs.get(f"/v1/loss-cases/{lost}"), theirs.get(f"/v1/loss-cases/{lost}/positions")]
        bodies = {"found": None, "withholding": None, "lost-mode": SHOWN, "closed": {"reason": "not-found"}}
        asked += [theirs.post(f"/v1/loss-cases/{lost}/{what}", body) for what, body in bodies.items()]
        assert {answer.problem for answer in asked} == {"access-denied"}
        assert said(lost) == ["opened"]

    def test_reading_costs_two_reads_and_two_queries(self, post: Api, lost: str, aws: Cloud) -> None:
        with aws.counting() as calls:
            case(post, lost)
        assert dict(calls) == {"GetItem": 1, "BatchGetItem": 1, "Query": 2}


def test_other_commands_need_no_case_and_lost_mode_does(post: Api, handset: HeldHandset) -> None:
    assert order(post, handset, kind="lost-mode", **SHOWN).problem == "not-applicable"
    a_case(post, handset)
    assert order(post, handset, kind="lost-mode", **SHOWN).status == 201
