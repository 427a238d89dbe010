"""Buildings and their readers: as the registry keeps them, and the bodies of requests, answers and events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, field

from chalicelib.core.clock import PARIS
from chalicelib.core.ids import UUID7_PATTERN
from chalicelib.core.schemas import END, Schema
from chalicelib.passes.legal_bases import LegalBasis
from chalicelib.people.schemas import Name, Revision

Sector = Annotated[str, Meta(pattern=r"^([0-9]{2}|2[AB])[0-9]{3}[0-9A-Z]{1,6}" + END)]
"""The INSEE code of a municipality, which begins with 2A or 2B in Corsica, and the sector within it."""
BuildingId = Annotated[str, Meta(pattern=UUID7_PATTERN)]
ReaderId = Annotated[str, Meta(pattern=r"^(?!0{16})[0-9a-f]{16}" + END)]
"""8 bytes in hex. Zeros stand for any reader in a code, and are none."""
ServiceNumber = Annotated[str, Meta(pattern=r"^[123]" + END)]


class Hours(Schema, frozen=True):
    """When a service may enter: days (1 is Monday), from the first minute until before the last, in Paris."""

    days: Annotated[str, Meta(pattern=r"^1?2?3?4?5?6?7?" + END, min_length=1)]
    since: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]" + END)] = field(name="from")
    to: Annotated[str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)" + END)]

    def holds(self, moment: datetime) -> bool:
        """Whether a moment lies in them, by the clock of Paris: as readers decide."""
        local = moment.astimezone(PARIS)
        return str(local.isoweekday()) in self.days and self.since <= f"{local:%H:%M}" < self.to


Admitted = dict[ServiceNumber, Annotated[tuple[Hours, ...], Meta(min_length=1, max_length=20)]]
"""The services that may enter, and when; one that is not there may not. The number is that of `Service`."""


class BuildingDetails(Schema, frozen=True, kw_only=True):
    """A building: its address, its sector, when which services may enter, and by which right the post does."""

    street: Name
    postcode: Annotated[str, Meta(pattern=r"^[0-9]{5}" + END)]
    town: Name
    sector: Sector
    services: Admitted
    legal_basis: LegalBasis


class SaveBuilding(BuildingDetails, frozen=True, kw_only=True):
    """States what a building is. `replaces` is the revision that the caller has seen; left out: whatever is there."""

    replaces: Revision | None = None


class BuildingEntry(BuildingDetails, frozen=True, kw_only=True):
    """What a request or a line of a file states; `facteo.building.registered`, `.changed`.

    A line without hours of any service registers a building that admits nobody.
    """

    id: BuildingId
    services: Admitted = field(default_factory=dict)


class BuildingRecord(BuildingEntry, frozen=True, kw_only=True):
    """A building as it is kept: with 16 secret bytes that only its readers share, and the ids of its readers.

    `stated_at` is when it was last stated, so that of a file's lines only those count that are newer.
    """

    secret: bytes
    readers: tuple[str, ...] = ()
    stated_at: str = ""

    @property
    def entry(self) -> BuildingEntry:
        """What was stated of it."""
        return BuildingEntry(**{name: getattr(self, name) for name in BuildingEntry.__struct_fields__})


class BuildingAnswer(BuildingEntry, frozen=True, kw_only=True):
    """A building, where the right to enter it is written, its readers, and its revision."""

    legal_source: str
    readers: tuple[str, ...]
    revision: int


class BuildingsOfSector(Schema, frozen=True, kw_only=True):
    """Asks for the buildings of a sector, those after the building `after`."""

    sector: Sector
    after: Annotated[str, Meta(max_length=36)] = ""


class BuildingPage(Schema, frozen=True, kw_only=True):
    """Buildings by their id. `next` is the `after` of the next page, empty on the last one."""

    buildings: tuple[BuildingAnswer, ...]
    next: str = ""


class ReaderLine(Schema, frozen=True, kw_only=True):
    """A reader's line of the registry, as it is installed with it (docs/protocol/pass.md, section 8).

    `building` are the 16 secret bytes by which passes name the building, in hex: for the reader alone.
    """

    reader: ReaderId
    sector: Sector
    building: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}" + END)]
    services: Admitted


class SaveReader(Schema, frozen=True, kw_only=True):
    """The public key of a reader's receipts, as it prints it when it is installed: a compressed point in hex."""

    key: Annotated[str, Meta(pattern=r"^0[23][0-9a-f]{64}" + END)]


class ReaderRecord(Schema, frozen=True, kw_only=True):
    """The building at whose door a reader hangs, and the public key of its receipts (JWK)."""

    building: str
    key: dict[str, str]


class ReaderAnswer(SaveReader, frozen=True, kw_only=True):
    """A reader, its building and its key."""

    reader: str
    building: str


class ReaderRegistered(Schema, frozen=True, kw_only=True):
    """`facteo.building.reader-registered`."""

    reader: str
    key: dict[str, str]


class ReaderNamed(Schema, frozen=True, kw_only=True):
    """`facteo.building.reader-removed`, and `facteo.building.line-told`: somebody was given a reader's line."""

    reader: str
