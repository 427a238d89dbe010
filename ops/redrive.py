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

QUESTION = "[r]edrive, [d]elete, [s]kip, [q]uit? "
ANSWERS = {"r": "redriven", "d": "deleted", "s": "skipped"}


def run(queue: str, ask: Callable[[str], str]) -> None:
    """Go through the dead letters of a queue. `ask` gives the answer to QUESTION for the message just shown."""
    done: Counter[str] = Counter()
    for message in _dead_letters(queue):
        print(_shown(message))
        answer = ask(QUESTION)
        if answer not in ANSWERS:
            break
        _carry_out(answer, queue, message)
        done[ANSWERS[answer]] += 1
    print(", ".join(f"{number} {what}" for what, number in done.items()) or "Nothing was done.")


def _dead_letters(queue: str) -> Iterator[dict[str, Any]]:
    """Each message once: those that were looked at stay hidden meanwhile, and what was sent back since is left out."""
    sqs, url, started = boto3.client("sqs"), _address(f"{queue}-dead"), datetime.now(UTC)
    while True:
        found = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=1,
            VisibilityTimeout=HIDDEN_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages", [])
        if not found:
            return
        if _sent_at(found[0]) < started:
            yield found[0]


def _carry_out(answer: str, queue: str, message: dict[str, Any]) -> None:
    """Sent back first and deleted then: a crash in between repeats a message, which its consumer bears."""
    sqs, dead = boto3.client("sqs"), _address(f"{queue}-dead")
    if answer == "r":
        attributes = message.get("MessageAttributes", {})
        sqs.send_message(QueueUrl=_address(queue), MessageBody=message["Body"], MessageAttributes=attributes)
    if answer in {"r", "d"}:
        sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])


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


def _address(queue: str) -> str:
    name = f"facteo-{os.environ['FACTEO_STAGE']}-{queue}"
    return str(boto3.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])
