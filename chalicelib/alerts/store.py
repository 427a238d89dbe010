"""Loading and writing alerts: the row, its events and what else belongs to a move, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Annotated, Final, NamedTuple
from zlib import crc32

import msgspec
from msgspec import Meta

from chalicelib.alerts import ladder, reports
from chalicelib.alerts.ladder import Move
from chalicelib.alerts.schemas import Alert, Purpose, State
from chalicelib.alerts.tables import AlertsRow, LinesRow
from chalicelib.core import clock, events, keyring, settings
from chalicelib.core.errors import ChangedMeanwhile, NotFound, Problem
from chalicelib.core.keyring import DataKey
from chalicelib.core.settings import Settings
from chalicelib.core.transaction import UnitOfWork, retried, transaction

EVENT: Final = "facteo.alert."
VIEWED: Final = EVENT + "viewed"
SHARDS: Final = 8
"""Over how many keys the index of what is due is spread."""


class AlertSettings(Settings, frozen=True, kw_only=True):
    """For how many days positions can be read, from that of the alert: two months at most (CNIL, former NS-51)."""

    alert_positions_days: Annotated[int, Meta(ge=1, le=60)] = 60


class Held(NamedTuple):
    """An alert as it was read, and the revision of its row."""

    alert: Alert
    revision: int


Decision = Callable[[Alert], Move | None]


def key_for(work: UnitOfWork, alert_id: str) -> DataKey:
    """A new data key of an alert, for positions and notes, written with the work."""
    days = settings.load(AlertSettings).alert_positions_days
    return keyring.create(work, key_of(alert_id), keep_until=clock.today() + timedelta(days=days))


def key_of(alert_id: str) -> str:
    """Where an alert stands."""
    return f"alert/{alert_id}"


def pointer_key(device: str, carrier: str, purpose: Purpose) -> str:
    """Where the last alert of a carrier with a device is named: a self-test never stands between two that are meant."""
    return f"device/{device}/{carrier}/{purpose}"


def of_row(row: AlertsRow) -> Held:
    """The alert of a row."""
    return Held(row.holds(Alert), int(row.revision))


def find(alert_id: str) -> Held | None:
    """An alert: one consistent read. None if there is none."""
    row = AlertsRow.find(key_of(alert_id))
    return of_row(row) if row else None


def own(alert_id: str) -> Held:
    """A press, even one that another alert goes on for: one read. Raises NotFound."""
    held = find(alert_id)
    if held is None:
        raise NotFound(f"There is no alert {alert_id}.")
    return held


def existing(alert_id: str) -> Held:
    """An alert, or the one that it was joined to: a read, or more. Raises NotFound."""
    return joined(own(alert_id))


def joined(press: Held) -> Held:
    """The alert that a press was joined to, or itself."""
    while press.alert.joined_to:
        press = own(press.alert.joined_to)
    return press


def going_on_for(press: Held) -> Held:
    """The alert that goes on for a press: its successor, if one was raised for it, else the one it was joined to."""
    return joined(own(press.alert.successor)) if press.alert.successor else joined(press)


def find_many(alert_ids: Iterable[str]) -> list[Alert]:
    """Alerts that exist: a consistent call for each 100."""
    return [row.holds(Alert) for row in AlertsRow.find_many(key_of(one) for one in alert_ids)]


def change(alert_id: str, decide: Decision, *, correlation_id: str) -> Alert:
    """Load, decide, write: again if somebody else was faster. A decision of None, or without effect, writes nothing."""

    def attempt() -> Alert:
        held = existing(alert_id)
        move = decide(held.alert)
        if move is None or (move.alert == held.alert and not move.said):
            return held.alert
        with transaction() as work:
            save(work, held, move, correlation_id=correlation_id)
        return move.alert

    return retried(attempt)


def add(work: UnitOfWork, move: Move, *, correlation_id: str, taken: Problem) -> None:
    """Write a new alert with its events; `taken` is what it means that there is one with that id."""
    now = clock.now()
    work.put(_row(move.alert, 1, now), unless_exists=taken)
    append(work, move, now, correlation_id=correlation_id)


def save(work: UnitOfWork, held: Held, move: Move, *, correlation_id: str) -> None:
    """Write an alert after a move, with its events. The work is refused if the alert changed since it was read."""
    now = clock.now()
    put(work, held, move.alert, now)
    _list(work, held.alert, move.alert)
    _count(work, held.alert, move.alert, now)
    append(work, move, now, correlation_id=correlation_id)


def put(work: UnitOfWork, held: Held, alert: Alert, now: datetime) -> None:
    """Write an alert instead of the one that was read."""
    unchanged = AlertsRow.revision == held.revision
    meanwhile = ChangedMeanwhile("The alert changed at the same time; read it again.")
    work.put(_row(alert, held.revision + 1, now), when=unchanged, otherwise=meanwhile)


def append(work: UnitOfWork, move: Move, now: datetime, *, correlation_id: str) -> None:
    """Write what was said of an alert into the journal."""
    alert = move.alert
    for said in move.said:
        work.append(
            events.make(
                EVENT + said.what,
                alert.subject,
                said.body,
                actor=said.by,
                correlation_id=correlation_id or alert.id,
                at=now,
                place=f"depot/{alert.depot}",
                flags=" ".join(said.body.flags),
            )
        )


def due(shard: int, until: datetime) -> list[tuple[str, datetime]]:
    """The alerts of a shard that were due until then, and since when, by an index that may lag behind by a moment."""
    found = AlertsRow.by_due.query(str(shard), AlertsRow.due_at <= clock.stamp(until))
    return [(row.pk.removeprefix("alert/"), datetime.fromisoformat(row.due_at)) for row in found]


def _list(work: UnitOfWork, before: Alert, after: Alert) -> None:
    """Keep the list of a zone's open alerts."""
    if _list_of(before) != _list_of(after):
        if zone := _list_of(before):
            work.delete(LinesRow(f"open/{zone}", after.id))
        if zone := _list_of(after):
            work.put(LinesRow(f"open/{zone}", after.id, content="{}"))


def _count(work: UnitOfWork, before: Alert, after: Alert, now: datetime) -> None:
    """Note for a zone's report how an alert ended, or how long it was there before it was handed over."""
    is_left = before.zone not in {"", after.zone}
    if is_left or (_is_over(after) and not _is_over(before)):
        ended = before if is_left else after
        content = msgspec.json.encode(reports.row_of(ended, now)).decode()
        name = f"{clock.stamp(ended.received_at)}#{ended.id}#{ended.epoch}"
        work.put(LinesRow(f"report/{ended.zone}", name, content=content))


def _is_over(alert: Alert) -> bool:
    return alert.state is State.CLOSED and bool(alert.zone)


def _list_of(alert: Alert) -> str:
    return alert.zone if alert.is_open else ""


def _row(alert: Alert, revision: int, now: datetime) -> AlertsRow:
    moment = ladder.due_at(alert, now)
    return AlertsRow(
        pk=key_of(alert.id),
        content=msgspec.json.encode(alert).decode(),
        revision=revision,
        may_go_out=ladder.may_go_out(alert),
        due_shard=str(crc32(alert.id.encode()) % SHARDS) if moment else None,
        due_at=clock.stamp(moment) if moment else None,
    )
