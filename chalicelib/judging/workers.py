"""The function behind the queue `judging`.

Most of its messages are late facts of items that nobody handed over yet: with them nothing is to be done, and for them
nothing of the judges is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Final

from chalice.app import Blueprint

from chalicelib.core import consumer, events, journal
from chalicelib.core.consumer import Message
from chalicelib.core.events import Event
from chalicelib.items.event_types import ANNOUNCED, CORRECTED, HANDED_OVER, REDIRECTED, SCANNED
from chalicelib.signatures.terms import ALARM, ProviderSettings

workers = Blueprint(__name__)


def _proofs() -> ModuleType:
    from chalicelib.signatures import judging as proofs  # noqa: PLC0415 - see above

    return proofs


def _redirection(event: Event) -> None:
    from chalicelib.redirections import judging as redirections  # noqa: PLC0415 - see above

    redirections.judge(event)


def _handed_over(event: Event) -> None:
    _proofs().judge(event)


def _late(event: Event) -> None:
    if _was_handed_over(event.subject):
        _proofs().judge_again(event)


def _corrected(event: Event) -> None:
    if _was_handed_over(event.subject):
        _proofs().corrected(event)


def _drawing_reused(event: Event) -> None:
    _proofs().drawing_reused(event)


def _was_handed_over(subject: str) -> bool:
    return any(event.type == HANDED_OVER for event in journal.read(subject))


JUDGES: Final[Mapping[str, Callable[[Event], None]]] = {
    HANDED_OVER: _handed_over,
    ANNOUNCED: _late,
    SCANNED: _late,
    CORRECTED: _corrected,
    ALARM: _drawing_reused,
    REDIRECTED: _redirection,
}
"""Event type → who judges it. `connectors.relay.subscriptions` brings these types here."""


@consumer.queue(workers, "judging", batch_size=10, settings=ProviderSettings)
def judging(messages: Sequence[Message]) -> None:
    """What happened at doors, and what became known of it since: judge each, once."""
    for message in messages:
        event = events.decode(message.body)
        JUDGES[event.type](event)
