"""Positions of a lost handset: only while lost mode lasts, every look written down, and gone when the case ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.core import journal, keyring
from chalicelib.core.keyring import KeyGone
from chalicelib.fleet.losses import rules
from chalicelib.fleet.tables import LossLinesRow
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.commands import a_wipe, fetched, reported
from tests.support.factories import HeldHandset
from tests.support.fleet import OURS, THEIRS, NewHandset, everything_stored
from tests.support.losses import SHOWN, a_case, a_position, case, does, in_lost_mode, looks, said, sends
from tests.support.races import contended, overtaken

ROLES = {"auditor", "carrier-support", "depot-manager", "dispatcher", "fleet-admin", "ops", "security-officer"}


@pytest.fixture
def handset(newcomer: NewHandset) -> HeldHandset:
    """The newcomer, enrolled for our carrier."""
    return newcomer.enrolled()


@pytest.fixture
def lost(post: Api, handset: HeldHandset) -> str:
    """The case of the handset."""
    return a_case(post, handset)


@pytest.fixture
def tracked(post: Api, handset: HeldHandset, lost: str) -> str:
    """The case of the handset, which is in lost mode."""
    in_lost_mode(post, handset, lost)
    return lost


def lines(lost: str) -> list[LossLinesRow]:
    return list(LossLinesRow.query(f"position/{lost}", consistent_read=True))


def taken(post: Api, lost: str) -> int:
    return int(case(post, lost)["case"]["positions"]["taken"])


class TestTaking:
    @pytest.mark.parametrize("what", ["accepted", "succeeded"])
    def test_it_is_kept_while_lost_mode_lasts(
        self, post: Api, handset: HeldHandset, lost: str, what: str, clock: FakeClock
    ) -> None:
        in_lost_mode(post, handset, lost, what)
        assert sends(handset).status == 204
        clock.advance(minutes=5)
        assert sends(handset, latitude=48.85).status == 204

        assert [one["latitude"] for one in looks(post, lost).body["positions"]] == [48.85, 48.84]
        assert taken(post, lost) == 2

    def test_not_from_a_handset_that_is_not_lost(self, handset: HeldHandset) -> None:
        answer = sends(handset)
        assert (answer.status, answer.problem) == (409, "no-lost-mode")

    def test_not_before_the_handset_has_signed_for_lost_mode(self, post: Api, handset: HeldHandset, lost: str) -> None:
        assert sends(handset).problem == "no-lost-mode"
        does(post, lost, "lost-mode", SHOWN)
        fetched(handset)
        assert sends(handset).problem == "no-lost-mode"
        assert (lines(lost), taken(post, lost)) == ([], 0)

    @pytest.mark.parametrize("what", ["failed"])
    def test_not_if_it_failed(self, post: Api, handset: HeldHandset, lost: str, what: str) -> None:
        in_lost_mode(post, handset, lost, what)
        assert sends(handset).problem == "no-lost-mode"

    def test_not_of_the_time_before(self, handset: HeldHandset, tracked: str, clock: FakeClock) -> None:
        assert sends(handset, clock() - timedelta(hours=1)).problem == "no-lost-mode"
        assert lines(tracked) == []

    def test_not_of_the_future(self, handset: HeldHandset, tracked: str, clock: FakeClock) -> None:
        assert sends(handset, clock() + timedelta(hours=1)).problem == "request-invalid"
        assert lines(tracked) == []

    def test_not_after_the_end(self, post: Api, handset: HeldHandset, tracked: str) -> None:
        does(post, tracked, "found")
        assert sends(handset).problem == "no-lost-mode"

    def test_lost_mode_of_an_earlier_case_allows_nothing(
        self, post: Api, handset: HeldHandset, tracked: str, clock: FakeClock
    ) -> None:
        does(post, tracked, "found")
        clock.advance(minutes=10)
        again = a_case(post, handset)
        assert sends(handset).problem == "no-lost-mode"
        assert lines(again) == []

    def test_one_that_is_to_be_wiped_sends_still(self, handset: HeldHandset, tracked: str) -> None:
        a_wipe(handset)
        assert sends(handset).status == 204

    def test_sent_again_it_counts_once(self, post: Api, handset: HeldHandset, tracked: str, clock: FakeClock) -> None:
        at = clock()
        assert [sends(handset, at).status for _ in range(2)] == [204, 204]
        clock.advance(minutes=5)
        assert [sends(handset, when).status for when in (clock(), at)] == [204, 204]
        assert taken(post, tracked) == 2

    @pytest.mark.parametrize("race", [overtaken, contended])
    def test_two_at_once_are_both_kept(
        self, post: Api, handset: HeldHandset, tracked: str, clock: FakeClock, race: Any
    ) -> None:
        with race(by=lambda: sends(handset, clock() - timedelta(minutes=1))):
            assert sends(handset).status == 204
        assert (taken(post, tracked), len(lines(tracked))) == (2, 2)

    def test_one_that_comes_as_the_case_ends_is_not_kept(self, post: Api, handset: HeldHandset, tracked: str) -> None:
        with overtaken(by=lambda: does(post, tracked, "found")):
            assert sends(handset).problem == "no-lost-mode"
        assert lines(tracked) == []

    @pytest.mark.parametrize(
        "wrong", [{"latitude": 91}, {"longitude": -181}, {"accuracy_m": -1}, {"at": "2026-11-23"}, {"speed": 3}]
    )
    def test_what_cannot_be_understood(self, handset: HeldHandset, tracked: str, wrong: dict[str, Any]) -> None:
        answer = handset.calls().post("/v1/loss-positions", a_position() | wrong)
        assert (answer.status, answer.problem) == (400, "request-invalid")

    def test_it_is_sealed(self, handset: HeldHandset, tracked: str) -> None:
        assert sends(handset, latitude=43.123456).status == 204
        assert "43.123456" not in everything_stored()
        assert lines(tracked)[0].expires_at is not None

    def test_it_costs_few_calls(self, handset: HeldHandset, tracked: str, aws: Cloud, clock: FakeClock) -> None:
        sends(handset)
        clock.advance(minutes=5)
        with aws.counting() as calls:
            sends(handset)
        assert dict(calls) == {"BatchGetItem": 2, "Query": 1, "GetItem": 1, "TransactWriteItems": 1}

    def test_a_key_that_is_over_is_followed_by_another(
        self, post: Api, handset: HeldHandset, tracked: str, clock: FakeClock
    ) -> None:
        sends(handset)
        clock.advance(days=rules.POSITIONS_KEPT_FOR.days + 1)
        assert sends(handset).status == 204
        assert len(looks(post, tracked).body["positions"]) == 1, "the earlier one is sealed under the key before"


class TestLooking:
    def test_every_look_is_written_with_who_when_and_how_many(
        self, post: Api, handset: HeldHandset, tracked: str, clock: FakeClock
    ) -> None:
        looks(post, tracked)
        sends(handset)
        clock.advance(minutes=1)
        looks(post, tracked, "security-officer")

        seen = [step for step in case(post, tracked)["steps"] if step["what"] == "positions-read"]
        assert [one["positions"] for one in seen] == [0, 1]
        assert len({one["by"] for one in seen}) == 1
        assert len({one["at"] for one in seen}) == 2

    def test_who_cannot_write_that_they_looked_sees_nothing(
        self, post: Api, handset: HeldHandset, tracked: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: Any, **__: Any) -> None:
            raise RuntimeError

        sends(handset)
        monkeypatch.setattr("chalicelib.fleet.losses.store.say", broken)
        assert looks(post, tracked).status == 500

    def test_by_those_who_search_for_it_only(self, post: Api, tracked: str) -> None:
        allowed = {role for role in ROLES if looks(post, tracked, role).status == 200}
        assert allowed == {"dispatcher", "security-officer"}

    def test_when_the_case_ends_they_are_gone_and_what_was_done_remains(
        self, post: Api, handset: HeldHandset, tracked: str
    ) -> None:
        sends(handset)
        looks(post, tracked)

        does(post, tracked, "found")

        with pytest.raises(KeyGone):
            keyring.key_of(f"loss/{tracked}")
        assert looks(post, tracked).body == {"positions": []}
        assert taken(post, tracked) == 1
        assert said(tracked).count("positions-read") == 2

    @pytest.mark.parametrize(
        ("end", "body"), [("closed", {"reason": "not-found"}), ("wipe-evidence", {"seen": "new-user"})]
    )
    def test_whatever_the_end(
        self, post: Api, handset: HeldHandset, tracked: str, end: str, body: dict[str, str]
    ) -> None:
        sends(handset)
        a_wipe(handset)
        reported(handset, fetched(handset)[0], "accepted")
        assert does(post, tracked, end, body).status == 200
        assert looks(post, tracked).body == {"positions": []}


class TestOwn:
    def own(self, handset: HeldHandset) -> Any:
        answer = handset.calls().get("/v1/loss-cases/own")
        assert answer.status == 200, answer.text
        return answer.body["cases"]

    def test_the_carrier_sees_who_did_what_and_who_looked(
        self, post: Api, handset: HeldHandset, tracked: str, clock: FakeClock
    ) -> None:
        first = clock()
        sends(handset)
        clock.advance(minutes=5)
        sends(handset)
        looks(post, tracked)
        does(post, tracked, "found")

        [mine] = self.own(handset)

        assert (mine["id"], mine["device"], mine["state"]) == (tracked, handset.device, "found")
        assert mine["declared_by"].startswith("staff/")
        lost_mode, stand_down = mine["ordered"]
        assert (lost_mode["kind"], lost_mode["reason"]) == ("lost-mode", "This handset was reported stolen.")
        assert lost_mode["shown"] == "signed for, and nothing heard since: whether it was done is not known"
        assert stand_down["kind"] == "stand-down"
        assert mine["positions"]["taken"] == 2
        assert mine["positions"]["first"] == first.isoformat().replace("+00:00", "Z")
        [look] = mine["looks"]
        assert (look["positions"], look["by"].split("/")[0]) == (2, "staff")

    def test_on_the_next_handset_too(self, post: Api, handset: HeldHandset, lost: str) -> None:
        wipe = a_wipe(handset)
        reported(handset, fetched(handset)[0], "accepted")
        [mine] = self.own(NewHandset(post).enrolled())
        assert (mine["id"], mine["ordered"][0]["shown"]) == (lost, "signed for by the handset, not done yet")
        assert mine["ordered"][0]["approved"] is True
        assert wipe not in str(mine["looks"])

    def test_never_another_s(self, post: Api, handset: HeldHandset, lost: str) -> None:
        assert self.own(NewHandset(post).enrolled(THEIRS)) == []

    def test_the_latest_first(self, post: Api, handset: HeldHandset, clock: FakeClock) -> None:
        cases = []
        for _ in range(12):
            cases.append(a_case(post, handset))
            does(post, cases[-1], "found")
            clock.advance(minutes=1)
        assert [one["id"] for one in self.own(handset)] == cases[:1:-1]

    def test_a_blocked_handset_sees_nothing(self, handset: HeldHandset, lost: str) -> None:
        assert handset.calls().get("/v1/loss-cases/own").problem == "device-blocked"

    def test_the_ledger_names_the_carrier_whose_handset_it_was_then(
        self, post: Api, newcomer: NewHandset, handset: HeldHandset, lost: str
    ) -> None:
        does(post, lost, "closed", {"reason": "not-found"})
        does(post, lost, "found")
        now_theirs = NewHandset(post, serial=newcomer.serial).enrolled(THEIRS)
        assert self.own(now_theirs) == []
        assert [one["id"] for one in self.own(NewHandset(post).enrolled(OURS))] == [lost]


def test_no_position_stands_in_the_journal(handset: HeldHandset, tracked: str) -> None:
    sends(handset, latitude=43.123456)
    assert "43.12" not in str([event.data for event in journal.read(f"loss/{tracked}")])
