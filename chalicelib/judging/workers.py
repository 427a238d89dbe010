"""The function behind the queue `judging`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from chalice.app import Blueprint

from chalicelib.core import consumer, events
from chalicelib.core.consumer import Message
from chalicelib.core.events import Event
from chalicelib.items.event_types import ANNOUNCED, CORRECTED, HANDED_OVER, REDIRECTED, SCANNED
from chalicelib.signatures import judging as proofs
from chalicelib.signatures import rules
from chalicelib.signatures.judging import ProviderSettings

workers = Blueprint(__name__)


def _redirection(event: Event) -> None:
    from chalicelib.redirections import judging as redirections  # noqa: PLC0415 - a feature's modules for few events

    redirections.judge(event)


JUDGES: Final[Mapping[str, Callable[[Event], None]]] = {
    HANDED_OVER: proofs.judge,
    ANNOUNCED: proofs.judge_again,
    SCANNED: proofs.judge_again,
    CORRECTED: proofs.corrected,
    rules.ALARM: proofs.drawing_reused,
    REDIRECTED: _redirection,
}
"""Event type → who judges it. `connectors.relay.subscriptions` brings these types here."""


@consumer.queue(workers, "judging", batch_size=10, settings=ProviderSettings)
def judging(messages: Sequence[Message]) -> None:
    """What happened at doors, and what became known of it since: judge each, once."""
    for message in messages:
        event = events.decode(message.body)
        JUDGES[event.type](event)
