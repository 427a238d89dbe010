"""What a handset says while its alert is open: where it is, and that it is nothing.

Without an open alert no position is taken. After a PIN the handset goes on for 15 minutes, whichever PIN it was: what
it sends is kept while the alert is open, and dropped once it is closed, with the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from chalicelib.alerts import ladder, pins, policies, raising, store, views
from chalicelib.alerts.ladder import Move
from chalicelib.alerts.pins import Entered, Which
from chalicelib.alerts.schemas import (
    Alert,
    Flag,
    HandsetAlert,
    Happened,
    NextReport,
    RaiseAlert,
    ReportPositions,
    SetPins,
    View,
    Views,
    Whereabouts,
)
from chalicelib.alerts.store import Held
from chalicelib.core import clock, ids, journal, keyring, telemetry
from chalicelib.core.access import Handset
from chalicelib.core.errors import ChangedMeanwhile, Conflict, NotFound, Unavailable
from chalicelib.core.keyring import DataKey, KeyGone
from chalicelib.core.transaction import UnitOfWork, retried, transaction

MOST_PINS: Final = 50
"""So many moments of PINs are kept for an alert."""


class NoOpenAlert(Conflict):
    title = "Without an open alert no position is taken"


class _Press(NamedTuple):
    """A press of the handset; the alert of which the handset is told, itself unless it was joined to another; and the
    one that goes on for it, of which it may know nothing.
    """

    own: Held
    told: Held
    current: Held


def status(alert_id: str, *, who: Handset) -> HandsetAlert:
    """How an alert stands, for its handset: a read or two. Raises NotFound."""
    press = _press(alert_id, who)
    return views.for_handset(press.own.alert, press.told.alert, clock.now())


def report(alert_id: str, request: ReportPositions, *, who: Handset, correlation_id: str) -> NextReport:
    """Take positions of an open alert, and say when to report again: three reads and a transaction.

    Raises NotFound, NoOpenAlert, and Unavailable if they could not be sealed: nothing is lost if they are sent again.
    """

    def attempt() -> tuple[Alert, bool]:
        press = _press(alert_id, who)
        _require_followed(press, clock.now())
        return press.own.alert, record(press.current, request, correlation_id=correlation_id)

    own, sealed = retried(attempt)
    if not sealed:
        raise Unavailable("The positions could not be sealed; send them again.")
    return NextReport(seconds=ladder.next_report(own, request.battery, clock.now()))


def record(held: Held, request: ReportPositions, *, correlation_id: str) -> bool:
    """Keep a report if the alert is open. Whether there is a key to seal it with: if not, only that it was heard of."""
    with transaction() as work:
        sealing = _key(work, held.alert)
        if held.alert.is_open:
            move = _heard(held.alert, request, sealing, clock.now())
            store.save(work, held, move, correlation_id=correlation_id)
    return sealing is not None


def cancel(alert_id: str, pin: str, *, who: Handset, correlation_id: str) -> HandsetAlert:
    """A PIN was entered: the good one asks for an end, the other one says that the carrier is forced to.

    Raises NotFound, PinWrong, PinLocked.
    """
    _press(alert_id, who)
    entered = pins.entered(who.carrier, pin)
    own, told = retried(lambda: _pin_entered(alert_id, entered, who, correlation_id))
    if entered.problem is not None:
        raise entered.problem
    return views.for_handset(own, told, clock.now())


def set_pins(request: SetPins, *, who: Handset, correlation_id: str) -> None:
    """Set the carrier's PINs. Whoever changes them by the duress PIN is answered the same, and help is called.

    Raises PinsAlike, PinWrong, PinLocked.
    """
    told = pins.save(request, who, correlation_id=correlation_id)
    if told.which is Which.DURESS:
        once = f"forced/{who.device}/{told.revision}"
        silently, origin = RaiseAlert(silent=True), raising.origin_of(who)
        raising.new(ids.new(), silently, origin, Flag.DURESS, once=once, correlation_id=correlation_id)
    if told.problem is not None:
        raise told.problem


def seen_by(alert_id: str, *, who: Handset) -> Views:
    """Who looked at the carrier's positions since the press, up to the moment of a PIN: a read or two and a query."""
    press = _press(alert_id, who)
    own, told = press.own.alert, press.told.alert
    until = views.pin_of(own, told)
    found = [event for event in journal.read(told.subject) if event.type == store.VIEWED]
    return Views(
        views=tuple(
            View(by=event.actor, at=event.time, what=event.body(Happened).other)
            for event in found
            if own.received_at <= event.time and (until is None or event.time < until)
        )
    )


def _press(alert_id: str, who: Handset) -> _Press:
    own = store.own(alert_id)
    if not own.alert.is_of(who.device, who.carrier):
        raise NotFound(f"There is no alert {alert_id}.")
    return _Press(own, store.joined(own), store.going_on_for(own))


def _require_followed(press: _Press, now: datetime) -> None:
    pin_at = views.pin_of(press.own.alert, press.told.alert)
    if pin_at is None and not press.told.alert.is_open:
        raise NoOpenAlert("The alert is closed. Raise a new one if you are in danger.")
    if pin_at is not None and now > pin_at + policies.FOLLOWED_AFTER_PIN:
        raise NoOpenAlert("The alert was cancelled. Raise a new one if you are in danger.")


def _key(work: UnitOfWork, alert: Alert) -> DataKey | None:
    """The alert's data key, made now if it was raised while none was to be had; None if none is to be had now."""
    try:
        return keyring.key_of(alert.subject)
    except KeyGone:
        return store.key_for(work, alert.id)
    except Exception:  # that it was heard of counts, even without its position
        telemetry.logger.exception("positions could not be sealed", extra={"alert": alert.id})
        return None


def _heard(alert: Alert, request: ReportPositions, sealing: DataKey | None, now: datetime) -> Move:
    """The alert after a report. Of the positions the last that came in counts, whatever the handset's clock says."""
    heard = ladder.heard(alert, now, battery=request.battery)
    if sealing is None or not (request.fixes or request.last_place):
        return heard
    report = Whereabouts(fixes=request.fixes, last_place=request.last_place)
    known = _known(alert, sealing)
    last = known.then(report)
    if last == known:  # sent again, because the answer was lost
        return heard
    located = msgspec.structs.replace(heard.alert, whereabouts=sealing.seal(last))
    told = ladder.say(located, "located", now, by=f"carrier/{alert.carrier}", whereabouts=sealing.seal(report))
    return heard.then(told)


def _known(alert: Alert, sealing: DataKey) -> Whereabouts:
    try:
        return sealing.open(alert.whereabouts, Whereabouts) if alert.whereabouts else Whereabouts()
    except KeyGone:  # sealed under a key that is gone, of a press that was joined
        return Whereabouts()


def _pin_entered(alert_id: str, entered: Entered, who: Handset, correlation_id: str) -> tuple[Alert, Alert]:
    """Note the PIN, and do on the alert that goes on what it means, in one transaction whatever was entered.

    The press, and the alert of which its handset is told.
    """
    press, now = _press(alert_id, who), clock.now()
    held = {one.alert.id: one for one in press}
    moves = {one.alert.id: Move(one.alert) for one in press}
    own, told, current = (one.alert.id for one in press)
    with transaction() as work:
        if entered.problem is None:
            moves[own] = _changed(moves[own], pin_at=press.own.alert.pin_at or now)
            moves[told] = _changed(moves[told], pins=(*press.told.alert.pins, now)[-MOST_PINS:])
        if entered.which is Which.DURESS and not press.current.alert.is_open:
            moves[own] = _changed(moves[own], successor=_raised_anew(work, press.own.alert, who, correlation_id))
        elif entered.which in _MEANINGS:
            moves[current] = _MEANINGS[entered.which](moves[current].alert, now)
        for name, move in moves.items():
            store.save(work, held[name], move, correlation_id=correlation_id)
    return moves[own].alert, moves[told].alert


def _changed(move: Move, **changes: Any) -> Move:
    return Move(msgspec.structs.replace(move.alert, **changes))


_MEANINGS: Final[Mapping[Which, Callable[[Alert, datetime], Move]]] = {
    Which.GOOD: ladder.cancel_asked,
    Which.DURESS: ladder.duress,
}


def _raised_anew(work: UnitOfWork, press: Alert, who: Handset, correlation_id: str) -> str:
    """A closed alert never opens again: under duress another one is raised, which goes on for it. Its id."""
    successor = ids.derived(clock.now(), "duress", press.id)
    move = raising.drawn_up(work, successor, RaiseAlert(silent=True), raising.origin_of(who), Flag.DURESS)
    store.add(work, move, correlation_id=correlation_id, taken=ChangedMeanwhile("It is being raised."))
    return successor
