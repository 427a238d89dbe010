"""Whichever function comes to an alert first can do everything for it, in a process that knows nothing yet."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from chalicelib.alerts.schemas import State
from chalicelib.alerts.workers import alert_events, alert_sweep, alert_texts, alert_timers
from tests.support.alerts import ON_CALL, Desk, alert_of, events_of, raised, said
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import start_cold
from tests.support.events import SCHEDULED, invoke, sqs_event, stream_event
from tests.support.factories import a_handset
from tests.support.fleet import OURS, NewHandset

Ticker = Callable[[str], list[str]]


def by_stream(alert: str) -> list[str]:
    return invoke(alert_events, stream_event(*events_of(alert)))


def by_timer(alert: str) -> list[str]:
    return invoke(alert_timers, sqs_event(json.dumps({"alert": alert})))


def by_sweeper(_: str) -> list[str]:
    return invoke(alert_sweep, SCHEDULED)


@pytest.mark.parametrize("ticker", [by_stream, by_timer, by_sweeper])
def test_a_self_test_is_placed_and_ended(
    post: Api, desk: Desk, clock: FakeClock, ticker: Ticker, monkeypatch: pytest.MonkeyPatch
) -> None:
    handset = NewHandset(post).enrolled(OURS)
    desk.has_policy("PARIS-SUD")
    alert = raised(handset, purpose="self-test")
    clock.advance(seconds=10)
    start_cold()

    assert ticker(alert) == []

    kept = alert_of(alert)
    assert (kept.state, kept.zone, kept.outbox) == (State.CLOSED, "PARIS-SUD", ())
    assert said(alert) == ["raised", "placed", "closed"]


def test_the_first_text_of_a_month_is_sealed(desk: Desk, api: Api, clock: FakeClock) -> None:
    handset = a_handset(api)
    number = {"number": "+33612345678"}
    assert api.as_staff("fleet-admin").put(f"/v1/alert-numbers/{handset.device}", number).status == 200
    clock.advance(days=31)
    start_cold()

    text = {"originationNumber": number["number"], "messageBody": "au secours", "inboundMessageId": "1"}
    assert invoke(alert_texts, sqs_event(json.dumps(text))) == []

    desk.work()
    desk.sent(ON_CALL)
