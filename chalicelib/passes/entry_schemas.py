"""Entries: their halves as they are kept, and what carriers and staff are told of them."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from chalicelib.core.schemas import Schema


class Teller(enum.StrEnum):
    """Who tells of an entry: the handset that showed its pass, or the reader by its receipt."""

    HANDSET = "handset"
    READER = "reader"


class Shown(Schema, frozen=True):
    """The handset's half of an entry: it showed a pass to a reader. `is_code`: as a QR code, which nobody may have
    looked at, and of which the handset gets no receipt.
    """

    pass_id: str
    reader: str
    at: datetime
    is_code: bool


class Receipted(Schema, frozen=True):
    """The reader's half of an entry: what it did, by its own time. `pass_id` is empty if it could read none.

    `proven`: the registry knows its key, and that key signed it.
    """

    pass_id: str
    reader: str
    at: datetime
    result: str
    proven: bool


class Halves(Schema, frozen=True):
    """The two halves of an entry, as far as they came, and the words by which staff were told to look at it.

    `told_in` is the place in the journal of what told of it first. `at` is the reader's time once its key proves it,
    else the handset's. `line` is its place among the carrier's entries, and `waits` the list in which it stands until
    its other half comes; both are empty until there is a half.
    """

    carrier: str
    told_in: tuple[str, str]
    at: datetime
    line: str = ""
    waits: str = ""
    building: str = ""
    shown: Shown | None = None
    receipt: Receipted | None = None
    words: tuple[str, ...] = ()

    @property
    def is_code(self) -> bool:
        """Whether the handset showed a code, and that is all there is."""
        return self.shown is not None and self.shown.is_code

    @property
    def pass_id(self) -> str:
        """The pass, as far as either half names one."""
        named = [half.pass_id for half in (self.receipt, self.shown) if half is not None]
        return next(filter(None, named), "")


class EntryKept(Schema, frozen=True):
    """An entry, as it stands under its carrier and its building. `has_opened`: the reader's key signed that it did."""

    at: datetime
    carrier: str
    pass_id: str
    reader: str
    building: str
    result: str
    is_code: bool
    told_by_handset: bool
    told_by_reader: bool
    has_opened: bool = False


class Waiting(Schema, frozen=True):
    """Since when one half of an entry waits for the other."""

    since: datetime


class EntriesPage(Schema, frozen=True):
    """Where to go on reading: the `after` of the page before."""

    after: Annotated[str, Meta(min_length=1, max_length=100)] | None = None


class EntryTold(Schema, frozen=True):
    """An entry. `at` is the reader's time where its key proves it, else the handset's. `building` is null if the reader
    is in no registry; `result` is `opened`, why the door did not open, or null: no receipt has come. `told_by` says who
    told of it.
    """

    at: datetime
    pass_id: str
    reader: str
    building: str | None
    result: str | None
    told_by: tuple[Teller, ...]


class Look(Schema, frozen=True):
    """Who of staff looked at how many of a carrier's entries, and when."""

    by: str
    at: datetime
    entries: int


class OwnEntries(Schema, frozen=True):
    """A carrier's own entries, the newest first, where to go on reading, and who looked at any of them, the last 100
    times. The `result` `refused` stands for `suspended` and `revoked`.
    """

    entries: tuple[EntryTold, ...]
    looks: tuple[Look, ...]
    after: str | None = None


class CarriersEntry(EntryTold, frozen=True):
    """An entry, and whose it was."""

    carrier: str


class BuildingEntries(Schema, frozen=True):
    """The entries at a building, the newest days first, and where to go on reading."""

    entries: tuple[CarriersEntry, ...]
    after: str | None = None


class EntriesViewed(Schema, frozen=True):
    """`facteo.pass.entries-viewed`: staff looked at so many of a carrier's entries. Where they were it does not say."""

    entries: int
