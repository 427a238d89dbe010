"""Commands: ordered, fetched, signed for before the effect, and done at most once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.attention.tables import AttentionRow
from chalicelib.core import ids, journal, settings
from chalicelib.core.access import AccessRow
from chalicelib.fleet.commands import settling
from chalicelib.fleet.commands.kinds import KINDS, Kind
from chalicelib.fleet.tables import CommandsRow
from handset.signing import HandsetKey
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
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
    signed,
    sweep,
    told,
)
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import HERE, OURS, THEIRS, NewHandset, retire
from tests.support.races import overtaken


@pytest.fixture
def handset(newcomer: NewHandset) -> HeldHandset:
    """The newcomer, enrolled for our carrier."""
    return newcomer.enrolled()


def events_of(command: str) -> list[str]:
    """What happened to a command, by name: most of it happens at the same moment here."""
    return sorted(event.type.removeprefix("facteo.command.") for event in journal.read(f"command/{command}"))


def waiting(handset: HeldHandset) -> int:
    return int(AccessRow.get(handset.device, consistent_read=True).commands_waiting)


class TestOrdering:
    def test_what_is_ordered_reaches_the_handset_under_our_signature(self, post: Api, handset: HeldHandset) -> None:
        command = ordered(post, handset, "message", text="Call your depot.")
        assert handset.sync(handset.event()).headers["Facteo-Commands-Waiting"] == "1"

        [given] = fetched(handset)

        said = payload(given)
        assert (said["id"], said["device"], said["generation"]) == (command, handset.device, 1)
        assert (said["kind"], said["parameters"]) == ("message", {"text": "Call your depot."})
        assert (said["type"], said["reason"], said["warrant"]) == ("facteo.order", REASON, None)

    def test_it_is_signed_for_before_the_effect_and_done_after_it(self, post: Api, handset: HeldHandset) -> None:
        command = ordered(post, handset)
        [given] = fetched(handset)
        assert reported(handset, given, "accepted") == "accepted"
        assert waiting(handset) == 0
        assert told(post, command)["shown"] == "signed for by the handset, not done yet"
        assert reported(handset, given, "succeeded") == "succeeded"
        assert told(post, command)["state"] == "succeeded"
        assert events_of(command) == ["delivered", "reported", "reported", "requested"]

    def test_a_poll_with_nothing_waiting_is_one_read_and_no_write(self, handset: HeldHandset, aws: Cloud) -> None:
        with aws.counting() as calls:
            assert fetched(handset) == []
        assert dict(calls) == {"BatchGetItem": 1}

    def test_what_each_step_costs(self, post: Api, handset: HeldHandset, aws: Cloud) -> None:
        costs = []
        with aws.counting() as calls:
            ordered(post, handset)
        costs.append(dict(calls))
        with aws.counting() as calls:
            [given] = fetched(handset)
        costs.append(dict(calls))
        with aws.counting() as calls:
            reported(handset, given, "accepted")
        costs.append(dict(calls))
        once = {"BatchGetItem": 1, "TransactWriteItems": 1}
        assert costs == [once, once, {"BatchGetItem": 2, "TransactWriteItems": 1}]

    def test_several_handsets_are_ordered_to_all_or_none(self, post: Api, handset: HeldHandset) -> None:
        other = NewHandset(post).enrolled()
        assert order(post, handset, other).status == 201
        gone = a_handset(post, state="retired")
        assert order(post, handset, other, gone, kind="lock").problem == "device-blocked"
        assert kinds(handset) == kinds(other) == ["ring"]

    def test_ten_devices_are_the_most_and_a_search_is_none(self, post: Api, handset: HeldHandset) -> None:
        admin = post.as_staff("fleet-admin")
        told = {"kind": "lock", "reason": REASON}
        for devices in ([], [ids.new() for _ in range(11)], "*", {"depot": HERE}):
            assert admin.post("/v1/commands", told | {"devices": devices}).problem == "request-invalid"
        ten = [handset, *(NewHandset(post).enrolled() for _ in range(9))]
        assert order(post, *ten, kind="lock").status == 201

    @pytest.mark.parametrize(
        ("kind", "parameters"),
        [
            ("ring", {"seconds": 4}),
            ("ring", {"seconds": 301}),
            ("ring", {"seconds": 30, "text": "x"}),
            ("message", {}),
            ("message", {"text": ""}),
            ("lock", {"esim": True}),
            ("lost-mode", {"text": "Found it?"}),
            ("explode", {}),
        ],
    )
    def test_what_cannot_be_understood(
        self, post: Api, handset: HeldHandset, kind: str, parameters: dict[str, Any]
    ) -> None:
        body = {"devices": [handset.device], "kind": kind, "reason": REASON, "parameters": parameters}
        answer = post.as_staff("fleet-admin").post("/v1/commands", body)
        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert waiting(handset) == 0

    def test_another_depots_handset_is_not_commanded_or_read(self, post: Api, handset: HeldHandset) -> None:
        other = NewHandset(post).enrolled(THEIRS)
        command = ordered(post, other)
        manager = post.as_staff("depot-manager", scope=f"depot/{HERE}")
        body = {"devices": [handset.device, other.device], "kind": "lock", "reason": REASON}
        assert manager.post("/v1/commands", body).problem == "access-denied"
        assert manager.get(f"/v1/commands/{command}").problem == "access-denied"
        assert manager.get(f"/v1/devices/{other.device}/commands").problem == "access-denied"
        assert manager.post(f"/v1/commands/{command}/cancellation").problem == "access-denied"
        assert (waiting(handset), waiting(other)) == (0, 1)

    def test_what_is_not_there(self, post: Api, handset: HeldHandset) -> None:
        admin, nothing = post.as_staff("fleet-admin"), ids.new()
        body = {"devices": [nothing], "kind": "lock", "reason": REASON}
        assert admin.post("/v1/commands", body).problem == "not-found"
        assert admin.get(f"/v1/commands/{nothing}").problem == "not-found"
        assert admin.get(f"/v1/devices/{nothing}/commands").problem == "not-found"
        assert admin.post(f"/v1/commands/{nothing}/cancellation").problem == "not-found"
        body = {"report": signed(handset, {"id": ids.new(), "command": nothing})}
        assert handset.calls().post(f"/v1/commands/{nothing}/reports", body).problem == "report-unproven"

    def test_a_full_box_takes_no_more(self, post: Api, handset: HeldHandset) -> None:
        for number in range(20):
            ordered(post, handset, "message", text=f"Number {number}")
        assert order(post, handset, kind="message", text="One more").problem == "too-many-commands"
        assert len(fetched(handset)) == 5

    def test_two_who_order_at_once_both_get_what_they_ordered(self, post: Api, handset: HeldHandset) -> None:
        with overtaken(by=lambda: ordered(post, handset, "message", text="First")):
            ordered(post, handset, "message", text="Second")
        texts = [payload(one)["parameters"]["text"] for one in fetched(handset)]
        assert texts == ["First", "Second"]
        assert waiting(handset) == 2

    def test_the_commands_of_a_device_are_listed_open_and_over(
        self, post: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        done = ordered(post, handset)
        clock.advance(seconds=1)
        still = ordered(post, handset, "lock")
        reported(handset, fetched(handset)[1], "unsupported")
        listed = post.as_staff("auditor").get(f"/v1/devices/{handset.device}/commands").body
        assert [(one["id"], one["state"]) for one in listed["commands"]] == [
            (done, "unsupported"),
            (still, "delivered"),
        ]
        after = post.as_staff("auditor").get(f"/v1/devices/{handset.device}/commands", after=done).body
        assert [one["id"] for one in after["commands"]] == [still]


class TestApplicability:
    def test_what_needs_a_case_is_refused_without_one(self, post: Api, handset: HeldHandset) -> None:
        answer = order(post, handset, kind="lost-mode", text="Found it? Call us.", phone="+33140000000")
        assert (answer.status, answer.problem, answer.body["reason"]) == (409, "not-applicable", "no-loss-case")

    def test_what_the_handset_cannot_do_is_refused_and_not_queued(self, post: Api) -> None:
        newcomer = NewHandset(post)
        hardware = newcomer.request("")["hardware"] | {"os_version": "10", "capabilities": ["lost-mode"]}
        handset = newcomer.enrolled(hardware=hardware)
        declared_lost(handset)
        old = order(post, handset, kind="lost-mode", text="Found it?", phone="+33140000000")
        assert (old.problem, old.body["reason"]) == ("not-applicable", "android-too-old")
        unable = order(post, handset, kind="container-lock")
        assert (unable.problem, unable.body["reason"]) == ("not-applicable", "no-capability")
        assert waiting(handset) == 0

    def test_a_personal_handset_is_never_reset(self, post: Api) -> None:
        handset = NewHandset(post).enrolled(ownership="personal")
        declared_lost(handset)
        with pytest.raises(Exception, match="company only"):
            a_wipe(handset, Kind.FULL_WIPE)


class TestBounds:
    def test_what_makes_containers_unreadable_is_bounded_too(self, post: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FACTEO_WITHHELD_OF_PERSON", "2")
        settings.load.cache_clear()
        handsets = [NewHandset(post).enrolled() for _ in range(3)]
        assert order(post, *handsets[:2], kind="container-lock").status == 201
        assert order(post, handsets[2], kind="container-lock").problem == "blast-limit-reached"
        assert order(post, handsets[2], kind="lock").status == 201

    def test_only_the_office_says_that_warrants_are_void(self, post: Api, handset: HeldHandset) -> None:
        answer = order(post, handset, kind="stand-down", void=[ids.new()])
        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert order(post, handset, kind="stand-down").status == 201

    def test_a_lost_handset_is_freed_by_saying_that_it_was_found(self, post: Api, handset: HeldHandset) -> None:
        declared_lost(handset)
        answer = order(post, handset, kind="stand-down")
        assert (answer.problem, answer.body["reason"]) == ("not-applicable", "in-a-loss-case")

    def test_no_backlog_keeps_a_wipe_out(self, post: Api, handset: HeldHandset) -> None:
        for number in range(20):
            ordered(post, handset, "message", text=f"Number {number}")
        declared_lost(handset)
        a_wipe(handset)
        assert kinds(handset)[0] == "container-wipe"


class TestDelivery:
    def test_what_was_given_out_is_given_again_after_its_lease(
        self, post: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        command = ordered(post, handset)
        [first] = fetched(handset)
        assert fetched(handset) == []
        clock.advance(seconds=KINDS[Kind.RING].lease.total_seconds())
        assert fetched(handset) == [first]
        assert told(post, command)["attempts"] == 2

    def test_a_wipe_goes_first_then_locks_then_the_rest(self, post: Api, handset: HeldHandset) -> None:
        for kind in ("diagnostics", "policy-refresh", "lock"):
            ordered(post, handset, kind)
        declared_lost(handset)
        a_wipe(handset)
        assert kinds(handset) == ["container-wipe", "lock", "diagnostics", "policy-refresh"]

    def test_not_now_is_not_the_end_and_its_depot_is_told_in_the_end(
        self, post: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        command = ordered(post, handset, "lock")
        for tally in range(1, 6):
            [given] = fetched(handset)
            retry_at = (clock() + timedelta(minutes=5)).isoformat()
            assert reported(handset, given, "not-now", code="in-a-call", detail={"retry_at": retry_at}) == "queued"
            assert fetched(handset) == []
            assert told(post, command)["not_now"] == tally
            clock.advance(minutes=5)
        [matter] = AttentionRow.query(HERE, consistent_read=True)
        assert (matter.kind, matter.subject, matter.flags) == ("device", f"command/{command}", "keeps-saying-not-now")

    def test_a_handset_does_not_put_an_order_off_for_ever(
        self, post: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        ordered(post, handset, "lock")
        [given] = fetched(handset)
        reported(handset, given, "not-now", detail={"retry_at": "2099-01-01T00:00:00Z"})
        clock.advance(hours=12)
        assert fetched(handset) == [given]

    def test_what_is_too_late_expires_with_an_event(self, post: Api, handset: HeldHandset, clock: FakeClock) -> None:
        command = ordered(post, handset)
        clock.advance(minutes=15)
        assert fetched(handset) == []
        assert (told(post, command)["state"], events_of(command), waiting(handset)) == (
            "expired",
            ["expired", "requested"],
            0,
        )

    def test_the_sweeper_expires_what_no_handset_comes_for(
        self, post: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        command = ordered(post, handset)
        sweep()
        assert told(post, command)["state"] == "queued"
        clock.advance(minutes=15)
        sweep()
        assert (told(post, command)["state"], waiting(handset)) == ("expired", 0)
        sweep()
        assert events_of(command) == ["expired", "requested"]

    def test_one_that_breaks_holds_back_no_other(
        self, post: Api, handset: HeldHandset, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = NewHandset(post).enrolled()
        commands = [ordered(post, one) for one in (handset, other)]
        clock.advance(minutes=15)
        settle = settling.settle

        def broken(before: Any, **told: str) -> bool:
            if before.device == handset.device:
                raise RuntimeError("broken")
            return settle(before, **told)

        monkeypatch.setattr(settling, "settle", broken)
        sweep()
        assert [told(post, one)["state"] for one in commands] == ["queued", "expired"]

    def test_a_quarantined_handset_obeys_and_a_retired_one_is_told_nothing(
        self, post: Api, handset: HeldHandset
    ) -> None:
        ordered(post, handset, "lock")
        declared_lost(handset)
        assert handset.calls().get("/v1/round").problem == "device-blocked"
        [given] = fetched(handset)
        assert reported(handset, given, "accepted") == "accepted"
        assert retire(post, handset.device).status == 200
        assert handset.calls().get("/v1/commands").problem == "device-blocked"


class TestReports:
    def test_the_same_report_again_has_the_same_answer(self, post: Api, handset: HeldHandset) -> None:
        command = ordered(post, handset)
        [given] = fetched(handset)
        report = a_report(given, "accepted")
        answers = [send(handset, report).body for _ in range(3)]
        assert answers == [{"state": "accepted"}] * 3
        assert events_of(command) == ["delivered", "reported", "requested"]

    @pytest.mark.parametrize(
        "changes",
        [{"at": "2026-11-23T08:00:00"}, {"what": "not-now", "detail": {"retry_at": "2026-11-23T08:00:00"}}],
    )
    def test_a_moment_without_its_zone_is_refused(
        self, post: Api, handset: HeldHandset, changes: dict[str, Any]
    ) -> None:
        ordered(post, handset)
        [given] = fetched(handset)
        answer = send(handset, a_report(given, "accepted") | changes)
        assert (answer.status, answer.problem) == (422, "report-unproven")

    def test_an_id_stands_for_one_report(self, post: Api, handset: HeldHandset) -> None:
        ordered(post, handset)
        [given] = fetched(handset)
        report = a_report(given, "accepted")
        assert send(handset, report).status == 200
        assert send(handset, report | {"what": "succeeded"}).problem == "event-id-reused"

    def test_nothing_is_accepted_that_was_called_off(self, post: Api, handset: HeldHandset) -> None:
        command = ordered(post, handset)
        [given] = fetched(handset)
        assert post.as_staff("dispatcher").post(f"/v1/commands/{command}/cancellation").body["state"] == "cancelled"
        assert reported(handset, given, "accepted") == "cancelled"
        assert told(post, command)["state"] == "cancelled"

    def test_nothing_is_called_off_that_was_accepted(self, post: Api, handset: HeldHandset) -> None:
        command = ordered(post, handset)
        [given] = fetched(handset)
        reported(handset, given, "accepted")
        answer = post.as_staff("dispatcher").post(f"/v1/commands/{command}/cancellation")
        assert (answer.status, answer.problem) == (409, "command-over")

    def test_called_off_and_accepted_at_once_is_one_of_both(self, post: Api, handset: HeldHandset) -> None:
        command = ordered(post, handset)
        [given] = fetched(handset)
        states: list[str] = []
        with overtaken(by=lambda: states.append(reported(handset, given, "accepted"))):
            answer = post.as_staff("dispatcher").post(f"/v1/commands/{command}/cancellation")
        assert (states, answer.problem, told(post, command)["state"]) == (["accepted"], "command-over", "accepted")

    def test_success_without_acceptance_changes_nothing_and_is_kept(self, post: Api, handset: HeldHandset) -> None:
        command = ordered(post, handset)
        [given] = fetched(handset)
        assert reported(handset, given, "succeeded") == "delivered"
        assert events_of(command) == ["delivered", "reported", "requested"]

    @pytest.mark.parametrize("changes", [{"order": "0" * 64}, {"number": 99}, {"command": ids.new()}, {"what": "done"}])
    def test_a_report_of_another_order_is_refused(
        self, post: Api, handset: HeldHandset, changes: dict[str, Any]
    ) -> None:
        ordered(post, handset)
        [given] = fetched(handset)
        report = a_report(given, "accepted")
        body = {"report": signed(handset, report | changes)}
        answer = handset.calls().post(f"/v1/commands/{report['command']}/reports", body)
        assert (answer.status, answer.problem) == (422, "report-unproven")

    def test_what_another_key_signed_is_refused(self, post: Api, handset: HeldHandset) -> None:
        ordered(post, handset)
        [given] = fetched(handset)
        report = a_report(given, "accepted")
        other = HeldHandset(post, handset.device, HandsetKey.generate())
        for forged in (signed(other, report), "x.y.z", "", signed(handset, report)[:-3]):
            answer = handset.calls().post(f"/v1/commands/{report['command']}/reports", {"report": forged})
            assert (answer.status, answer.problem) == (422, "report-unproven")

    def test_another_handsets_command_is_none_of_its_business(self, post: Api, handset: HeldHandset) -> None:
        other = NewHandset(post).enrolled(OURS)
        ordered(post, other)
        [given] = fetched(other)
        assert send(handset, a_report(given, "accepted")).problem == "not-found"
        assert reported(other, given, "accepted") == "accepted"
        reported(other, given, "succeeded")
        assert send(handset, a_report(given, "failed")).problem == "not-found"

    def test_an_order_that_the_handset_refuses_reaches_its_depot(self, post: Api, handset: HeldHandset) -> None:
        command = ordered(post, handset)
        [given] = fetched(handset)
        assert reported(handset, given, "refused", code="not-mine") == "refused"
        [matter] = AttentionRow.query(HERE, consistent_read=True)
        assert (matter.subject, matter.flags) == (f"command/{command}", "order-refused")

    def test_silence_after_acceptance_is_neither_success_nor_failure(
        self, post: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        command = ordered(post, handset)
        reported(handset, fetched(handset)[0], "accepted")
        clock.advance(hours=72)
        sweep()
        assert told(post, command)["state"] == "unanswered"
        assert CommandsRow.get(f"device/{handset.device}").due_at is None
