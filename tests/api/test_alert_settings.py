"""What is set up for alerts: whom they reach and when, pushes to colleagues, the numbers that texts come from."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.core import ids, keyring
from tests.support.alerts import ON_CALL, ZONE, Desk, Outcome, a_contact, a_policy, alert_of, raised
from tests.support.api import Answered, Api
from tests.support.clock import FakeClock
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import everything_stored

ROOM, MANAGER, NATION = "sms:+33600000001", "sms:+33600000002", "email:national@facteo.test"


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


def register_push(handset: HeldHandset, token: str) -> Answered:
    return handset.calls().put("/v1/alert-push", {"token": token})


def register_number(api: Api, device: str, number: str, **who: Any) -> Answered:
    return api.as_staff("fleet-admin", **who).put(f"/v1/alert-numbers/{device}", {"number": number})


class TestPolicies:
    def test_a_zones_alerts_go_by_its_own_and_are_read_as_they_were_saved(
        self, desk: Desk, handset: HeldHandset
    ) -> None:
        desk.has_policy()
        raised(handset)
        desk.wait(seconds=20)

        pages = desk.sent(ROOM, ROOM, MANAGER, MANAGER)
        assert [page.told for page in pages[:1]] == [ROOM]
        read = desk.api.as_staff("ops").get(f"/v1/alert-policies/{ZONE}").body
        assert [contact["id"] for contact in read["contacts"]] == ["room", "manager"]
        assert read["steps"] == a_policy()["steps"]
        assert read["timers"]["lease"] == 120

    def test_a_zone_without_one_has_the_national_one(self, desk: Desk, handset: HeldHandset) -> None:
        assert desk.api.as_staff("ops").get(f"/v1/alert-policies/{ZONE}").status == 404
        steps = [{"after": 0, "contacts": ["nation", "on-call"]}]
        desk.has_policy("NATIONAL", contacts=[a_contact("nation", NATION)], steps=steps)

        raised(handset)
        desk.work()

        desk.sent(NATION, ON_CALL)

    def test_an_alert_from_nowhere_is_the_nations(self, desk: Desk, api: Api) -> None:
        alert = raised(a_handset(api, depot="99999Z"))
        desk.work()

        desk.sent(ON_CALL)
        assert alert_of(alert).zone == "NATIONAL"
        assert [line["alert"] for line in desk.feed("NATIONAL")] == [alert] * 3
        assert desk.operator.get("/v1/alert-zones/NATIONAL/alerts").body["alerts"][0]["id"] == alert

    def test_a_new_one_holds_for_the_next_step_of_an_open_alert(self, desk: Desk, handset: HeldHandset) -> None:
        desk.has_policy()
        raised(handset)
        desk.work()
        desk.sent(ROOM)

        desk.has_policy(contacts=[a_contact("room", "sms:+33600000009"), a_contact("manager", NATION)])
        desk.wait(seconds=10)

        desk.sent("sms:+33600000009", NATION)

    def test_the_times_are_those_that_the_alert_began_with(self, desk: Desk, handset: HeldHandset) -> None:
        desk.has_policy(timers={"lease": 30, "repeat": 10})
        alert = raised(handset)
        desk.work()
        desk.has_policy(timers={"lease": 600})
        desk.takes(alert)
        desk.sent(ROOM)

        desk.wait(seconds=30)

        desk.sent(ROOM)
        assert alert_of(alert).epoch == 2

    def test_one_that_would_not_reach_anybody_is_refused(self, desk: Desk) -> None:
        wrong: list[dict[str, Any]] = [
            {"steps": []},
            {"steps": [{"after": 5, "contacts": ["room"]}]},
            {"steps": [{"after": 0, "contacts": ["nobody"]}]},
            {"contacts": [a_contact("room", "sms:0600000001")], "steps": [{"after": 0, "contacts": ["room"]}]},
            {"contacts": [a_contact("room", "webhook:http://169.254.169.254/latest")]},
            {"timers": {"lease": 5}},
        ]
        before = everything_stored()
        for changes in wrong:
            answer = desk.api.as_staff("ops").put(f"/v1/alert-policies/{ZONE}", a_policy(**changes))
            assert answer.status == 400, changes
            assert answer.problem in {"policy-invalid", "request-invalid"}
            assert "0600000001" not in answer.text
        assert everything_stored() == before

    def test_no_number_and_no_secret_is_stored_in_clear(self, desk: Desk) -> None:
        webhook = a_contact("pager", "webhook:https://pager.test/v2", secret="s3cr3t-of-the-pager")
        desk.has_policy(
            contacts=[a_contact("room", ROOM), webhook], steps=[{"after": 0, "contacts": ["pager", "room"]}]
        )

        stored = everything_stored()
        assert not [secret for secret in ("+33600000001", "pager.test", "s3cr3t") if secret in stored]


class TestPush:
    def test_colleagues_nearby_are_called_and_never_whoever_calls_for_help(
        self, desk: Desk, api: Api, handset: HeldHandset
    ) -> None:
        near, far = a_handset(api, carrier="C1002"), a_handset(api, carrier="C1003", depot="75018A")
        for number, each in enumerate((handset, near, far)):
            assert register_push(each, f"fcm-token-of-handset-{number}").status == 204
        desk.has_policy(steps=[{"after": 0, "contacts": ["colleagues", "room"]}])

        raised(handset)
        desk.work()

        called = sorted(page.told for page in desk.channels.taken)
        push, room = desk.sent(*called)
        push, room = (push, room) if push.told.startswith("push:") else (room, push)
        assert room.told == ROOM
        assert push.told.startswith("push:arn:aws:sns:eu-west-3:123456789012:endpoint/GCM/facteo-test/")
        assert "collègue" in push.message.colleague

    @pytest.mark.parametrize("fired_by", ["a timer", "the sweeper", "a page that failed"])
    def test_whoever_fires_the_step_calls_those_who_are_still_there(
        self, desk: Desk, api: Api, handset: HeldHandset, fired_by: str
    ) -> None:
        near, moved = a_handset(api, carrier="C1002"), a_handset(api, carrier="C1003")
        for number, each in enumerate((near, moved)):
            assert register_push(each, f"fcm-token-of-handset-{number}").status == 204
        a_handset(api, moved.device, generation=2, depot="75018A")
        desk.has_policy(steps=[{"after": 0, "contacts": ["room"]}, {"after": 10, "contacts": ["colleagues"]}])
        if fired_by == "a page that failed":
            desk.channels.will(ROOM, Outcome.REFUSES)
        if fired_by == "the sweeper":
            desk.lost = {"alert-timers"}

        raised(handset)
        desk.wait(seconds=15)
        desk.sweep()

        [push] = [page.told for page in desk.channels.taken if page.told.startswith("push:")]
        desk.sent(push, *([] if fired_by == "a page that failed" else [ROOM]))

    def test_it_is_for_two_months(self, desk: Desk, api: Api, handset: HeldHandset, clock: FakeClock) -> None:
        near = a_handset(api, carrier="C1002")
        assert register_push(near, "fcm-token-of-handset-1").status == 204
        desk.has_policy(steps=[{"after": 0, "contacts": ["colleagues", "room"]}])
        clock.advance(days=61)

        raised(handset)
        desk.work()

        desk.sent(ROOM)

    def test_a_token_that_is_none_is_refused(self, desk: Desk, api: Api, handset: HeldHandset) -> None:
        assert register_push(handset, "short").status == 400
        assert register_push(a_handset(api, state="quarantined"), "fcm-token-of-handset-1").status == 403


class TestNumbers:
    def test_it_is_registered_for_a_handset_and_kept_as_a_fingerprint(self, desk: Desk, handset: HeldHandset) -> None:
        answer = register_number(desk.api, handset.device, "+33698765432")

        assert answer.status == 200
        assert answer.body == {
            "device": handset.device,
            "carrier": "C1001",
            "depot": "75015A",
            "generation": 1,
        }
        before = everything_stored()
        assert "+33698765432" not in before
        assert register_number(desk.api, handset.device, "+33698765432").body == answer.body
        assert everything_stored() == before

    def test_not_for_what_is_none_or_not_theirs(self, desk: Desk, handset: HeldHandset) -> None:
        keyring.forget()
        answers = [
            register_number(desk.api, ids.new(), "+33698765432"),
            register_number(desk.api, handset.device, "0698765432"),
            register_number(desk.api, handset.device, "+33698765432", scope="depot/75018A"),
        ]
        assert [answer.status for answer in answers] == [404, 400, 403]
