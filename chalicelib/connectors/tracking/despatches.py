"""From waiting lines to files at the receiver, each line exactly once.

| step                                    | what a crash right after it leaves, and who repairs it               |
|-----------------------------------------|----------------------------------------------------------------------|
| 1 fix: lines, name, bytes (one write)   | lines that wait although they are in a file; step 2 is done again    |
| 2 delete those lines from the waiting   | a file that nobody has begun to send; the next run does              |
| 3 upload under a name without `.ok`     | a file that the receiver ignores; the next run uploads another       |
| 4 check its size, record UPLOADED       | the next run goes on at step 5                                       |
| 5 rename to `.ok`: the hand-over        | `.ok` there, or the upload gone because the receiver took it: step 6 |
| 6 record SENT, and `facteo.despatch.sent` | nothing is left to do                                              |

A client's next file is fixed only when its last one is SENT, so its lines are never in two files. The last file is
read before the lines: a despatcher that saw lines of a file fixed meanwhile fails on that file's number. From step
2 on, one despatcher works on a file: it holds a lease, and its `attempt` is a condition of what it records.

A line is traced from the file back to the handset: `origin_of(name, line)` gives the event and the correlation id
of the request that brought it, under which every log line of that request stands. Content and trail are kept for
400 days. Lines, rows and logs hold no personal data: item numbers, codes, times and the sender's own reference.

The receiver must not clear away uploads between steps 4 and 5: one that is gone counts as handed over.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, time
from itertools import islice
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from pynamodb.exceptions import DeleteError
from pynamodb.expressions.condition import Condition

from chalicelib.connectors.return_file import CLOSES, OPENS, within_send_window
from chalicelib.connectors.tracking import rules
from chalicelib.connectors.tracking.rules import MAX_LINES, State
from chalicelib.connectors.tracking.schemas import DespatchSent, Origin, Traced
from chalicelib.connectors.tracking.tables import CONTENT, ContentRow, DespatchRow, DueRow, LineRow
from chalicelib.connectors.tracking.transport import Channel, Connect, TransferFailed, Transport, Unreachable, sftp
from chalicelib.core import clock, events, ids, settings, telemetry
from chalicelib.core.errors import ChangedMeanwhile, EventIdReused, NotFound
from chalicelib.core.settings import Settings
from chalicelib.core.table import code_of
from chalicelib.core.transaction import transaction

ACTOR: Final = "system/despatch"


class DespatchSettings(Settings, frozen=True, kw_only=True):
    """How many lines a file has at most, and when (Paris time, through midnight) the receiver's server is open."""

    despatch_lines: Annotated[int, Meta(ge=1, le=MAX_LINES)] = MAX_LINES
    receiver_opens: time = OPENS
    receiver_closes: time = CLOSES


def send_due(connect: Connect = sftp) -> None:
    """Send what waits, one file after the other for each client in turn, while the receiver's server is open.

    A client whose file cannot be sent holds back no other. Without any connection the run ends. What failed is
    logged and counted as `DespatchesFailed`, and stays for the next run.
    """
    until = clock.now() + rules.RUN_FOR
    with Channel(connect) as channel:
        due = _due() if _receiver_is_open() else []
        try:
            while due:
                due = [marker for marker in due if _may_begin(until) and _succeeds(marker, channel)]
        except Unreachable:
            _failed("no connection")


def origin_of(name: str, line: int) -> Origin:
    """Where a line of a file comes from: one read. `line` counts from 1. Raises NotFound."""
    row = ContentRow.find(rules.content_partition(name), CONTENT)
    trail = _trail(row) if row else []
    if not 1 <= line <= len(trail):
        raise NotFound(
            f"No line {line} of a file {name} is known. They are kept for {rules.CONTENT_KEPT_FOR.days} days."
        )
    traced = trail[line - 1]
    return Origin(event_id=traced.event_id, correlation_id=traced.correlation_id)


# --- a run ----------------------------------------------------------------------------------------------


def _due() -> list[DueRow]:
    return [marker for shard in rules.due_partitions() for marker in DueRow.query(shard, consistent_read=True)]


def _may_begin(until: datetime) -> bool:
    return clock.now() < until and _receiver_is_open()


def _receiver_is_open() -> bool:
    known = settings.load(DespatchSettings)
    return within_send_window(clock.now(), known.receiver_opens, known.receiver_closes)


def _succeeds(marker: DueRow, channel: Channel) -> bool:
    """Send one file of a client; whether that went well, so that it may have another."""
    try:
        return _send_one(marker, channel)
    except Unreachable:
        raise
    except ChangedMeanwhile:
        telemetry.logger.info("another despatcher is at it", extra={"client": marker.sk})
    except Exception:  # whatever broke, the other clients' files must leave
        channel.drop()
        _failed("failed", client=marker.sk)
    return False


def _failed(message: str, **fields: str) -> None:
    telemetry.logger.exception(message, extra={"worker": "despatch", **fields})
    telemetry.count("DespatchesFailed")


def _send_one(marker: DueRow, channel: Channel) -> bool:
    row = _unfinished(marker.sk)
    if row is None:
        _unmark(marker)
        return False
    transport = channel.open()
    _lease(row)
    try:
        _deliver(row, transport)
    except Exception:
        # The next run need not wait for the lease to end. A process that dies leaves it to do just that.
        with suppress(ChangedMeanwhile):
            _change(row, leased_until=clock.now(), cleared=row.cleared)
        raise
    return True


def _unmark(marker: DueRow) -> None:
    """Nothing waits: delete the marker, unless a line came since it was read."""
    try:
        marker.delete(condition=DueRow.touched == marker.touched)
    except DeleteError as error:
        if code_of(error) != "ConditionalCheckFailedException":
            raise


# --- step 1: fix ----------------------------------------------------------------------------------------


def _unfinished(client: str) -> DespatchRow | None:
    """The client's file that is not SENT yet; else a new one, or None if no line waits."""
    last = _last(client)
    if last is not None and last.state != State.SENT:
        return last
    lines = _waiting(client)
    return _fix(client, int(last.sequence) + 1 if last else 1, lines) if lines else None


def _last(client: str) -> DespatchRow | None:
    newest = DespatchRow.query(
        rules.despatch_partition(client), scan_index_forward=False, limit=1, consistent_read=True
    )
    return next(newest, None)


def _waiting(client: str) -> list[LineRow]:
    """The client's oldest lines, in the order of the file."""
    most = settings.load(DespatchSettings).despatch_lines
    shards = [LineRow.query(shard, limit=most, consistent_read=True) for shard in rules.line_partitions(client)]
    return list(islice(heapq.merge(*shards, key=lambda line: line.sk), most))


def _fix(client: str, sequence: int, lines: Sequence[LineRow]) -> DespatchRow:
    now = clock.now()
    content = rules.assemble(line.text for line in lines)
    row = DespatchRow(
        pk=rules.despatch_partition(client),
        sk=rules.despatch_position(sequence),
        client=client,
        sequence=sequence,
        state=State.FIXED.value,
        fixed_at=now,
        leased_until=now,
        lines=len(lines),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    trail = [Traced(position=line.sk, correlation_id=line.correlation_id) for line in lines]
    kept = ContentRow(
        pk=rules.content_partition(row.name),
        sk=CONTENT,
        content=content,
        trail=msgspec.json.encode(trail).decode(),
        expires_at=now + rules.CONTENT_KEPT_FOR,
    )
    taken = ChangedMeanwhile("Another despatcher has fixed this client's next file.")
    with transaction() as work:
        work.put(row, unless_exists=taken)
        work.put(kept, unless_exists=taken)
    return row


# --- steps 2 to 6 ---------------------------------------------------------------------------------------


def _lease(row: DespatchRow) -> None:
    """Take the file on, as it was read. Raises ChangedMeanwhile if another despatcher holds it or has moved it on."""
    now = clock.now()
    free = (DespatchRow.leased_until <= now) & (DespatchRow.state == row.state)
    _change(row, when=free, attempt=int(row.attempt) + 1, leased_until=now + rules.LEASE)


def _deliver(row: DespatchRow, transport: Transport) -> None:
    if row.state == State.FIXED:
        _upload(row, transport)
    if transport.size(row.name) is None and transport.size(row.temporary) is not None:
        transport.rename(row.temporary, to=row.name)
    _record_sent(row)


def _upload(row: DespatchRow, transport: Transport) -> None:
    """Steps 2 to 4. What earlier attempts may have left at the receiver is cleared away."""
    kept = ContentRow.get(rules.content_partition(row.name), CONTENT, consistent_read=True)
    _forget_lines(row.client, _trail(kept))
    for attempt in range(int(row.cleared) + 1, int(row.attempt)):
        transport.remove(_temporary_name(row, attempt))
        row.cleared = attempt
    temporary = _temporary_name(row, int(row.attempt))
    transport.upload(temporary, kept.content)
    if (size := transport.size(temporary)) != row.size:
        raise TransferFailed(f"{temporary} has {size} bytes at the receiver, not {row.size}")
    _change(row, state=State.UPLOADED.value, temporary=temporary)


def _forget_lines(client: str, trail: Sequence[Traced]) -> None:
    """Delete the file's lines from those that wait; that some are gone already is no error."""
    with LineRow.batch_write() as batch:
        for traced in trail:
            batch.delete(LineRow(pk=rules.line_partition(client, traced.event_id), sk=traced.position))


def _record_sent(row: DespatchRow) -> None:
    """Another despatcher may have recorded it: it is as true then, and said once."""
    event = events.make(
        "facteo.despatch.sent",
        row.pk,
        DespatchSent(
            client=row.client,
            sequence=int(row.sequence),
            name=row.name,
            lines=int(row.lines),
            size=int(row.size),
            sha256=row.sha256,
            fixed_at=row.fixed_at,
        ),
        actor=ACTOR,
        correlation_id=f"{row.pk}/{row.sk}",
        event_id=ids.derived(row.fixed_at, row.pk, row.sk, "sent"),
    )
    try:
        with transaction() as work:
            work.update(
                row,
                [DespatchRow.state.set(State.SENT.value), DespatchRow.sent_at.set(clock.now())],
                when=DespatchRow.state == State.UPLOADED.value,
                otherwise=ChangedMeanwhile("Another despatcher has recorded it."),
            )
            work.append(event)
    except (ChangedMeanwhile, EventIdReused):
        return
    telemetry.logger.info("sent", extra={"file": row.name, "lines": int(row.lines), "sha256": row.sha256})
    telemetry.count("LinesSent", int(row.lines))


def _change(row: DespatchRow, when: Condition | None = None, **values: Any) -> None:
    """Change a file that is still at the attempt that `row` says. Raises ChangedMeanwhile."""
    ours = DespatchRow.attempt == row.attempt
    with transaction() as work:
        work.update(
            row,
            [getattr(DespatchRow, name).set(value) for name, value in values.items()],
            when=ours & when if when is not None else ours,
            otherwise=ChangedMeanwhile("Another despatcher has taken this file on."),
        )
    for name, value in values.items():
        setattr(row, name, value)


def _temporary_name(row: DespatchRow, attempt: int) -> str:
    return rules.temporary_name(row.client, row.fixed_at, int(row.sequence), attempt)


def _trail(row: ContentRow) -> list[Traced]:
    return msgspec.json.decode(row.trail, type=list[Traced])
