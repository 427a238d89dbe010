"""What a handset is told of its alert: the same after either PIN, from then on and for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

from chalicelib.alerts.schemas import Alert, HandsetAlert, Purpose, State, Status

_MILLISECOND = timedelta(milliseconds=1)


def for_handset(own: Alert, told: Alert, now: datetime) -> HandsetAlert:
    """A press as its handset is told of it. `told` is the alert that it was joined to, or itself."""
    measured = own.told_at - own.received_at if own.told_at and own.purpose is Purpose.SELF_TEST else None
    return HandsetAlert(
        id=own.id,
        status=_status(own, told, now),
        received_at=own.received_at,
        delay_ms=measured // _MILLISECOND if measured is not None else None,
    )


def pin_of(own: Alert, told: Alert) -> datetime | None:
    """When a PIN ended a press for its handset: one entered for it, or since then for another press of its alert.

    A press that comes after a PIN knows nothing of it, whether it was joined to that alert or is a new one.
    """
    later = [moment for moment in told.pins if moment >= own.received_at]
    return own.pin_at or min(later, default=None)


def _status(own: Alert, told: Alert, now: datetime) -> Status:
    """TAKEN lasts as long as the lease that was given, whatever else happened to the alert since."""
    if pin_of(own, told) is not None:
        return Status.CANCELLED
    if told.state is State.CLOSED:
        return Status.CLOSED
    if told.taken_at and told.taken_until and own.received_at <= told.taken_at and now < told.taken_until:
        return Status.TAKEN
    return Status.PRE_ALARM if own.pre_alarm_until and now < own.pre_alarm_until else Status.RAISED
