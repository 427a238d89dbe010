"""Raising an alert: its own rows and nothing else, so that nothing can be in its way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from chalicelib.alerts import ladder, store, views
from chalicelib.alerts.ladder import Move
from chalicelib.alerts.schemas import Alert, Awaited, Flag, HandsetAlert, RaiseAlert, State, Whereabouts
from chalicelib.alerts.store import Held
from chalicelib.alerts.tables import AlertsRow
from chalicelib.core import clock, keyring, telemetry
from chalicelib.core.access import Handset
from chalicelib.core.call import Call
from chalicelib.core.errors import ChangedMeanwhile, Conflict
from chalicelib.core.keyring import DataKey
from chalicelib.core.schemas import Sealed
from chalicelib.core.table import Place
from chalicelib.core.transaction import UnitOfWork, retried, transaction

EARLIEST: Final = datetime.fromisoformat("2000-01-01T00:00:00Z")


class AlertIdTaken(Conflict):
    title = "The id belongs to another handset's alert"


def beside(call: Call, _: str) -> list[Place]:
    """The alert itself, which may be there already: read with what lets the handset in."""
    return [(AlertsRow, store.key_of(call.path_parameters["alert"]))]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Whose press it is, and when the handset signed what it sent."""

    device: str
    generation: int
    carrier: str
    depot: str
    signed_at: datetime


def origin_of(who: Handset) -> Origin:
    """The origin of a signed request."""
    return Origin(
        device=who.device,
        generation=who.generation,
        carrier=who.carrier,
        depot=who.depot,
        signed_at=who.signed_at,
    )


def raise_(alert_id: str, request: RaiseAlert, *, who: Handset, correlation_id: str) -> tuple[HandsetAlert, bool]:
    """Raise an alert, and whether it is new: one transaction. Sent again, it is told as it stands and nothing changes,
    unless a text had raised it, which can say less.

    Raises AlertIdTaken.
    """
    known = AlertsRow.among(who.beside, store.key_of(alert_id))
    alert = None if known else new(alert_id, request, origin_of(who), correlation_id=correlation_id)
    if alert is not None:
        return views.for_handset(alert, alert, clock.now()), True
    own = store.of_row(known) if known else store.own(alert_id)
    if not own.alert.is_of(who.device, who.carrier):
        raise AlertIdTaken("Raise it again under a new id.")
    if own.alert.is_open and own.alert.awaited is Awaited.OWN:
        own = retried(lambda: _completed(alert_id, request, origin_of(who), correlation_id))
    return views.for_handset(own.alert, store.joined(own).alert, clock.now()), False


def new(
    alert_id: str,
    request: RaiseAlert,
    origin: Origin,
    *flags: Flag,
    once: str = "",
    awaited: Awaited = Awaited.NONE,
    correlation_id: str,
) -> Alert | None:
    """Write a new alert: one transaction. None if there is one with that id, or one was raised for `once` already."""
    exists = ChangedMeanwhile("The same press is being taken.")
    try:
        with transaction() as work:
            if once:
                work.claim(once, otherwise=exists)
            move = drawn_up(work, alert_id, request, origin, *flags, awaited=awaited)
            store.add(work, move, correlation_id=correlation_id, taken=exists)
    except ChangedMeanwhile:
        return None
    telemetry.count("AlertsRaised", trigger=request.trigger.value, purpose=request.purpose.value)
    return move.alert


def drawn_up(
    work: UnitOfWork,
    alert_id: str,
    request: RaiseAlert,
    origin: Origin,
    *flags: Flag,
    awaited: Awaited = Awaited.NONE,
) -> Move:
    """The alert that a request raises; the key that seals its positions is written with the work."""
    now = clock.now()
    where, lacking = _sealed(request, lambda: store.key_for(work, alert_id))
    alert = Alert(
        id=alert_id,
        device=origin.device,
        generation=origin.generation,
        carrier=origin.carrier,
        depot=origin.depot,
        raised_at=request.raised_at or origin.signed_at,
        received_at=now,
        heard_at=now,
        state=State.RAISED,
        trigger=request.trigger,
        purpose=request.purpose,
        silent=request.silent,
        flags=frozenset({*_flags(request, origin, now), *lacking, *flags}),
        awaited=awaited,
        battery=request.battery,
        whereabouts=where,
    )
    return ladder.raised(alert, now, whereabouts=where)


def _completed(alert_id: str, request: RaiseAlert, origin: Origin, correlation_id: str) -> Held:
    """The press came whose text had raised the alert: add what the text could not say. A read and a transaction."""
    held, now = store.own(alert_id), clock.now()
    where, lacking = _sealed(request, lambda: keyring.key_of(held.alert.subject), after=held.alert.whereabouts)
    move = ladder.completed(
        held.alert,
        now,
        trigger=request.trigger,
        silent=request.silent,
        battery=request.battery,
        whereabouts=where,
        flags=frozenset({*_flags(request, origin, now), *lacking}),
    )
    with transaction() as work:
        store.save(work, held, move, correlation_id=correlation_id)
    return Held(move.alert, held.revision + 1)


def _flags(request: RaiseAlert, origin: Origin, now: datetime) -> set[Flag]:
    """LATE by the handset's own clock, which may be wrong but is the same at both moments, or on its way to us."""
    waited = origin.signed_at - max(request.raised_at or origin.signed_at, EARLIEST)
    found = {
        Flag.LATE: max(waited, now - origin.signed_at) > ladder.LATE_AFTER,
        Flag.INCOMPLETE: request.incomplete,
        Flag.LOW_BATTERY: request.battery is not None and request.battery < ladder.LOW_BATTERY,
    }
    return {flag for flag, holds in found.items() if holds}


def _sealed(
    request: RaiseAlert, key_of: Callable[[], DataKey], *, after: Sealed | None = None
) -> tuple[Sealed | None, set[Flag]]:
    """Where the carrier is, sealed. If no key is to be had the alert is raised without it: the next report has it."""
    try:
        key = key_of()
        known = key.open(after, Whereabouts) if after else Whereabouts()
    except Exception:  # whatever is broken, the alert comes first
        telemetry.logger.exception("an alert was raised without a key")
        telemetry.count("AlertsWithoutKey")
        return None, {Flag.INCOMPLETE}
    if request.fix is None and request.last_place is None:
        return None, set()
    told = Whereabouts(fixes=(request.fix,) if request.fix else (), last_place=request.last_place)
    return key.seal(known.then(told)), set()
