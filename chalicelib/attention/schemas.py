"""The work list of a depot, and what is said when something of it is done."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import Schema

EntryId = Annotated[str, Meta(pattern=UUID7_PATTERN)]


class Kind(enum.StrEnum):
    """What kind of thing somebody is to look at."""

    PROOF = "proof"
    REDIRECTION = "redirection"
    ENTRY = "entry"
    DEVICE = "device"


class Entry(Schema, frozen=True):
    """Something to look at. `subject` is its place in the journal (`proof/<event>`, `item/<number>`, `pass/<id>`).

    `item` is empty if it is about none. `missing` are the mentions that a proof lacks, `flags` what is doubtful.
    `happened_at` is when it happened.
    """

    id: str
    kind: Kind
    subject: str
    item: str
    missing: tuple[str, ...]
    flags: tuple[str, ...]
    happened_at: datetime


class WorkList(Schema, frozen=True):
    """What there is to look at, the oldest first, and where to go on reading."""

    entries: tuple[Entry, ...]
    after: str | None = None


class Handling(Schema, frozen=True):
    """What was done about an entry. It is kept as it is, for ever: name nobody and no address in it."""

    note: Annotated[str, Meta(min_length=3, max_length=200)]


class Handled(Schema, frozen=True):
    """`facteo.attention.handled`, of what the entry was about: what was to be looked at, and what was done."""

    entry: str
    kind: Kind
    item: str
    missing: tuple[str, ...]
    flags: tuple[str, ...]
    note: str
