"""The functions behind the queue `tracking` and the clock of the despatches."""

from __future__ import annotations

from collections.abc import Sequence

from chalice.app import Blueprint

from chalicelib.connectors.tracking import despatches, service
from chalicelib.connectors.tracking.despatches import DespatchSettings
from chalicelib.core import consumer, events
from chalicelib.core.consumer import Message

workers = Blueprint(__name__)


@consumer.queue(workers, "tracking", batch_size=100)
def tracking(messages: Sequence[Message]) -> None:
    """Item events for the senders: write their lines."""
    service.take([events.decode(message.body) for message in messages])


@consumer.schedule(workers, "rate(1 minute)", settings=DespatchSettings)
def despatch() -> None:
    """Each minute: send the files that are due."""
    despatches.send_due()
