"""Judging a redirection: whether its contract held when the item was redirected, and whether it goes in circles."""

from __future__ import annotations

from typing import Final

from chalicelib.core import events, inbox, journal
from chalicelib.core.events import Event
from chalicelib.core.transaction import retried, transaction
from chalicelib.items.schemas import Redirected
from chalicelib.redirections import contracts, decisions
from chalicelib.redirections.schemas import RedirectionJudged

CONSUMER: Final = "judging-redirections"
NOT_NAMED: Final = "redirection-not-named"


def judge(event: Event) -> None:
    """Judge an item's redirection, once: a read, two queries and a write. What is doubtful is flagged and stays."""
    retried(lambda: _judge(event))


def _judge(event: Event) -> None:
    if not inbox.unseen(CONSUMER, [event.id]):
        return
    judged = RedirectionJudged(event=event.id, redirection=event.body(Redirected).redirection, flags=_flags(event))
    with transaction() as work:
        inbox.mark(work, CONSUMER, event.id)
        work.append(
            events.make(
                "facteo.redirection.judged",
                event.subject,
                judged,
                actor="system/judging",
                correlation_id=event.correlationid,
                place=event.place,
            )
        )


def _flags(event: Event) -> tuple[str, ...]:
    circles = decisions.hops(journal.read(event.subject))
    told = event.body(Redirected).redirection
    if told is None:
        return (NOT_NAMED, *circles)
    history = journal.read(contracts.subject_of(told.id))
    return (*decisions.judge(history, known_revision=told.revision, moment=event.happened_at), *circles)
