"""Putting messages into SQS queues: as many with each call as SQS takes, and a sentence when some were not taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from chalicelib.core import aws

MAX_ENTRIES: Final = 10
MAX_BYTES: Final = 256 * 1024
"""SQS takes 10 messages in a call: 1 MiB together since 2025, 256 KiB before. The smaller limit holds everywhere."""
MAX_DELAY: Final = 900
"""The seconds for which SQS holds a message back at most."""


_ESCAPES: Final = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}
"""JSON may carry these two as they are, SQS takes none of them (XML 1.0, section 2.2); as JSON escapes they pass."""


class Outgoing(msgspec.Struct, frozen=True):
    """A message: its body, JSON, and its attributes; one without a value is left out, because SQS refuses it."""

    json: str
    attributes: dict[str, str] = {}

    @property
    def body(self) -> str:
        """The JSON in characters that SQS takes."""
        return self.json.translate(_ESCAPES)

    @property
    def size(self) -> int:
        """What SQS counts, in bytes: the body, and of each attribute its name, type and value."""
        told = [part for name, value in self.attributes.items() for part in (name, "String", value) if value]
        return sum(len(part.encode()) for part in (self.body, *told))

    def entry(self, number: int, delay: int = 0) -> dict[str, Any]:
        """The message as SQS takes it, under a number of its own within the call; held back for `delay` seconds."""
        attributes = {
            name: {"DataType": "String", "StringValue": value} for name, value in self.attributes.items() if value
        }
        told = {"DelaySeconds": delay} if delay else {}
        return {"Id": str(number), "MessageBody": self.body, "MessageAttributes": attributes, **told}


class NotQueued(Exception):  # noqa: N818 - reads as the fact it is
    """A queue did not take some messages of a call; the others of that call are in it.

    `for_ever`: it never will, because of what the messages are.
    """

    def __init__(self, reason: str, *, for_ever: bool) -> None:
        super().__init__(reason)
        self.for_ever = for_ever


def send(queue: str, messages: Sequence[Outgoing], *, delay: int = 0) -> None:
    """Put messages into the queue of that address. One call for each 10 messages or 256 KiB. Raises NotQueued.

    Nobody gets them before `delay` seconds, MAX_DELAY at most, have passed.
    """
    for batch in _batches(messages):
        entries = [message.entry(number, delay) for number, message in enumerate(batch)]
        failed = aws.client("sqs").send_message_batch(QueueUrl=queue, Entries=entries).get("Failed", [])
        if failed:
            codes = ", ".join(sorted({entry["Code"] for entry in failed}))
            reason = f"{len(failed)} of {len(batch)} messages for {queue.rpartition('/')[2]}: {codes}"
            raise NotQueued(reason, for_ever=all(entry["SenderFault"] for entry in failed))


def _batches(messages: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    batch: list[Outgoing] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == MAX_ENTRIES or size + message.size > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += message.size
    if batch:
        yield batch
