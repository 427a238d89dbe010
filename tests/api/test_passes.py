"""A handset's pass, from the start of a shift to its end."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest

from chalicelib.core import ids, journal, settings
from chalicelib.passes import issuing
from chalicelib.passes.schemas import Service, Status
from chalicelib.passes.staff_schemas import PassIssued
from reader import tokens
from tests.support import rights
from tests.support.api import Api
from tests.support.buildings import registered
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.cloud import Cloud
from tests.support.factories import HeldHandset
from tests.support.fleet import HERE, OURS, THEIRS, THERE, NewHandset, a_post, retire
from tests.support.passes import (
    DAY,
    ROUTE,
    SECTOR,
    a_bearer,
    a_round,
    a_working_post,
    ask,
    attest,
    follow,
    held,
    holder,
    listed,
    marks,
    publish,
    said,
    status,
    suspend,
)
from tests.support.races import contended, overtaken

HOUR = timedelta(hours=1)
SHIFT_BEGINS = MONDAY_MORNING.replace(hour=5, minute=30)
"""06:30 in Paris; the tests' morning is 08:00 there."""


@pytest.fixture
def post(api: Api) -> Api:
    return a_working_post(api)


@pytest.fixture
def handset(post: Api) -> HeldHandset:
    """A handset that has no pass yet."""
    return NewHandset(post).enrolled()


@pytest.fixture
def bearer(post: Api) -> HeldHandset:
    return a_bearer(post)


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Passes are for keys that hardware keeps."""
    monkeypatch.setenv("FACTEO_PASS_ASSURANCE", "tee")
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()


def pass_of(handset: HeldHandset) -> tokens.Pass:
    """What the token of a handset says, as a reader reads it."""
    return tokens.parse(base64.b64decode(ask(handset).body["token"]))


@contextmanager
def several_at_work() -> Iterator[None]:
    """What other functions do meanwhile is not done by the one that is called."""
    with patch.object(rights, "checked", lambda *_: nullcontext()):
        yield


def bundled(handset: HeldHandset) -> str | None:
    """The pass that the round's bundle brings."""
    told = handset.calls().get("/v1/round").body["building_pass"]
    return told["id"] if told else None


def at(moment: str) -> datetime:
    """An hour of the tests' day, UTC."""
    return datetime.fromisoformat(f"{DAY}T{moment}:00+00:00")


def reassign(api: Api, **changes: str) -> None:
    """The carrier's round of today is another one."""
    a_round(api, **changes)


class TestIssue:
    def test_it_says_who_where_and_until_when(self, handset: HeldHandset) -> None:
        answer = ask(handset)

        assert answer.status == 200
        told = pass_of(handset)
        assert (told.carrier, told.service, told.perimeter) == (OURS, Service.MAIL, SECTOR)
        assert told.not_before == int(MONDAY_MORNING.timestamp())
        assert told.expires == int(at("13:00").timestamp()), "an hour after the end of the shift, 13:00 in Paris"
        assert answer.body["id"] == told.id.hex()
        assert answer.body["expires_at"] == "2026-11-23T13:00:00Z"

    def test_it_is_bound_to_the_handset_s_key(self, handset: HeldHandset) -> None:
        numbers = pass_of(handset).holder.public_numbers()

        assert numbers.x == int.from_bytes(base64.urlsafe_b64decode(handset.key.public_jwk["x"] + "="), "big")
        assert numbers.y == int.from_bytes(base64.urlsafe_b64decode(handset.key.public_jwk["y"] + "="), "big")

    def test_a_response_with_its_proof_is_one_short_apdu(self, handset: HeldHandset) -> None:
        assert len(base64.b64decode(ask(handset).body["token"])) + 64 <= 256

    def test_asked_again_it_is_the_same_one(self, handset: HeldHandset, clock: FakeClock) -> None:
        first = ask(handset)
        clock.advance(hours=1)

        assert ask(handset).body == first.body
        assert said(handset) == ["issued"]

    def test_it_costs_five_calls_and_four_when_asked_again(self, handset: HeldHandset, aws: Cloud) -> None:
        with aws.counting() as first:
            ask(handset)
        with aws.counting() as again:
            ask(handset)

        assert first == {"BatchGetItem": 2, "GetItem": 2, "TransactWriteItems": 1}
        assert again == {"BatchGetItem": 2, "GetItem": 2}

    def test_the_journal_does_not_say_its_place_in_the_list(self, bearer: HeldHandset) -> None:
        [event] = [one for one in journal.read(f"device/{bearer.device}") if one.type == "facteo.pass.issued"]

        assert event.body(PassIssued).sector == SECTOR
        assert str(held(bearer).slot) not in bytes(event.data).decode()

    def test_each_pass_has_a_place_of_its_own(self, post: Api, handset: HeldHandset, clock: FakeClock) -> None:
        slots = {held(a_bearer(post)).slot for _ in range(5)}

        assert len(slots) == 5

    def test_a_new_one_comes_when_the_old_one_has_expired(self, bearer: HeldHandset, clock: FakeClock) -> None:
        first = held(bearer)
        clock.at = at("11:00")
        reassign(bearer.api, ends="23:00")
        clock.at = first.expires_at

        assert ask(bearer).status == 200
        assert held(bearer).id != first.id
        assert said(bearer) == ["ended", "issued", "issued"]


class TestNoPass:
    def test_who_has_no_shift_gets_none(self, post: Api) -> None:
        answer = ask(NewHandset(post).enrolled(THEIRS))

        assert (answer.status, answer.problem) == (404, "no-shift")

    def test_a_shift_that_is_over_gives_none(self, handset: HeldHandset, clock: FakeClock) -> None:
        clock.at = at("13:00")

        assert ask(handset).problem == "no-shift"
        assert holder(handset).held is None

    def test_before_the_shift_it_is_valid_from_half_an_hour_before(
        self, handset: HeldHandset, clock: FakeClock
    ) -> None:
        clock.at = at("03:00")

        assert ask(handset).body["not_before"] == "2026-11-23T05:00:00Z"

    def test_a_round_without_a_perimeter_gives_none(self, post: Api, handset: HeldHandset) -> None:
        duty = {"depot": HERE, "route": "T99", "starts": "06:30", "ends": "13:00"}
        post.as_staff("depot-manager").put(f"/v1/carriers/{OURS}/duties/{DAY}", duty)

        answer = ask(handset)

        assert (answer.status, answer.problem) == (409, "no-perimeter")

    def test_before_the_first_key_is_made_it_can_be_had_later(self, api: Api) -> None:
        a_post(api)
        a_round(api)

        assert ask(NewHandset(api).enrolled()).status == 503


class TestAssurance:
    def test_a_key_that_nothing_attests_gets_none_where_policy_asks_for_hardware(
        self, handset: HeldHandset, policy: None
    ) -> None:
        answer = ask(handset)

        assert (answer.status, answer.problem) == (403, "assurance-too-low")

    @pytest.mark.parametrize("assurance", ["tee", "strongbox"])
    def test_one_that_hardware_keeps_gets_a_whole_shift(
        self, handset: HeldHandset, policy: None, assurance: str
    ) -> None:
        attest(handset, assurance)
        reassign(handset.api, ends="23:30")

        told = pass_of(handset)

        assert told.expires - told.not_before == 12 * 3600

    def test_without_attestation_it_is_eight_hours_at_most(self, handset: HeldHandset) -> None:
        reassign(handset.api, ends="23:30")

        told = pass_of(handset)

        assert told.expires - told.not_before == 8 * 3600


class TestRelief:
    def test_another_round_takes_the_place_of_the_first(self, bearer: HeldHandset) -> None:
        first = held(bearer)
        reassign(bearer.api, route="T13")

        assert ask(bearer).status == 200
        assert held(bearer).route == "T13"
        publish()
        assert listed(bearer.api, first.slot) is Status.REVOKED
        assert status(bearer.api, bearer) is Status.VALID

    def test_the_pass_of_a_round_that_is_not_theirs_any_more_ends_without_being_asked(
        self, bearer: HeldHandset
    ) -> None:
        first = held(bearer)
        bearer.api.as_staff("depot-manager").request("DELETE", f"/v1/carriers/{OURS}/duties/{DAY}")

        follow()

        assert holder(bearer).held is None
        assert listed(bearer.api, first.slot) is Status.REVOKED

    def test_a_duty_of_another_day_ends_nothing(self, bearer: HeldHandset) -> None:
        duty = {"depot": HERE, "route": "T13", "starts": "06:30", "ends": "13:00"}
        bearer.api.as_staff("depot-manager").put(f"/v1/carriers/{OURS}/duties/2026-11-24", duty)

        follow()

        assert marks() == {}

    def test_a_longer_shift_keeps_the_pass_and_a_shorter_one_ends_it(self, bearer: HeldHandset) -> None:
        reassign(bearer.api, ends="14:00")
        follow()
        assert holder(bearer).held is not None
        reassign(bearer.api, ends="12:00")
        follow()
        assert holder(bearer).held is None

    def test_a_relief_round_opens_up_to_twenty_buildings(self, post: Api, handset: HeldHandset) -> None:
        buildings = [registered(post, ids.new()) for _ in range(20)]
        stated = {"service": 1, "buildings": buildings}
        answer = post.as_staff("depot-manager").put(f"/v1/pass-perimeters/{HERE}/{ROUTE}", stated)
        assert answer.status == 200, answer.text

        perimeter = pass_of(handset).perimeter

        assert isinstance(perimeter, bytes)
        assert len(perimeter) == 20 * 3


class TestPerimeter:
    @pytest.mark.parametrize(
        "stated",
        [
            {"service": 1},
            {"service": 3, "sector": SECTOR},
            {"service": 1, "sector": SECTOR, "buildings": ["019ac9a0-0000-7000-8000-0000000000b1"]},
            {"service": 4, "sector": SECTOR},
            {"service": 1, "sector": "7511"},
        ],
    )
    def test_what_is_no_perimeter_is_refused_and_the_one_before_stays(self, post: Api, stated: object) -> None:
        manager = post.as_staff("depot-manager")

        assert manager.put(f"/v1/pass-perimeters/{HERE}/{ROUTE}", stated).status == 400
        assert manager.get(f"/v1/pass-perimeters/{HERE}/{ROUTE}").body["sector"] == SECTOR

    def test_a_building_that_nobody_knows_is_refused(self, post: Api) -> None:
        stated = {"service": 1, "buildings": [ids.new()]}

        assert post.as_staff("depot-manager").put(f"/v1/pass-perimeters/{HERE}/{ROUTE}", stated).status == 404

    def test_another_depot_s_is_not_theirs(self, post: Api) -> None:
        manager = post.as_staff("depot-manager", scope=f"depot/{HERE}")

        assert manager.put(f"/v1/pass-perimeters/{THERE}/{ROUTE}", {"sector": SECTOR}).problem == "access-denied"


class TestEnd:
    def test_given_back_it_is_not_taken_along_any_more(self, bearer: HeldHandset) -> None:
        first = held(bearer)
        assert bundled(bearer) == first.id

        assert bearer.calls().request("DELETE", "/v1/pass").status == 204

        assert bundled(bearer) is None
        assert said(bearer) == ["given-back", "issued"]

    def test_given_back_it_is_not_listed_since_whoever_holds_the_handset_could_ask_again(
        self, bearer: HeldHandset
    ) -> None:
        first = held(bearer)
        bearer.calls().request("DELETE", "/v1/pass")
        follow()
        assert marks() == {}

        assert ask(bearer).body["id"] == first.id
        assert bundled(bearer) == first.id

    def test_given_back_in_its_last_hour_it_is_suspended_as_ever(self, bearer: HeldHandset, clock: FakeClock) -> None:
        clock.at = held(bearer).expires_at - timedelta(minutes=58)
        bearer.calls().request("DELETE", "/v1/pass")
        suspend(bearer.api, bearer)
        follow()
        assert status(bearer.api, bearer) is Status.SUSPENDED

    def test_asking_and_giving_back_for_ever_takes_one_place(self, bearer: HeldHandset) -> None:
        first = held(bearer)
        for _ in range(5):
            bearer.calls().request("DELETE", "/v1/pass")
            ask(bearer)
        assert held(bearer).slot == first.slot

    def test_given_back_twice_changes_nothing_more(self, bearer: HeldHandset) -> None:
        answers = [bearer.calls().request("DELETE", "/v1/pass").status for _ in range(2)]

        assert answers == [204, 204]
        assert said(bearer) == ["given-back", "issued"]

    def test_a_retired_handset_s_pass_ends(self, bearer: HeldHandset) -> None:
        first = held(bearer)
        retire(bearer.api, bearer.device)

        follow()

        assert listed(bearer.api, first.slot) is Status.REVOKED

    def test_a_new_enrolment_inherits_no_pass(self, post: Api) -> None:
        newcomer = NewHandset(post)
        former = newcomer.enrolled()
        ask(former)
        first = held(former)
        retire(post, former.device)
        later = NewHandset(post, serial=newcomer.serial).enrolled()
        assert later.device == former.device

        follow()

        assert listed(post, first.slot) is Status.REVOKED
        assert ask(later).status == 200
        assert held(later).id != first.id

    def test_an_enrolment_that_is_told_of_late_does_not_end_the_new_one_s_pass(self, post: Api) -> None:
        newcomer = NewHandset(post)
        retire(post, newcomer.enrolled().device)
        later = NewHandset(post, serial=newcomer.serial).enrolled()
        ask(later)

        follow()

        assert holder(later).held is not None


class TestSlots:
    @contextmanager
    def only(self, *slots: int) -> Iterator[None]:
        """These are the places that chance picks, in turn, for ever."""
        picks = iter(slots * 100)
        with (
            patch.object(issuing, "CANDIDATES", 1),
            patch.object(issuing.secrets, "randbelow", lambda _: next(picks)),
        ):
            yield

    def test_a_place_that_is_taken_is_passed_over(self, post: Api, handset: HeldHandset) -> None:
        with self.only(7):
            a_bearer(post)
        with self.only(7, 8):
            ask(handset)

        assert held(handset).slot == 8

    def test_it_is_free_again_when_no_reader_takes_its_pass_any_more(
        self, post: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        reassign(post, ends="12:00")
        with self.only(7):
            first = held(a_bearer(post))
        reassign(post, ends="20:00")
        clock.at = first.expires_at + timedelta(seconds=119)
        with self.only(7, 9):
            ask(handset)
        assert held(handset).slot == 9
        clock.advance(seconds=1)
        with self.only(7):
            assert held(a_bearer(post)).slot == 7

    def test_one_that_was_marked_is_free_two_days_later(
        self, post: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        """Until then a reader may have a list that says so of whoever had it before."""
        with self.only(7):
            first = a_bearer(post)
        over = held(first).expires_at + timedelta(seconds=120)
        suspend(post, first)
        clock.at = over
        reassign(post, ends="23:00")
        with self.only(7, 8):
            ask(handset)
        assert held(handset).slot == 8

    def test_if_there_seem_to_be_none_it_can_be_had_later(self, post: Api, handset: HeldHandset) -> None:
        with self.only(7):
            a_bearer(post)
            assert ask(handset).problem == "unavailable"

    def test_of_two_who_take_the_same_place_at_once_one_takes_another(self, post: Api, handset: HeldHandset) -> None:
        other = NewHandset(post).enrolled()
        with self.only(7, 7, 8), overtaken(by=lambda: ask(other)):
            assert ask(handset).status == 200

        assert {held(handset).slot, held(other).slot} == {7, 8}


class TestTwoAtOnce:
    @pytest.mark.parametrize("race", [overtaken, contended])
    def test_a_handset_that_asks_twice_at_once_has_one_pass(self, handset: HeldHandset, race: object) -> None:
        answers: list[object] = []
        with race(by=lambda: answers.append(ask(handset).body)):  # type: ignore[operator]
            answers.append(ask(handset).body)

        assert answers[0] == answers[1]
        assert said(handset) == ["issued"]

    def test_retired_while_it_is_given_there_is_none(self, post: Api, handset: HeldHandset) -> None:
        def gone() -> None:
            retire(post, handset.device)
            follow()

        with several_at_work(), overtaken(by=gone):
            assert ask(handset).problem == "device-blocked"
        assert holder(handset).held is None

    def test_put_on_another_duty_while_it_is_given_it_is_for_that_one(self, post: Api, handset: HeldHandset) -> None:
        with several_at_work(), overtaken(by=lambda: reassign(post, route="T13")):
            assert ask(handset).status == 200
        assert held(handset).route == "T13"

    def test_suspended_while_it_is_given_it_is_worthless(self, post: Api, handset: HeldHandset) -> None:
        with overtaken(by=lambda: suspend(post, handset)):
            answer = ask(handset)

        assert (answer.status, answer.problem) == (403, "pass-is-suspended")
        assert holder(handset).held is None
