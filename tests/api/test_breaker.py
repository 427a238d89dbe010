"""What bounds destruction: buckets that fill and empty, and the breaker, which only a third person closes."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from chalicelib.core import clock, journal, settings
from chalicelib.core.transaction import UnitOfWork, transaction
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.guards import buckets, withholding
from chalicelib.fleet.guards.breaker import BreakerOpen
from chalicelib.fleet.guards.buckets import SPANS, BlastLimitReached, BucketSettings, Family, Place
from chalicelib.fleet.guards.schemas import BreakerChanged, GuardRefused
from chalicelib.fleet.workers import settle_fleet
from tests.support.api import Answered, Api
from tests.support.cloud import Cloud
from tests.support.events import SCHEDULED, invoke
from tests.support.factories import HeldHandset
from tests.support.fleet import HERE, THEIRS, NewHandset, a_carrier, retire
from tests.support.guards import (
    ADA,
    BOB,
    EVE,
    Person,
    a_lost_handset,
    a_warrant,
    approved,
    approvers,
    asks_for,
    path_of,
)
from tests.support.races import overtaken

ZONE = "PARIS-SUD"
LIMITS = {
    Family.WIPES: {"person": 5, "depot": 3, "zone": 15, "fleet": 40},
    Family.WITHHELD: {"person": 20, "depot": 40, "zone": 200, "fleet": 400},
}


@pytest.fixture
def judges(post: Api) -> list[Person]:
    """Ada and Bob, the approvers in force."""
    return approvers(post)


def limit(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    """Other limits: `limit(monkeypatch, wipes_of_depot=1)`."""
    for name, value in limits.items():
        monkeypatch.setitem(os.environ, f"FACTEO_{name.upper()}", str(value))
    settings.load.cache_clear()


def closes(post: Api, who: str) -> Answered:
    return post.as_staff("security-officer", sub=who).post("/v1/breaker/closing", {"reason": "It was a mistake."})


def is_open(post: Api) -> bool:
    return bool(post.as_staff("auditor").get("/v1/breaker").body["open"])


def refused(subject: str) -> list[str]:
    found = [event for event in journal.read(subject) if event.type == "facteo.guard.refused"]
    return [event.body(GuardRefused).problem for event in found]


def full(family: Family, whose: str) -> Sequence[tuple[str, Place]]:
    """Takings that fill one bucket to the brim and no other: each with who takes it, and where."""
    number = LIMITS[family][whose]
    named = {"person": "p", "depot": "d", "zone": "z"}
    return [
        (
            "staff/p" if whose == "person" else f"staff/{taking}",
            Place(
                "d" if whose == "depot" else f"d{taking}",
                named["zone"] if whose in {"zone", "depot"} else f"z{taking}",
            ),
        )
        for taking in range(number)
    ]


def take(family: Family, who: str, *places: Place) -> None:
    with transaction() as work:
        buckets.take(work, family, who, places, now=clock.now())


class TestBuckets:
    def test_the_limits_are_those_that_were_agreed(self, aws: Cloud) -> None:
        known = settings.load(BucketSettings)
        for family, limits in LIMITS.items():
            assert {whose: getattr(known, f"{family}_of_{whose}") for whose in SPANS} == limits
        assert {whose: int(span.total_seconds() // 3600) for whose, span in SPANS.items()} == {
            "person": 1,
            "depot": 24,
            "zone": 24,
            "fleet": 24,
        }

    @pytest.mark.parametrize("family", Family)
    @pytest.mark.parametrize("whose", SPANS)
    def test_each_holds_so_many_and_is_empty_when_its_time_is_over(
        self, api: Api, monkeypatch: pytest.MonkeyPatch, family: Family, whose: str
    ) -> None:
        more = {f"{family}_of_{other}": 1000 for other in SPANS if other != whose}
        limit(monkeypatch, **more)
        takings = full(family, whose)
        for who, place in takings:
            take(family, who, place)
        who, place = takings[-1]
        last = (who if whose == "person" else "staff/new", place if whose != "fleet" else Place("new", "new"))
        with pytest.raises(BlastLimitReached) as caught:
            take(family, *last)
        assert caught.value.members["bucket"] == f"{family}/{whose}"
        assert (caught.value.status, caught.value.members["limit"]) == (429, LIMITS[family][whose])

        api.clock.at += SPANS[whose]
        api.clock.advance(seconds=-1)
        with pytest.raises(BlastLimitReached):
            take(family, *last)
        api.clock.advance(seconds=1)
        take(family, *last)

    def test_families_and_names_have_buckets_of_their_own(self, aws: Cloud) -> None:
        for _ in range(3):
            take(Family.WIPES, "staff/p", Place("d", "z"))
        take(Family.WITHHELD, "staff/p", Place("d", "z"))
        take(Family.WIPES, "staff/p", Place("other", "z"))

    def test_several_at_once_are_all_or_none(self, aws: Cloud) -> None:
        places = [Place("d", "z")] * 2
        take(Family.WIPES, "staff/p", *places)
        with pytest.raises(BlastLimitReached):
            take(Family.WIPES, "staff/p", *places)
        take(Family.WIPES, "staff/p", places[0])

    def test_what_is_refused_adds_nothing_to_the_work(self, aws: Cloud) -> None:
        work = UnitOfWork()
        with pytest.raises(BlastLimitReached):
            buckets.take(work, Family.WIPES, "staff/p", [Place("d", "z")] * 4, now=clock.now())
        assert not any(work._items.values())

    def test_two_at_once_never_take_more_than_there_is(self, post: Api, judges: list[Person]) -> None:
        one, other = (a_warrant(judges[0].calls, a_lost_handset(post), a_lost_handset(post)) for _ in range(2))
        for warrant in (one, other):
            judges[0].approves(path_of(warrant), warrant["text"])
        answers: list[Answered] = []
        with overtaken(by=lambda: answers.append(judges[1].approves(path_of(one), one["text"]))):
            answers.append(judges[1].approves(path_of(other), other["text"]))
        assert [answer.problem for answer in answers] == ["", "blast-limit-reached"]


class TestWarrants:
    def test_over_the_limit_a_request_is_refused_and_nobody_opens_the_breaker_by_asking(
        self, post: Api, judges: list[Person]
    ) -> None:
        stolen = a_lost_handset(post)
        for kind in ("container-wipe", "release"):
            handsets = [a_lost_handset(post) for _ in range(4)]
            answer = asks_for(post.as_staff("depot-manager", sub="mallory"), *handsets, kind=kind)
            assert (answer.status, answer.problem) == (429, "blast-limit-reached")
            assert (answer.body["bucket"], answer.body["limit"], answer.body["hours"]) == ("wipes/depot", 3, 24)
        assert refused("guard/staff/mallory") == ["blast-limit-reached"] * 2
        assert not is_open(post)
        assert approved(a_warrant(judges[0].calls, stolen), *judges).body["state"] == "approved"

    def test_over_the_limit_an_approval_is_refused_and_nothing_is_done(self, post: Api, judges: list[Person]) -> None:
        lost = [[a_lost_handset(post), a_lost_handset(post)] for _ in range(2)]
        first, second = (a_warrant(judges[0].calls, *two) for two in lost)
        assert approved(first, *judges).body["state"] == "approved"
        answer = approved(second, *judges)
        assert (answer.status, answer.problem) == (429, "blast-limit-reached")
        assert [handset.row.state for two in lost for handset in two] == ["wiping"] * 2 + ["quarantined"] * 2
        assert refused(f"warrant/{second['id']}") == ["blast-limit-reached"]
        told = judges[0].calls.get("/v1/breaker").body
        assert (told["open"], told["closes"]) == (True, ["security-officer"])
        assert told["tripped"]["by"] == ["staff/ada", "staff/bob"], "who asked, and both who approved"
        assert told["tripped"]["since"] == "2026-11-23T07:00:00Z"
        [event] = journal.read("breaker")
        assert (event.type, event.body(BreakerChanged).by) == ("facteo.breaker.opened", ("staff/ada", "staff/bob"))
        entries = post.as_staff("depot-manager").get(f"/v1/depots/{HERE}/attention").body["entries"]
        assert ["breaker-opened"] in [entry["flags"] for entry in entries if entry["subject"] == "breaker"]

    def test_while_it_is_open_nothing_more_is_asked_for_or_approved(self, post: Api, judges: list[Person]) -> None:
        lost = a_lost_handset(post, THEIRS)
        warrant = a_warrant(judges[0].calls, lost)
        trip(post, judges)
        answers = [asks_for(judges[1].calls, lost), approved(warrant, *judges), retire(post, lost.device)]
        assert {(answer.status, answer.problem) for answer in answers} == {(409, "breaker-open")}
        assert answers[0].body["closed_by"] == "security-officer"
        assert answers[0].body["since"] == "2026-11-23T07:00:00.000000Z"
        assert lost.row.state == "quarantined"
        assert refused(f"warrant/{warrant['id']}") == ["breaker-open"]
        assert judges[0].calls.post(f"{path_of(warrant)}/cancellation", {"reason": "Not now."}).status == 200

    def test_an_approval_under_way_when_it_opens_is_refused(self, post: Api, judges: list[Person]) -> None:
        lost = a_lost_handset(post, THEIRS)
        warrant = a_warrant(judges[0].calls, lost)
        judges[0].approves(path_of(warrant), warrant["text"])
        with overtaken(by=lambda: trip(post, judges)):
            answer = judges[1].approves(path_of(warrant), warrant["text"])
        assert (answer.problem, lost.row.state) == ("breaker-open", "quarantined")

    def test_a_third_person_closes_it(self, post: Api, judges: list[Person]) -> None:
        first = a_warrant(judges[0].calls, a_lost_handset(post), a_lost_handset(post))
        second = a_warrant(judges[0].calls, a_lost_handset(post), a_lost_handset(post))
        approved(first, *judges)
        approved(second, *judges)
        for who in (ADA, BOB):
            assert closes(post, who).problem == "access-denied"
            assert refused(f"guard/staff/{who}").count("access-denied") == 1
        assert post.as_staff("fleet-admin", sub=EVE).post("/v1/breaker/closing", {"reason": "Why not."}).status == 403
        assert is_open(post)
        answer = closes(post, EVE)
        assert (answer.status, answer.body) == (200, {"open": False, "tripped": None, "closes": ["security-officer"]})
        assert closes(post, ADA).status == 200, "closed already, it stays so"
        [event] = [one for one in journal.read("breaker") if one.type == "facteo.breaker.closed"]
        assert (event.actor, event.body(BreakerChanged).why) == ("staff/eve", "It was a mistake.")

        assert approved(second, *judges).problem == "blast-limit-reached", "the buckets are as full as before"
        assert closes(post, EVE).status == 200
        post.clock.advance(hours=23)
        assert approved(second, *judges).problem == "blast-limit-reached"
        assert closes(post, EVE).status == 200

    def test_an_approved_wipe_stays_as_long_as_it_is_open_and_goes_out_afterwards(
        self, post: Api, judges: list[Person]
    ) -> None:
        lost = a_lost_handset(post, THEIRS)
        approved(a_warrant(judges[0].calls, lost), *judges)
        trip(post, judges)
        post.clock.advance(minutes=11)
        assert invoke(settle_fleet, SCHEDULED) == []
        assert lost.calls().get("/v1/commands").body["orders"] == []
        [command] = boxes.load(lost.device).box.open
        assert (command.state, lost.row.state) == ("approved", "wiping")
        assert closes(post, EVE).status == 200
        assert invoke(settle_fleet, SCHEDULED) == []
        assert len(lost.calls().get("/v1/commands").body["orders"]) == 1

    def test_one_who_asks_and_approves_nothing_keeps_no_approved_wipe_back(
        self, post: Api, judges: list[Person]
    ) -> None:
        lost = a_lost_handset(post)
        approved(a_warrant(judges[0].calls, lost), *judges)
        asks_for(post.as_staff("fleet-admin", sub="mallory"), *(a_lost_handset(post) for _ in range(4)))
        post.clock.advance(minutes=11)
        assert len(lost.calls().get("/v1/commands").body["orders"]) == 1

    def test_a_day_later_there_is_room_again(self, post: Api, judges: list[Person]) -> None:
        for _ in range(2):
            warrant = a_warrant(judges[0].calls, *(a_lost_handset(post) for _ in range(3)))
            assert approved(warrant, *judges).body["state"] == "approved"
            post.clock.advance(days=1)

    def test_open_already_it_stays_as_it_is(
        self, post: Api, judges: list[Person], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limit(monkeypatch, withheld_of_fleet=0)
        trip(post, judges)
        told = judges[0].calls.get("/v1/breaker").body
        post.clock.advance(minutes=1)
        with transaction() as work:
            assert not withholding.take(work, "019ac9a0-0000-7000-8000-0000000000d1", HERE, "staff/eve")
        assert judges[0].calls.get("/v1/breaker").body == told


class TestRetirement:
    @pytest.mark.parametrize("whose", ["person", "depot", "zone", "fleet"])
    def test_so_many_in_a_while_and_only_those_of_the_whole_fleet_open_the_breaker(
        self, post: Api, monkeypatch: pytest.MonkeyPatch, whose: str
    ) -> None:
        limit(monkeypatch, **{f"withheld_of_{whose}": 2})
        handsets = [NewHandset(post).enrolled() for _ in range(4)]
        last = "breaker-open" if whose == "fleet" else "blast-limit-reached"
        expected = ["", "", "blast-limit-reached", last]
        assert [retire(post, one.device).problem for one in handsets] == expected
        assert [one.row.state for one in handsets] == ["retired", "retired", "enrolled", "enrolled"]
        assert retire(post, handsets[0].device).status == 200, "what was done is answered again"
        assert sorted(refused("guard/staff/s-1")) == sorted(expected[2:])
        assert is_open(post) is (whose == "fleet")
        assert closes(post, EVE).status == 200
        post.clock.at += SPANS[whose]
        assert retire(post, handsets[2].device).status == 200

    def test_what_it_costs(self, post: Api, aws: Cloud) -> None:
        handset = NewHandset(post).enrolled()
        with aws.counting() as calls:
            assert retire(post, handset.device).status == 200
        assert dict(calls) == {"BatchGetItem": 3, "GetItem": 2, "TransactWriteItems": 1}


class TestWithholding:
    @pytest.mark.parametrize("whose", ["person", "depot", "zone", "fleet"])
    def test_a_lease_is_withheld_as_long_as_there_is_room_and_never_an_error(
        self, post: Api, monkeypatch: pytest.MonkeyPatch, whose: str
    ) -> None:
        limit(monkeypatch, **{f"withheld_of_{whose}": 2})
        handsets = [NewHandset(post).enrolled() for _ in range(4)]
        assert [withheld(one) for one in handsets] == [True, True, False, False]
        assert is_open(post) is (whose == "fleet")
        assert refused("guard/staff/eve") == ["blast-limit-reached"] * 2

    def test_an_open_breaker_keeps_no_stolen_handset_s_lease(self, post: Api, judges: list[Person]) -> None:
        trip(post, judges)
        assert withheld(NewHandset(post).enrolled())

    def test_carriers_never_open_the_breaker_by_what_they_report(
        self, post: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limit(monkeypatch, withheld_of_fleet=1)
        manager, mine = post.as_staff("depot-manager"), NewHandset(post).enrolled()
        for carrier in ("C11", "C12", "C13"):
            assert manager.put(f"/v1/carriers/{carrier}", a_carrier(HERE)).status == 200
            NewHandset(post).enrolled(carrier)
            reported = mine.calls().post("/v1/loss-reports", {"carrier": carrier, "kind": "stolen"})
            assert reported.status in {200, 201}, reported.text
        assert not is_open(post)
        assert refused("guard/carrier/C1") == ["blast-limit-reached"] * 2

    def test_what_is_withheld_and_retired_is_counted_together(self, post: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        limit(monkeypatch, withheld_of_depot=2)
        handsets = [NewHandset(post).enrolled() for _ in range(3)]
        assert retire(post, handsets[0].device).status == 200
        assert [withheld(one) for one in handsets[1:]] == [True, False]


def withheld(handset: HeldHandset) -> bool:
    """Whether the lease of a handset is withheld, by Eve who declares it lost."""
    with transaction() as work:
        return withholding.take(work, handset.device, HERE, f"staff/{EVE}")


def trip(post: Api, judges: list[Person]) -> None:
    """Open the breaker: both approve more than their depot has left."""
    two = [a_warrant(judges[0].calls, a_lost_handset(post), a_lost_handset(post)) for _ in range(2)]
    assert [approved(one, *judges).status for one in two] == [200, 429]


def test_a_breaker_that_opened_is_counted(post: Api, judges: list[Person], monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr("chalicelib.core.telemetry.count", lambda name, *_, **__: counted.append(name))
    trip(post, judges)
    with pytest.raises(BreakerOpen):
        take(Family.WIPES, "staff/p", Place("d", "z"))
    asks_for(judges[0].calls, *(a_lost_handset(post) for _ in range(4)))
    assert counted.count("BreakerOpened") == 1
