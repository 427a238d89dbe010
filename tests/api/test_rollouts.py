"""A version of the policy goes out in rings, and is halted before it does harm everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.core import journal, telemetry
from chalicelib.fleet.policies import applying, rollouts, rules
from chalicelib.fleet.policies.schemas import RolloutMoved
from chalicelib.fleet.workers import settle_fleet
from tests.support.api import Answered, Api
from tests.support.cloud import Cloud, start_cold
from tests.support.events import SCHEDULED, invoke
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import HERE, OURS, THERE
from tests.support.policies import applies, at_ring, published, publishes, sets, takes
from tests.support.races import contended, overtaken

ROLLOUTS = "/v1/policies/rollouts"


@pytest.fixture
def referent(post: Api) -> HeldHandset:
    """A handset of a depot, which tries versions first."""
    return a_handset(post, carrier=OURS, depot=HERE)


@pytest.fixture
def others(post: Api) -> list[HeldHandset]:
    """Handsets of the other depot."""
    return [a_handset(post, depot=THERE) for _ in range(4)]


def told(api: Api, version: int = 1, **query: str) -> dict[str, Any]:
    answer = api.as_staff("auditor").get(f"{ROLLOUTS}/{version}", **query)
    assert answer.status == 200, answer.text
    return dict(answer.body)


def asks(api: Api, what: str, version: int = 1, body: Any = None) -> Answered:
    return api.as_staff("fleet-admin").post(f"{ROLLOUTS}/{version}/{what}", body)


def halts(api: Api, version: int = 1) -> Answered:
    api.clock.advance(seconds=1)
    return asks(api, "halt", version, {"reason": "Mail does not come"})


def moves(version: int = 1) -> list[tuple[str, int]]:
    """What happened to a version, and its ring afterwards, in the order of time."""
    found = sorted(journal.read(f"policy/{version}"), key=lambda event: event.time)
    return [(event.type.removeprefix("facteo.policy."), event.body(RolloutMoved).ring) for event in found]


def versions(handsets: list[HeldHandset]) -> list[int]:
    return [takes(handset)["version"] for handset in handsets]


def a_minute_passes() -> None:
    """The clock of the fleet strikes."""
    invoke(settle_fleet, SCHEDULED)


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The metrics that are counted within the block."""
    found: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(telemetry, "count", lambda name, *_, **__: found.append(name))
        yield found


class TestPublishing:
    def test_referents_have_it_first(self, post: Api, referent: HeldHandset, others: list[HeldHandset]) -> None:
        sets(post, "fleet/all", {"apn": "new"})
        answer = publishes(post, referents=[referent.device])
        assert answer.body == {
            "version": 1,
            "base": 0,
            "reason": "New settings",
            "published_by": answer.body["published_by"],
            "published_at": "2026-11-23T07:00:00Z",
            "ring": 0,
            "percent": 0,
            "ring_since": "2026-11-23T07:00:00Z",
            "referents": [referent.device],
            "mends": [],
            "halted": "",
            "reported": 0,
            "failed": 0,
            "failing": [],
            "next": "",
        }
        assert (takes(referent)["settings"]["apn"], versions(others)) == ("new", [0] * 4)
        assert moves() == [("published", 0)]

    def test_check_ins_name_each_the_version_that_has_reached_it(
        self, post: Api, referent: HeldHandset, others: list[HeldHandset]
    ) -> None:
        publishes(post, referents=[referent.device])
        start_cold()
        found = [one.calls().post("/v1/check-ins", {"outbox": 0}).body["policy"] for one in (referent, others[0])]
        assert found == [1, 0]

    def test_the_same_again_changes_nothing(self, post: Api) -> None:
        assert publishes(post).body == publishes(post).body
        assert publishes(post, reason="Another reason").problem == "version-out-of-turn"
        assert moves() == [("published", 0)]

    def test_versions_follow_each_other(self, post: Api) -> None:
        answer = publishes(post, 2)
        assert (answer.problem, answer.body["next"]) == ("version-out-of-turn", 1)
        published(post)
        assert publishes(post, 2).body["base"] == 1

    def test_one_at_a_time(self, post: Api) -> None:
        publishes(post)
        answer = publishes(post, 2)
        assert (answer.status, answer.problem, answer.body["version"]) == (409, "rollout-under-way", 1)

    def test_two_at_once_one_of_them_is_that_version(self, post: Api) -> None:
        with overtaken(by=lambda: publishes(post, reason="The faster one")):
            assert publishes(post).problem == "version-out-of-turn"
        assert told(post)["reason"] == "The faster one"
        assert moves() == [("published", 0)]

    def test_what_is_no_referent(self, post: Api, referent: HeldHandset, others: list[HeldHandset]) -> None:
        unknown = "019ac9a0-0000-7000-8000-0000000000a1"
        for referents in ([unknown], [referent.device] * 2, [others[0].device, others[1].device], ["x"]):
            assert publishes(post, referents=referents).problem == "request-invalid"
        assert publishes(post, referents=[referent.device, others[0].device]).status == 200

    def test_a_version_that_there_is_not(self, post: Api) -> None:
        admin = post.as_staff("fleet-admin")
        for version in ("1", "0", "x"):
            assert admin.get(f"{ROLLOUTS}/{version}").problem == "not-found"
        for what in ("next-ring", "resumption"):
            assert asks(post, what).problem == "not-found"
        assert halts(post).problem == "not-found"

    def test_it_is_for_the_whole_fleet(self, post: Api) -> None:
        publishes(post)
        caller = post.as_staff("fleet-admin", scope=f"depot/{HERE} zone/PARIS-SUD")
        answers = [caller.put(f"{ROLLOUTS}/2", {"reason": "Mine"}), caller.get(f"{ROLLOUTS}/1")]
        answers += [caller.post(f"{ROLLOUTS}/1/{what}") for what in ("next-ring", "resumption")]
        assert {answer.problem for answer in answers} == {"access-denied"}
        assert post.as_staff("auditor").put(f"{ROLLOUTS}/2", {"reason": "Mine"}).problem == "access-denied"


class TestRings:
    def test_staff_move_it_on_once_a_ring_has_had_its_time(self, post: Api, others: list[HeldHandset]) -> None:
        publishes(post, referents=[others[0].device])
        applies(others[0])
        answer = asks(post, "next-ring")
        assert (answer.status, answer.problem) == (409, "ring-too-young")
        assert answer.body["ready_at"] == "2026-11-24T07:00:00+00:00"
        percents = []
        for _ in range(3):
            post.clock.advance(hours=24)
            percents.append(asks(post, "next-ring").body["percent"])
        assert (percents, versions(others)) == ([1, 10, 100], [1] * 4)
        post.clock.advance(hours=24)
        assert asks(post, "next-ring").problem == "rollout-stands"
        assert moves() == [("published", 0), ("moved-on", 1), ("moved-on", 2), ("moved-on", 3)]

    def test_beyond_one_percent_somebody_must_have_said_what_became_of_it(
        self, post: Api, referent: HeldHandset
    ) -> None:
        publishes(post, referents=[referent.device])
        post.clock.advance(hours=24)
        assert asks(post, "next-ring").body["percent"] == 1
        post.clock.advance(hours=24)
        answer = asks(post, "next-ring")
        assert (answer.status, answer.problem, answer.body["ring"]) == (409, "ring-untried", 1)
        applies(referent)
        assert asks(post, "next-ring").body["percent"] == 10

    def test_the_clock_does_so_once_somebody_said_what_became_of_it(self, post: Api, referent: HeldHandset) -> None:
        publishes(post, referents=[referent.device])
        post.clock.advance(hours=24)
        a_minute_passes()
        assert told(post)["ring"] == 0
        applies(referent)
        a_minute_passes()
        a_minute_passes()
        assert told(post)["ring"] == 1
        post.clock.advance(hours=23)
        a_minute_passes()
        assert told(post)["ring"] == 1
        for _ in range(3):
            post.clock.advance(hours=24)
            a_minute_passes()
        assert told(post)["percent"] == 100

    def test_with_nothing_under_way_a_minute_costs_two_queries(self, post: Api, aws: Cloud) -> None:
        costs = []
        for version in (1, 2):
            with aws.counting() as calls:
                rollouts.advance()
            costs.append(dict(calls))
            published(post, version)
        assert costs == [{"Query": 1}, {"Query": 2}]

    def test_two_move_it_on_at_once_by_one_ring(self, post: Api) -> None:
        publishes(post)
        post.clock.advance(hours=24)
        with overtaken(by=lambda: asks(post, "next-ring")):
            assert asks(post, "next-ring").problem == "ring-too-young"
        assert told(post)["ring"] == 1


class TestWhatDevicesSay:
    def test_each_is_counted_once(self, post: Api, referent: HeldHandset) -> None:
        publishes(post, referents=[referent.device])
        for _ in range(2):
            assert applies(referent).status == 204
        assert (told(post)["reported"], told(post)["failed"]) == (1, 0)

    def test_what_failed_is_told_and_corrected(self, post: Api, referent: HeldHandset) -> None:
        publishes(post, referents=[referent.device])
        applies(referent, apn="no-right")
        found = told(post)
        assert (found["reported"], found["failed"]) == (1, 1)
        assert found["failing"] == [
            {
                "device": referent.device,
                "depot": HERE,
                "generation": 1,
                "at": "2026-11-23T07:00:00Z",
                "applied": 1,
                "not_applied": [{"setting": "apn", "why": "no-right"}],
            }
        ]
        applies(referent)
        found = told(post)
        assert (found["reported"], found["failed"], found["failing"]) == (1, 0, [])

    def test_staff_of_its_depot_see_what_it_said(self, newcomer: Any) -> None:
        handset, post = newcomer.enrolled(), newcomer.api
        publishes(post, referents=[handset.device])
        applies(handset, mail="no-app")
        path = f"/v1/devices/{handset.device}/policy"
        found = post.as_staff("depot-manager", scope=f"depot/{HERE}").get(path).body
        assert (found["version"], found["application"]["not_applied"]) == (1, [{"setting": "mail", "why": "no-app"}])
        assert post.as_staff("depot-manager", scope=f"depot/{THERE}").get(path).problem == "access-denied"
        assert post.as_staff("auditor").get("/v1/devices/019ac9a0-0000-7000-8000-0000000000a1/policy").status == 404

    def test_a_page_of_those_that_failed(self, post: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        published(post)
        monkeypatch.setattr(applying, "PAGE", 1)
        failing = [a_handset(post, depot=HERE) for _ in range(2)]
        for handset in failing:
            applies(handset, apn="x")
        first = told(post)
        second = told(post, after=first["next"])
        assert [one["device"] for page in (first, second) for one in page["failing"]] == sorted(
            one.device for one in failing
        )

    def test_a_version_that_has_not_reached_it(
        self, post: Api, referent: HeldHandset, others: list[HeldHandset]
    ) -> None:
        assert applies(referent).problem == "request-invalid"
        publishes(post, referents=[referent.device])
        assert applies(others[0], apn="x").problem == "request-invalid"
        assert applies(referent, 2).problem == "request-invalid"
        assert told(post)["reported"] == 0

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"version": 0},
            {"version": 1, "applied": ["approvers"]},
            {"version": 1, "not_applied": [{"setting": "apn", "why": "It broke!"}]},
            {"version": 1, "apps": ["com.private.app"]},
        ],
    )
    def test_what_cannot_be_understood(self, post: Api, referent: HeldHandset, body: dict[str, Any]) -> None:
        published(post)
        assert referent.calls().post("/v1/policy/application", body).problem == "request-invalid"
        assert told(post)["reported"] == 0

    @pytest.mark.parametrize("state", ["quarantined", "wiping", "retired"])
    def test_a_blocked_handset_is_not_heard(self, post: Api, state: str) -> None:
        published(post)
        assert applies(a_handset(post, state=state)).problem == "device-blocked"

    @pytest.mark.parametrize("race", [overtaken, contended])
    def test_the_same_twice_at_once_counts_once(self, post: Api, referent: HeldHandset, race: Any) -> None:
        published(post)
        with race(by=lambda: applies(referent, apn="x")):
            assert applies(referent, apn="x").status == 204
        assert (told(post)["reported"], told(post)["failed"]) == (1, 1)

    def test_it_costs_two_reads_and_a_transaction(self, post: Api, referent: HeldHandset, aws: Cloud) -> None:
        published(post)
        costs = []
        for _ in range(2):
            with aws.counting() as calls:
                applies(referent)
            costs.append(dict(calls))
        assert costs == [{"GetItem": 2, "Query": 1, "TransactWriteItems": 1}, {"GetItem": 2, "Query": 1}]


class TestHalting:
    def test_too_many_failures_halt_it(
        self, post: Api, others: list[HeldHandset], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publishes(post, referents=[others[0].device])
        at_ring(3)
        post.clock.advance(minutes=1)
        with counted(monkeypatch) as metrics:
            for handset in others[:3]:
                assert told(post)["halted"] == ""
                applies(handset, apn="no-right")
        found = told(post)
        assert (found["halted"], found["failed"]) == (rollouts.TOO_MANY_FAILED, 3)
        assert metrics == ["PolicyHalted"]
        assert moves()[-1] == ("halted", 3)
        applies(others[3], apn="no-right")
        assert [what for what, _ in moves()].count("halted") == 1

    def test_a_few_of_many_do_not(self, post: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        published(post)
        monkeypatch.setattr(rules, "FAILING_SHARE", 0.5)
        handsets = [a_handset(post, depot=HERE) for _ in range(6)]
        for handset in handsets[:3]:
            applies(handset)
        for handset in handsets[3:]:
            applies(handset, apn="x")
        assert told(post)["halted"] == ""

    def test_the_clock_finds_what_a_crash_left_unjudged(
        self, post: Api, others: list[HeldHandset], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        published(post)
        with monkeypatch.context() as patched:
            patched.setattr(rollouts, "judge", lambda: None)
            for handset in others:
                applies(handset, apn="x")
        a_minute_passes()
        assert told(post)["halted"] == rollouts.TOO_MANY_FAILED

    def test_it_reaches_nobody_else(self, post: Api, referent: HeldHandset, others: list[HeldHandset]) -> None:
        publishes(post, referents=[referent.device])
        applies(referent)
        for _ in range(2):
            assert halts(post).body["halted"] == "Mail does not come"
        post.clock.advance(days=3)
        a_minute_passes()
        assert asks(post, "next-ring").problem == "rollout-stands"
        assert (versions([referent]), versions(others)) == ([1], [0] * 4)
        assert [what for what, _ in moves()] == ["published", "halted"]

    def test_who_has_it_is_given_the_next_version_first(
        self, post: Api, referent: HeldHandset, others: list[HeldHandset]
    ) -> None:
        published(post)
        publishes(post, 2, referents=[referent.device])
        assert versions([referent, *others]) == [2, 1, 1, 1, 1]
        halts(post, 2)
        answer = publishes(post, 3, referents=[others[0].device])
        assert (answer.body["base"], answer.body["mends"]) == (1, [2])
        assert versions([referent, *others]) == [3, 3, 1, 1, 1]
        assert applies(referent, 3).status == 204
        assert halts(post, 2).problem == "rollout-stands"

    def test_it_goes_on_and_those_that_failed_are_excused(self, post: Api, others: list[HeldHandset]) -> None:
        published(post)
        post.clock.advance(minutes=1)
        for handset in others[:3]:
            applies(handset, apn="x")
        post.clock.advance(minutes=1)
        for _ in range(2):
            assert asks(post, "resumption").body["halted"] == ""
        applies(others[3], apn="x")
        assert told(post)["halted"] == ""
        assert [what for what, _ in moves()] == ["published", "halted", "resumed"]

    def test_two_halt_it_at_once(self, post: Api) -> None:
        publishes(post)
        with overtaken(by=lambda: halts(post)):
            assert halts(post).status == 200
        assert [what for what, _ in moves()] == ["published", "halted"]

    def test_without_a_reason_it_goes_on(self, post: Api) -> None:
        publishes(post)
        assert asks(post, "halt", body={}).problem == "request-invalid"
        assert told(post)["halted"] == ""
