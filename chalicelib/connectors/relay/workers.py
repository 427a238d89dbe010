"""The functions behind the journal's stream, readmissions and the sweeper's clock."""

from __future__ import annotations

from collections.abc import Sequence

from chalice.app import Blueprint

from chalicelib.connectors.relay import service
from chalicelib.connectors.relay import sweep as sweeps
from chalicelib.connectors.relay.service import HandsetQueues, RelaySettings
from chalicelib.core import consumer, events
from chalicelib.core.consumer import Message

workers = Blueprint(__name__)


@consumer.stream(workers, batch_size=100, settings=RelaySettings)
def relay(messages: Sequence[Message]) -> None:
    """Events were recorded: put each into the queues of those who take it."""
    service.relay([events.decode(message.body) for message in messages])


@consumer.queue(workers, "readmissions", batch_size=1, settings=HandsetQueues)
def readmit(messages: Sequence[Message]) -> None:
    """A handset was found: release what it sent while it was quarantined."""
    from chalicelib.connectors.relay import readmitting  # noqa: PLC0415 - loads tables, which relaying needs not

    for message in messages:
        readmitting.readmit(events.decode(message.body))


@consumer.schedule(workers, "rate(5 minutes)", settings=RelaySettings)
def sweep() -> None:
    """Every five minutes: relay what the stream never brought, or what could not be put at the time."""
    sweeps.sweep()
