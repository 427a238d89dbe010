"""Alerts on their way from the press to the end, killed everywhere: none is lost, and nobody is told or paged twice."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from chalicelib.alerts import pins, store, ticking, zones
from chalicelib.alerts.workers import alert_events, alert_pages, alert_sweep, alert_texts, alert_timers
from chalicelib.core import ids
from tests.support import stored
from tests.support.alerts import (
    ZONE,
    Channels,
    Desk,
    Outcome,
    a_contact,
    a_fix,
    alert_of,
    an_alert_body,
    events_of,
    raised,
)
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.crashes import Everywhere, Scenario
from tests.support.events import SCHEDULED, deliver, invoke, sqs_event, stream_event, work_off
from tests.support.factories import CARRIER, HeldHandset, a_handset

NUMBER = "+33612340000"
PINS = {"pin": "2468", "duress_pin": "1357"}
ROOM, ROOM_BY_MAIL, HOOK = "sms:+33600000001", "email:room@laposte.test", "webhook:https://pager.test/v2/enqueue"
OTHERS = [a_contact(f"other-{number}", f"sms:+3360000001{number}") for number in range(2)]

TWO_STEPS: dict[str, Any] = {
    "steps": [{"after": 0, "contacts": ["other-0"]}, {"after": 10, "contacts": ["other-1"]}],
    "timers": {"repeat": 3600},
}

VARIES_TOO = re.compile(r'\$argon2id\$[^"\\]+|\\"pins\\":\[[^\]]*\],')
"""How a PIN was salted, and how often one was entered for an alert: whoever enters it again has entered it twice."""

MAY_BE_LOST = "message in facteo-test-alert-timers"
"""Timers: the sweeper finds what they were for."""


class Given(NamedTuple):
    """A handset and its alert."""

    handset: HeldHandset
    alert: str


def facts(_: Any) -> Iterator[str]:
    """What there is, but for timers, how often rows were written, in which shard, and how a PIN was salted."""
    known = stored.facts(ignoring={"revision", "due_shard", "destroy_bucket"})
    found = (fact for fact in known if not fact.startswith(MAY_BE_LOST))
    return (VARIES_TOO.sub("", fact) for fact in found)


def told(given: Given) -> None:
    """The stream brings the events of the alert, and of the one that it was joined to."""
    joined = alert_of(given.alert).joined_to
    events = [*events_of(given.alert), *(events_of(joined) if joined else [])]
    assert invoke(alert_events, stream_event(*events)) == []


@pytest.fixture
def looked_at_again(clock: FakeClock) -> Callable[[Given], None]:
    """Does what a dead process left: the stream brings the events again, some seconds later the sweeper looks."""

    def look(given: Given) -> None:
        told(given)
        clock.advance(seconds=6)
        going_on = alert_of(given.alert).joined_to or given.alert
        assert deliver(alert_timers, [f'{{"alert":"{going_on}"}}']) == []

    return look


@pytest.fixture
def crash(desk: Desk, everywhere: Everywhere, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Kills a scenario everywhere; zones are read anew each time. What its pages did is its own matter."""

    def kill(scenario: Scenario[Any]) -> None:
        def afresh(given: Any) -> None:
            zones.forget()
            scenario.afresh(given)

        everywhere(dataclasses.replace(scenario, afresh=afresh))

    yield kill
    desk.channels.taken.clear()
    desk.failed.clear()
    monkeypatch.setattr(desk, "_alerts", list)


@pytest.fixture(autouse=True)
def cheap_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an entry costs is another matter."""
    monkeypatch.setattr(pins, "MEMORY_KIB", 8)
    monkeypatch.setattr(pins, "ITERATIONS", 1)
    nobodys = [pins._nobodys_hash() for _ in range(4)]
    monkeypatch.setattr(pins, "_NOBODYS", pins.Pins(nobodys[0], nobodys[1], decoys=(nobodys[2], nobodys[3])))


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


def untold(handset: HeldHandset, **body: Any) -> Given:
    """An alert that the stream has not brought yet."""
    return Given(handset, raised(handset, **body))


def climbing(handset: HeldHandset, **body: Any) -> Given:
    """An alert of which the zone was told; its first pages wait."""
    given = untold(handset, **body)
    told(given)
    return given


# --- what a handset does ------------------------------------------------------------------------------------


def test_a_raise(handset: HeldHandset, crash: Any) -> None:
    def press(alert: str) -> None:
        assert handset.calls().put(f"/v1/alerts/{alert}", an_alert_body()).status in {200, 201}

    crash(Scenario("alert", ids.new, press))


def test_a_report(handset: HeldHandset, crash: Any) -> None:
    def send(given: Given) -> None:
        body = {"fixes": [a_fix(latitude=48.1), a_fix(latitude=48.2)], "battery": 9}
        assert handset.calls().post(f"/v1/alerts/{given.alert}/positions", body).status == 200

    crash(Scenario("alert, positions", lambda: climbing(handset), send, facts=facts))


@pytest.mark.parametrize("pin", PINS)
def test_a_pin(handset: HeldHandset, crash: Any, pin: str) -> None:
    def arrange() -> Given:
        assert handset.calls().put("/v1/alert-pins", PINS).status == 204
        return climbing(handset)

    def enter(given: Given) -> None:
        answer = handset.calls().post(f"/v1/alerts/{given.alert}/cancellation", {"pin": PINS[pin]})
        assert (answer.status, answer.body["status"]) == (200, "cancelled")

    crash(Scenario(f"alert, {pin}", arrange, enter, facts=facts))


def test_a_pin_for_duress_after_the_end(desk: Desk, handset: HeldHandset, crash: Any) -> None:
    def arrange() -> Given:
        assert handset.calls().put("/v1/alert-pins", PINS).status == 204
        given = climbing(handset)
        assert desk.operator.post(f"/v1/alerts/{given.alert}/closing", {"reason": "rescued"}).status == 200
        return given

    def enter(given: Given) -> None:
        body = {"pin": PINS["duress_pin"]}
        assert handset.calls().post(f"/v1/alerts/{given.alert}/cancellation", body).status == 200

    crash(Scenario("alert, duress after the end", arrange, enter, facts=facts))


def test_setting_pins(handset: HeldHandset, crash: Any) -> None:
    def save(_: None) -> None:
        assert handset.calls().put("/v1/alert-pins", PINS).status == 204

    crash(Scenario("alert, PINs", lambda: None, save, facts=facts))


def test_a_reset_of_pins(api: Api, handset: HeldHandset, crash: Any) -> None:
    manager = api.as_staff("depot-manager")
    carrier = {"first_name": "Zoé", "last_name": "Martin", "phone": "+33612345678", "depot": handset.row.depot}

    def arrange() -> None:
        assert manager.put(f"/v1/carriers/{CARRIER}", carrier).status == 200
        assert handset.calls().put("/v1/alert-pins", PINS).status == 204

    def reset(_: None) -> None:
        assert manager.post(f"/v1/alert-pins/{CARRIER}/reset").status == 204

    crash(Scenario("alert, PINs reset", arrange, reset, facts=facts))


def test_setting_pins_under_duress(handset: HeldHandset, crash: Any, clock: FakeClock) -> None:
    """The handset asks again some seconds later."""

    def arrange() -> None:
        assert handset.calls().put("/v1/alert-pins", PINS).status == 204

    def save(_: None) -> None:
        body = {"pin": "1111", "duress_pin": "2222", "current_pin": PINS["duress_pin"]}
        assert handset.calls().put("/v1/alert-pins", body).status == 204

    def save_later(_: None) -> None:
        clock.advance(seconds=5)
        save(None)

    crash(Scenario("alert, PINs under duress", arrange, save, save_later, facts=facts))


def test_a_text(api: Api, handset: HeldHandset, crash: Any, clock: FakeClock) -> None:
    """SQS delivers it again some minutes later, when the alert is over."""
    says = {"originationNumber": NUMBER, "messageBody": "au secours", "inboundMessageId": "m-1"}
    message = sqs_event(json.dumps(says))

    def arrange() -> None:
        put = api.as_staff("fleet-admin").put
        assert put(f"/v1/alert-numbers/{handset.device}", {"number": NUMBER}).status == 200

    def take(_: None) -> None:
        assert invoke(alert_texts, message) == []

    def take_later(_: None) -> None:
        clock.advance(minutes=2)
        take(None)

    crash(Scenario("alert, text", arrange, take, take_later, facts=facts))


# --- what workers do ----------------------------------------------------------------------------------------


def test_the_first_tick(desk: Desk, handset: HeldHandset, crash: Any, looked_at_again: Any) -> None:
    """The zone is found, a step is fired with its pages, and the feed has three lines."""

    def arrange() -> Given:
        steps = [{"after": 0, "contacts": ["other-0", "other-1"]}, {"after": 60, "contacts": ["other-0"]}]
        desk.has_policy(contacts=OTHERS, steps=steps)
        return untold(handset)

    crash(Scenario("alert, first tick", arrange, told, looked_at_again, facts=facts))


def test_a_press_that_joins(desk: Desk, handset: HeldHandset, crash: Any, looked_at_again: Any) -> None:
    def arrange() -> Given:
        desk.has_policy(
            contacts=OTHERS, steps=[{"after": 0, "contacts": ["other-0"]}, {"after": 60, "contacts": ["other-1"]}]
        )
        climbing(handset)
        return untold(handset)

    crash(Scenario("alert, joined", arrange, told, looked_at_again, facts=facts))


def test_a_step_by_a_timer(
    desk: Desk, handset: HeldHandset, crash: Any, clock: FakeClock, looked_at_again: Any
) -> None:
    def arrange() -> Given:
        desk.has_policy(contacts=OTHERS, **TWO_STEPS)
        given = climbing(handset)
        clock.advance(seconds=10)
        return given

    def fire(given: Given) -> None:
        assert deliver(alert_timers, [f'{{"alert":"{given.alert}"}}']) == []

    crash(Scenario("alert, step", arrange, fire, looked_at_again, facts=facts))


def test_a_look_of_the_sweeper(
    desk: Desk, handset: HeldHandset, crash: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one shard, once."""
    monkeypatch.setattr(store, "SHARDS", 1)
    monkeypatch.setattr(ticking, "RUN_FOR", ticking.LOOK_EVERY)

    def arrange() -> Given:
        desk.has_policy(contacts=OTHERS, **TWO_STEPS)
        given = climbing(handset)
        clock.advance(seconds=16)
        return given

    def sweep(_: Given) -> None:
        assert invoke(alert_sweep, SCHEDULED) == []

    def sweep_again(given: Given) -> None:
        clock.advance(seconds=11)
        sweep(given)

    crash(Scenario("alert, sweeper", arrange, sweep, sweep_again, facts=facts))


PAGES = {"taken": [], "unknown": [Outcome.TAKES_AND_IS_CUT]}
"""What the first way comes to."""


@pytest.mark.parametrize("how", PAGES)
def test_a_page(desk: Desk, handset: HeldHandset, crash: Any, clock: FakeClock, how: str) -> None:
    """Whoever is killed in the middle may have sent it: it is not sent again by that way, and the next is taken."""

    def arrange() -> Given:
        contacts = [a_contact("room", ROOM, ROOM_BY_MAIL)]
        desk.has_policy(contacts=contacts, steps=[{"after": 0, "contacts": ["room"]}], timers={"repeat": 3600})
        return climbing(handset)

    def afresh(_: Given) -> None:
        desk.channels.taken.clear()
        desk.channels._scripts.clear()
        desk.channels.will(ROOM, *PAGES[how])

    def send(_: Given) -> None:
        work_off("pages", alert_pages)

    def again(given: Given) -> None:
        clock.advance(seconds=40)
        send(given)
        assert deliver(alert_timers, [f'{{"alert":"{given.alert}"}}']) == []
        send(given)

    def reached(_: Given) -> Iterator[str]:
        sent = Counter((page.told, page.message.step) for page in desk.channels.taken)
        yield from ["the room was reached"] if sent else []
        yield from (f"{way} was called again for {step}" for (way, step), times in sent.items() if times > 1)

    methods = [(Channels, "call")]
    crash(Scenario(f"page, {how}", arrange, send, again, facts=reached, afresh=afresh, methods=methods))


def test_the_end_for_a_webhook(desk: Desk, handset: HeldHandset, crash: Any, clock: FakeClock) -> None:
    """It may be told several times, by the key that makes repeats harmless, and is told in the end."""

    def arrange() -> Given:
        desk.has_policy(contacts=[a_contact("pager", HOOK)], steps=[{"after": 0, "contacts": ["pager"]}])
        given = climbing(handset)
        work_off("pages", alert_pages)
        assert desk.operator.post(f"/v1/alerts/{given.alert}/closing", {"reason": "rescued"}).status == 200
        return given

    def settle(given: Given) -> None:
        told(given)
        work_off("pages", alert_pages)

    def again(given: Given) -> None:
        for _ in range(3):
            clock.advance(seconds=40)
            settle(given)

    def heard(_: Given) -> Iterator[str]:
        keys = {(page.message.action, page.message.dedup_key) for page in desk.channels.taken}
        return (f"{action} of {stored.alike(key)}" for action, key in keys)

    def afresh(_: Given) -> None:
        desk.channels.taken.clear()

    methods = [(Channels, "call")]
    crash(Scenario("webhook", arrange, settle, again, facts=heard, afresh=afresh, methods=methods))


# --- what operators and staff do ----------------------------------------------------------------------------


CHANGES: dict[str, dict[str, str]] = {
    "acknowledgement": {},
    "response": {},
    "zone": {"zone": "NATIONAL"},
    "closing": {"reason": "rescued"},
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_an_operator_does(desk: Desk, handset: HeldHandset, crash: Any, what: str) -> None:
    operator = desk.operator

    def change(given: Given) -> None:
        assert operator.post(f"/v1/alerts/{given.alert}/{what}", CHANGES[what]).status == 200

    crash(Scenario(f"alert, {what}", lambda: climbing(handset), change, facts=facts))


def test_what_a_console_shows(desk: Desk, api: Api, handset: HeldHandset, crash: Any) -> None:
    operator = desk.operator

    def arrange() -> None:
        climbing(handset)
        climbing(a_handset(api))

    def show(_: None) -> None:
        assert operator.post(f"/v1/alert-feed/{ZONE}/receipts", {"after": 0, "through": 6}).status == 204

    crash(Scenario("alerts, seen", arrange, show, facts=facts))


def test_a_policy(desk: Desk, crash: Any) -> None:
    def save(_: None) -> None:
        desk.has_policy(contacts=OTHERS, steps=[{"after": 0, "contacts": ["other-0"]}])

    crash(Scenario("alert policy", desk.has_policy, save))


def test_a_number(api: Api, handset: HeldHandset, crash: Any) -> None:
    put = api.as_staff("fleet-admin").put

    def register(_: None) -> None:
        answer = put(f"/v1/alert-numbers/{handset.device}", {"number": NUMBER})
        assert (answer.status, answer.body["carrier"]) == (200, CARRIER)

    crash(Scenario("alert number", lambda: None, register))
