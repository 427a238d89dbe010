"""What operators do: look, take, answer, note, hand over, close. Every look at a position is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from chalicelib.alerts import aml, cap, feed, ladder, reports, store, track, zones
from chalicelib.alerts.cap import Sender
from chalicelib.alerts.ladder import Move
from chalicelib.alerts.policies import NATIONAL
from chalicelib.alerts.reports import AlertReport, CentreReport, Row, Told
from chalicelib.alerts.schemas import (
    AddNote,
    Alert,
    AlertList,
    ConsoleAlert,
    Fix,
    Flag,
    Happened,
    NoteRead,
    OpenAlert,
    Reason,
    Whereabouts,
)
from chalicelib.alerts.store import VIEWED, Held
from chalicelib.alerts.tables import LinesRow
from chalicelib.alerts.track import Track
from chalicelib.core import clock, events, journal, keyring, settings, telemetry
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import Unavailable
from chalicelib.core.events import Event
from chalicelib.core.http_signatures import SignatureSettings
from chalicelib.core.keyring import DataKey, KeyGone
from chalicelib.core.schemas import Sealed
from chalicelib.core.transaction import transaction

ROLLING = timedelta(days=366)
SENDER: Final = "La Poste, centre d'alerte des facteurs"


def open_alerts(zone: str, *, by: StaffMember) -> AlertList:
    """The open alerts of a zone, without positions: a query and a read for each 100. Raises AccessDenied."""
    zones.require_zone(by, zone)
    alerts = sorted(store.find_many(feed.open_in(zone)), key=lambda alert: alert.received_at)
    return AlertList(alerts=tuple(_summary(alert) for alert in alerts))


def look(alert_id: str, *, by: StaffMember, correlation_id: str) -> ConsoleAlert:
    """An alert with where the carrier is, which is written down: two reads, a query and a transaction.

    Raises NotFound, AccessDenied.
    """
    alert = _theirs(alert_id, by).alert
    key, erased = _key(alert)
    where = _opened(key, alert.whereabouts)
    _write_down(alert, "alert", by=by, correlation_id=correlation_id)
    return ConsoleAlert(
        alert=_summary(alert),
        fix=where.fixes[-1] if where.fixes else None,
        last_place=where.last_place,
        age_seconds=_age(where, clock.now()),
        notes=tuple(_notes(key, _history(alert))),
        erased=erased,
    )


def acknowledge(alert_id: str, *, by: StaffMember, correlation_id: str) -> OpenAlert:
    """Take an alert, for as long as its lease. Raises NotFound, AccessDenied, AlertClosed."""
    return _change(alert_id, ladder.acked, by, correlation_id)


def respond(alert_id: str, *, by: StaffMember, correlation_id: str) -> OpenAlert:
    """Say that help is under way. Raises NotFound, AccessDenied, AlertClosed."""
    return _change(alert_id, ladder.responding, by, correlation_id)


def note(alert_id: str, text: str, *, by: StaffMember, correlation_id: str) -> OpenAlert:
    """Write something down, sealed like the positions. Raises NotFound, AccessDenied."""
    key, _ = _key(_theirs(alert_id, by).alert)
    if key is None:
        raise Unavailable("The note cannot be sealed now; write it down elsewhere and send it again.")
    sealed = key.seal(AddNote(text=text))

    def noted(one: Alert, now: datetime, *, by: str) -> Move:
        return ladder.noted(one, now, by=by, note=sealed)

    return _change(alert_id, noted, by, correlation_id)


def hand_over(alert_id: str, zone: str, *, by: StaffMember, correlation_id: str) -> OpenAlert:
    """Give an alert to another zone, whose ladder begins. Raises NotFound, AccessDenied, AlertClosed."""
    zones.require_existing(zone)
    plan = zones.policy_of(zone).plan

    def handed(one: Alert, now: datetime, *, by: str) -> Move | None:
        return ladder.handed_over(one, zone, plan, now, by=by)

    return _change(alert_id, handed, by, correlation_id)


def close(alert_id: str, reason: Reason, *, by: StaffMember, correlation_id: str) -> OpenAlert:
    """End an alert. Raises NotFound, AccessDenied, AlertClosed, Conflict."""

    def closed(one: Alert, now: datetime, *, by: str) -> Move | None:
        return ladder.closed(one, reason, now, by=by)

    return _change(alert_id, closed, by, correlation_id)


# --- what is handed over to others -------------------------------------------------------------------------


def cap_document(alert_id: str, *, by: StaffMember, correlation_id: str) -> str:
    """The alert in CAP 1.2, as it stands now. Raises NotFound, AccessDenied."""
    alert, history, fixes, where = _told(alert_id, "cap", by, correlation_id)
    sender = Sender(id=f"alerts@{settings.load(SignatureSettings).authority}", name=SENDER)
    return cap.document(alert, _told_of(history), fixes[-1] if fixes else None, where.last_place, sender=sender)


def aml_text(alert_id: str, *, by: StaffMember, correlation_id: str) -> str:
    """The alert as an AML text for the emergency services. Raises NotFound, AccessDenied."""
    alert, _, fixes, _ = _told(alert_id, "aml", by, correlation_id)
    return aml.text_of(alert.id, fixes[-1] if fixes else None)


def track_of(alert_id: str, *, by: StaffMember, correlation_id: str) -> Track:
    """Where the carrier was since the alert, as GeoJSON. Raises NotFound, AccessDenied."""
    alert, _, fixes, _ = _told(alert_id, "track", by, correlation_id)
    return track.of_fixes(fixes, clock.now(), late=Flag.LATE in alert.flags)


def report_of(alert_id: str, *, by: StaffMember) -> AlertReport:
    """Everything that happened, with every delay; no position. Raises NotFound, AccessDenied."""
    alert = _theirs(alert_id, by).alert
    return reports.of_alert(alert, _told_of(_history(alert)))


def centre_report(zone: str, *, by: StaffMember) -> CentreReport:
    """How fast a zone's alerts were taken over the last 12 months: one query for each MiB. Raises AccessDenied."""
    zones.require_zone(by, zone)
    now = clock.now()
    rows = LinesRow.query(f"report/{zone}", LinesRow.sk > clock.stamp(now - ROLLING), consistent_read=True)
    return reports.of_centre(zone, [row.holds(Row) for row in rows], now)


# --- within --------------------------------------------------------------------------------------------------

_Action = Callable[..., Move | None]


def _change(alert_id: str, action: _Action, by: StaffMember, correlation_id: str) -> OpenAlert:
    _theirs(alert_id, by)
    now = clock.now()
    after = store.change(alert_id, lambda alert: action(alert, now, by=by.actor), correlation_id=correlation_id)
    return _summary(after)


def _theirs(alert_id: str, by: StaffMember) -> Held:
    """An alert of the zones and depots of a member of staff: the national desk has those without a zone."""
    held = store.existing(alert_id)
    zones.require_alert(by, held.alert.depot, held.alert.zone or NATIONAL)
    return held


def _told(
    alert_id: str, what: str, by: StaffMember, correlation_id: str
) -> tuple[Alert, list[Event], list[Fix], Whereabouts]:
    alert = _theirs(alert_id, by).alert
    history = _history(alert)
    _write_down(alert, what, by=by, correlation_id=correlation_id)
    key, _ = _key(alert)
    fixes = [fix for event in history for fix in _opened(key, event.body(Happened).whereabouts).fixes]
    return alert, history, fixes, _opened(key, alert.whereabouts)


def _history(alert: Alert) -> list[Event]:
    """The alert's events in their order, without those that only tell who looked: one query."""
    found = [event for event in journal.read(alert.subject) if event.type != VIEWED]
    return sorted(found, key=lambda event: event.body(Happened).number)


def _told_of(history: Sequence[Event]) -> list[Told]:
    return [
        Told(event.type.removeprefix(store.EVENT), event.time, event.actor, event.body(Happened)) for event in history
    ]


def _notes(key: DataKey | None, history: Sequence[Event]) -> Iterator[NoteRead]:
    for event in history:
        sealed = event.body(Happened).note
        with suppress(KeyGone):
            if key and sealed:
                yield NoteRead(by=event.actor, at=event.time, text=key.open(sealed, AddNote).text)


def _opened(key: DataKey | None, sealed: Sealed | None) -> Whereabouts:
    """Where the carrier was, as far as it can still be opened."""
    try:
        return key.open(sealed, Whereabouts) if key and sealed else Whereabouts()
    except KeyGone:
        return Whereabouts()


def _key(alert: Alert) -> tuple[DataKey | None, bool]:
    """The alert's data key, and whether it is gone for ever. While it cannot be had the alert itself is shown."""
    try:
        return keyring.key_of(alert.subject), False
    except KeyGone:
        return None, alert.whereabouts is not None
    except Exception:
        telemetry.logger.exception("an alert is shown without its positions", extra={"alert": alert.id})
        return None, False


def _write_down(alert: Alert, what: str, *, by: StaffMember, correlation_id: str) -> None:
    """A look at the positions, for the carrier to read. It changes nothing of the alert."""
    body = Happened(number=alert.number, state=alert.state, epoch=alert.epoch, step=alert.step, other=what)
    with transaction() as work:
        work.append(
            events.make(
                VIEWED,
                alert.subject,
                body,
                actor=by.actor,
                correlation_id=correlation_id,
                place=f"depot/{alert.depot}",
            )
        )


def _summary(alert: Alert) -> OpenAlert:
    return OpenAlert(
        id=alert.id,
        zone=alert.zone,
        depot=alert.depot,
        carrier=alert.carrier,
        device=alert.device,
        state=alert.state,
        trigger=alert.trigger,
        purpose=alert.purpose,
        silent=alert.silent,
        flags=tuple(sorted(alert.flags)),
        raised_at=alert.raised_at,
        received_at=alert.received_at,
        heard_at=alert.heard_at,
        battery=alert.battery,
        epoch=alert.epoch,
        step=alert.step,
        owner=alert.owner,
        lease_until=alert.lease_until,
        closed_at=alert.closed_at,
        reason=alert.reason,
        follows=alert.follows,
    )


def _age(where: Whereabouts, now: datetime) -> int | None:
    return max(int((now - where.fixes[-1].fixed_at).total_seconds()), 0) if where.fixes else None
