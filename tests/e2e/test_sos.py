"""The alert button against the deployed stack: with a real webhook, and with everything else in the way."""

from __future__ import annotations

import time
import urllib.error
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from demo import alerts, pager, seed, sos, staff
from demo.console import Console
from demo.pager import Page, Pager
from handset import aml
from handset.client import Handset
from handset.ids import new_id
from handset.sos import Sensed, Sos, fix
from infra.running import Run, session

CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"
NUMBER = "+33612345678"

AT_ONCE = 4.0
"""Seconds from the press to the page. The sweeper takes what is due for more than five: it cannot have been that."""
SWEPT_WITHIN = 15.0
"""Seconds by which a step may be late whose timer was lost."""
STEP_2 = 10.0
"""Seconds after which the demo's policy calls again."""
QUIET = 12.0
"""Seconds in which an open alert would have called again."""
HAMMERS = 4


@pytest.fixture(scope="module")
def receiver(running: Run) -> Iterator[Pager]:
    """A pager that every alert of the demo's zone calls; afterwards the zone's policy does not name it any more."""
    with pager.serving() as serving:
        with alerts.paged(running, serving):
            yield serving
        bearer = staff.token(running, "ops")
        policy = staff.call(running, "GET", f"/v1/alert-policies/{alerts.ZONE}", bearer=bearer)
        assert (policy["contacts"], policy["steps"]) == ([], alerts.POLICY["steps"])


@pytest.fixture
def handset(running: Run, tmp_path: Path) -> Handset:
    """A newly enrolled handset in the demo's zone."""
    return staff.enrol(running, sos.CARRIER, tmp_path / tmp_path.name)


@pytest.fixture
def raised(running: Run) -> Iterator[list[str]]:
    """The alerts of a test: whatever becomes of it, they are closed and call nobody any more."""
    pressed: list[str] = []
    yield pressed
    for alert in alerts.open_alerts(running):
        if alert["id"] in pressed:
            alerts.act(running, "close", alert["id"], reason="false-alarm")


def here() -> Sensed:
    """Where the carrier is."""
    return Sensed(fix(48.8243, 2.2701, datetime.now(UTC), radius=8.0), battery=80)


def press(handset: Handset, raised: list[str]) -> tuple[str, float]:
    """An alert that the back office has, and when the button was pressed."""
    button, pressed_at = Sos(handset), time.time()
    alert = button.press(here())
    raised.append(alert)
    assert button.send(alert, tries=1)["status"] == "raised"
    return alert, pressed_at


def first_page(receiver: Pager, alert: str) -> Page:
    """The page of the first step, once it has come."""
    return seed.wait_for(
        lambda: next((page for page in receiver.of(alert) if page.step == 1), None), "the page of the first step"
    )


def next_page(receiver: Pager, alert: str, first: Page) -> Page:
    """The first page of a later step, once it has come. Steps that are due together are fired as one, the last."""
    return seed.wait_for(
        lambda: next((page for page in receiver.of(alert) if page.step > first.step), None), "the page of a later step"
    )


BY_THE_WAY = {"located", "seen", "contact-lost", "contact-back", "sla-breached"}
"""What depends on how fast the machine is."""


def test_an_alert_from_the_self_test_to_the_report(
    running: Run, receiver: Pager, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Console(running)
    screen.catch_up()

    alert = sos.one_alert(running, receiver)

    lines, _ = screen.look()
    assert [line["seq"] for line in lines] == list(range(lines[0]["seq"], screen.through + 1))
    story = [line["what"] for line in lines if line["alert"] == alert and line["what"] not in BY_THE_WAY]
    assert list(dict.fromkeys(story)) == ["raised", "placed", "notified", "acked", "responding", "noted", "closed"]
    assert story.count("notified") >= 2, "nobody took it at once"
    printed = capsys.readouterr().out
    assert "the self-test came back" in printed
    _check_cap(alerts.look(running, "cap", alert), alert)
    _check_track(alerts.look(running, "track", alert))
    delays = alerts.look(running, "report", alert)["delays"]
    assert delays["notified_ms"] < delays["acked_ms"] < delays["responding_ms"] < delays["closed_ms"]
    until = time.time() + QUIET
    seed.wait_for(lambda: time.time() > until or None, "the next step of an alert that is over")
    called = [page.action for page in receiver.pages if page.alert == alert]
    assert called == [*["trigger"] * story.count("notified"), "acknowledge", "resolve"]


def _check_cap(document: str, alert: str) -> None:
    told = ET.fromstring(document)  # noqa: S314 - our own
    assert (told.findtext(f"{CAP}status"), told.findtext(f"{CAP}msgType")) == ("Actual", "Update")
    assert str(told.findtext(f"{CAP}identifier")).startswith(alert)
    assert str(told.findtext(f"{CAP}sent")).endswith("-00:00")


def _check_track(track: dict[str, Any]) -> None:
    point, line = track["features"]
    way = line["geometry"]["coordinates"]
    assert point["geometry"]["coordinates"] == way[-1]
    assert way == sorted(way), "the demo's carrier goes north and east"
    assert len(way) >= 3


def test_a_step_whose_timer_is_lost_is_fired_by_the_sweeper(
    running: Run, receiver: Pager, handset: Handset, raised: list[str]
) -> None:
    _wait_until_sweeping(running)
    with _without_source(running, "alert_timers"):
        alert, _ = press(handset, raised)
        first = first_page(receiver, alert)
        second = next_page(receiver, alert, first)
        assert _waiting(running, "alert-timers") > 0, "the timer was not lost"
    late = second.at - first.at - STEP_2
    assert late < SWEPT_WITHIN, f"{late:.1f} s late"


def test_an_sos_is_raised_and_called_for_while_everything_else_is_stuck(
    running: Run, receiver: Pager, handset: Handset, raised: list[str]
) -> None:
    warm, _ = press(handset, raised)
    first_page(receiver, warm)
    alerts.act(running, "close", warm, reason="false-alarm")

    with _without_source(running, "relay"), _hammered(running) as refused:
        alert, pressed_at = press(handset, raised)
        raised_after = time.time() - pressed_at
        paged_after = first_page(receiver, alert).at - pressed_at

    assert refused["refused"] > 0, "the other function was not saturated"
    assert paged_after <= AT_ONCE, f"raised after {raised_after:.1f} s, paged after {paged_after:.1f} s"


def test_a_text_raises_the_alert_that_the_press_then_is(
    running: Run, receiver: Pager, handset: Handset, raised: list[str]
) -> None:
    alerts.register_number(running, handset.enrolment["device"], NUMBER)
    alert, here_and_now = new_id(), here()
    raised.append(alert)

    alerts.text(running, NUMBER, aml.text_of(alert, datetime.now(UTC), here_and_now.fix))

    first_page(receiver, alert)
    where = alerts.look(running, "alert", alert)
    assert (where["fix"]["latitude"], where["fix"]["longitude"]) == (48.8243, 2.2701)
    told = handset.call("PUT", f"/v1/alerts/{alert}", {"fix": here_and_now.fix})
    assert (told.status, told.body["status"]) == (200, "raised")


def _wait_until_sweeping(running: Run) -> None:
    """The sweeper is called every minute: the first time a minute after the deployment."""
    stacks = session().client("cloudformation", endpoint_url=running.endpoint)
    [stack] = stacks.describe_stacks(StackName="facteo-local")["Stacks"]
    first = stack["CreationTime"] + timedelta(minutes=1)
    seed.wait_for(lambda: datetime.now(UTC) > first or None, "the first call of the sweeper")


@contextmanager
def _without_source(running: Run, function: str) -> Iterator[None]:
    """A function does not hear of its queue or stream until the block ends."""
    functions = session().client("lambda", endpoint_url=running.endpoint)
    [source] = functions.list_event_source_mappings(FunctionName=_physical(function))["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=source["UUID"], Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=source["UUID"], Enabled=True)


def _waiting(running: Run, queue: str) -> int:
    """How many messages nobody has taken out of a queue, although they could."""
    queues = session().client("sqs", endpoint_url=running.endpoint)
    url = queues.get_queue_url(QueueName=_physical(queue))["QueueUrl"]
    name = "ApproximateNumberOfMessages"
    return int(queues.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


@contextmanager
def _hammered(running: Run) -> Iterator[Counter[str]]:
    """The other API function may run once at a time and is asked without a pause: how often it answered, or did not."""
    functions = session().client("lambda", endpoint_url=running.endpoint)
    name, stopped, answers = _physical("api_handler"), Event(), Counter[str]()
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    bearer = staff.token(running, "ops")
    try:
        with ThreadPoolExecutor(HAMMERS) as pool:
            for _ in range(HAMMERS):
                pool.submit(_hammer, running, bearer, stopped, answers)
            try:
                seed.wait_for(lambda: answers["refused"] or None, "an answer that the other function is too busy")
                yield answers
            finally:
                stopped.set()
    finally:
        functions.delete_function_concurrency(FunctionName=name)


def _hammer(running: Run, bearer: str, stopped: Event, answers: Counter[str]) -> None:
    while not stopped.is_set():
        try:
            staff.call(running, "GET", "/v1/imports", bearer=bearer)
            answers["answered"] += 1
        except urllib.error.HTTPError:
            answers["refused"] += 1


def _physical(function: str) -> str:
    return f"facteo-local-{function}"
