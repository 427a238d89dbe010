"""Files, slices, lines and reports: where a file belongs, how it is cut, what its reports say. No I/O."""

from __future__ import annotations

import csv
import io
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

INBOX: Final = "inbox/"
REJECTS: Final = "rejects/"

LINES_PER_SLICE: Final = 1000
MAX_LINE_BYTES: Final = 64 * 1024
HEADER_LINE: Final = 1

_REPORT_COLUMNS: Final = ("line", "rank", "reason")


class FileRefusal(Exception):  # noqa: N818 - reads as the fact it is
    """Nothing of the file can be taken. `line` 0 is the whole file; `reason` is for the sender."""

    def __init__(self, reason: str, *, line: int = 0, rank: int = 0) -> None:
        super().__init__(reason)
        self.reject = Reject(line, rank, reason)


class LineRefusal(Exception):  # noqa: N818
    """This line cannot be taken. `rank` is the field, from 1, 0 the whole line; `reason` is for the sender."""

    def __init__(self, rank: int, reason: str) -> None:
        super().__init__(reason)
        self.rank = rank
        self.reason = reason


class Reject(NamedTuple):
    """A line of the reject report."""

    line: int
    rank: int
    reason: str


class StoredObject(NamedTuple):
    """An object that a notification names. `version` is empty in a bucket without versions."""

    bucket: str
    key: str
    version: str


class Place(NamedTuple):
    """What an inbox key says: the kind of file, and the name that its sender gave it."""

    kind: str
    name: str


class Piece(NamedTuple):
    """A slice of a file: its bytes `start` up to but without `end`, and the number of its first line."""

    number: int
    start: int
    end: int
    first_line: int


class Line(NamedTuple):
    """A line of a file, without its end."""

    number: int
    raw: bytes


# --- notifications ------------------------------------------------------------------------------------------


def objects_in(notification: str) -> list[StoredObject]:
    """The new objects that an S3 notification names; none in the test message that S3 sends at set-up.

    Raises msgspec.DecodeError, KeyError or TypeError for a message that is no notification.
    """
    content: dict[str, Any] = msgspec.json.decode(notification)
    if content.get("Event") == "s3:TestEvent":
        return []
    return [_stored(record["s3"]) for record in content["Records"] if "ObjectCreated" in record["eventName"]]


def _stored(s3: dict[str, Any]) -> StoredObject:
    key = urllib.parse.unquote_plus(s3["object"]["key"])
    return StoredObject(s3["bucket"]["name"], key, s3["object"].get("versionId", ""))


def is_ignored(key: str) -> bool:
    """Whether this is no file of a sender: our own reports, which must not be reported on, and folder markers."""
    return key.startswith(REJECTS) or key.endswith("/")


def place_of(key: str, kinds: Iterable[str]) -> Place:
    """What the key says. Raises FileRefusal for one that is not under `inbox/<kind>/`."""
    kind, _, name = key.removeprefix(INBOX).partition("/")
    if not key.startswith(INBOX) or kind not in kinds or not name:
        places = ", ".join(f"{INBOX}{known}/" for known in sorted(kinds))
        raise FileRefusal(f"Nothing is known of files here. Put the file into one of {places}.")
    return Place(kind, name)


def report_key(key: str) -> str:
    """Where the reject report of a file goes: `rejects/<kind>/<name>.rejects.csv`."""
    return f"{REJECTS}{key.removeprefix(INBOX)}.rejects.csv"


def summary_key(key: str) -> str:
    """Where the summary of a file goes."""
    return f"{REJECTS}{key.removeprefix(INBOX)}.summary.json"


def part_key(import_id: str, number: int) -> str:
    """Where the rejects of one slice wait for the report."""
    return f"{REJECTS}.parts/{import_id}/{number:05}.csv"


# --- cutting ------------------------------------------------------------------------------------------------


class Cut(NamedTuple):
    """A file cut up: its first line, raw and without its end, and the slices of the others."""

    header: bytes
    pieces: list[Piece]


def cut(chunks: Iterable[bytes], lines_per_slice: int = LINES_PER_SLICE) -> Cut:
    """Cut a file into slices of whole lines. Takes it chunk by chunk and keeps none of it but the first line.

    Raises FileRefusal for an empty file and for what is not made of lines.
    """
    head = bytearray()
    ends = _line_ends(_remembering(chunks, head))
    header_end = next(ends, 0)
    if header_end == 0:
        raise FileRefusal("The file is empty.")
    pieces: list[Piece] = []
    start = end = header_end
    count, first_line = 0, HEADER_LINE + 1
    for end in ends:
        count += 1
        if count == lines_per_slice:
            pieces.append(Piece(len(pieces) + 1, start, end, first_line))
            start, first_line, count = end, first_line + count, 0
    if count:
        pieces.append(Piece(len(pieces) + 1, start, end, first_line))
    return Cut(_without_end(bytes(head[:header_end])), pieces)


def lines_of(raw: bytes, first_line: int) -> Iterator[Line]:
    """The lines of a slice that are not empty, with their numbers in the file. They end with LF or CRLF."""
    for offset, line in enumerate(raw.split(b"\n")):
        bare = line.removesuffix(b"\r")
        if bare.strip():
            yield Line(first_line + offset, bare)


def decoded(line: Line, encoding: str) -> str:
    """The text of a line. Raises LineRefusal."""
    try:
        return line.raw.decode(encoding)
    except UnicodeDecodeError as error:
        reason = f"Byte {error.start + 1} of the line is not {encoding.upper()}. Write the file in {encoding.upper()}."
        raise LineRefusal(0, reason) from error


def _remembering(chunks: Iterable[bytes], head: bytearray) -> Iterator[bytes]:
    for chunk in chunks:
        head += chunk[: MAX_LINE_BYTES - len(head)] if len(head) < MAX_LINE_BYTES else b""
        yield chunk


def _line_ends(chunks: Iterable[bytes]) -> Iterator[int]:
    """The position after each line, that of a last line without an end too."""
    offset = line_start = number = 0
    for chunk in chunks:
        for found in re.finditer(b"\n", chunk):
            end = offset + found.end()
            number += 1
            _check_length(end - line_start, number)
            line_start = end
            yield end
        offset += len(chunk)
        _check_length(offset - line_start, number + 1)
    if offset > line_start:
        yield offset


def _check_length(length: int, line: int) -> None:
    if length > MAX_LINE_BYTES:
        reason = f"The line has over {MAX_LINE_BYTES} bytes: an end of line is missing, or this is no text file."
        raise FileRefusal(reason, line=line)


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


# --- reports ------------------------------------------------------------------------------------------------


def report_head() -> bytes:
    """The first line of a reject report."""
    return _csv([_REPORT_COLUMNS])


def report_lines(rejects: Sequence[Reject]) -> bytes:
    """Rejects as lines of the report, by line number: UTF-8, `;` between fields. The same rejects, the same bytes."""
    return _csv((str(reject.line), str(reject.rank), reject.reason) for reject in sorted(rejects))


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
