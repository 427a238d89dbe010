"""The consoles' feed: one for each zone, numbered without a gap, each line exactly once.

The number is given here, by workers, and never in a raise: the counter is a row that many write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice, takewhile
from typing import Final, NamedTuple

import msgspec

from chalicelib.alerts import ladder, store
from chalicelib.alerts.ladder import Move
from chalicelib.alerts.schemas import Alert, Feed, FeedLine, Line
from chalicelib.alerts.store import Held
from chalicelib.alerts.tables import AlertsRow, LinesRow
from chalicelib.core import clock, telemetry
from chalicelib.core.errors import ChangedMeanwhile, RequestInvalid
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import retried, transaction

PAGE: Final = 200
LINES_AT_ONCE: Final = 60
ALERTS_AT_ONCE: Final = 30
"""So many lines, so many alerts and the counter fit into one transaction."""
KEPT_FOR: Final = timedelta(days=400)
ASK_AGAIN_SECONDS: Final = 2
"""An operator is to see an alert within two seconds, also the first of the day."""


class Counter(Schema, frozen=True):
    """The number of the last line of a zone."""

    last: int


class _Batch(NamedTuple):
    """What one transaction brings into the feed: alerts, each without the lines that go."""

    kept: list[tuple[Held, Alert]]
    lines: list[Line]


def bring(alerts: Iterable[Alert]) -> None:
    """Bring what alerts have to say into the feed of their zone: a read and a transaction for each 30 alerts.

    What cannot be brought now, because others write the same feed, is brought when the alert is looked at next.
    """
    by_zone: dict[str, list[str]] = {}
    for alert in alerts:
        for zone in dict.fromkeys(_zone_of(line, alert) for line in alert.outbox if alert.zone):
            by_zone.setdefault(zone, []).append(alert.id)
    for zone, ids in by_zone.items():
        for first in range(0, len(ids), ALERTS_AT_ONCE):
            _bring_some(zone, ids[first : first + ALERTS_AT_ONCE])


def read(zone: str, after: int) -> Feed:
    """The lines after a number, and how soon to ask again: one query."""
    rows = list(LinesRow.query(_pk(zone), LinesRow.sk > _sk(after), limit=PAGE + 1, consistent_read=True))
    lines = tuple(row.holds(FeedLine) for row in rows[:PAGE])
    more = len(rows) > PAGE
    return Feed(
        lines=lines,
        through=lines[-1].seq if lines else after,
        more=more,
        ask_again_seconds=0 if more else ASK_AGAIN_SECONDS,
    )


def shown(zone: str, after: int, through: int, *, by: str, correlation_id: str) -> None:
    """A console shows these lines: note which alerts were seen by that. A query, then two calls for each of them.

    Raises RequestInvalid.
    """
    if through <= after:
        raise RequestInvalid("'through' is the number of a line after 'after'.")
    within = LinesRow.sk.between(_sk(after + 1), _sk(min(through, after + PAGE)))
    rows = LinesRow.query(_pk(zone), within, consistent_read=True)
    last = {line.alert: line for line in (row.holds(FeedLine) for row in rows)}
    for line in last.values():
        store.change(line.alert, partial(_seen, zone=zone, line=line, by=by), correlation_id=correlation_id)


def _seen(alert: Alert, *, zone: str, line: Line, by: str) -> Move | None:
    """The alert as it is seen; None if another zone has it now, or its ladder began anew since that line."""
    is_past = alert.id == line.alert and alert.epoch != line.epoch
    return None if alert.zone != zone or is_past else ladder.seen(alert, clock.now(), by=by)


def open_in(zone: str) -> list[str]:
    """The ids of the open alerts of a zone: one query."""
    return [row.sk for row in LinesRow.query(f"open/{zone}", consistent_read=True)]


def _bring_some(zone: str, ids: Sequence[str]) -> None:
    remaining = list(ids)
    while remaining:
        try:
            remaining = retried(lambda: _bring(zone, remaining))  # noqa: B023 - run at once
        except ChangedMeanwhile:
            telemetry.logger.warning("the feed is written by many: brought later", extra={"zone": zone})
            return


def _bring(zone: str, ids: Sequence[str]) -> list[str]:
    """One transaction. Which alerts have more to say."""
    rows = {row.pk: row for row in AlertsRow.find_many([_pk(zone), *(store.key_of(one) for one in ids)])}
    counter = rows.pop(_pk(zone), None)
    last = counter.holds(Counter).last if counter else 0
    found = [store.of_row(row) for row in rows.values()]
    batch = _fitting(found, zone)
    if not batch.lines:
        return []
    now = clock.now()
    with transaction() as work:
        meanwhile = ChangedMeanwhile("Somebody else wrote the feed at the same time.")
        unchanged = AlertsRow.revision == counter.revision if counter else AlertsRow.pk.does_not_exist()
        work.put(_counter(zone, last + len(batch.lines), counter), when=unchanged, otherwise=meanwhile)
        for seq, line in enumerate(batch.lines, last + 1):
            work.put(_line(zone, seq, line, now), unless_exists=meanwhile)
        for held, alert in batch.kept:
            store.put(work, held, alert, now)
    for line in batch.lines:
        telemetry.seconds("FeedDelay", now - line.at)
    after = [alert for _, alert in batch.kept]
    after += [held.alert for held in found if held.alert.id not in {alert.id for alert in after}]
    return [alert.id for alert in after if alert.outbox and _zone_of(alert.outbox[0], alert) == zone]


def _fitting(found: Sequence[Held], zone: str) -> _Batch:
    """As many lines as fit, those of an alert in their order."""
    batch = _Batch([], [])
    now = clock.now()
    for held in found:
        room = LINES_AT_ONCE - len(batch.lines)
        ours = takewhile(lambda line: _zone_of(line, held.alert) == zone, held.alert.outbox)  # noqa: B023 - run at once
        going = list(islice(ours, room))
        if going:
            rest = held.alert.outbox[len(going) :]
            alert = msgspec.structs.replace(held.alert, outbox=rest, told_at=held.alert.told_at or now)
            batch.kept.append((held, alert))
            batch.lines.extend(going)
    return batch


def _zone_of(line: Line, alert: Alert) -> str:
    """Whose feed a line goes into: that of the zone that had the alert then."""
    return line.zone or alert.zone


def _counter(zone: str, last: int, before: AlertsRow | None) -> AlertsRow:
    content = msgspec.json.encode(Counter(last=last)).decode()
    return AlertsRow(pk=_pk(zone), content=content, revision=int(before.revision) + 1 if before else 1)


def _line(zone: str, seq: int, line: Line, now: datetime) -> LinesRow:
    numbered = FeedLine(seq=seq, **{name: getattr(line, name) for name in Line.__struct_fields__})
    return LinesRow(_pk(zone), _sk(seq), content=msgspec.json.encode(numbered).decode(), expires_at=now + KEPT_FOR)


def _pk(zone: str) -> str:
    return f"feed/{zone}"


def _sk(seq: int) -> str:
    return f"{seq:012}"
