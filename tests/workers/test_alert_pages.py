"""Pages: a row before the call, never twice, at once the next way or step where one may not have arrived, an end."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.alerts import channels
from chalicelib.alerts.messages import Message
from chalicelib.alerts.paging import Page, PageState
from chalicelib.alerts.policies import Channel, Way
from chalicelib.alerts.tables import LinesRow
from chalicelib.alerts.workers import alert_events, alert_pages
from chalicelib.core import aws as product_aws
from chalicelib.core import clock as clocks
from tests.support import stored
from tests.support.alerts import (
    ON_CALL,
    Desk,
    Outcome,
    a_contact,
    alert_of,
    events_of,
    raised,
    said,
)
from tests.support.api import Api
from tests.support.clock import MONDAY_MORNING
from tests.support.cloud import Cloud
from tests.support.events import deliver, invoke, stream_event
from tests.support.factories import HeldHandset, a_handset
from tests.support.races import overtaken

ROOM, ROOM_BY_MAIL, MANAGER = "sms:+33600000001", "email:room@laposte.test", "sms:+33600000002"
HOOK = "webhook:https://pager.test/v2/enqueue#R1"


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


def has_ways(desk: Desk, *ways: str, zone: str = "PARIS-SUD") -> None:
    """The room is reached at once by these ways, the first first; after 10 s, and then each minute, the manager."""
    desk.has_policy(
        zone,
        contacts=[a_contact("room", *ways), a_contact("manager", MANAGER)],
        steps=[{"after": 0, "contacts": ["room"]}, {"after": 10, "contacts": ["manager"]}],
    )


def rows(alert: str) -> list[LinesRow]:
    return list(LinesRow.query(f"alert/{alert}", LinesRow.sk.startswith("page/")))


def pages(alert: str) -> dict[str, str]:
    """What became of each page: `epoch.step contact channel`, and what it was for if it was not to call."""
    found = {}
    for row in rows(alert):
        page = row.holds(Page)
        purpose = "" if page.action == "trigger" else f" {page.action}"
        found[f"{page.epoch}.{page.step} {page.contact} {page.channel}{purpose}"] = row.state
    return found


def planned(handset: HeldHandset, **body: Any) -> str:
    """An alert whose first pages wait in their queue."""
    alert = raised(handset, **body)
    assert invoke(alert_events, stream_event(*events_of(alert))) == []
    assert stored.waiting("pages")
    return alert


class TestTheRow:
    def test_says_that_it_is_being_sent_before_anybody_is_called(
        self, desk: Desk, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at_call: list[dict[str, str]] = []

        def call(way: Way, message: Message) -> None:
            at_call.append(pages(message.alert))
            desk.channels.call(way, message)

        monkeypatch.setattr(channels, "CHANNELS", dict.fromkeys(Channel, call))
        has_ways(desk, ROOM)

        alert = planned(handset)
        assert pages(alert) == {"1.0 room sms": "planned"}
        desk.work()

        desk.sent(ROOM)
        assert at_call == [{"1.0 room sms": "sending"}]
        assert pages(alert) == {"1.0 room sms": "sent"}

    def test_is_one_for_each_contact_of_a_step(self, desk: Desk, handset: HeldHandset) -> None:
        desk.has_policy()
        alert = raised(handset)
        desk.wait(seconds=10)
        desk.sent(ROOM, ROOM, MANAGER)
        assert pages(alert) == {"1.0 room sms": "sent", "1.1 room sms": "sent", "1.1 manager sms": "sent"}

    def test_a_repeated_message_calls_nobody_again(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, ROOM)
        planned(handset)
        [message] = stored.waiting("pages")
        assert [deliver(alert_pages, [message]) for _ in range(2)] == [[], []]
        desk.work()
        desk.sent(ROOM)

    def test_of_two_who_have_the_message_at_once_one_calls(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, ROOM)
        alert = planned(handset)
        [message] = stored.waiting("pages")
        with overtaken(by=lambda: deliver(alert_pages, [message])):
            assert deliver(alert_pages, [message]) == []
        assert pages(alert) == {"1.0 room sms": "sent"}
        desk.sent(ROOM)

    def test_is_found_again_if_its_message_was_lost(self, desk: Desk, handset: HeldHandset) -> None:
        """Though a step is fired every ten seconds."""
        has_ways(desk, ROOM)
        desk.lost = {"pages"}
        alert = raised(handset)
        desk.work()
        desk.lost = set()
        for _ in range(2):
            desk.wait(seconds=10)
            desk.sweep()
        desk.sent(ROOM, MANAGER)
        assert set(pages(alert).values()) == {"sent"}

    def test_costs_three_reads_and_two_transactions(self, desk: Desk, aws: Cloud, handset: HeldHandset) -> None:
        planned(handset)
        messages = stored.waiting("pages")
        with aws.counting() as calls:
            assert deliver(alert_pages, messages) == []
        desk.sent(ON_CALL)
        assert calls == {"GetItem": 2, "TransactWriteItems": 2}, "the policy is held"


class TestWhatDidNotArrive:
    def test_what_is_refused_for_now_is_tried_again_under_the_same_row(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, ROOM)
        desk.channels.will(ROOM, Outcome.NOT_NOW, Outcome.NOT_NOW)
        alert = raised(handset)
        desk.work()
        desk.sent(ROOM)
        assert (desk.channels.called, pages(alert)) == ([ROOM] * 3, {"1.0 room sms": "sent"})

    @pytest.mark.parametrize(
        ("outcomes", "became", "taken"),
        [
            ([Outcome.REFUSES], PageState.FAILED, []),
            ([Outcome.NOT_NOW] * 3, PageState.FAILED, []),
            ([Outcome.UNKNOWN], PageState.UNKNOWN, []),
            ([Outcome.TAKES_AND_IS_CUT], PageState.UNKNOWN, [ROOM]),
            ([Outcome.NOT_NOW, Outcome.UNKNOWN], PageState.UNKNOWN, []),
        ],
    )
    def test_is_followed_by_the_next_way_at_once_and_never_sent_again(
        self, desk: Desk, handset: HeldHandset, outcomes: list[Outcome], became: str, taken: list[str]
    ) -> None:
        has_ways(desk, ROOM, ROOM_BY_MAIL)
        desk.channels.will(ROOM, *outcomes)
        alert = raised(handset)
        desk.work()

        assert {page.at for page in desk.sent(*taken, ROOM_BY_MAIL)} == {MONDAY_MORNING}
        assert pages(alert) == {"1.0 room sms": became, "1.0 room email": "sent"}
        desk.wait(seconds=9)
        desk.sweep()
        assert desk.channels.called == [ROOM] * len(outcomes) + [ROOM_BY_MAIL]
        desk.sent()

    def test_by_the_last_way_lets_the_next_step_come_at_once(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, ROOM, ROOM_BY_MAIL)
        desk.channels.will(ROOM, Outcome.REFUSES)
        desk.channels.will(ROOM_BY_MAIL, Outcome.UNKNOWN)
        alert = raised(handset)
        desk.work()

        [page] = desk.sent(MANAGER)
        assert page.at == MONDAY_MORNING
        assert (alert_of(alert).step, said(alert).count("notified")) == (2, 2)
        desk.wait(seconds=59)
        desk.sent()
        desk.wait(seconds=1)
        desk.sent(MANAGER)

    def test_past_steps_that_reach_nobody(self, desk: Desk, handset: HeldHandset) -> None:
        desk.has_policy(
            steps=[
                {"after": 0, "contacts": ["room"]},
                {"after": 30, "contacts": []},
                {"after": 90, "contacts": ["manager"]},
            ]
        )
        desk.channels.will(ROOM, Outcome.REFUSES)
        raised(handset)
        desk.work()
        [page] = desk.sent(MANAGER)
        assert page.at == MONDAY_MORNING

    def test_by_one_of_two_repeats_the_last_step_no_faster(self, desk: Desk, handset: HeldHandset) -> None:
        desk.has_policy(steps=[{"after": 0, "contacts": ["room", "manager"]}])
        desk.channels.will(MANAGER, *[Outcome.REFUSES] * 3)
        raised(handset)
        desk.wait(seconds=125)
        assert [page.at.second for page in desk.sent(ROOM, ROOM, ROOM)] == [MONDAY_MORNING.second] * 3

    def test_is_not_tried_again_once_somebody_has_taken_the_alert(
        self, desk: Desk, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        has_ways(desk, ROOM)
        desk.channels.will(ROOM, Outcome.NOT_NOW)
        alert = planned(handset)
        monkeypatch.setattr(clocks, "pause", lambda _: desk.takes(alert))
        desk.work()
        assert (desk.channels.called, pages(alert)) == ([ROOM], {"1.0 room sms": "failed"})
        desk.sent()

    def test_while_nothing_works_it_goes_on_every_ten_seconds(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, ROOM)
        desk.channels.will("sms", *[Outcome.REFUSES] * 5)
        raised(handset)
        desk.work()
        assert desk.channels.called == [ROOM, MANAGER]
        desk.wait(seconds=30)
        assert desk.channels.called == [ROOM] + [MANAGER] * 4
        desk.wait(seconds=9)
        desk.sent()
        desk.wait(seconds=1)
        desk.sent(MANAGER)

    def test_whoever_ended_in_the_middle_may_have_sent_it(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, ROOM, ROOM_BY_MAIL)
        desk.channels.will(ROOM, Outcome.HANGS)
        alert = raised(handset)
        desk.work()
        assert pages(alert)["1.0 room sms"] == "sending"
        for _ in range(2):
            desk.wait(seconds=10)
            desk.sweep()

        [by_mail] = [page for page in desk.sent(ROOM_BY_MAIL, MANAGER) if page.told == ROOM_BY_MAIL]
        assert by_mail.at <= MONDAY_MORNING + timedelta(seconds=45)
        assert (pages(alert)["1.0 room sms"], desk.channels.called.count(ROOM)) == ("unknown", 1)

    def test_a_contact_who_left_the_policy_lets_the_next_step_come_at_once(
        self, desk: Desk, handset: HeldHandset
    ) -> None:
        has_ways(desk, ROOM)
        alert = planned(handset)
        desk.has_policy(contacts=[a_contact("manager", MANAGER)], steps=[{"after": 0, "contacts": ["manager"]}])
        desk.wait(seconds=10)
        desk.sent(MANAGER)
        assert pages(alert) == {"1.0 room sms": "failed", "1.1 manager sms": "sent"}

    def test_a_step_that_has_nobody_is_no_end(self, desk: Desk, handset: HeldHandset) -> None:
        """Colleagues are called by push, and nobody else of the depot has registered."""
        desk.has_policy(contacts=[], steps=[{"after": 0, "contacts": ["colleagues"]}])
        raised(handset)
        desk.wait(seconds=120)
        assert desk.channels.called, "escalation fell silent"
        desk.channels.taken.clear()

    def test_however_many_are_to_be_called_somebody_is(self, desk: Desk, handset: HeldHandset) -> None:
        names = [f"c{number}" for number in range(60)]
        contacts = [a_contact(name, f"sms:+336{number:08}") for number, name in enumerate(names)]
        steps = [{"after": 10 * step, "contacts": names[20 * step : 20 * step + 20]} for step in range(3)]
        desk.has_policy(contacts=contacts, steps=steps)
        alert = raised(handset)
        desk.clock.advance(seconds=25)
        desk.work()
        assert len({page.told for page in desk.channels.taken}) == 60
        assert alert_of(alert).step == 3
        desk.channels.taken.clear()


class TestTheEnd:
    def test_whoever_takes_it_stops_what_is_queued(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, ROOM)
        alert = planned(handset)
        desk.takes(alert)
        desk.wait(seconds=60)
        assert (desk.channels.called, pages(alert)) == ([], {"1.0 room sms": "withdrawn"})
        desk.closes(alert)

    def test_whoever_takes_it_in_the_middle_stops_the_next_way(
        self, desk: Desk, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def call(way: Way, message: Message) -> None:
            desk.takes(message.alert)
            desk.channels.call(way, message)

        monkeypatch.setattr(channels, "CHANNELS", dict.fromkeys(Channel, call))
        has_ways(desk, ROOM, ROOM_BY_MAIL)
        desk.channels.will(ROOM, Outcome.UNKNOWN)
        alert = raised(handset)
        desk.wait(seconds=60)
        assert desk.channels.called == [ROOM]
        assert pages(alert) == {"1.0 room sms": "unknown", "1.0 room email": "withdrawn"}

    def test_a_new_press_withdraws_what_is_queued_and_pages_once(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, ROOM)
        alert = planned(handset)
        press = raised(handset)
        assert invoke(alert_events, stream_event(*events_of(press))) == []
        desk.work()
        desk.sent(ROOM)
        assert pages(alert) == {"1.0 room sms": "withdrawn", "2.0 room sms": "sent"}

    def test_no_page_leaves_after_the_end(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, ROOM, HOOK)
        alert = planned(handset)
        desk.closes(alert)
        desk.wait(seconds=300)
        desk.sweep()
        assert (desk.channels.called, pages(alert)) == ([], {"1.0 room sms": "withdrawn"})


class TestWebhooks:
    def actions(self, desk: Desk) -> list[tuple[str, str]]:
        """What webhooks took since this was asked last: what for, and by which key repeats are told."""
        taken, desk.channels.taken = desk.channels.taken, []
        return [(page.message.action.value, page.message.dedup_key) for page in taken if page.told == HOOK]

    def test_are_told_once_that_it_was_taken_and_that_it_is_over(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, HOOK)
        alert = raised(handset)
        desk.work()
        assert self.actions(desk) == [("trigger", alert)]
        desk.takes(alert)
        desk.work()
        assert self.actions(desk) == [("acknowledge", alert)]
        assert desk.operator.post(f"/v1/alerts/{alert}/response").status == 200
        desk.work()
        desk.closes(alert)
        desk.wait(seconds=60)
        assert self.actions(desk) == [("resolve", alert)]
        assert set(pages(alert).values()) == {"sent"}

    def test_are_called_again_by_the_same_key_until_they_answer(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, HOOK)
        desk.channels.will(HOOK, Outcome.UNKNOWN, Outcome.HANGS, Outcome.TAKES_AND_IS_CUT)
        alert = raised(handset)
        for _ in range(10):
            desk.wait(seconds=10)
            desk.sweep()
        assert self.actions(desk) == [("trigger", alert)] * 2
        assert (desk.channels.called.count(HOOK), pages(alert)["1.0 room webhook"]) == (4, "sent")

    def test_are_not_called_again_for_what_somebody_took_meanwhile(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, HOOK)
        desk.channels.will(HOOK, Outcome.UNKNOWN)
        alert = raised(handset)
        desk.work()
        desk.takes(alert)
        desk.wait(seconds=60)
        assert self.actions(desk) == [("acknowledge", alert)]

    def test_that_do_not_answer_are_told_the_end_later(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, HOOK)
        alert = raised(handset)
        desk.work()
        desk.channels.will(HOOK, Outcome.UNKNOWN, Outcome.UNKNOWN)
        desk.closes(alert)
        for _ in range(4):
            desk.wait(seconds=10)
            desk.sweep()
        assert self.actions(desk) == [("trigger", alert), ("resolve", alert)]

    def test_that_were_the_second_way_are_told_too(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, ROOM, HOOK)
        desk.channels.will(ROOM, Outcome.REFUSES)
        alert = raised(handset)
        desk.work()
        assert self.actions(desk) == [("trigger", alert)]
        desk.takes(alert)
        desk.work()
        desk.closes(alert)
        assert self.actions(desk) == [("acknowledge", alert), ("resolve", alert)]

    def test_of_a_zone_that_handed_it_over_are_told_the_end(self, desk: Desk, handset: HeldHandset) -> None:
        has_ways(desk, HOOK)
        alert = raised(handset)
        desk.work()
        assert self.actions(desk) == [("trigger", alert)]
        assert desk.operator.post(f"/v1/alerts/{alert}/zone", {"zone": "NATIONAL"}).status == 200
        desk.work()
        desk.closes(alert)
        assert self.actions(desk) == [("resolve", alert)]


class TestForReal:
    """The channels themselves, and the rights that they need."""

    @pytest.fixture(autouse=True)
    def channels_of_aws(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        real = {
            Channel.SMS: channels._sms,
            Channel.EMAIL: channels._email,
            Channel.WEBHOOK: channels._webhook,
            Channel.PUSH: channels._push,
            Channel.TOPIC: channels._topic,
        }
        monkeypatch.setattr(channels, "CHANNELS", real)

    def test_everybody_of_a_policy_is_called(self, desk: Desk, api: Api, handset: HeldHandset) -> None:
        desk.has_policy(
            contacts=[a_contact("room", ROOM), a_contact("mailbox", ROOM_BY_MAIL)],
            steps=[{"after": 0, "contacts": ["room", "mailbox", "on-call", "colleagues"]}],
        )
        colleague = a_handset(api, carrier="C2")
        for one in (handset, colleague):
            assert one.calls().put("/v1/alert-push", {"token": f"token-of-{one.device}"}).status == 204

        alert = raised(handset)
        desk.work()

        assert pages(alert) == {
            "1.0 room sms": "sent",
            "1.0 mailbox email": "sent",
            "1.0 on-call topic": "sent",
            f"1.0 colleagues-{colleague.device} push": "sent",
        }

    def test_a_webhook_that_nobody_answers_is_refused_and_the_next_way_is_taken(
        self, desk: Desk, handset: HeldHandset
    ) -> None:
        has_ways(desk, "webhook:http://127.0.0.1:9/", ROOM)
        alert = raised(handset)
        desk.work()
        assert pages(alert) == {"1.0 room webhook": "failed", "1.0 room sms": "sent"}
        assert product_aws.client("sns") is not None
        assert json.loads(rows(alert)[0].content)["contact"] == "room"
