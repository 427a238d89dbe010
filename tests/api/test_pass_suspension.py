"""What makes a handset's passes worthless before their time, and what makes them good again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from chalicelib.core import journal
from chalicelib.core.events import Event
from chalicelib.fleet.event_types import QUARANTINED, READMITTED, STATE_CHANGES
from chalicelib.passes.schemas import Status
from chalicelib.passes.workers import pass_events
from tests.support import rights
from tests.support.alerts import Desk, raised
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import start_cold
from tests.support.commands import a_wipe
from tests.support.events import deliver
from tests.support.factories import HeldHandset
from tests.support.fleet import HERE, OURS, THERE, NewHandset, events_of_device
from tests.support.losses import a_case, does
from tests.support.passes import (
    a_bearer,
    a_round,
    a_working_post,
    ask,
    follow,
    held,
    holder,
    marks,
    said,
    status,
    suspend,
)
from tests.support.races import overtaken

PINS = {"pin": "2468", "duress_pin": "1357"}


@pytest.fixture(autouse=True)
def paged(desk: Desk) -> Iterator[None]:
    """Who is paged for an alert is another matter."""
    yield
    desk.channels.taken.clear()


@pytest.fixture
def bearer(api: Api) -> HeldHandset:
    """A handset that has its pass, in a post with a desk for alerts."""
    return a_bearer(a_working_post(api))


@pytest.fixture
def pressed(desk: Desk, bearer: HeldHandset) -> str:
    """An SOS of the bearer, who can enter either PIN."""
    assert bearer.calls().put("/v1/alert-pins", PINS).status == 204
    alert = raised(bearer)
    desk.work()
    return alert


def enter(bearer: HeldHandset, alert: str, pin: str) -> None:
    assert bearer.calls().post(f"/v1/alerts/{alert}/cancellation", {"pin": PINS[pin]}).status == 200


def events_of(alert: str, what: str) -> list[Event]:
    return [event for event in journal.read(f"alert/{alert}") if event.type == f"facteo.alert.{what}"]


def lift(api: Api, handset: HeldHandset) -> object:
    return api.as_staff("dispatcher").request("DELETE", f"/v1/passes/{handset.device}/suspension")


class TestByStaff:
    @pytest.mark.parametrize("reason", ["robbery", "loss", "other"])
    def test_the_list_says_so_until_it_is_lifted(self, api: Api, bearer: HeldHandset, reason: str) -> None:
        answer = suspend(api, bearer, reason)
        assert answer.status == 200
        assert [one["reason"] for one in answer.body["suspensions"]] == [reason]
        follow()
        assert status(api, bearer) is Status.SUSPENDED

        lift(api, bearer)
        follow()

        assert status(api, bearer) is Status.VALID
        assert said(bearer) == ["issued", "lifted", "suspended"]

    def test_the_list_is_signed_by_a_process_that_has_just_begun(self, api: Api, bearer: HeldHandset) -> None:
        suspend(api, bearer)
        start_cold()
        follow()

        assert status(api, bearer) is Status.SUSPENDED

    def test_said_twice_it_is_one_suspension(self, api: Api, bearer: HeldHandset) -> None:
        suspend(api, bearer)
        again = suspend(api, bearer)

        assert len(again.body["suspensions"]) == 1
        assert said(bearer) == ["issued", "suspended"]

    def test_another_reason_takes_the_place_of_the_first(self, api: Api, bearer: HeldHandset) -> None:
        suspend(api, bearer, "other")

        assert [one["reason"] for one in suspend(api, bearer, "loss").body["suspensions"]] == ["loss"]

    def test_nothing_to_lift_changes_nothing(self, api: Api, bearer: HeldHandset) -> None:
        lift(api, bearer)

        assert said(bearer) == ["issued"]

    @pytest.mark.parametrize("reason", ["duress", "drill", "", None])
    def test_what_is_no_reason_of_staff_is_refused(self, api: Api, bearer: HeldHandset, reason: object) -> None:
        answer = api.as_staff("dispatcher").put(f"/v1/passes/{bearer.device}/suspension", {"reason": reason})

        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert holder(bearer).suspensions == {}

    def test_another_depot_s_handset_is_not_theirs(self, api: Api, bearer: HeldHandset) -> None:
        manager = api.as_staff("depot-manager", scope=f"depot/{THERE}")
        path = f"/v1/passes/{bearer.device}/suspension"

        assert manager.put(path, {"reason": "loss"}).problem == "access-denied"
        assert manager.request("DELETE", path).problem == "access-denied"
        assert manager.get(f"/v1/passes/{bearer.device}").problem == "access-denied"

    def test_a_handset_that_nobody_knows(self, api: Api, bearer: HeldHandset) -> None:
        nobody = "019ac9a0-0000-7000-8000-0000000000ff"

        assert api.as_staff("dispatcher").put(f"/v1/passes/{nobody}/suspension", {"reason": "loss"}).status == 404

    def test_lifted_while_somebody_else_suspends_it_stays_suspended(self, api: Api, bearer: HeldHandset) -> None:
        suspend(api, bearer)
        with overtaken(by=lambda: suspend(api, bearer, "loss")):
            lift(api, bearer)

        assert [one.reason for one in holder(bearer).suspensions.values()] == ["loss"]


class TestAsking:
    def test_who_has_a_pass_is_told_of_it_as_ever(self, api: Api, bearer: HeldHandset) -> None:
        before = ask(bearer).body
        suspend(api, bearer)

        assert ask(bearer).body == before

    def test_who_has_none_gets_none(self, api: Api, desk: Desk) -> None:
        handset = NewHandset(a_working_post(api)).enrolled()
        suspend(api, handset)

        answer = ask(handset)

        assert (answer.status, answer.problem) == (403, "pass-is-suspended")
        lift(api, handset)
        assert ask(handset).status == 200

    def test_another_round_gives_no_way_around(self, api: Api, bearer: HeldHandset) -> None:
        suspend(api, bearer)
        a_round(api, route="T13")

        assert ask(bearer).status == 403

    def test_under_duress_it_looks_like_an_outage(
        self, api: Api, bearer: HeldHandset, pressed: str, desk: Desk
    ) -> None:
        outage = ask_without_keys(api)
        a_round(api, route="T13")
        enter(bearer, pressed, "duress_pin")
        follow()

        answer = ask(bearer)

        assert (answer.status, answer.problem) == outage == (503, "unavailable")


def ask_without_keys(api: Api) -> tuple[int, str]:
    """What a handset is told while there are no keys."""
    from chalicelib.passes.tables import PassesRow  # noqa: PLC0415

    ring = PassesRow.get("ring")
    ring.delete()
    answer = ask(NewHandset(api).enrolled())
    ring.save()
    return answer.status, answer.problem


class TestByAnAlert:
    def test_duress_suspends_and_the_end_of_the_alert_lifts(
        self, api: Api, bearer: HeldHandset, pressed: str, desk: Desk
    ) -> None:
        enter(bearer, pressed, "duress_pin")
        follow()
        assert status(api, bearer) is Status.SUSPENDED

        desk.closes(pressed)
        follow()

        assert status(api, bearer) is Status.VALID
        assert said(bearer) == ["issued", "lifted", "suspended"]

    def test_a_plain_sos_suspends_nothing(self, bearer: HeldHandset, pressed: str) -> None:
        follow()

        assert (holder(bearer).suspensions, marks()) == ({}, {})

    def test_a_wish_to_cancel_suspends_nothing(self, bearer: HeldHandset, pressed: str) -> None:
        enter(bearer, pressed, "pin")
        follow()

        assert (holder(bearer).suspensions, marks()) == ({}, {})

    @pytest.mark.parametrize("purpose", ["exercise", "self-test"])
    def test_a_drill_suspends_nothing(self, bearer: HeldHandset, desk: Desk, purpose: str) -> None:
        raised(bearer, purpose=purpose)
        desk.work()
        follow()

        assert (holder(bearer).suspensions, marks()) == ({}, {})

    def test_duress_in_a_drill_is_no_drill(self, api: Api, bearer: HeldHandset, desk: Desk) -> None:
        assert bearer.calls().put("/v1/alert-pins", PINS).status == 204
        enter(bearer, raised(bearer, purpose="exercise"), "duress_pin")
        follow()

        assert status(api, bearer) is Status.SUSPENDED

    def test_duress_after_the_end_suspends_too(self, api: Api, bearer: HeldHandset, pressed: str, desk: Desk) -> None:
        desk.closes(pressed)
        enter(bearer, pressed, "duress_pin")
        desk.work()
        follow()

        assert status(api, bearer) is Status.SUSPENDED

    def test_a_press_under_duress_that_another_alert_goes_on_for_ends_with_that_one(
        self, api: Api, bearer: HeldHandset, pressed: str, desk: Desk
    ) -> None:
        enter(bearer, pressed, "duress_pin")
        follow()
        again = raised(bearer)
        follow()
        desk.work()
        follow()
        assert status(api, bearer) is Status.SUSPENDED

        desk.closes(again)
        follow()

        assert holder(bearer).suspensions == {}

    def test_staff_may_have_theirs_end_with_the_alert(
        self, api: Api, bearer: HeldHandset, pressed: str, desk: Desk
    ) -> None:
        assert suspend(api, bearer, alert=pressed).status == 200

        desk.closes(pressed)
        follow()

        assert holder(bearer).suspensions == {}

    def test_the_end_of_an_alert_does_not_lift_what_has_nothing_to_do_with_it(
        self, api: Api, bearer: HeldHandset, pressed: str, desk: Desk
    ) -> None:
        suspend(api, bearer, "loss")
        enter(bearer, pressed, "duress_pin")
        follow()
        desk.closes(pressed)
        follow()

        assert [one.reason for one in holder(bearer).suspensions.values()] == ["loss"]
        assert status(api, bearer) is Status.SUSPENDED

    def test_a_loss_is_not_replaced_by_what_ends_with_an_alert(
        self, api: Api, bearer: HeldHandset, pressed: str, desk: Desk
    ) -> None:
        suspend(api, bearer, "loss")
        suspend(api, bearer, "robbery", alert=pressed)
        desk.closes(pressed)
        follow()

        assert [one.reason for one in holder(bearer).suspensions.values()] == ["loss"]

    def test_an_alert_that_ends_while_it_suspends_lifts_all_the_same(
        self, api: Api, bearer: HeldHandset, pressed: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each of its events is brought once, and the one of its end overtakes the one of duress."""
        monkeypatch.setattr(rights, "checked", lambda *_: nullcontext())  # two functions at work in one block
        enter(bearer, pressed, "duress_pin")
        [duress] = events_of(pressed, "duress")

        def ends() -> None:
            desk.closes(pressed)
            assert deliver(pass_events, events_of(pressed, "closed")) == []

        with overtaken(by=ends):
            assert deliver(pass_events, [duress]) == []

        assert holder(bearer).suspensions == {}

    def test_one_of_a_press_ends_with_the_alert_that_goes_on_for_it(
        self, api: Api, bearer: HeldHandset, pressed: str, desk: Desk
    ) -> None:
        again = raised(bearer)
        desk.work()
        assert suspend(api, bearer, alert=again).status == 200
        desk.closes(pressed)
        follow()

        assert holder(bearer).suspensions == {}

    def test_an_alert_that_is_over_or_another_s_is_no_end_to_wait_for(
        self, api: Api, bearer: HeldHandset, pressed: str, desk: Desk
    ) -> None:
        other = a_bearer(api)
        assert suspend(api, other, alert=pressed).problem == "alert-of-another"
        desk.closes(pressed)
        assert suspend(api, bearer, alert=pressed).problem == "alert-of-another"

    def test_a_pass_that_comes_after_the_duress_cannot_be_had(
        self, api: Api, bearer: HeldHandset, pressed: str, clock: FakeClock
    ) -> None:
        enter(bearer, pressed, "duress_pin")
        follow()
        clock.at = held(bearer).expires_at
        a_round(api, ends="23:00")

        assert ask(bearer).status == 503


class TestShown:
    def test_staff_see_what_a_handset_holds_and_what_suspends_it(self, api: Api, bearer: HeldHandset) -> None:
        suspend(api, bearer, "loss")

        shown = api.as_staff("security-officer").get(f"/v1/passes/{bearer.device}").body

        assert (shown["held"]["carrier"], shown["held"]["depot"]) == (OURS, HERE)
        assert shown["suspensions"][0]["reason"] == "loss"
        assert "token" not in str(shown)

    def test_a_pass_that_is_over_is_none(self, api: Api, bearer: HeldHandset, clock: FakeClock) -> None:
        clock.at = held(bearer).expires_at
        clock.advance(seconds=120)

        assert api.as_staff("auditor").get(f"/v1/passes/{bearer.device}").body["held"] is None


class TestByALoss:
    def causes(self, handset: HeldHandset) -> set[str]:
        return set(holder(handset).suspensions)

    def test_a_lost_handset_s_pass_is_suspended_and_good_again_once_it_is_found(
        self, api: Api, bearer: HeldHandset
    ) -> None:
        lost = a_case(api, bearer)
        follow()
        assert status(api, bearer) is Status.SUSPENDED
        [suspension] = holder(bearer).suspensions.values()
        assert (suspension.reason, suspension.by) == ("loss", "system/passes")

        does(api, lost, "found")
        follow()

        assert status(api, bearer) is Status.VALID
        assert said(bearer) == ["issued", "lifted", "suspended"]

    def test_brought_again_late_or_in_another_order_nothing_changes(self, api: Api, bearer: HeldHandset) -> None:
        lost = a_case(api, bearer)
        does(api, lost, "found")
        told = [event for event in events_of_device(bearer.device) if event.type in STATE_CHANGES]
        for brought in (told[::-1], told, told[:1]):
            assert deliver(pass_events, brought) == []

        assert self.causes(bearer) == set()

    def test_found_while_it_is_suspended_it_is_lifted_all_the_same(
        self, api: Api, bearer: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rights, "checked", lambda *_: nullcontext())  # two functions at work in one block
        lost = a_case(api, bearer)
        [quarantined] = [event for event in events_of_device(bearer.device) if event.type == QUARANTINED]

        def is_found() -> None:
            does(api, lost, "found")
            readmitted = [event for event in events_of_device(bearer.device) if event.type == READMITTED]
            assert deliver(pass_events, readmitted) == []

        with overtaken(by=is_found):
            assert deliver(pass_events, [quarantined]) == []

        assert self.causes(bearer) == set()

    def test_what_staff_and_alerts_suspend_stays(self, api: Api, bearer: HeldHandset, pressed: str, desk: Desk) -> None:
        suspend(api, bearer, "loss")
        enter(bearer, pressed, "duress_pin")
        lost = a_case(api, bearer)
        follow()
        assert self.causes(bearer) == {"staff", "loss", f"alert/{pressed}"}

        does(api, lost, "found")
        follow()

        assert self.causes(bearer) == {"staff", f"alert/{pressed}"}

    def test_staff_lift_what_staff_suspended_and_no_loss(self, api: Api, bearer: HeldHandset) -> None:
        a_case(api, bearer)
        follow()
        lift(api, bearer)
        assert self.causes(bearer) == {"loss"}

    def test_a_new_enrolment_of_what_was_given_up_and_found_starts_clean(self, api: Api) -> None:
        newcomer = NewHandset(a_working_post(api))
        lost = a_case(api, newcomer.enrolled())
        does(api, lost, "closed", {"reason": "not-found"})
        does(api, lost, "found")
        again = NewHandset(api, serial=newcomer.serial).enrolled()
        follow()

        assert self.causes(again) == set()
        assert ask(again).status == 200

    def test_a_wipe_suspends_too(self, api: Api, bearer: HeldHandset) -> None:
        a_case(api, bearer)
        a_wipe(bearer)
        follow()
        assert self.causes(bearer) == {"loss"}
