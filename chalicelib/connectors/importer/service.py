"""Take a file: cut it, take each slice, and report when all are done. Every step may be repeated.

    inbox queue ─► take_file ─► a row for each slice ─► slices queue ─► take_slice ─► result row ─► report, event

What is done is told by rows, not by messages: a message that comes again finds what is missing and does that only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from chalicelib.connectors.importer import rules
from chalicelib.connectors.importer.kinds import KINDS, Origin
from chalicelib.connectors.importer.rules import FileRefusal, LineRefusal, Piece, Reject, StoredObject
from chalicelib.connectors.importer.schemas import (
    Counts,
    FileImported,
    FileRefused,
    Import,
    ImportPage,
    ImportsOfMonth,
    State,
    Summary,
)
from chalicelib.connectors.importer.tables import FILE, SLICE_PREFIX, FileRow, ImportRow, SliceRow
from chalicelib.core import aws, clock, events, ids, queues, settings, telemetry
from chalicelib.core.errors import ChangedMeanwhile, EventIdReused, NotFound, Problem
from chalicelib.core.intake import Taken, in_chunks
from chalicelib.core.queues import Outgoing
from chalicelib.core.schemas import Schema
from chalicelib.core.settings import Settings
from chalicelib.core.transaction import MAX_ITEMS, transaction

ROWS_KEPT_FOR: Final = timedelta(days=90)
"""Longer than any queue keeps a message. What a file stated is known for as long as the features keep it."""

PAGE: Final = 50
CHUNK_BYTES: Final = 1024 * 1024


class ImporterSettings(Settings, frozen=True, kw_only=True):
    """The bucket of inbox and rejects."""

    bucket: str


class FileSettings(ImporterSettings, frozen=True, kw_only=True):
    """The address of the queue of slices, for who cuts files."""

    slices_queue: str


class SliceMessage(Schema, frozen=True, kw_only=True):
    """The message that asks for a slice."""

    import_id: str
    number: int


class _Opened(NamedTuple):
    """An object that is being read."""

    stored: StoredObject
    etag: str
    written_at: datetime
    body: Any

    @property
    def import_id(self) -> str:
        """The same for the same version of the same object, whichever notification names it."""
        return ids.derived(self.written_at, *self.stored, self.etag)


# --- the file -----------------------------------------------------------------------------------------------


def take_notification(body: str) -> None:
    """Take every file that an S3 notification names."""
    for stored in rules.objects_in(body):
        if not rules.is_ignored(stored.key):
            _take_file(stored)


def _take_file(stored: StoredObject) -> None:
    """Cut a file into slices and ask for those that are not done. A file that is done is left alone."""
    known = settings.load(ImporterSettings)
    if stored.bucket != known.bucket:
        raise ValueError(f"a notification of the bucket {stored.bucket}, which is not ours")
    opened = _open(stored)
    with contextlib.closing(opened.body):
        row = FileRow.find(_pk(opened.import_id), FILE)
        if row is not None and row.state != State.UNDER_WAY:
            return
        try:
            row, pieces = _cut(opened, row)
        except FileRefusal as refusal:
            _refuse(opened, refusal)
            return
    _record(row, pieces)
    _finish_or_ask(row)


def _cut(opened: _Opened, row: FileRow | None) -> tuple[FileRow, list[Piece]]:
    place = rules.place_of(opened.stored.key, KINDS)
    kind = KINDS[place.kind]
    found = rules.cut(opened.body.iter_chunks(CHUNK_BYTES))
    try:
        header = rules.decoded(rules.Line(rules.HEADER_LINE, found.header), kind.encoding)
        kind.read_header(header)
    except LineRefusal as refusal:
        raise FileRefusal(refusal.reason, line=rules.HEADER_LINE, rank=refusal.rank) from refusal
    row = row or _file_row(opened, state=State.UNDER_WAY, kind=place.kind, header=header, slices=len(found.pieces))
    return row, found.pieces


def _file_row(opened: _Opened, *, state: State, **attributes: Any) -> FileRow:
    now = clock.now()
    return FileRow(
        pk=_pk(opened.import_id),
        sk=FILE,
        expires_at=now + ROWS_KEPT_FOR,
        month=f"{now:%Y-%m}",
        position=f"{clock.stamp(now)}#{opened.import_id}",
        key=opened.stored.key,
        version=opened.stored.version,
        etag=opened.etag,
        state=state.value,
        written_at=opened.written_at,
        received_at=now,
        **attributes,
    )


def _record(row: FileRow, pieces: Sequence[Piece]) -> None:
    """Write the rows of the file and its slices that are not there yet."""
    written = {found.sk for found in ImportRow.query(row.pk, consistent_read=True)}
    rows = [row, *(_slice_row(row, piece) for piece in pieces)]
    for chunk in in_chunks([missing for missing in rows if missing.sk not in written], MAX_ITEMS):
        with transaction() as work:
            for missing in chunk:
                work.put(missing, unless_exists=ChangedMeanwhile("The same file is being taken by another worker."))


def _slice_row(row: FileRow, piece: Piece) -> SliceRow:
    return SliceRow(
        pk=row.pk,
        sk=_slice_sk(piece.number),
        expires_at=row.expires_at,
        start=piece.start,
        end=piece.end,
        first_line=piece.first_line,
    )


def _finish_or_ask(row: FileRow) -> None:
    """Ask for the slices that have no result; report if there are none."""
    slices = _slices_of(row)
    waiting = [_number(found) for found in slices if found.finished_at is None]
    if waiting:
        _ask_for(_import_id(row), waiting)
    else:
        _finish(row, slices)


def _ask_for(import_id: str, numbers: Sequence[int]) -> None:
    """Send a message for each slice. Raises NotQueued."""
    wanted = [SliceMessage(import_id=import_id, number=number) for number in numbers]
    queue = settings.load(FileSettings).slices_queue
    queues.send(queue, [Outgoing(msgspec.json.encode(message).decode()) for message in wanted])


def _refuse(opened: _Opened, refusal: FileRefusal) -> None:
    """Report that nothing of the file is taken, and record it once."""
    key = opened.stored.key
    _put(rules.report_key(key), rules.report_head() + rules.report_lines([refusal.reject]), "text/csv")
    row = _file_row(opened, state=State.REFUSED, reason=refusal.reject.reason, finished_at=clock.now())
    event = events.make(
        "facteo.file.refused",
        row.pk,
        FileRefused(key=key, reason=refusal.reject.reason, rejects=rules.report_key(key)),
        actor="system/importer",
        correlation_id=row.pk,
        event_id=ids.derived(opened.written_at, row.pk, "refused"),
    )
    telemetry.count("FilesRefused")
    with transaction() as work:
        work.put(row, unless_exists=ChangedMeanwhile("The same file is being taken by another worker."))
        work.append(event)


# --- a slice ------------------------------------------------------------------------------------------------


class _Result(NamedTuple):
    counts: Counts
    rejects: list[Reject]


def take_slice(message: SliceMessage) -> None:
    """Take a slice's lines unless that is done, then report on the file if this was the last one."""
    pk = f"import/{message.import_id}"
    row, found = FileRow.find(pk, FILE), SliceRow.find(pk, _slice_sk(message.number))
    if row is None or found is None:
        raise NotFound(f"There is no slice {message.number} of {pk}.")
    if found.finished_at is None:
        _store_result(row, found, _take_lines(row, found))
    if row.state == State.UNDER_WAY:
        slices = _slices_of(row)
        if all(each.finished_at is not None for each in slices):
            _finish(row, slices)


def _take_lines(row: FileRow, found: SliceRow) -> _Result:
    kind = KINDS[row.kind]
    header = kind.read_header(row.header)
    rejects: list[Reject] = []
    entries: list[Schema] = []
    lines: list[int] = []
    for line in rules.lines_of(_bytes_of(row, found), int(found.first_line)):
        try:
            entries.append(kind.read_line(rules.decoded(line, kind.encoding), header))
            lines.append(line.number)
        except LineRefusal as refusal:
            rejects.append(Reject(line.number, refusal.rank, refusal.reason))
    origin = Origin(row.written_at, lines, f"legacy/{row.kind}", f"{row.pk}/{_number(found)}")
    return _result(lines, kind.take(entries, origin), rejects)


def _result(lines: Iterable[int], outcomes: Iterable[Taken | Problem], rejects: list[Reject]) -> _Result:
    """A line that this very slice recorded before it was repeated is accepted, as it was then."""
    accepted = duplicates = 0
    for line, outcome in zip(lines, outcomes, strict=True):
        if isinstance(outcome, Problem):
            rejects.append(Reject(line, 0, outcome.detail))
        elif outcome is Taken.DUPLICATE:
            duplicates += 1
        else:
            accepted += 1
    return _Result(Counts(accepted=accepted, duplicates=duplicates, rejected=len(rejects)), rejects)


def _store_result(row: FileRow, found: SliceRow, result: _Result) -> None:
    """Rejects go to the bucket, where there is room for a thousand; the row says how many and where."""
    if result.rejects:
        found.rejects = rules.part_key(_import_id(row), _number(found))
        _put(found.rejects, rules.report_lines(result.rejects), "text/csv")
    try:
        with transaction() as work:
            work.update(
                found,
                [
                    SliceRow.accepted.set(result.counts.accepted),
                    SliceRow.duplicates.set(result.counts.duplicates),
                    SliceRow.rejected.set(result.counts.rejected),
                    SliceRow.rejects.set(found.rejects),
                    SliceRow.finished_at.set(clock.now()),
                ],
                when=SliceRow.finished_at.does_not_exist(),
                otherwise=ChangedMeanwhile("Another worker took this slice."),
            )
    except ChangedMeanwhile:
        telemetry.logger.info("slice taken twice at once", extra={"slice": f"{found.pk}/{found.sk}"})


# --- the report ---------------------------------------------------------------------------------------------


def _finish(row: FileRow, slices: Sequence[SliceRow]) -> None:
    """Write report and summary, then say once that the file is imported. Two who finish write the same bytes."""
    counts = _sum(slices)
    place = rules.place_of(row.key, KINDS)
    rejects = rules.report_key(row.key)
    parts = [_get(found.rejects) for found in slices if found.rejects]
    _put(rejects, rules.report_head() + b"".join(parts), "text/csv")
    summary = Summary(kind=place.kind, name=place.name, state=State.IMPORTED, **msgspec.structs.asdict(counts))
    _put(rules.summary_key(row.key), msgspec.json.format(msgspec.json.encode(summary)) + b"\n", "application/json")
    event = events.make(
        "facteo.file.imported",
        row.pk,
        FileImported(kind=place.kind, name=place.name, rejects=rejects, **msgspec.structs.asdict(counts)),
        actor=f"legacy/{row.kind}",
        correlation_id=row.pk,
        event_id=ids.derived(row.written_at, row.pk, "imported"),
    )
    try:
        with transaction() as work:
            work.update(
                row,
                [
                    FileRow.state.set(State.IMPORTED.value),
                    FileRow.accepted.set(counts.accepted),
                    FileRow.duplicates.set(counts.duplicates),
                    FileRow.rejected.set(counts.rejected),
                    FileRow.finished_at.set(clock.now()),
                ],
                when=FileRow.state == State.UNDER_WAY.value,
                otherwise=ChangedMeanwhile("Another slice finished the file."),
            )
            work.append(event)
    except (ChangedMeanwhile, EventIdReused):
        return
    for name, value in msgspec.structs.asdict(counts).items():
        telemetry.count(f"Lines{name.capitalize()}", value, kind=row.kind)


def _sum(slices: Iterable[SliceRow]) -> Counts:
    sums = dict.fromkeys(Counts.__struct_fields__, 0)
    for found in slices:
        for name in sums:
            sums[name] += int(getattr(found, name))
    return Counts(**sums)


# --- what operations look at --------------------------------------------------------------------------------


def read(import_id: str) -> Import:
    """An import and how many of its slices are done: two reads. Raises NotFound."""
    row = FileRow.find(f"import/{import_id}", FILE)
    if row is None:
        raise NotFound(f"There is no import {import_id}. They are kept for {ROWS_KEPT_FOR.days} days.")
    slices = _slices_of(row)
    counts = _sum(slices) if row.state == State.UNDER_WAY else _counts(row)
    done = len([found for found in slices if found.finished_at])
    return msgspec.structs.replace(_import(row), slices_done=done, **msgspec.structs.asdict(counts))


def imports_of(query: ImportsOfMonth) -> ImportPage:
    """The files received in a month, newest first: one query."""
    before = FileRow.position < query.after if query.after else None
    month = query.month or f"{clock.now():%Y-%m}"
    rows = list(FileRow.query(month, before, index_name="by-month", scan_index_forward=False, limit=PAGE + 1))
    following = rows[PAGE - 1].position or "" if len(rows) > PAGE else ""
    return ImportPage(imports=tuple(_import(row) for row in rows[:PAGE]), next=following)


def _import(row: FileRow) -> Import:
    return Import(
        id=_import_id(row),
        key=row.key,
        kind=row.kind,
        state=State(row.state),
        received_at=row.received_at,
        finished_at=row.finished_at,
        slices=int(row.slices),
        rejects=rules.report_key(row.key) if row.state != State.UNDER_WAY else "",
        reason=row.reason,
        **msgspec.structs.asdict(_counts(row)),
    )


def _counts(row: ImportRow) -> Counts:
    return Counts(accepted=int(row.accepted), duplicates=int(row.duplicates), rejected=int(row.rejected))


# --- rows and objects ---------------------------------------------------------------------------------------


def _pk(import_id: str) -> str:
    return f"import/{import_id}"


def _import_id(row: FileRow) -> str:
    return row.pk.removeprefix("import/")


def _slice_sk(number: int) -> str:
    return f"{SLICE_PREFIX}{number:05}"


def _number(found: SliceRow) -> int:
    return int(found.sk.removeprefix(SLICE_PREFIX))


def _slices_of(row: FileRow) -> list[SliceRow]:
    return list(SliceRow.query(row.pk, SliceRow.sk.startswith(SLICE_PREFIX), consistent_read=True))


def _open(stored: StoredObject) -> _Opened:
    answer = aws.client("s3").get_object(Bucket=stored.bucket, Key=stored.key, **_version(stored.version))
    return _Opened(stored, answer["ETag"].strip('"'), answer["LastModified"], answer["Body"])


def _bytes_of(row: FileRow, found: SliceRow) -> bytes:
    """The bytes of a slice, of the very object that was cut: another one in its place is an error of S3's.

    A server may ignore the range and answer with the whole object (RFC 9110, section 14.2): the local cloud does.
    """
    start, end = int(found.start), int(found.end)
    answer = aws.client("s3").get_object(
        Bucket=settings.load(ImporterSettings).bucket,
        Key=row.key,
        Range=f"bytes={start}-{end - 1}",
        IfMatch=f'"{row.etag}"',
        **_version(row.version),
    )
    raw: bytes = answer["Body"].read()
    return raw if "ContentRange" in answer else raw[start:end]


def _version(version: str) -> dict[str, str]:
    return {"VersionId": version} if version else {}


def _get(key: str) -> bytes:
    raw: bytes = aws.client("s3").get_object(Bucket=settings.load(ImporterSettings).bucket, Key=key)["Body"].read()
    return raw


def _put(key: str, content: bytes, content_type: str) -> None:
    bucket = settings.load(ImporterSettings).bucket
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)
