"""Judging a redirection: whether its contract held when the item was redirected, and whether it goes in circles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chalicelib.addresses import index
from chalicelib.attention import raising
from chalicelib.attention.raising import Matter
from chalicelib.attention.schemas import Kind
from chalicelib.core import events, inbox, journal
from chalicelib.core.events import Event
from chalicelib.core.transaction import retried, transaction
from chalicelib.items import service as items
from chalicelib.items.schemas import Redirected
from chalicelib.redirections import contracts, decisions
from chalicelib.redirections.schemas import RedirectionJudged, RedirectionRecord

CONSUMER: Final = "judging-redirections"
NOT_NAMED: Final = "redirection-not-named"
OF_ANOTHER_ADDRESS: Final = "redirection-of-another-address"


def judge(event: Event) -> None:
    """Judge an item's redirection, once: about five calls. What is doubtful is flagged and stays; its depot is told."""
    retried(lambda: _judge(event))


def _judge(event: Event) -> None:
    if not inbox.unseen(CONSUMER, [event.id]):
        return
    judged = RedirectionJudged(event=event.id, redirection=event.body(Redirected).redirection, flags=_flags(event))
    with transaction() as work:
        inbox.mark(work, CONSUMER, event.id)
        raising.raise_(work, Matter(Kind.REDIRECTION, event.subject, event, flags=judged.flags))
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
    judged = decisions.judge(history, known_revision=told.revision, moment=event.happened_at)
    return (*judged, *_elsewhere(event, history), *circles)


def _elsewhere(event: Event, history: Sequence[Event]) -> tuple[str, ...]:
    """Whether the contract is for the address to which the item was announced."""
    known = items.addressed(event.subject.removeprefix("item/"))
    addressee = known[1] if known else None
    stated = [one.body(RedirectionRecord) for one in history if one.type in decisions.STATED]
    if addressee is None or not stated or stated[0].address == index.key_of(addressee):
        return ()
    return (OF_ANOTHER_ADDRESS,)
