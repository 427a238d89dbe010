"""Bringing something to a depot's attention, within the unit of work that finds it. Workers load no more than this."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from chalicelib.attention.schemas import Kind
from chalicelib.attention.tables import AttentionRow
from chalicelib.core import clock, ids
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.events import Event
from chalicelib.core.transaction import UnitOfWork

KEPT_FOR = timedelta(days=365)


class Matter(NamedTuple):
    """What a judgement says of an event, in the depot where that happened: what is missing, what is doubtful.

    `subject` is where its judgements stand in the journal; `revision` is the number of this one.
    """

    kind: Kind
    subject: str
    event: Event
    missing: Sequence[str] = ()
    flags: Sequence[str] = ()
    revision: int = 1

    @property
    def words(self) -> set[str]:
        """All that somebody is to look at."""
        return {*self.missing, *self.flags}

    @property
    def item(self) -> str:
        """The item that it is about; empty if it is about something else."""
        kind, _, name = self.event.subject.partition("/")
        return name if kind == "item" else ""

    @property
    def key(self) -> tuple[str, str]:
        """The depot and the entry's id, which is always the same for the same judgement."""
        entry = ids.derived(self.event.happened_at, "attention", self.event.id, str(self.revision))
        return self.event.place.removeprefix("depot/"), entry


def raise_(work: UnitOfWork, matter: Matter, *, instead_of: Matter | None = None) -> None:
    """Put a matter on its depot's work list, if there is something to look at.

    What was judged before (`instead_of`) is looked at no more. If somebody has dealt with it already, only a new word
    brings the matter back. One read if there was something to look at before; the work is then refused with
    ChangedMeanwhile if somebody deals with it at the same time.
    """
    waits = False
    if instead_of is not None and instead_of.words:
        former = AttentionRow.find(*instead_of.key)
        waits = former is not None
        if former is not None:
            handled = ChangedMeanwhile("Somebody dealt with it at the same time.")
            work.delete(former, when=AttentionRow.id.exists(), otherwise=handled)
    told = set() if instead_of is None or waits else instead_of.words
    if matter.words - told:
        work.put(_row(matter))


def _row(matter: Matter) -> AttentionRow:
    depot, entry = matter.key
    return AttentionRow(
        depot,
        entry,
        kind=matter.kind,
        subject=matter.subject,
        item=matter.item,
        missing=" ".join(matter.missing),
        flags=" ".join(matter.flags),
        happened_at=matter.event.happened_at,
        expires_at=clock.now() + KEPT_FOR,
    )
