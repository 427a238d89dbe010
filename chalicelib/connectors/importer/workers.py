"""The functions behind the queues `inbox` and `slices`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from chalice.app import Blueprint

from chalicelib.connectors.importer import service
from chalicelib.connectors.importer.service import FileSettings, ImporterSettings, SliceMessage
from chalicelib.core import consumer
from chalicelib.core.consumer import Message

workers = Blueprint(__name__)


@consumer.queue(workers, "inbox", batch_size=1, settings=FileSettings)
def take_file(messages: Sequence[Message]) -> None:
    """A file has been put in the bucket: cut it into slices."""
    for message in messages:
        service.take_notification(message.body)


@consumer.queue(workers, "slices", batch_size=1, settings=ImporterSettings)
def take_slice(messages: Sequence[Message]) -> None:
    """A slice of a file waits: take its lines."""
    for message in messages:
        service.take_slice(msgspec.json.decode(message.body, type=SliceMessage))
