"""What happens next to an alert: a state machine without I/O. Each function gives the alert as it is afterwards.

Times are those of reception by the server. Nothing here lowers an alert but an operator's word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from chalicelib.alerts.policies import Plan
from chalicelib.alerts.schemas import (
    TAKEN,
    UNTAKEN,
    Alert,
    Awaited,
    Flag,
    Happened,
    Line,
    Purpose,
    Reason,
    State,
)
from chalicelib.core.errors import Conflict

SYSTEM: Final = "system/alerts"
LATE_AFTER: Final = timedelta(seconds=60)
BREACHED_AFTER: Final = timedelta(seconds=40)
"""BS 8484: 98.5 % of alarms are taken within 40 s."""
PAGES_LOOKED_AT_AFTER: Final = timedelta(seconds=5)
REPEATED_AFTER: Final = timedelta(seconds=10)
"""While no channel works, the last step is not repeated more often than that."""
FEED_LOOKED_AT_AFTER: Final = timedelta(seconds=5)
SAME_WITHIN: Final = timedelta(minutes=10)
"""A text that names no press belongs to the one that came within that time, before it or after it."""
LOW_BATTERY: Final = 15
"""Per cent: below it the handset reports every minute only."""
BREADCRUMBS: Final = (5, 15, 60)
"""Seconds between two reports: in the first two minutes, later, with a low battery."""
OFTEN_FOR: Final = timedelta(minutes=2)


ContactsOf = Callable[[Sequence[int]], tuple[str, ...]]
"""Whom some steps reach: asked only when steps are due, because it costs a read."""


class AlertClosed(Conflict):
    title = "The alert is closed"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An event to be written: the last part of its type, who did it, and its body."""

    what: str
    by: str
    body: Happened


class Move(msgspec.Struct, frozen=True):
    """An alert after something happened: what was said of it, and the contacts to be paged for the step just fired."""

    alert: Alert
    said: tuple[Said, ...] = ()
    pages: tuple[str, ...] = ()

    def then(self, following: Move) -> Move:
        """Both, one after the other."""
        return Move(following.alert, (*self.said, *following.said), (*self.pages, *following.pages))


def say(alert: Alert, what: str, now: datetime, *, by: str = SYSTEM, **told: Any) -> Move:
    """Note that something happened: an event, and the line for the feed."""
    number = alert.number + 1
    body = Happened(
        number=number,
        state=alert.state,
        epoch=alert.epoch,
        step=alert.step,
        flags=tuple(sorted(alert.flags)),
        **told,
    )
    line = Line(
        alert=alert.id,
        number=number,
        what=what,
        at=now,
        by=by,
        zone=alert.zone,
        carrier=alert.carrier,
        depot=alert.depot,
        state=alert.state,
        trigger=alert.trigger,
        purpose=alert.purpose,
        silent=alert.silent,
        flags=body.flags,
        epoch=alert.epoch,
        step=alert.step,
        reason=body.reason,
        other=body.other,
    )
    outbox = (*alert.outbox, line)
    return Move(msgspec.structs.replace(alert, number=number, outbox=outbox), (Said(what=what, by=by, body=body),))


def raised(alert: Alert, now: datetime, **told: Any) -> Move:
    """A new alert: at once, or after a time in which the carrier may say that it is nothing.

    That time is the default one as long as the zone, whose policy may have another, is not known: see `placed`.
    """
    if alert.trigger.is_automatic and alert.purpose is not Purpose.SELF_TEST:
        until = now + timedelta(seconds=alert.plan.timers.pre_alarm)
        alert = _with(alert, state=State.PRE_ALARM, pre_alarm_until=until)
    else:
        alert = _with(alert, state=State.RAISED, ladder_from=now, alarmed_at=now)
    return say(alert, "raised", now, by=f"carrier/{alert.carrier}", **told)


def placed(alert: Alert, zone: str, plan: Plan, now: datetime, *, follows: str = "") -> Move:
    """The zone was found, and with it how long a pre-alarm lasts. `follows` is the alert before, which is closed."""
    if alert.state is State.PRE_ALARM:
        alert = _with(alert, pre_alarm_until=alert.received_at + timedelta(seconds=plan.timers.pre_alarm))
    return say(_with(alert, zone=zone, plan=plan, follows=follows), "placed", now, other=follows)


def joined(press: Alert, to: str, zone: str, now: datetime) -> Move:
    """The press belongs to another alert of the same device, which is still open."""
    return say(_with(press, state=State.JOINED, zone=zone, joined_to=to), "joined", now, other=to)


def pressed_again(alert: Alert, press: Alert, now: datetime) -> Move:
    """The carrier pressed again: the ladder begins anew, with what the press tells. Raises AlertClosed.

    Whoever presses again means it: an earlier wish to cancel counts no more. Nobody has taken it any more, and the
    handset sees that; unless the press was none, but a PIN that told of duress. If a text and the press that it was
    sent for meet, the ladder goes on.
    """
    require_open(alert)
    is_same = alert.state in UNTAKEN and _are_one(alert, press)
    if Flag.DURESS not in press.flags:
        alert = _with(alert, taken_until=None)
    heard = press if press.heard_at >= alert.heard_at else alert
    where = press.whereabouts or alert.whereabouts
    flags = (alert.flags | press.flags) - {Flag.CANCEL_ASKED}
    alert = _with(alert, flags=flags, whereabouts=where, awaited=Awaited.NONE)
    alert = _with(alert, heard_at=heard.heard_at, battery=alert.battery if heard.battery is None else heard.battery)
    alert = _with(alert, silent=alert.silent or press.silent)
    alert = _with(alert, purpose=Purpose.ACTUAL if press.purpose is Purpose.ACTUAL else alert.purpose)
    begin = say if is_same else _begun_anew
    by = f"carrier/{press.carrier}"
    return begin(alert, "pressed-again", now, by=by, other=press.id, whereabouts=press.whereabouts)


def completed(alert: Alert, now: datetime, *, flags: frozenset[Flag], **told: Any) -> Move:
    """The press came after the text that had raised it: what it tells is known now, and the ladder goes on."""
    known = {name: value for name, value in told.items() if value is not None}
    flags = alert.flags - {Flag.INCOMPLETE} | flags
    alert = _with(alert, awaited=Awaited.NONE, heard_at=now, flags=flags, **known)
    by = f"carrier/{alert.carrier}"
    return say(alert, "completed", now, by=by, whereabouts=known.get("whereabouts"))


def ticked(alert: Alert, contacts_of: ContactsOf, now: datetime) -> Move:
    """All that is due: the end of a pre-alarm or of a lease, steps, lost contact. Nothing, if nothing is."""
    move = Move(alert)
    if alert.state is State.PRE_ALARM and alert.pre_alarm_until and alert.pre_alarm_until <= now:
        over = alert.pre_alarm_until
        raised_now = _with(alert, state=State.RAISED, ladder_from=over, alarmed_at=over)
        move = move.then(say(raised_now, "pre-alarm-over", now))
    if alert.state in TAKEN and alert.lease_until and alert.lease_until <= now:
        move = move.then(_begun_anew(move.alert, "lease-over", now))
    if move.alert.is_open and Flag.CONTACT_LOST not in move.alert.flags and contact_lost_at(move.alert) <= now:
        move = move.then(_flagged(move.alert, Flag.CONTACT_LOST, now))
    if move.alert.state in UNTAKEN:
        move = move.then(_climbed(move.alert, contacts_of, now))
    return move


def _climbed(alert: Alert, contacts_of: ContactsOf, now: datetime) -> Move:
    """Every step that is due, as one: whom several of them reach is paged once."""
    begun = alert.ladder_from or now
    steps: list[int] = []
    while begun + alert.plan.offset(alert.step + len(steps)) <= now:
        steps.append(alert.step + len(steps))
    if not steps:
        return Move(alert)
    if alert.purpose is Purpose.SELF_TEST:
        return _closed(_with(alert, step=1), Reason.SELF_TEST, now, by=SYSTEM)
    move = Move(alert)
    if _is_breached(alert, now):
        move = move.then(_flagged(alert, Flag.SLA_BREACHED, now))
    state = State.NOTIFIED if alert.state is State.RAISED else alert.state
    contacts = contacts_of(steps)
    pages_due = alert.pages_due or (now + PAGES_LOOKED_AT_AFTER if contacts else None)
    fired = _with(move.alert, state=state, step=steps[-1] + 1, pages_due=pages_due)
    told = say(fired, "notified", now, with_=contacts)
    return move.then(Move(told.alert, told.said, contacts))


def _is_breached(alert: Alert, now: datetime) -> bool:
    waited = now - (alert.alarmed_at or now)
    return alert.acked_at is None and waited >= BREACHED_AFTER and Flag.SLA_BREACHED not in alert.flags


def hurried(alert: Alert, epoch: int, step: int, now: datetime, *, up_to: int) -> Move | None:
    """The step before `step` may have reached nobody: those `up_to` the next that reaches somebody are due at once.

    A repeat of the last one is due in ten seconds. None if the ladder has gone on already, or it is due earlier.
    """
    if alert.state not in UNTAKEN or (alert.epoch, alert.step) != (epoch, step):
        return None
    wait = REPEATED_AFTER if step >= len(alert.plan.offsets) else timedelta()
    begun = now + wait - alert.plan.offset(up_to)
    return None if alert.ladder_from and alert.ladder_from <= begun else Move(_with(alert, ladder_from=begun))


def heard(alert: Alert, now: datetime, *, battery: int | None = None, **changes: Any) -> Move:
    """The handset reported. Of an alert that is over nothing is noted."""
    if not alert.is_open:
        return Move(alert)
    was_low = Flag.LOW_BATTERY in alert.flags
    alert = _with(alert, heard_at=now, battery=alert.battery if battery is None else battery, **changes)
    move = Move(alert)
    if Flag.CONTACT_LOST in alert.flags:
        found = _with(alert, flags=alert.flags - {Flag.CONTACT_LOST})
        move = say(found, "contact-back", now, by=f"carrier/{alert.carrier}")
    if battery is not None and battery < LOW_BATTERY and not was_low:
        move = move.then(_flagged(move.alert, Flag.LOW_BATTERY, now))
    return move


def cancel_asked(alert: Alert, now: datetime) -> Move:
    """The carrier says that it is nothing, with the good PIN. Before the alarm that ends it, later it is confirmed."""
    if alert.state is State.PRE_ALARM:
        return _closed(alert, Reason.CANCELLED, now, by=f"carrier/{alert.carrier}")
    if not alert.is_open or {Flag.CANCEL_ASKED, Flag.DURESS} & alert.flags:
        return Move(alert)
    return _flagged(alert, Flag.CANCEL_ASKED, now, by=f"carrier/{alert.carrier}")


def duress(alert: Alert, now: datetime) -> Move:
    """The carrier was made to enter a PIN and took the one for that: the ladder begins anew."""
    if not alert.is_open or Flag.DURESS in alert.flags:
        return Move(alert)
    flags = alert.flags - {Flag.CANCEL_ASKED} | {Flag.DURESS}
    return _begun_anew(_with(alert, flags=flags, purpose=Purpose.ACTUAL), "duress", now, by=f"carrier/{alert.carrier}")


def seen(alert: Alert, now: datetime, *, by: str) -> Move | None:
    """A console shows it: not the same as taking it. None if that is known."""
    if alert.state not in {State.RAISED, State.NOTIFIED}:
        return None
    return say(_with(alert, state=State.SEEN, seen_at=alert.seen_at or now), "seen", now, by=by)


def acked(alert: Alert, now: datetime, *, by: str) -> Move:
    """Somebody takes it, until the lease ends. If it is theirs already the lease begins anew. Raises AlertClosed."""
    require_open(alert)
    if alert.state in TAKEN and alert.owner == by:
        return _leased(Move(alert), now)
    state = State.RESPONDING if alert.state is State.RESPONDING else State.ACKED
    taken = _taken(alert, now, state=state, owner=by)
    return _leased(say(taken, "acked", now, by=by), now)


def responding(alert: Alert, now: datetime, *, by: str) -> Move:
    """Help is under way. If that is known the lease begins anew. Raises AlertClosed."""
    require_open(alert)
    if alert.state is State.RESPONDING and alert.owner == by:
        return _leased(Move(alert), now)
    taken = _taken(alert, now, state=State.RESPONDING, owner=by, responding_at=alert.responding_at or now)
    return _leased(say(taken, "responding", now, by=by), now)


def noted(alert: Alert, now: datetime, *, by: str, **told: Any) -> Move:
    """An operator wrote something down, which also shows that they are at it. It may be after the end."""
    move = say(alert, "noted", now, by=by, **told)
    return _leased(move, now) if alert.state in TAKEN and alert.owner == by else move


def handed_over(alert: Alert, zone: str, plan: Plan, now: datetime, *, by: str) -> Move | None:
    """Another zone takes over: its ladder begins. None if it is there. Raises AlertClosed."""
    require_open(alert)
    if alert.zone == zone:
        return None
    left = say(alert, "handed-over", now, by=by, other=zone)
    elsewhere = _with(left.alert, zone=zone, plan=plan, taken_until=None, handed_at=now, zone_acked_at=None)
    return left.then(_begun_anew(elsewhere, "taken-over", now, by=by, other=alert.zone))


def closed(alert: Alert, reason: Reason, now: datetime, *, by: str) -> Move | None:
    """An operator ends it. None if it was ended for the same reason. Raises AlertClosed, Conflict."""
    if alert.state is State.CLOSED and alert.reason is reason:
        return None
    require_open(alert)
    if reason is Reason.CANCELLED and Flag.CANCEL_ASKED not in alert.flags:
        raise Conflict("The carrier did not cancel it with their PIN. Close it for another reason.")
    return _closed(alert, reason, now, by=by)


def require_open(alert: Alert) -> None:
    """Raise AlertClosed unless something can still be done about it."""
    if alert.state is State.JOINED:
        raise AlertClosed(f"It is part of the alert {alert.joined_to}; go on there.", alert=alert.joined_to)
    if not alert.is_open:
        raise AlertClosed(f"It was closed at {alert.closed_at:%Y-%m-%d %H:%M} UTC: {alert.reason}.")


def contact_lost_at(alert: Alert) -> datetime:
    """When a handset that says nothing more counts as lost."""
    low = alert.battery is not None and alert.battery < LOW_BATTERY
    gap = alert.plan.timers.contact_gap_low_battery if low else alert.plan.timers.contact_gap
    return alert.heard_at + timedelta(seconds=gap)


def due_at(alert: Alert, now: datetime) -> datetime | None:
    """When somebody must look at it again; None for one that is over and told."""
    moments = [now + FEED_LOOKED_AT_AFTER] if alert.outbox else []
    moments += [alert.pages_due] if alert.pages_due else []
    moments += [] if alert.zone else [now]
    if alert.is_open:
        moments += [contact_lost_at(alert)] if Flag.CONTACT_LOST not in alert.flags else []
        moments += [moment for moment in [timer_at(alert)] if moment]
    moments += [now] if to_settle(alert) else []
    return min(moments, default=None)


def timer_at(alert: Alert) -> datetime | None:
    """When the next timer is to go off: the end of the pre-alarm, the next step, the end of the lease."""
    if alert.state is State.PRE_ALARM:
        return alert.pre_alarm_until
    if alert.state in TAKEN:
        return alert.lease_until
    if alert.state in UNTAKEN and alert.ladder_from:
        return alert.ladder_from + alert.plan.offset(alert.step)
    return None


def wants_pages(alert: Alert) -> bool:
    """Whether pages may go out: nobody has taken it."""
    return alert.state in UNTAKEN


def may_go_out(alert: Alert) -> str:
    """What may still be sent of an epoch: `page/<epoch>`, `taken/<epoch>` for telling that it was, or nothing."""
    stage = "page" if alert.state in UNTAKEN else "taken" if alert.state in TAKEN else ""
    return f"{stage}/{alert.epoch}" if stage else ""


def to_settle(alert: Alert) -> str:
    """What webhooks that were paged must still be told: `acked`, `closed`, or nothing."""
    told = {State.ACKED: "acked", State.RESPONDING: "acked", State.CLOSED: "closed"}.get(alert.state, "")
    return told if alert.webhooks and told != alert.settled else ""


def next_report(alert: Alert, battery: int | None, now: datetime) -> int:
    """In how many seconds the handset reports again. It does not depend on what became of the alert."""
    often, later, rarely = BREADCRUMBS
    if battery is not None and battery < LOW_BATTERY:
        return rarely
    return often if now - alert.received_at < OFTEN_FOR else later


def _are_one(alert: Alert, press: Alert) -> bool:
    """Whether one of them is the text that the carrier sent for the other."""
    apart = abs(press.received_at - alert.received_at)
    return Awaited.ANY in {alert.awaited, press.awaited} and apart <= SAME_WITHIN


def _begun_anew(alert: Alert, what: str, now: datetime, **told: Any) -> Move:
    alert = _with(alert, state=State.NOTIFIED, epoch=alert.epoch + 1, step=0)
    alert = _with(alert, ladder_from=now, lease_until=None, owner="")
    alert = _with(alert, settled="", alarmed_at=alert.alarmed_at or now)
    return say(alert, what, now, **told)


def _closed(alert: Alert, reason: Reason, now: datetime, *, by: str) -> Move:
    over = _with(alert, state=State.CLOSED, reason=reason, closed_at=now, lease_until=None)
    return say(over, "closed", now, by=by, reason=reason.value)


def _taken(alert: Alert, now: datetime, **changes: Any) -> Alert:
    first, of_zone = alert.acked_at or now, alert.zone_acked_at or now
    return _with(alert, taken_at=now, acked_at=first, zone_acked_at=of_zone, **changes)


def _leased(move: Move, now: datetime) -> Move:
    lease = now + timedelta(seconds=move.alert.plan.timers.lease)
    alarmed_at = move.alert.alarmed_at or now
    taken = _with(move.alert, lease_until=lease, taken_until=lease, alarmed_at=alarmed_at)
    return Move(taken, move.said, move.pages)


def _flagged(alert: Alert, flag: Flag, now: datetime, *, by: str = SYSTEM) -> Move:
    return say(_with(alert, flags=alert.flags | {flag}), flag.value, now, by=by)


def _with(alert: Alert, **changes: Any) -> Alert:
    return msgspec.structs.replace(alert, **changes)
