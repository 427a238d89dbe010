"""Putting messages into queues: at once, or held back."""

from __future__ import annotations

import os

import pytest

from chalicelib.core import aws as clients
from chalicelib.core import queues
from chalicelib.core.queues import MAX_DELAY, NotQueued, Outgoing
from tests.support.cloud import Cloud

MESSAGES = [Outgoing(f'"{number}"', {"type": "test"}) for number in range(12)]


def queue() -> str:
    return os.environ["FACTEO_TRACKING_QUEUE"]


def counted() -> tuple[int, int]:
    """How many messages can be had, and how many are held back."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
    told = clients.client("sqs").get_queue_attributes(QueueUrl=queue(), AttributeNames=names)["Attributes"]
    return int(told[names[0]]), int(told[names[1]])


def test_messages_can_be_had_at_once(aws: Cloud) -> None:
    queues.send(queue(), MESSAGES)

    assert counted() == (12, 0)
    assert sorted(message["Body"] for message in aws.messages("tracking")) == sorted(one.body for one in MESSAGES)


@pytest.mark.parametrize("delay", [1, 120, MAX_DELAY])
def test_messages_are_held_back(aws: Cloud, delay: int) -> None:
    queues.send(queue(), MESSAGES, delay=delay)

    assert counted() == (0, 12)
    assert aws.messages("tracking") == []


def test_no_queue_holds_a_message_back_for_longer(aws: Cloud) -> None:
    with pytest.raises(NotQueued):
        queues.send(queue(), MESSAGES[:1], delay=MAX_DELAY + 1)
    assert counted() == (0, 0)
