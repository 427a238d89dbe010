"""The kinds of legacy files: how each is written, how its lines are read, and which feature takes them.

A feature is imported when the first file of its kind comes: taking a sorting plan does not load announcements.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from chalicelib.connectors.importer.rules import HEADER_LINE, FileRefusal, LineRefusal
from chalicelib.core.errors import Problem
from chalicelib.core.intake import Taken
from chalicelib.core.schemas import Schema


class Origin(NamedTuple):
    """Where lines come from: the file's moment, the lines' numbers, and what the journal says of them.

    The correlation id is that of one slice of one version of one file.
    """

    at: datetime
    lines: Sequence[int]
    actor: str
    correlation_id: str


Outcome = Taken | Problem
ReadHeader = Callable[[str], Any]
ReadLine = Callable[[str, Any], Schema]
Take = Callable[[Sequence[Schema], Origin], Sequence[Outcome]]


class FileKind(NamedTuple):
    """How the files of a kind are taken. Reading raises FileRefusal (header) and LineRefusal (line)."""

    encoding: str
    read_header: ReadHeader
    read_line: ReadLine
    take: Take


# --- files with `;` between named columns ---------------------------------------------------------------------


class Column(NamedTuple):
    """A column: where its value goes (`address.street`), whether it may be empty, how it is read (or ValueError)."""

    name: str
    into: str = ""
    required: bool = True
    read: Callable[[str], Any] = str

    @property
    def path(self) -> tuple[str, ...]:
        """The fields that lead to the value."""
        return tuple((self.into or self.name).split("."))


def _words(text: str) -> list[str]:
    return text.split()


def _prices(text: str) -> list[dict[str, str]]:
    """`8R:495 6A:350`: products and their prices in cents."""
    pairs = (word.partition(":") for word in text.split())
    return [{"product": product, "price_cents": price} for product, _, price in pairs]


_TIME: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS: Final = re.compile(f"(?P<days>(?=[1-7])1?2?3?4?5?6?7?) +(?P<from>{_TIME}) *- *(?P<to>{_TIME}|24:00)")


def _hours(text: str) -> list[dict[str, str]]:
    """`123456 06:00-24:00, 7 08:00-12:00`: days (1 is Monday), from and to. Raises ValueError."""
    found = [_HOURS.fullmatch(part.strip()) for part in text.split(",")]
    if None in found:
        raise ValueError("Write days, 1 for Monday, and hours as in '123456 06:00-24:00, 7 08:00-12:00'.")
    return [match.groupdict() for match in found if match]


_ADDRESS: Final = (
    Column("street", "address.street", required=False),
    Column("postcode", "address.postcode"),
    Column("town", "address.town"),
    Column("country", "address.country", required=False),
)

COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "zones": (Column("zone", "id"), Column("name")),
    "depots": (
        Column("depot", "id"),
        Column("name"),
        Column("zone"),
        Column("postcodes", required=False, read=_words),
        *_ADDRESS,
        Column("subcontractor", "subcontractor.name", required=False),
        Column("subcontractor_street", "subcontractor.address.street", required=False),
        Column("subcontractor_postcode", "subcontractor.address.postcode", required=False),
        Column("subcontractor_town", "subcontractor.address.town", required=False),
    ),
    "carriers": (
        Column("carrier", "id"),
        Column("first_name"),
        Column("last_name"),
        Column("phone", required=False),
        Column("depot"),
        Column("manager", required=False),
    ),
    "duties": (
        Column("carrier"),
        Column("day"),
        Column("depot"),
        Column("route"),
        Column("starts"),
        Column("ends"),
    ),
    "clients": (
        Column("client", "number"),
        Column("company"),
        *_ADDRESS,
        Column("products", required=False, read=_prices),
    ),
    "buildings": (
        Column("building", "id"),
        Column("street"),
        Column("postcode"),
        Column("town"),
        Column("sector"),
        Column("mail", "services.1", required=False, read=_hours),
        Column("parcels", "services.2", required=False, read=_hours),
        Column("help", "services.3", required=False, read=_hours),
        Column("legal_basis"),
    ),
    "sorting-plan": (
        Column("postcode"),
        Column("street"),
        Column("number_from", required=False),
        Column("number_to", required=False),
        Column("parity", required=False),
        Column("depot"),
        Column("route"),
        Column("rank"),
    ),
}
"""The columns of each kind, in any order. One that may be empty may also be missing."""


class CsvHeader(NamedTuple):
    """The columns of a file, in the file's order."""

    columns: tuple[Column, ...]

    def refusal(self, error: msgspec.ValidationError) -> LineRefusal:
        """What a validation error (`… - at `$.address.town``) says, in terms of the columns."""
        fault, _, path = str(error).rpartition(" - at `$.")
        for rank, column in enumerate(self.columns, 1):
            if path.rstrip("`").split("[")[0] == ".".join(column.path):
                return LineRefusal(rank, f"{column.name}: {fault}.")
        return LineRefusal(0, f"{error}.")


def csv_header(kind: str) -> ReadHeader:
    """Reads the header row of the CSV files of a kind."""
    known = {column.name: column for column in COLUMNS[kind]}

    def read(line: str) -> CsvHeader:
        names = [name.strip() for name in _fields(line.removeprefix("\ufeff"))]
        strange = [name for name in names if name not in known]
        missing = [name for name, column in known.items() if column.required and name not in names]
        if strange or missing or len(set(names)) != len(names):
            expected = ";".join(name if known[name].required else f"[{name}]" for name in known)
            raise FileRefusal(f"The first line must name each of these columns once: {expected}.", line=HEADER_LINE)
        return CsvHeader(tuple(known[name] for name in names))

    return read


def csv_line(schema: Callable[[], type[Schema]]) -> ReadLine:
    """Reads a line of a CSV file as that struct."""

    def read(line: str, header: CsvHeader) -> Schema:
        values = _fields(line)
        if len(values) != len(header.columns):
            raise LineRefusal(0, f"The line has {len(values)} fields and the header {len(header.columns)}.")
        try:
            return msgspec.convert(_nested(values, header), schema(), strict=False)
        except msgspec.ValidationError as error:
            raise header.refusal(error) from error

    return read


def _nested(values: Sequence[str], header: CsvHeader) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for rank, (column, value) in enumerate(zip(header.columns, values, strict=True), 1):
        stripped = value.strip()
        if stripped:
            *parents, last = column.path
            within = nested
            for parent in parents:
                within = within.setdefault(parent, {})
            within[last] = _read(rank, column, stripped)
        elif column.required:
            raise LineRefusal(rank, f"{column.name} must not be empty.")
    return nested


def _read(rank: int, column: Column, value: str) -> Any:
    try:
        return column.read(value)
    except ValueError as error:
        raise LineRefusal(rank, f"{column.name}: {error}") from error


def _fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=";", strict=True), [])
    except csv.Error as error:
        raise LineRefusal(0, f"The quotes of the line do not fit: {error}.") from error


# --- what each feature takes ----------------------------------------------------------------------------------


def _people(name: str) -> Callable[[], type[Schema]]:
    def schema() -> type[Schema]:
        from chalicelib.people import schemas  # noqa: PLC0415 - see above

        found: type[Schema] = getattr(schemas, name)
        return found

    return schema


def _take_people(entries: Sequence[Schema], origin: Origin) -> Sequence[Outcome]:
    from chalicelib.people import legacy  # noqa: PLC0415

    return legacy.import_records(
        entries, lines=origin.lines, at=origin.at, actor=origin.actor, correlation_id=origin.correlation_id
    )


def _building() -> type[Schema]:
    from chalicelib.passes.registry_schemas import BuildingEntry  # noqa: PLC0415

    return BuildingEntry


def _take_buildings(entries: Sequence[Any], origin: Origin) -> Sequence[Outcome]:
    from chalicelib.passes import legacy  # noqa: PLC0415

    return legacy.import_buildings(
        entries, lines=origin.lines, at=origin.at, actor=origin.actor, correlation_id=origin.correlation_id
    )


def _plan_line() -> type[Schema]:
    from chalicelib.rounds.schemas import PlanLine  # noqa: PLC0415

    return PlanLine


def _take_plan(entries: Sequence[Any], origin: Origin) -> Sequence[Outcome]:
    from chalicelib.rounds import plan  # noqa: PLC0415

    return plan.import_plan(entries, actor=origin.actor, correlation_id=origin.correlation_id)


def _announcement_header(line: str) -> Any:
    from chalicelib.connectors import announcement_file  # noqa: PLC0415

    try:
        return announcement_file.read_header(line)
    except announcement_file.HeaderRefused as refused:
        raise FileRefusal(refused.reason, line=HEADER_LINE, rank=refused.rank) from refused


def _announcement_line(line: str, header: Any) -> Schema:
    from chalicelib.connectors import announcement_file  # noqa: PLC0415

    try:
        return announcement_file.read_line(line, header)
    except announcement_file.LineRefused as refused:
        raise LineRefusal(refused.rank, refused.reason) from refused


def _announce(entries: Sequence[Any], origin: Origin) -> Sequence[Outcome]:
    from chalicelib.items import service  # noqa: PLC0415

    return service.announce(entries, actor=origin.actor, correlation_id=origin.correlation_id)


def each_once(take: Take) -> Take:
    """Take what stands twice in a slice once: a correlation id alone cannot tell such a line from a repeated slice."""

    def take_each_once(entries: Sequence[Schema], origin: Origin) -> list[Outcome]:
        distinct = list(dict.fromkeys(entries))
        outcomes = iter(take(distinct, origin))
        seen: set[Schema] = set()
        taken: list[Outcome] = []
        for entry in entries:
            taken.append(Taken.DUPLICATE if entry in seen else next(outcomes))
            seen.add(entry)
        return taken

    return take_each_once


def _csv_kind(kind: str, schema: Callable[[], type[Schema]], take: Take) -> FileKind:
    return FileKind("utf-8", csv_header(kind), csv_line(schema), take)


KINDS: Final[Mapping[str, FileKind]] = {
    "announcements": FileKind("iso-8859-1", _announcement_header, _announcement_line, each_once(_announce)),
    "zones": _csv_kind("zones", _people("Zone"), _take_people),
    "depots": _csv_kind("depots", _people("Depot"), _take_people),
    "carriers": _csv_kind("carriers", _people("CarrierEntry"), _take_people),
    "duties": _csv_kind("duties", _people("Duty"), _take_people),
    "clients": _csv_kind("clients", _people("Client"), _take_people),
    "buildings": _csv_kind("buildings", _building, _take_buildings),
    "sorting-plan": _csv_kind("sorting-plan", _plan_line, each_once(_take_plan)),
}
"""What may lie under `inbox/<kind>/`."""
