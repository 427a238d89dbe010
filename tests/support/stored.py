"""Everything that there is in the in-process cloud, read and put back behind its API: no call, no step of a process."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID

REGION = "eu-west-3"

NO_FACTS = frozenset({"expires_at"})
"""Attributes that follow from the moment of writing."""

_VARIES = re.compile(
    r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"|(?P<hour>\d{4}-\d\d-\d\dT\d\d#[0-9a-f])"
    r"|(?P<moment>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(?:Z|[+-]\d\d:?\d\d)?|\d{8}\.\d{6})"
    r"|(?P<random>(?<=\")[0-9A-Za-z+/]{40,}={0,2}|(?<=\")[0-9A-Za-z+/]{22}==|[0-9A-Za-z_-]{40,}|[0-9a-f]{32,})"
)


class Saved(NamedTuple):
    """What was there at some moment."""

    tables: bytes
    queues: dict[str, list[Any]]
    buckets: dict[str, dict[str, list[Any]]]


def save() -> Saved:
    """Everything that is there now."""
    return Saved(
        tables=pickle.dumps({name: table.items for name, table in _dynamodb().tables.items()}),
        queues={name: list(queue._messages) for name, queue in _sqs().queues.items()},
        buckets={
            name: {key: list(versions) for key, versions in bucket.keys.lists()}
            for name, bucket in _s3().buckets.items()
        },
    )


def restore(saved: Saved) -> None:
    """Put everything back as it was, and nothing else."""
    for name, items in pickle.loads(saved.tables).items():  # noqa: S301 - our own bytes
        _dynamodb().tables[name].items = items
    for name, messages in saved.queues.items():
        _sqs().queues[name]._messages = list(messages)
    for name, kept in saved.buckets.items():
        keys = _s3().buckets[name].keys
        dict.clear(keys)
        dict.update(keys, {key: list(versions) for key, versions in kept.items()})


def facts(*, ignoring: Collection[str] = ()) -> list[str]:
    """What is known: every row, every message once for each event that it brings, every object. Without its ids,
    moments, hashes and ciphertexts, which differ from run to run, and without the attributes to be ignored."""
    return [alike(fact) for found in (_rows({*NO_FACTS, *ignoring}), _messages(), _objects()) for fact in found]


def alike(text: str) -> str:
    """The text with what differs from run to run replaced by its kind: `<id>`, `<moment>`…"""
    return _VARIES.sub(lambda found: f"<{found.lastgroup}>", text)


def waiting(queue: str) -> list[str]:
    """The bodies of the messages in a queue of that name, the oldest first."""
    return [str(message.body) for message in _queue(queue)._messages]


def dealt_with(queue: str, body: str) -> None:
    """Take one message with that body out of the queue, as SQS does when its worker has not reported it."""
    messages = _queue(queue)._messages
    messages.remove(next(message for message in messages if message.body == body))


def forget_rows() -> None:
    """Empty every table."""
    for table in _dynamodb().tables.values():
        table.items.clear()


def forget_messages() -> None:
    """Empty every queue, of what is held back too, and forget whom SNS and SES have called."""
    for queue in _sqs().queues.values():
        queue._messages, queue._pending_messages = [], set()
    sns, ses = (get_backend(name)[DEFAULT_ACCOUNT_ID][REGION] for name in ("sns", "ses"))
    for calls in (sns.sms_messages, ses.sent_messages, *(topic.sent_notifications for topic in sns.topics.values())):
        calls.clear()
    sns.platform_endpoints.clear()


def _rows(ignoring: Collection[str]) -> Iterator[str]:
    for name, table in _dynamodb().tables.items():
        for item in table.all_items():
            attributes = item.to_json()["Attributes"].items()
            told = {attribute: value for attribute, value in attributes if attribute not in ignoring}
            yield f"row of {name}: {json.dumps(told, sort_keys=True, default=_legible, ensure_ascii=False)}"


def _legible(raw: bytes) -> str:
    text = raw.decode("iso-8859-1")
    return text if "".join(text.split()).isprintable() else "<random>"


def _messages() -> Iterator[str]:
    for name in _sqs().queues:
        brought = {_event_id(message.body): message.body for message in _sqs().queues[name]._messages}
        yield from (f"message in {name}: {body}" for body in brought.values())


def _event_id(body: str) -> str:
    """By which a consumer tells a repeat; a message that brings no event is told by all that it says."""
    told = json.loads(body)
    return str(told.get("id", body)) if isinstance(told, dict) else body


def _objects() -> Iterator[str]:
    for bucket in _s3().buckets.values():
        for key, stored in bucket.keys.items():
            yield f"object {key}: {stored.value.decode('iso-8859-1')}"


def _queue(name: str) -> Any:
    return next(queue for full, queue in _sqs().queues.items() if full.endswith(f"-{name}"))


def _dynamodb() -> Any:
    return get_backend("dynamodb")[DEFAULT_ACCOUNT_ID][REGION]


def _sqs() -> Any:
    return get_backend("sqs")[DEFAULT_ACCOUNT_ID][REGION]


def _s3() -> Any:
    return get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"]
