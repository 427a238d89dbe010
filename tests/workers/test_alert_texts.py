"""Texts that come in by SMS: from a handset without data they raise an alert, or belong to one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.alerts import aml
from chalicelib.alerts.ladder import SAME_WITHIN
from chalicelib.alerts.schemas import Fix, Flag, Method, State
from chalicelib.alerts.workers import alert_texts
from chalicelib.core import clock as clocks
from chalicelib.core import ids
from tests.support.alerts import ON_CALL, Desk, alert_of, an_alert_body, events_of, kms_away, raised, said
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.events import invoke, sqs_event
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import everything_stored

NUMBER, STRANGER = "+33612345678", "+33600112233"
HELP = "au secours, impasse Dissimulée"


@pytest.fixture
def handset(desk: Desk, api: Api) -> HeldHandset:
    """A handset whose number is registered."""
    return with_number(api, NUMBER)


def with_number(api: Api, number: str, **changes: str) -> HeldHandset:
    held = a_handset(api, **changes)
    answer = api.as_staff("fleet-admin").put(f"/v1/alert-numbers/{held.device}", {"number": number})
    assert answer.status == 200, answer.text
    return held


def a_text(alert: str = "", latitude: float = 48.84321) -> str:
    """What a handset sends: AML with its press's id, or AML as Android sends it, which knows of none."""
    fix = Fix(latitude=latitude, longitude=2.3056, fixed_at=clocks.now(), radius=20, method=Method.GNSS)
    text = aml.text_of(alert or ids.new(), fix)
    if alert:
        return text
    bare = text[: text.index(";fu=")]
    return f"{bare};ml={len(bare) + len(';ml=99')}"


def alerts(desk: Desk) -> list[str]:
    """The ids of the open alerts of the zone."""
    found = desk.operator.get("/v1/alert-zones/PARIS-SUD/alerts").body["alerts"]
    return [each["id"] for each in found]


def latitude_of(desk: Desk, alert: str) -> float:
    latitude: float = desk.operator.get(f"/v1/alerts/{alert}").body["fix"]["latitude"]
    return latitude


class TestWithTheIdOfThePress:
    def test_it_raises_that_alert(self, desk: Desk, handset: HeldHandset) -> None:
        press = ids.new()
        assert desk.text(NUMBER, a_text(press)) == []

        [page] = desk.sent(ON_CALL)
        assert page.message.alert == press
        kept = alert_of(press)
        assert (kept.device, kept.carrier, kept.depot, kept.flags) == (handset.device, "C1001", "75015A", frozenset())
        assert latitude_of(desk, press) == 48.84321

    def test_the_press_that_comes_later_is_the_same_and_tells_more(self, desk: Desk, handset: HeldHandset) -> None:
        press = ids.new()
        desk.text(NUMBER, a_text(press))
        desk.sent(ON_CALL)

        body = an_alert_body(
            battery=9, trigger="fall", last_place={"text": "12 rue Lecourbe", "at": clocks.now().isoformat()}
        )
        answers = [handset.calls().put(f"/v1/alerts/{press}", body) for _ in range(2)]

        assert [(answer.status, answer.body["status"]) for answer in answers] == [(200, "raised")] * 2
        told = desk.operator.get(f"/v1/alerts/{press}").body
        assert (told["alert"]["battery"], told["alert"]["trigger"], told["alert"]["silent"]) == (9, "fall", False)
        assert (told["fix"]["latitude"], told["last_place"]["text"]) == (48.8432, "12 rue Lecourbe")
        assert (told["alert"]["flags"], told["alert"]["epoch"]) == (["low-battery"], 1)
        assert said(press).count("completed") == 1
        desk.work()

    def test_a_press_without_a_position_keeps_the_one_of_its_text(self, desk: Desk, handset: HeldHandset) -> None:
        press = ids.new()
        desk.text(NUMBER, a_text(press))
        desk.sent(ON_CALL)
        body = an_alert_body(fix=None, last_place={"text": "12 rue Lecourbe", "at": clocks.now().isoformat()})
        assert handset.calls().put(f"/v1/alerts/{press}", body).status == 200
        told = desk.operator.get(f"/v1/alerts/{press}").body
        assert (told["fix"]["latitude"], told["last_place"]["text"]) == (48.84321, "12 rue Lecourbe")
        desk.work()

    def test_the_press_is_answered_even_if_its_position_cannot_be_sealed(
        self, desk: Desk, handset: HeldHandset
    ) -> None:
        press = ids.new()
        desk.text(NUMBER, a_text(press))
        desk.sent(ON_CALL)
        with kms_away():
            assert handset.calls().put(f"/v1/alerts/{press}", an_alert_body(battery=80)).status == 200
        assert (latitude_of(desk, press), alert_of(press).battery) == (48.84321, 80)
        desk.work()

    def test_of_a_press_that_came_first_it_brings_the_position(self, desk: Desk, handset: HeldHandset) -> None:
        press = raised(handset, fix=None)
        desk.work()
        desk.sent(ON_CALL)

        desk.text(NUMBER, a_text(press, latitude=48.5))

        assert said(press)[-1] == "located"
        assert alerts(desk) == [press]
        assert latitude_of(desk, press) == 48.5

    def test_one_that_was_long_on_its_way_is_late(self, desk: Desk, handset: HeldHandset, clock: FakeClock) -> None:
        text = a_text(press := ids.new())
        clock.advance(minutes=5)

        desk.text(NUMBER, text)

        desk.sent(ON_CALL)
        assert alert_of(press).flags == {Flag.LATE}

    def test_of_an_alert_that_is_over_it_changes_nothing(self, desk: Desk, handset: HeldHandset) -> None:
        """It was sent before the end. A new press has an id of its own."""
        press = raised(handset)
        desk.work()
        desk.sent(ON_CALL)
        desk.closes(press)
        before = everything_stored()

        assert desk.text(NUMBER, a_text(press)) == []

        assert everything_stored() == before

    def test_with_the_id_of_another_handsets_alert_it_is_a_new_one(
        self, desk: Desk, api: Api, handset: HeldHandset
    ) -> None:
        theirs = raised(a_handset(api, carrier="C1002"))
        desk.work()
        desk.sent(ON_CALL)
        before = alert_of(theirs)

        desk.text(NUMBER, a_text(theirs))

        [page] = desk.sent(ON_CALL)
        assert page.message.alert != theirs
        assert alert_of(page.message.alert).device == handset.device
        assert alert_of(theirs) == before

    def test_of_a_press_that_was_joined_it_is_the_alerts(self, desk: Desk, handset: HeldHandset) -> None:
        first = raised(handset, fix=None)
        desk.work()
        second = raised(handset, fix=None)
        desk.work()
        desk.sent(ON_CALL, ON_CALL)

        desk.text(NUMBER, a_text(second, latitude=48.5))

        assert latitude_of(desk, first) == 48.5


class TestWithoutAnId:
    def test_it_raises_an_alert(self, desk: Desk, handset: HeldHandset) -> None:
        desk.text(NUMBER, a_text())

        [page] = desk.sent(ON_CALL)
        assert alerts(desk) == [page.message.alert]
        assert alert_of(page.message.alert).device == handset.device
        assert latitude_of(desk, page.message.alert) == 48.84321

    def test_it_belongs_to_the_numbers_open_alert_of_the_last_ten_minutes(
        self, desk: Desk, handset: HeldHandset, clock: FakeClock
    ) -> None:
        alert = raised(handset, fix=None)
        desk.work()
        desk.takes(alert)
        desk.sent(ON_CALL)
        clock.advance(seconds=100)
        desk.text(NUMBER, a_text(latitude=48.5))
        assert latitude_of(desk, alert) == 48.5
        desk.operator.post(f"/v1/alerts/{alert}/response")

        clock.at = alert_of(alert).received_at + SAME_WITHIN + timedelta(seconds=1)
        desk.text(NUMBER, a_text(latitude=48.6))

        assert desk.channels.taken, "it is a press of its own: the ladder begins anew"
        desk.channels.taken.clear()
        assert alerts(desk) == [alert]
        assert "pressed-again" in said(alert)

    def test_of_a_press_that_comes_later_it_is_the_text_too(self, desk: Desk, handset: HeldHandset) -> None:
        desk.text(NUMBER, a_text())
        [page] = desk.sent(ON_CALL)

        press = raised(handset)
        desk.work()

        desk.sent()
        text = alert_of(page.message.alert)
        assert (alert_of(press).joined_to, text.epoch, text.battery) == (text.id, 1, 80)
        again = raised(handset)
        desk.work()
        desk.sent(ON_CALL)
        assert (alert_of(again).joined_to, alert_of(text.id).epoch) == (text.id, 2)

    def test_of_a_press_that_is_still_being_placed_it_is_the_text_too(self, desk: Desk, handset: HeldHandset) -> None:
        press = raised(handset)
        desk.text(NUMBER, a_text())
        desk.sent(ON_CALL)
        [alert] = alerts(desk)
        assert alert_of(alert).epoch == 1
        assert {alert, alert_of(press).joined_to} - {""} == {alert}

    def test_that_came_long_before_a_press_begins_the_ladder_anew(
        self, desk: Desk, handset: HeldHandset, clock: FakeClock
    ) -> None:
        desk.text(NUMBER, a_text())
        [page] = desk.sent(ON_CALL)
        clock.at += SAME_WITHIN + timedelta(seconds=1)
        raised(handset)
        desk.work()
        assert alert_of(page.message.alert).epoch == 2
        desk.channels.taken.clear()

    def test_after_the_end_it_is_a_new_alert_however_soon(self, desk: Desk, handset: HeldHandset) -> None:
        first = raised(handset)
        desk.work()
        desk.sent(ON_CALL)
        desk.closes(first, "false-alarm")

        desk.text(NUMBER, a_text())

        [page] = desk.sent(ON_CALL)
        assert page.message.alert != first
        assert alert_of(page.message.alert).follows == first

    def test_no_drill_takes_it(self, desk: Desk, handset: HeldHandset) -> None:
        drill = raised(handset, purpose="exercise")
        desk.work()
        desk.sent(ON_CALL)

        desk.text(NUMBER, a_text())

        [page] = desk.sent(ON_CALL)
        assert (page.message.alert != drill, page.message.purpose) == (True, "actual")


class TestWhatever:
    def test_anything_from_a_known_number_is_an_alert(self, desk: Desk, api: Api) -> None:
        says = (HELP, "", 'A"ML=', 'A"ML=2;xx=1', a_text(ids.new())[:60], "0" * 1600, "🆘")
        for number, text in enumerate(says):
            told = f"+3360000010{number}"
            with_number(api, told, carrier=f"C20{number:02}")
            assert desk.text(told, text) == []
            [page] = desk.sent(ON_CALL)
            assert alert_of(page.message.alert).flags == {Flag.INCOMPLETE}, text
            assert alert_of(page.message.alert).carrier == f"C20{number:02}"

    def test_what_it_says_is_not_stored_in_clear(self, desk: Desk, handset: HeldHandset) -> None:
        desk.text(NUMBER, HELP)
        desk.text(NUMBER, a_text(latitude=48.98765))
        desk.sent(ON_CALL)

        stored = everything_stored()
        assert not [secret for secret in ("Dissimul", "48.98765", NUMBER) if secret in stored]

    def test_with_or_without_the_envelope_of_sns(self, desk: Desk, handset: HeldHandset) -> None:
        assert desk.text(NUMBER, HELP, raw=True) == []
        desk.sent(ON_CALL)

    def test_the_same_message_twice_is_one_alert_paged_once(
        self, desk: Desk, handset: HeldHandset, clock: FakeClock
    ) -> None:
        for text in (HELP, a_text(ids.new())):
            desk.text(NUMBER, text, inbound=f"of-{len(text)}")
            desk.channels.taken.clear()
            [*before] = alerts(desk)
            number = alert_of(before[0]).epoch
            clock.advance(seconds=3)

            desk.text(NUMBER, text, inbound=f"of-{len(text)}")

            desk.sent()
            assert (alerts(desk), alert_of(before[0]).epoch) == (before, number)


class TestFromNobody:
    def test_a_strangers_text_is_counted_and_leaves_nothing(
        self, desk: Desk, handset: HeldHandset, capsys: pytest.CaptureFixture[str]
    ) -> None:
        desk.text(NUMBER, HELP)
        desk.sent(ON_CALL)
        before = everything_stored()
        capsys.readouterr()

        assert desk.text(STRANGER, a_text(ids.new())) == []

        assert everything_stored() == before
        assert "TextsFromStrangers" in capsys.readouterr().out

    def test_a_retired_handsets_number_is_a_strangers(self, desk: Desk, api: Api, handset: HeldHandset) -> None:
        handset.row.update(actions=[type(handset.row).state.set("retired")])
        before = everything_stored()

        assert desk.text(NUMBER, HELP) == []

        assert everything_stored() == before

    def test_what_is_no_text_is_delivered_again_and_then_laid_aside(self, desk: Desk) -> None:
        assert invoke(alert_texts, sqs_event("{}")) == ["m-1"]
        assert invoke(alert_texts, sqs_event("no JSON")) == ["m-1"]


class TestKeys:
    def test_while_no_number_can_be_told_it_is_delivered_again(self, desk: Desk, handset: HeldHandset) -> None:
        text = a_text(press := ids.new())
        with kms_away():
            assert desk.text(NUMBER, text, inbound="1") == ["m-1"]
        desk.sent()

        assert desk.text(NUMBER, text, inbound="1") == []

        [page] = desk.sent(ON_CALL)
        assert page.message.alert == press

    def test_a_process_that_has_its_keys_needs_no_kms(self, desk: Desk, handset: HeldHandset) -> None:
        desk.text(NUMBER, HELP)
        desk.sent(ON_CALL)
        desk.closes(alerts(desk)[0])
        with kms_away(cold=False):
            assert desk.text(NUMBER, a_text(press := ids.new())) == []

        [page] = desk.sent(ON_CALL)
        assert (page.message.alert, latitude_of(desk, press)) == (press, 48.84321)

    def test_a_position_that_cannot_be_sealed_is_delivered_again(self, desk: Desk, handset: HeldHandset) -> None:
        press = raised(handset, fix=None)
        desk.work()
        desk.sent(ON_CALL)
        text = a_text(press, latitude=48.5)
        with kms_away():
            assert desk.text(NUMBER, text, inbound="1") == ["m-1"]
        assert desk.text(NUMBER, text, inbound="1") == []
        assert latitude_of(desk, press) == 48.5
        assert alert_of(press).state is State.NOTIFIED


def test_events_name_the_message_that_brought_them(desk: Desk, handset: HeldHandset) -> None:
    desk.text(NUMBER, HELP)
    desk.sent(ON_CALL)
    [first, *_] = events_of(alerts(desk)[0])
    assert (first.actor, first.correlationid) == ("carrier/C1001", "m-1")
