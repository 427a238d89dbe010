"""Orders: judged by the handset itself, obeyed at most once and only with the back office's word, and reported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from handset import effects, standing, trust
from handset.client import Handset
from handset.container import ContainerClosed
from handset.orders import DROPPED, WAITING, Orders
from handset.signing import HandsetKey
from handset.sos import Sos
from handset.transport import Answer
from tests.support import warrants
from tests.support.clock import FakeClock
from tests.support.office import ANNA, BERT, BOTH, CARA, FIRST_SET, Killed, Office, killed_at, no_network, serving
from tests.support.warrants import WARRANT, a_warrant, signed_set

NOW = "2026-11-23T07:00:00Z"
MESSAGE = {"text": "Call your depot."}
THREE = {**BOTH, "staff/cara": CARA}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def office(clock: FakeClock) -> Iterator[Office]:
    office = Office(clock)
    with serving(office):
        yield office


@pytest.fixture
def handset(office: Office, tmp_path: Path) -> Handset:
    return office.enrol(tmp_path / "handset")


def run(handset: Handset) -> list[tuple[str, str]]:
    """Fetch and obey: what became of each order. Each time the handset is opened anew."""
    return [(one.what, one.code) for one in Orders(Handset(handset.folder, now=handset.now)).run()]


def messages(handset: Handset) -> list[str]:
    return [shown["text"] for shown in standing.of(handset)["messages"]]


class TestWhatIsFromTheBackOffice:
    def test_a_good_order_is_accepted_first_and_then_obeyed(self, office: Office, handset: Handset) -> None:
        order = office.order("message", parameters=MESSAGE)
        before: list[list[str]] = []
        office.hook = lambda method, path: before.append(messages(handset))
        assert run(handset) == [("succeeded", "")]
        assert messages(handset) == ["Call your depot."]
        assert before[:2] == [[], []], "nothing is shown before the answer"
        assert office.said() == [("accepted", ""), ("succeeded", "")]
        payload = warrants.payload(office.orders[0])
        for report in office.reports:
            assert (report["command"], report["number"]) == (order, 1)
            assert report["order"] == hashlib.sha256(payload).hexdigest()

    @pytest.mark.parametrize(
        "members",
        [
            {"type": "facteo.policy"},
            {"id": "no id"},
            {"id": "../../../v1/events?xxxxxxxxxxxxxxxxxxxxxxx"},
            {"number": "7"},
            {"number": True},
            {"kind": None},
            {"parameters": None},
            {"reason": None},
            {"device": None},
            {"generation": 2.0},
        ],
    )
    def test_what_has_not_the_shape_of_an_order_is_not_answered(
        self, office: Office, handset: Handset, members: dict[str, Any]
    ) -> None:
        office.order("message", **{"parameters": MESSAGE, **members})
        assert run(handset) == []
        assert office.calls == [("GET", "/v1/commands")]

    def test_what_is_signed_by_somebody_else_is_not_answered(self, office: Office, handset: Handset) -> None:
        office.order("message", parameters=MESSAGE)
        header, payload, signature = office.orders[0].split(".")
        stranger = Office(office.clock)
        stranger.order("message", parameters=MESSAGE)
        office.orders = [
            *stranger.orders,
            f"{header}.{payload}.{signature[:-8]}AAAAAAAA",
            f"{header}.{payload}.",
            f"{header}.{payload}",
            office.signed({"type": "facteo.order"}, kid="another"),
            f"eyJhbGciOiJub25lIn0.{payload}.",
        ]
        assert run(handset) == []
        assert office.calls == [("GET", "/v1/commands")]

    @pytest.mark.parametrize("orders", [None, "text", [None, 1, {}, "", "a.b.c", "." * 70_000]])
    def test_an_odd_answer_holds_no_order(self, office: Office, handset: Handset, orders: Any) -> None:
        office.answers["/v1/commands"] = {"orders": orders}
        assert run(handset) == []


class TestRefused:
    @pytest.mark.parametrize(
        ("kind", "members", "said"),
        [
            ("message", {"device": "another"}, ("refused", "not-mine")),
            ("message", {"generation": 1}, ("refused", "not-mine")),
            ("message", {"expires_at": "2026-11-23T07:00:00Z"}, ("refused", "expired")),
            ("message", {"expires_at": "2026-11-23T07:00:01"}, ("refused", "expired")),
            ("message", {"expires_at": 5}, ("refused", "expired")),
            ("self-destruct", {}, ("unsupported", "unknown-kind")),
            ("message", {"parameters": {}}, ("refused", "parameters-invalid")),
            ("message", {"parameters": {"text": "x" * 501}}, ("refused", "parameters-invalid")),
            ("ring", {"parameters": {"seconds": 301}}, ("refused", "parameters-invalid")),
            ("ring", {"parameters": {"seconds": True}}, ("refused", "parameters-invalid")),
            ("lost-mode", {"parameters": {"text": "x"}}, ("refused", "parameters-invalid")),
            ("lost-mode", {"parameters": {"text": "x", "phone": "3631"}}, ("refused", "parameters-invalid")),
            ("stand-down", {"parameters": {"void": "all"}}, ("refused", "parameters-invalid")),
            ("stand-down", {"parameters": {"void": None}}, ("refused", "parameters-invalid")),
            ("stand-down", {"parameters": {"void": [7]}}, ("refused", "parameters-invalid")),
            ("full-wipe", {"parameters": {"external_storage": 1, "esim": 0}}, ("refused", "parameters-invalid")),
            ("container-wipe", {}, ("refused", "warrant-of-another")),
            ("release", {"warrant": a_warrant(BOTH)}, ("refused", "warrant-of-another")),
            (
                "container-wipe",
                {"warrant": a_warrant(BOTH, expires_at=NOW)},
                ("refused", "warrant-over"),
            ),
            ("container-wipe", {"warrant": a_warrant({"staff/anna": ANNA})}, ("refused", "approvers-unknown")),
            ("container-wipe", {"warrant": a_warrant(THREE)}, ("refused", "approvers-unknown")),
        ],
    )
    def test_with_its_code_and_nothing_is_done(
        self, office: Office, handset: Handset, kind: str, members: dict[str, Any], said: tuple[str, str]
    ) -> None:
        office.order(kind, **members)
        assert run(handset) == [said]
        assert office.said() == [said]
        assert standing.of(handset)["messages"] == []

    def test_an_order_without_an_end_is_good(self, office: Office, handset: Handset) -> None:
        office.order("message", parameters=MESSAGE, expires_at=None)
        assert run(handset) == [("succeeded", "")]

    def test_a_forged_approval(self, office: Office, handset: Handset) -> None:
        signed = a_warrant(BOTH)
        signed["approvals"][1]["signature"] = a_warrant(BOTH)["approvals"][1]["signature"]
        office.order("container-wipe", signed)
        assert run(handset) == [("refused", "approval-invalid")]
        assert Handset(handset.folder).enrolment == handset.enrolment

    @pytest.mark.parametrize("approvers", [None, {}, {"text": "AA"}, "text"])
    def test_a_handset_without_approvers_destroys_nothing(self, office: Office, tmp_path: Path, approvers: Any) -> None:
        handset = office.enrol(tmp_path / "handset", approvers=approvers)
        office.order("container-wipe", a_warrant(BOTH))
        assert run(handset) == [("refused", "approvers-unknown")]

    def test_one_that_was_enrolled_before_there_were_any(self, office: Office, handset: Handset) -> None:
        del handset.enrolment["approvers"]
        office.order("container-wipe", a_warrant(BOTH))
        assert [one.code for one in Orders(handset).run()] == ["approvers-unknown"]

    def test_it_is_told_again_and_judged_only_once(self, office: Office, handset: Handset) -> None:
        office.order("message", parameters=MESSAGE, generation=1)
        assert run(handset) == run(handset) == [("refused", "not-mine")]
        assert len(office.raw_reports) == 2
        assert office.raw_reports[0] == office.raw_reports[1]


class TestAtMostOnce:
    def test_an_order_that_comes_again_is_answered_by_the_same_report(self, office: Office, handset: Handset) -> None:
        office.order("message", parameters=MESSAGE)
        assert run(handset) == run(handset) == [("succeeded", "")]
        assert messages(handset) == ["Call your depot."]
        assert office.raw_reports[1] == office.raw_reports[2]

    def test_other_words_under_the_same_id_are_not_obeyed(self, office: Office, handset: Handset) -> None:
        order = office.order("message", parameters=MESSAGE)
        run(handset)
        office.orders.clear()
        office.order("message", parameters={"text": "Something else."}, id=order)
        assert run(handset) == [("succeeded", "")]
        assert messages(handset) == ["Call your depot."]

    def test_twice_in_one_answer_is_once(self, office: Office, handset: Handset) -> None:
        office.order("message", parameters=MESSAGE)
        office.orders *= 2
        assert run(handset) == [("succeeded", "")]
        assert messages(handset) == ["Call your depot."]

    def test_without_a_network_it_waits_and_tries_again_with_the_same_report(
        self, office: Office, handset: Handset
    ) -> None:
        office.order("message", parameters=MESSAGE)
        office.hook = no_network("/reports")
        assert run(handset) == [(WAITING, "")]
        assert messages(handset) == []
        office.hook = no_network()
        office.orders.clear()
        assert run(handset) == [("succeeded", "")]
        assert office.said() == [("accepted", ""), ("succeeded", "")]

    def test_when_the_answer_to_accepted_is_lost_the_same_is_reported(self, office: Office, handset: Handset) -> None:
        office.order("message", parameters=MESSAGE)
        real = office.call

        def lost(method: str, path: str, *rest: Any, **options: Any) -> Answer:
            answer = real(method, path, *rest, **options)
            no_network("/reports")(method, path)
            return answer

        with patch.object(office, "call", lost):
            assert run(handset) == [(WAITING, "")]
        assert run(handset) == [("succeeded", "")]
        assert office.raw_reports[0] == office.raw_reports[1]

    @pytest.mark.parametrize("state", ["cancelled", "expired", "superseded"])
    def test_what_is_over_there_is_not_obeyed(self, office: Office, handset: Handset, state: str) -> None:
        office.states[office.order("message", parameters=MESSAGE)] = state
        assert run(handset) == [(DROPPED, state)]
        office.states.clear()
        assert run(handset) == [(DROPPED, state)], "not even if it comes again"
        assert messages(handset) == []

    def test_what_became_of_it_is_told_when_there_is_a_network(self, office: Office, handset: Handset) -> None:
        office.order("message", parameters=MESSAGE)
        seen: list[str] = []

        def only_the_first(_: str, path: str) -> None:
            seen.append(path)
            if len([one for one in seen if one.endswith("/reports")]) > 1:
                no_network("/reports")(_, path)

        office.hook = only_the_first
        assert run(handset) == [("succeeded", "")]
        office.hook, office.orders = no_network(), []
        assert run(handset) == [("succeeded", "")]
        assert office.said() == [("accepted", ""), ("succeeded", "")]
        assert run(handset) == [], "told and done with"

    @pytest.mark.parametrize("number", range(40))
    def test_killed_at_any_moment_it_is_obeyed_at_most_once_and_told_in_the_end(
        self, office: Office, handset: Handset, number: int
    ) -> None:
        order, obeyed = office.order("message", parameters=MESSAGE), []
        effect = effects.EFFECTS["message"]

        def counted(*given: Any) -> None:
            obeyed.append(1)
            effect(*given)

        with patch.dict(effects.EFFECTS, message=counted):
            killed = killed_at(number, office, lambda: run(handset))
            assert run(handset) in ([("succeeded", "")], [("failed", "interrupted")])
        assert len(obeyed) <= 1
        last = office.reports[-1]
        assert (last["command"], last["what"]) in {(order, "succeeded"), (order, "failed")}
        assert last["what"] == "failed" or obeyed == [1]
        assert killed or number > 8, "it is killed in the middle"

    def test_a_later_order_is_not_stopped_by_one_that_waits(self, office: Office, handset: Handset) -> None:
        one, _ = office.order("message", parameters=MESSAGE), office.order("lock")
        office.hook = no_network(one)
        assert run(handset) == [(WAITING, ""), ("succeeded", "")]


class TestNotNow:
    def test_a_busy_handset_says_why_and_when_and_obeys_later(
        self, office: Office, handset: Handset, clock: FakeClock
    ) -> None:
        office.order("message", parameters=MESSAGE)
        busy = handset.folder / "busy.json"
        busy.write_text(json.dumps({"code": "in-a-call"}))
        assert run(handset) == [("not-now", "in-a-call")]
        assert office.reports[0]["detail"] == {"retry_at": (clock() + timedelta(minutes=15)).isoformat()}
        assert messages(handset) == []
        busy.unlink()
        assert run(handset) == [("succeeded", "")]

    def test_a_carriers_open_alert_goes_before_whatever_destroys(self, office: Office, handset: Handset) -> None:
        alert = Sos(handset).press()
        office.order("message", parameters=MESSAGE)
        office.order("container-wipe", a_warrant(BOTH))
        assert run(handset) == [("succeeded", ""), ("not-now", "alert-open")]
        (handset.folder / f"sos-{alert}.json").unlink()
        assert run(handset)[-1] == ("wiping", "")

    def test_but_not_for_longer_than_an_hour(self, office: Office, handset: Handset, clock: FakeClock) -> None:
        """A thief may press the button too."""
        Sos(handset).press()
        office.order("container-wipe", a_warrant(BOTH))
        clock.advance(minutes=59)
        assert run(handset) == [("not-now", "alert-open")]
        clock.advance(minutes=1)
        assert run(handset) == [("wiping", "")]

    def test_an_order_that_would_be_refused_is_refused_even_then(self, office: Office, handset: Handset) -> None:
        Sos(handset).press()
        office.order("container-wipe", a_warrant({"staff/anna": ANNA}))
        assert run(handset) == [("refused", "approvers-unknown")]


class TestEffects:
    def test_ring(self, office: Office, handset: Handset, clock: FakeClock) -> None:
        office.order("ring", parameters={"seconds": 60})
        run(handset)
        assert standing.of(handset)["ringing_until"] == (clock() + timedelta(seconds=60)).isoformat()

    def test_lock_shows_why_and_is_ended_by_stand_down(self, office: Office, handset: Handset) -> None:
        office.order("lock")
        shown: list[str] = []
        Orders(handset, show=shown.append).run()
        assert (shown, standing.of(handset)["locked"]) == (["Because of lock."], True)
        office.order("stand-down", parameters={"void": []})
        run(handset)
        assert not standing.of(handset)["locked"]

    def test_lost_mode_until_it_stands_down(self, office: Office, handset: Handset, clock: FakeClock) -> None:
        office.order("lost-mode", parameters={"text": "Found me?", "phone": "+33155440000"})
        run(handset)
        lost = {"text": "Found me?", "phone": "+33155440000", "since": clock().isoformat()}
        assert (standing.of(handset)["lost"], standing.of(handset)["locked"]) == (lost, True)
        office.order("stand-down")
        assert run(handset)[-1] == ("succeeded", "")
        assert standing.of(handset)["lost"] is None

    def test_a_locked_container_is_closed_until_it_stands_down(self, office: Office, handset: Handset) -> None:
        handset.take_lease()
        handset.container.write("round", b'{"etag": "1", "bundle": {"snapshot": 3}}')
        office.order("container-lock")
        run(handset)
        assert handset.round is None
        with pytest.raises(ContainerClosed):
            handset.take_lease()
        office.order("stand-down", parameters={"void": []})
        run(handset)
        handset.take_lease()
        assert handset.round == {"etag": "1", "bundle": {"snapshot": 3}}

    def test_diagnostics_tell_nothing_of_the_personal_space(self, office: Office, handset: Handset) -> None:
        told = {"battery": {"percent": 81}, "personal": {"month": "2026-11", "sms": 41}, "network": "4g", "photos": 3}
        (handset.folder / "vitals.json").write_text(json.dumps(told))
        (handset.folder / "personal").mkdir()
        (handset.folder / "personal" / "diary.txt").write_text("mine")
        handset.scan("9V20524752032", "at-depot")
        office.order("diagnostics")
        run(handset)
        detail = office.reports[-1]["detail"]
        assert sorted(detail) == ["app_version", "battery", "outbox", "policy", "storage_free_mb"]
        assert (detail["battery"], detail["outbox"], detail["policy"]) == ({"percent": 81}, 1, 0)


class TestPolicy:
    def policy(self, office: Office, version: Any, **members: Any) -> None:
        told = {"type": "facteo.policy", "version": version, "settings": {"camera": version}, **members}
        office.answers["/v1/policy"] = {"policy": office.signed(told)}

    def test_it_is_fetched_and_applied(self, office: Office, handset: Handset) -> None:
        self.policy(office, 12)
        office.order("policy-refresh")
        assert run(handset) == [("succeeded", "")]
        assert trust.policy_version(handset) == 12

    @pytest.mark.parametrize("version", [11, 0, -1, True, "13", None])
    def test_its_version_never_goes_down(self, office: Office, handset: Handset, version: Any) -> None:
        self.policy(office, 12)
        trust.take_policy(handset)
        self.policy(office, version)
        office.order("policy-refresh")
        assert run(handset) == [("failed", "policy-invalid")]
        assert trust.policy_version(handset) == 12

    def test_one_of_somebody_else_is_not_applied(self, office: Office, handset: Handset) -> None:
        office.key, real = HandsetKey.generate(), office.key
        self.policy(office, 12)
        office.key = real
        office.order("policy-refresh")
        assert run(handset) == [("failed", "policy-invalid")]
        assert trust.policy_version(handset) == 0

    def test_an_order_is_no_policy(self, office: Office, handset: Handset) -> None:
        self.policy(office, 12, type="facteo.order")
        office.order("policy-refresh")
        assert run(handset) == [("failed", "policy-invalid")]

    @pytest.mark.parametrize(("path", "code"), [("/v1/policy", "no-network"), ("", "policy-refused")])
    def test_without_one_it_failed(self, office: Office, handset: Handset, path: str, code: str) -> None:
        office.order("policy-refresh")
        office.hook = no_network(path) if path else no_network()
        assert run(handset) == [("failed", code)]


class TestVoided:
    def test_a_voided_warrant_is_never_obeyed_again(self, office: Office, handset: Handset) -> None:
        office.order("stand-down", parameters={"void": [WARRANT["id"]]})
        office.order("container-wipe", a_warrant(BOTH))
        assert run(handset) == [("succeeded", ""), ("refused", "warrant-over")]
        office.order("stand-down", parameters={"void": []})
        office.order("container-wipe", a_warrant(BOTH))
        assert run(handset)[-1] == ("refused", "warrant-over"), "another stand-down takes nothing back"

    def test_not_even_if_it_was_about_to_be_accepted(self, office: Office, handset: Handset) -> None:
        office.order("container-wipe", a_warrant(BOTH))
        office.hook = no_network("/reports")
        assert run(handset) == [(WAITING, "")]
        office.hook = no_network()
        standing.change(handset, voided=[WARRANT["id"]])
        assert run(handset) == [("refused", "warrant-over")]


class TestNewApprovers:
    def sets(self, office: Office, *signed: dict[str, Any]) -> None:
        office.answers["/v1/approver-sets?after=1"] = {"sets": list(signed)}

    def test_they_are_learnt_when_a_warrant_names_them(self, office: Office, handset: Handset) -> None:
        second = signed_set(FIRST_SET, THREE, by=BOTH)
        third = signed_set(warrants.text_of(second), {"staff/bert": BERT, "staff/cara": CARA}, by=BOTH)
        self.sets(office, second, third)
        by = {"staff/bert": BERT, "staff/cara": CARA}
        office.order("container-wipe", a_warrant(by, approvers_version=3))
        assert run(handset) == [("wiping", "")]

    def test_who_is_no_approver_any_more_approves_nothing(self, office: Office, handset: Handset) -> None:
        self.sets(office, signed_set(FIRST_SET, {"staff/anna": ANNA, "staff/cara": CARA}, by=BOTH))
        office.order("container-wipe", a_warrant(BOTH, approvers_version=2))
        assert run(handset) == [("refused", "approvers-unknown")]
        known = trust.approvers(handset)
        assert known
        assert known.version == 2

    def test_a_chain_with_a_hole_is_taken_up_to_the_hole(self, office: Office, handset: Handset) -> None:
        second = signed_set(FIRST_SET, THREE, by=BOTH)
        third = signed_set(warrants.text_of(second), BOTH, by=BOTH)
        fourth = signed_set(warrants.text_of(third), {"staff/bert": BERT, "staff/cara": CARA}, by=BOTH)
        self.sets(office, second, fourth)
        trust.learn_approvers(handset)
        known = trust.approvers(handset)
        assert known
        assert (known.version, known.text) == (2, warrants.text_of(second))
        office.answers["/v1/approver-sets?after=2"] = {"sets": [third, fourth]}
        trust.learn_approvers(handset)
        known = trust.approvers(handset)
        assert known
        assert known.version == 4

    @pytest.mark.parametrize("sets", [None, "text", [None], [{}], [{"text": "AA", "approvals": []}]])
    def test_odd_sets_change_nothing(self, office: Office, handset: Handset, sets: Any) -> None:
        office.answers["/v1/approver-sets?after=1"] = {"sets": sets}
        before = trust.approvers(handset)
        trust.learn_approvers(handset)
        assert trust.approvers(handset) == before

    def test_nobody_makes_themselves_an_approver(self, office: Office, handset: Handset) -> None:
        self.sets(office, signed_set(FIRST_SET, THREE, by={"staff/anna": ANNA, "staff/cara": CARA}))
        by = {"staff/anna": ANNA, "staff/cara": CARA}
        office.order("container-wipe", a_warrant(by, approvers_version=2))
        assert run(handset) == [("refused", "approvers-unknown")]

    def test_while_they_cannot_be_asked_for_the_order_waits(self, office: Office, handset: Handset) -> None:
        office.order("container-wipe", a_warrant(THREE, approvers_version=2))
        office.hook = no_network("/v1/approver-sets")
        assert run(handset) == [(WAITING, "")]
        assert office.reports == []

    def test_if_they_are_refused_it_judges_by_those_that_it_knows(self, office: Office, handset: Handset) -> None:
        office.order("container-wipe", a_warrant({"staff/anna": ANNA, "staff/cara": CARA}, approvers_version=2))
        assert run(handset) == [("refused", "approvers-unknown")]


def test_a_stand_down_that_was_interrupted_is_done_again(office: Office, handset: Handset) -> None:
    """Otherwise a handset that was found would stay locked, and a warrant that was taken back would stay good."""
    office.order("stand-down", parameters={"void": [WARRANT["id"]]})

    def killed(*_: Any) -> None:
        raise Killed

    with patch.dict(effects.EFFECTS, {"stand-down": killed}), pytest.raises(Killed):
        Orders(handset).run()
    assert [outcome.what for outcome in Orders(handset).run()] == ["succeeded"]
    assert standing.of(handset)["voided"] == [WARRANT["id"]]
