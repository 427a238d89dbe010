"""The same frame for every function that no person calls: queues, the journal's stream, schedules.

A batch is handled whole, which costs the fewest calls; if that fails, each message is handled alone and those
that fail are reported, so that one bad message never holds back the others. Lambda counts no error then: the
metric `MessagesFailed` does. Handlers must therefore be idempotent (see `inbox`). Chalice middleware does not run
for these functions, and is not used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from chalice.app import Blueprint

from chalicelib.core import settings as settings_of
from chalicelib.core import telemetry
from chalicelib.core.settings import Settings

UNSET_ARN = "arn:aws:sqs:eu-west-3:000000000000:"
"""Event sources are named in infra/resources.yaml, which replaces these."""

SETTINGS_OF_FUNCTIONS: dict[str, type[Settings]] = {}
SUBJECTS_OF_STREAMS: dict[str, str] = {}
"""Handler of the journal's stream → how the subjects begin whose events it takes; empty for all."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message: its id within the batch, its body, and the correlation id of what caused it, if it has one."""

    id: str
    body: str
    correlation_id: str = ""


class _Event(msgspec.Struct):
    correlationid: str = ""


Handler = Callable[[Sequence[Message]], None]
BatchResult = dict[str, list[dict[str, str]]]


def queue(
    workers: Blueprint, name: str, *, batch_size: int, settings: type[Settings] = Settings
) -> Callable[[Handler], Handler]:
    """Declare a handler of the queue `name`; the function carries the handler's name."""

    def declare(handler: Handler) -> Handler:
        SETTINGS_OF_FUNCTIONS[handler.__name__] = settings

        @functools.wraps(handler)
        def handle(event: Any) -> BatchResult:
            return _handle_batch(handler, settings, _queue_messages(event.to_dict()))

        return workers.on_sqs_message(  # type: ignore[no-any-return]
            queue_arn=UNSET_ARN + name, batch_size=batch_size, name=handler.__name__
        )(handle)

    return declare


def stream(
    workers: Blueprint, *, batch_size: int, subjects: str = "", settings: type[Settings] = Settings
) -> Callable[[Handler], Handler]:
    """Declare a handler of the journal's stream; a message's body is the event's JSON.

    It takes the events whose subject begins with `subjects`. The filter of its mapping in infra/resources.yaml says the
    same, so that it is not called for others; DynamoDB lets two mappings at once read a stream, and no more.
    """

    def declare(handler: Handler) -> Handler:
        SETTINGS_OF_FUNCTIONS[handler.__name__] = settings
        SUBJECTS_OF_STREAMS[handler.__name__] = subjects

        @functools.wraps(handler)
        def handle(event: Any) -> BatchResult:
            return _handle_batch(handler, settings, _stream_messages(event.to_dict(), subjects))

        return workers.on_dynamodb_record(  # type: ignore[no-any-return]
            stream_arn=UNSET_ARN + "journal",
            batch_size=batch_size,
            starting_position="TRIM_HORIZON",
            name=handler.__name__,
        )(handle)

    return declare


def schedule(
    workers: Blueprint, expression: str, *, settings: type[Settings] = Settings
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Declare what runs by the clock, for example `"rate(1 minute)"`."""

    def declare(job: Callable[[], None]) -> Callable[[], None]:
        SETTINGS_OF_FUNCTIONS[job.__name__] = settings

        @functools.wraps(job)
        def handle(event: Any) -> None:
            settings_of.load(settings)
            job()

        return workers.schedule(expression, name=job.__name__)(handle)  # type: ignore[no-any-return]

    return declare


def _handle_batch(handler: Handler, settings: type[Settings], messages: Sequence[Message]) -> BatchResult:
    settings_of.load(settings)
    failed = _failures(handler, messages)
    told = {
        "worker": handler.__name__,
        "messages": len(messages),
        "failed": len(failed),
        "correlation_ids": _correlation_ids(messages),
    }
    telemetry.logger.info("batch", extra=told)
    if failed:
        telemetry.count("MessagesFailed", len(failed), worker=handler.__name__)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _failures(handler: Handler, messages: Sequence[Message]) -> list[str]:
    if not messages or _succeeds(handler, messages):
        return []
    if len(messages) == 1:
        return [messages[0].id]
    return [message.id for message in messages if not _succeeds(handler, [message])]


def _succeeds(handler: Handler, messages: Sequence[Message]) -> bool:
    try:
        handler(messages)
    except Exception:  # whatever broke, the queue delivers it again, and in the end to the DLQ
        telemetry.logger.exception(
            "failed",
            extra={
                "worker": handler.__name__,
                "message_ids": [message.id for message in messages],
                "correlation_ids": _correlation_ids(messages),
            },
        )
        return False
    return True


def _correlation_ids(messages: Sequence[Message]) -> list[str]:
    """By which the log of a request finds what became of it here."""
    return sorted({message.correlation_id for message in messages} - {""})


def _queue_messages(event: Mapping[str, Any]) -> list[Message]:
    return [
        Message(
            id=record["messageId"],
            body=record["body"],
            correlation_id=record.get("messageAttributes", {}).get("correlation_id", {}).get("stringValue", ""),
        )
        for record in event["Records"]
    ]


def _stream_messages(event: Mapping[str, Any], subjects: str) -> list[Message]:
    written = [record["dynamodb"] for record in event["Records"] if "NewImage" in record["dynamodb"]]
    return [
        _recorded(row["SequenceNumber"], row["NewImage"]["event"]["S"])
        for row in written
        if not subjects or row["Keys"]["subject"]["S"].startswith(subjects)
    ]


def _recorded(number: str, text: str) -> Message:
    with suppress(msgspec.DecodeError):  # an unreadable event fails alone, in the handler
        return Message(id=number, body=text, correlation_id=msgspec.json.decode(text, type=_Event).correlationid)
    return Message(id=number, body=text)
