"""`ops redrive`: look at each message of a dead-letter queue, then send it back, delete it or leave it.

What is shown of a message are its ids, type and times: personal data in it is ciphertext, and is not printed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3

HIDDEN_SECONDS = 600
"""How long a message that is being looked at stays hidden from others."""

WAIT_SECONDS = 10
"""With a long poll SQS asks all its servers: no answer then means that nothing is left."""

MAX_RECEIVED = 10

QUESTION = "[r]edrive, [d]elete, [s]kip, [q]uit? "
ANSWERS = {"r": "redriven", "d": "deleted", "s": "skipped"}


def run(queue: str, ask: Callable[[str], str]) -> None:
    """Go through the dead letters of a queue. `ask` gives the answer to QUESTION for the message just shown.

    Raises SystemExit for a queue that is not there.
    """
    _go_through(DeadLetters(queue), ask, at_once=1)


def run_all(queue: str) -> None:
    """Show all dead letters of a queue and send them back. Raises SystemExit for a queue that is not there."""
    _go_through(DeadLetters(queue), lambda _: "r", at_once=MAX_RECEIVED)


class DeadLetters:
    """The dead letters of a queue, and the way back."""

    def __init__(self, queue: str) -> None:
        self._sqs = boto3.client("sqs")
        prefix = f"facteo-{os.environ['FACTEO_STAGE']}-"
        found = self._sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])
        urls = {url.rpartition("/")[2].removeprefix(prefix): url for url in found}
        if not {queue, _dead(queue)} <= urls.keys():
            known = ", ".join(sorted(name for name in urls if _dead(name) in urls))
            raise SystemExit(f"There is no queue {queue} with dead letters. There are: {known}.")
        self._queue, self._dead = urls[queue], urls[_dead(queue)]

    def found(self, at_once: int) -> Iterator[dict[str, Any]]:
        """Each message once: one that was hidden too short is not given again, what was sent back since is left out."""
        started, seen = datetime.now(UTC), set()
        while messages := self._received(at_once):
            for message in messages:
                if message["MessageId"] not in seen and _sent_at(message) < started:
                    seen.add(message["MessageId"])
                    yield message

    def send_back(self, message: dict[str, Any]) -> None:
        """Sent first and deleted then: a crash in between repeats a message, which its consumer bears."""
        attributes = message.get("MessageAttributes", {})
        self._sqs.send_message(QueueUrl=self._queue, MessageBody=message["Body"], MessageAttributes=attributes)
        self.delete(message)

    def delete(self, message: dict[str, Any]) -> None:
        """Delete it for good."""
        self._sqs.delete_message(QueueUrl=self._dead, ReceiptHandle=message["ReceiptHandle"])

    def _received(self, at_once: int) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._dead,
            MaxNumberOfMessages=at_once,
            WaitTimeSeconds=WAIT_SECONDS,
            VisibilityTimeout=HIDDEN_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))


def _go_through(letters: DeadLetters, ask: Callable[[str], str], *, at_once: int) -> None:
    done: Counter[str] = Counter()
    for message in letters.found(at_once):
        print(_shown(message))
        answer = ask(QUESTION)
        if answer not in ANSWERS:
            break
        if answer == "r":
            letters.send_back(message)
        elif answer == "d":
            letters.delete(message)
        done[ANSWERS[answer]] += 1
    print(", ".join(f"{number} {what}" for what, number in done.items()) or "Nothing was done.")


def _dead(queue: str) -> str:
    return f"{queue}-dead"


def _shown(message: dict[str, Any]) -> str:
    lines = [f"{message['MessageId']}  sent {_sent_at(message):%Y-%m-%d %H:%M:%S} UTC, {len(message['Body'])} bytes"]
    lines += [f"  {name}: {value}" for name, value in _told(message["Body"]).items()]
    return "\n".join(lines)


def _sent_at(message: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)


def _told(body: str) -> dict[str, Any]:
    """What an operator needs of a body: an event's ids and type, a slice's number, a notification's keys."""
    try:
        content = json.loads(body)
    except ValueError:
        return {"body": "no JSON"}
    if not isinstance(content, dict):
        return {"body": "no event"}
    told = {name: content[name] for name in ("id", "type", "subject", "correlationid", "receivedat") if name in content}
    told |= {name: content[name] for name in ("import_id", "number") if name in content}
    keys = [record["s3"]["object"]["key"] for record in content.get("Records", []) if "s3" in record]
    return told | ({"keys": ", ".join(keys)} if keys else {})
