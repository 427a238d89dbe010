"""What is said of an imported file: to the journal, to operations and to the sender."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import END, Schema

ImportId = Annotated[str, Meta(pattern=UUID7_PATTERN)]
Month = Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])" + END)]


class State(enum.StrEnum):
    """How far a file has come."""

    UNDER_WAY = "under-way"
    IMPORTED = "imported"
    REFUSED = "refused"


class Counts(Schema, frozen=True, kw_only=True):
    """Lines that are not empty, the header not counted. `duplicates`: known already, from another file or line."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0


class FileImported(Counts, frozen=True, kw_only=True):
    """`facteo.file.imported`: every line of the file has been accepted, known already or rejected."""

    kind: str
    name: str
    rejects: str


class FileRefused(Schema, frozen=True, kw_only=True):
    """`facteo.file.refused`: nothing of the file was taken."""

    key: str
    reason: str
    rejects: str


class Summary(Counts, frozen=True, kw_only=True):
    """The file that tells the sender, beside the rejects, what became of theirs."""

    kind: str
    name: str
    state: State


class Import(Counts, frozen=True, kw_only=True):
    """A file and how far it has come. `key` and `rejects` are keys in the bucket; `slices` its parts."""

    id: str
    key: str
    kind: str
    state: State
    received_at: datetime
    finished_at: datetime | None
    slices: int
    slices_done: int | None = None
    rejects: str = ""
    reason: str = ""


class ImportsOfMonth(Schema, frozen=True, kw_only=True):
    """Asks for the files received in a month (UTC, default: this one), newest first, those after `after`."""

    month: Month | None = None
    after: Annotated[str, Meta(max_length=80)] = ""


class ImportPage(Schema, frozen=True, kw_only=True):
    """Imports, newest first. `next` is the `after` of the next page, empty on the last one."""

    imports: tuple[Import, ...]
    next: str = ""
