"""The demo's pager takes what the back office signed, and nothing else."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest

from chalicelib.alerts import channels, ladder, messages
from chalicelib.alerts.channels import event_of
from chalicelib.alerts.messages import Action
from chalicelib.alerts.policies import Channel, Way
from demo import pager
from demo.pager import Page, Pager
from tests.support.alert_stories import ALERT_ID, an_alert

MESSAGE = messages.message_of(ladder.raised(an_alert(), datetime.now(UTC)).alert, Action.TRIGGER, 1)
BODY = msgspec.json.encode(event_of(MESSAGE))


@pytest.fixture
def receiver() -> Iterator[Pager]:
    with pager.serving() as serving:
        yield serving


def posted(receiver: Pager, signature: str) -> int:
    """The status of the answer to a request with that signature."""
    request = urllib.request.Request(receiver.url, BODY, {pager.HEADER: signature})  # noqa: S310 - our own
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


def test_what_the_back_office_sends_is_taken_and_told() -> None:
    heard: list[Page] = []
    with pager.serving(heard.append) as receiver:
        channels.send(Way(channel=Channel.WEBHOOK, to=receiver.url, secret=receiver.secret), MESSAGE)
    assert heard == receiver.pages == receiver.of(ALERT_ID)
    assert [(page.action, page.step, page.summary) for page in heard] == [("trigger", 2, MESSAGE.headline)]
    assert receiver.of(ALERT_ID, "resolve") == []


def test_a_repeat_is_seen(receiver: Pager) -> None:
    way = Way(channel=Channel.WEBHOOK, to=receiver.url, secret=receiver.secret)
    for _ in range(2):
        channels.send(way, MESSAGE)
    assert len(receiver.of(ALERT_ID)) == 2


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_signature_is_refused(receiver: Pager, seconds: int) -> None:
    at = int(time.time()) + seconds
    assert posted(receiver, channels.signature(BODY, receiver.secret, at)) == 401
    assert (receiver.pages, receiver.refused) == ([], 1)


@pytest.mark.parametrize("form", ["", "t=1,v1=00", "t={now},v1=" + "0" * 64])
def test_who_does_not_know_the_secret_is_refused(receiver: Pager, form: str) -> None:
    signature = form.format(now=int(time.time()))
    assert posted(receiver, signature) == 401
    assert posted(receiver, channels.signature(BODY, "another secret", int(time.time()))) == 401
    assert posted(receiver, channels.signature(BODY + b" ", receiver.secret, int(time.time()))) == 401
    assert (receiver.pages, receiver.refused) == ([], 3)
