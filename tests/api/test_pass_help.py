"""A pass for whoever comes to help: the last door of the carrier in danger, once."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.core import settings
from chalicelib.passes.status_list import SLOTS
from handset.passes import Wallet
from reader import tokens
from tests.support.alerts import Desk, raised
from tests.support.api import Answered, Api
from tests.support.buildings import BUILDING, OTHER, READER, a_reader_key, registered
from tests.support.clock import FakeClock
from tests.support.doors import ALWAYS, key
from tests.support.entries import both, happens, used
from tests.support.factories import HeldHandset
from tests.support.fleet import THEIRS, NewHandset
from tests.support.passes import (
    SECTOR,
    a_bearer,
    a_reader,
    a_working_post,
    follow,
    holder,
    listed,
    publish,
    suspend,
    updated,
)

LINE = {"building": "", "sector": SECTOR, "services": {"1": [ALWAYS], "3": [ALWAYS]}}


@pytest.fixture(autouse=True)
def paged(desk: Desk) -> Iterator[None]:
    """Who is paged for an alert is another matter."""
    yield
    desk.channels.taken.clear()


@pytest.fixture
def post(api: Api) -> Api:
    """A post with two buildings, of which one has a reader."""
    a_working_post(api)
    for building in (BUILDING, OTHER):
        registered(api, building, services={"1": [ALWAYS], "3": [ALWAYS]})
    return api


@pytest.fixture
def carrier(post: Api) -> HeldHandset:
    """A carrier who opened a door before the alarm."""
    register(post)
    handset = a_bearer(post)
    happens(handset, *both(handset, key=key(READER)))
    return handset


@pytest.fixture
def alert(carrier: HeldHandset, desk: Desk) -> str:
    pressed = raised(carrier)
    desk.work()
    return pressed


@pytest.fixture
def helper(post: Api) -> HeldHandset:
    """A colleague, who has no round today."""
    return NewHandset(post).enrolled(THEIRS)


def register(api: Api) -> None:
    """The building has a reader."""
    path = f"/v1/buildings/{BUILDING}/readers/{READER}"
    assert api.as_staff("building-manager").put(path, {"key": a_reader_key()}).status == 200


def give(api: Api, helper: HeldHandset, alert: str) -> Answered:
    return api.as_staff("dispatcher").put(f"/v1/passes/{helper.device}/help", {"alert": alert})


def token_of(helper: HeldHandset) -> bytes:
    return base64.b64decode(helper.calls().get("/v1/pass/help").body["token"])


def secret_of(api: Api, building: str, reader: str) -> str:
    line = api.as_staff("building-manager").get(f"/v1/buildings/{building}/readers/{reader}/line")
    assert line.status == 200, line.text
    return str(line.body["building"])


class TestGiven:
    def test_it_opens_the_last_door_once_and_no_other(
        self, post: Api, helper: HeldHandset, alert: str, tmp_path: Path, clock: FakeClock
    ) -> None:
        assert give(post, helper, alert).status == 200
        (tmp_path / "helper").mkdir()
        wallet = updated(Wallet(tmp_path / "helper", helper.key.sign_raw, clock), post)
        wallet.keep_help(token_of(helper))
        doors = {
            building: a_reader(post, tmp_path / building, clock, **LINE | {"building": secret_of(post, building, name)})
            for building, name in ((BUILDING, "00000000000000d1"), (OTHER, "00000000000000d2"))
        }

        there = doors[OTHER].answer(wallet.answer(doors[OTHER].challenge()))
        here = [doors[BUILDING].answer(wallet.answer(doors[BUILDING].challenge())) for _ in range(2)]

        assert there.refusal == "out-of-perimeter"
        assert [decision.refusal for decision in here] == [None, "already-used"]

    def test_it_lasts_an_hour(self, post: Api, helper: HeldHandset, alert: str, clock: FakeClock) -> None:
        give(post, helper, alert)
        told = tokens.parse(token_of(helper))
        assert told.expires - told.not_before == 3600
        clock.advance(hours=1, seconds=120)
        assert helper.calls().get("/v1/pass/help").status == 404

    def test_it_is_beside_the_pass_of_the_round(self, post: Api, carrier: HeldHandset, alert: str) -> None:
        colleague = a_bearer(post)
        before = holder(colleague).held
        give(post, colleague, alert)
        assert holder(colleague).held == before
        assert holder(colleague).help is not None

    def test_another_one_takes_its_place(self, post: Api, helper: HeldHandset, alert: str) -> None:
        give(post, helper, alert)
        first = holder(helper).help
        give(post, helper, alert)
        publish()
        assert first is not None
        assert listed(post, first.slot).name == "REVOKED"

    def test_it_ends_with_the_alert(self, post: Api, helper: HeldHandset, alert: str, desk: Desk) -> None:
        give(post, helper, alert)
        given = holder(helper).help
        assert given is not None
        desk.closes(alert)
        follow()
        assert holder(helper).help is None
        assert listed(post, given.slot).name == "REVOKED"
        assert given.slot < SLOTS


class TestNotGiven:
    def test_where_no_door_is_known(self, post: Api, helper: HeldHandset, desk: Desk) -> None:
        answer = give(post, helper, raised(a_bearer(post)))
        assert (answer.status, answer.problem) == (409, "no-last-door")

    def test_where_only_a_handset_tells_of_a_door(self, post: Api, helper: HeldHandset, desk: Desk) -> None:
        """Whoever calls for help does not choose where."""
        register(post)
        caller = a_bearer(post)
        happens(caller, used(caller))
        assert give(post, helper, raised(caller)).problem == "no-last-door"

    def test_once_the_alert_is_over(self, post: Api, helper: HeldHandset, alert: str, desk: Desk) -> None:
        desk.closes(alert)
        assert give(post, helper, alert).problem == "no-last-door"

    def test_where_the_manager_lets_no_help_in(self, post: Api, helper: HeldHandset, alert: str) -> None:
        registered(post, BUILDING, services={"1": [ALWAYS]})
        assert give(post, helper, alert).problem == "no-last-door"
        assert holder(helper).help is None

    def test_to_a_handset_whose_key_is_not_kept_as_policy_asks(
        self, post: Api, helper: HeldHandset, alert: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FACTEO_PASS_ASSURANCE", "tee")
        settings.load.cache_clear()
        assert give(post, helper, alert).problem == "assurance-too-low"
        assert holder(helper).help is None

    def test_to_a_handset_that_is_suspended(self, post: Api, helper: HeldHandset, alert: str) -> None:
        suspend(post, helper)
        assert give(post, helper, alert).problem == "pass-is-suspended"

    def test_to_one_that_is_retired(self, post: Api, helper: HeldHandset, alert: str) -> None:
        post.as_staff("fleet-admin").post(f"/v1/devices/{helper.device}/retirement", {"reason": "Broken"})
        assert give(post, helper, alert).problem == "device-blocked"

    def test_for_an_alert_of_another_zone(self, post: Api, helper: HeldHandset, alert: str) -> None:
        elsewhere = post.as_staff("dispatcher", scope="zone/PARIS-NORD")
        answer = elsewhere.put(f"/v1/passes/{helper.device}/help", {"alert": alert})
        assert answer.problem == "access-denied"

    def test_nobody_else_is_told_of_it(self, post: Api, helper: HeldHandset, carrier: HeldHandset, alert: str) -> None:
        give(post, helper, alert)
        assert carrier.calls().get("/v1/pass/help").status == 404
