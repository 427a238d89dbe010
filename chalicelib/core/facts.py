"""What handsets may say: each feature has a table of its facts, and sync takes them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec

from chalicelib.core.errors import Problem
from chalicelib.core.events import Event
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork

if TYPE_CHECKING:  # only sync, which has the key, needs its library
    from chalicelib.core.public_keys import PublicKey

MAX_EVENT_BYTES = 32 * 1024
REFUSALS_KEPT_FOR = timedelta(days=90)
"""How long what was refused can be read: long enough to ask the carrier, and to mend a program."""


class Evidence(Protocol):
    """A fact that is more than its words: what of it exists once in the world, and how it is kept sealed."""

    @property
    def rows(self) -> int:
        """How many rows `kept` writes with the work."""

    @property
    def claims(self) -> Mapping[str, str]:
        """What nobody else may state, by name, each with the owner who may state it again."""

    def kept(self, work: UnitOfWork, event: Event) -> Event:
        """The event as the journal keeps it, with its personal data sealed.

        A key of its own is written with the work; one that many share may be there already.
        """

    def clash(self, owners: Mapping[str, str], event: Event) -> tuple[Problem, Event]:
        """Why it is refused if others own some of its claims, and the event that raises the alarm."""


class HandsetFact(msgspec.Struct, frozen=True, kw_only=True):
    """A type of event that handsets may send: its body, and the subject that such a body speaks of.

    `examine`, where the fact is evidence, is given the body, the event and the handset's key, and raises a Problem for
    what cannot be evidence at all. `refusals_kept_for` is how long one that was refused can be read.
    """

    body: type[Schema]
    subject_of: Callable[[Schema], str]
    max_bytes: int = MAX_EVENT_BYTES
    refusals_kept_for: timedelta = REFUSALS_KEPT_FOR
    examine: Callable[[Schema, Event, PublicKey], Evidence] | None = None
