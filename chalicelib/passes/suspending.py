"""What makes a handset's passes worthless before their time, and what makes them good again.

Whatever calls this may come twice, late, or in another order: each looks at how things stand, not at what it was told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from chalicelib.alerts import lookup as alerts
from chalicelib.core import clock
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import Conflict
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet import lookup as fleet
from chalicelib.passes import rules, store
from chalicelib.passes.keys import SYSTEM
from chalicelib.passes.schemas import Ended, Held, Holder, Reason, Status, Suspension
from chalicelib.passes.staff_schemas import DevicePass, HeldPass, PassSuspended, SuspendPass, SuspensionLifted
from chalicelib.passes.store import Kept
from chalicelib.people import lookup as people

STAFF: Final = "staff"
LOSS: Final = "loss"
"""What suspends as long as the handset is blocked: it was reported lost, or is to be wiped."""


class AlertOfAnother(Conflict):
    title = "The alert is over, or another handset's"


def read(device: str, *, by: StaffMember) -> DevicePass:
    """What a handset of a depot of theirs holds: two reads. Raises NotFound, AccessDenied."""
    people.require_depot(by, fleet.depot_of(device))
    return _shown(store.load(device))


def by_staff(device: str, wanted: SuspendPass, *, by: StaffMember, correlation_id: str) -> DevicePass:
    """Suspend whatever a handset holds, until staff lift it or the alert ends, if there is one. Said again, of the same
    alert or of none, it replaces what was said.

    Raises NotFound, AccessDenied, AlertOfAnother.
    """
    people.require_depot(by, fleet.depot_of(device))
    alert = alerts.alert(wanted.alert).id if wanted.alert else ""
    if alert:
        _require_open(alert, device)
    suspension = Suspension(reason=Reason(wanted.reason.value), by=by.actor, at=clock.now(), alert=alert)
    _suspend(device, f"{STAFF}/{alert}" if alert else STAFF, suspension, correlation_id)
    if alert:
        _lift_what_is_over(device, correlation_id)
    return _shown(store.load(device))


def lift_by_staff(device: str, *, by: StaffMember, correlation_id: str) -> DevicePass:
    """Take back what staff suspended so far, and not what an alert suspends. Raises NotFound, AccessDenied."""
    people.require_depot(by, fleet.depot_of(device))
    seen = store.load(device).holder.suspensions
    by_hand = {cause: one for cause, one in seen.items() if cause.partition("/")[0] == STAFF}
    _lift(device, by_hand, by=by.actor, correlation_id=correlation_id)
    return _shown(store.load(device))


def follow_alert(alert_id: str, *, correlation_id: str) -> None:
    """Have a handset's passes follow an alert: suspended while its carrier is under duress, and lifted when it ends.

    Neither a drill nor a plain SOS suspends anything: a carrier who flees needs the lobby. Passes to help in an alert
    end with it. After a suspension the alert is looked at again: if it ended meanwhile nobody else would lift it.
    """
    alert = alerts.alert(alert_id)
    if alerts.is_under_duress(alert):
        duress = Suspension(reason=Reason.DURESS, by=SYSTEM, at=clock.now(), alert=alert.id)
        _suspend(alert.device, f"alert/{alert.id}", duress, correlation_id)
        alert = alerts.alert(alert_id)
    if not alert.is_open:
        _lift_what_is_over(alert.device, correlation_id)
        for helper in store.helpers_in(alert.id):
            _end(helper, lambda held: held.alert == alert.id, Ended.ALERT_CLOSED, correlation_id)


def follow_device(device: str, *, correlation_id: str) -> None:
    """Have a handset's passes follow what it may do: suspended while it is blocked, good again once it is enrolled.

    After a suspension it is looked at again: if it was readmitted meanwhile nobody else would lift it.
    """
    if fleet.is_blocked(device):
        suspension = Suspension(reason=Reason.LOSS, by=SYSTEM, at=clock.now())
        _suspend(device, LOSS, suspension, correlation_id)
    if not fleet.is_blocked(device):
        seen = store.load(device).holder.suspensions
        ours = {cause: one for cause, one in seen.items() if cause == LOSS}
        _lift(device, ours, by=SYSTEM, correlation_id=correlation_id)


def end_enrolment(device: str, generation: int, *, correlation_id: str) -> None:
    """End the passes of a device's enrolment up to that generation, which is over."""
    _end(device, lambda held: held.generation <= generation, Ended.ENROLMENT_ENDED, correlation_id)


def follow_duty(carrier: str, *, correlation_id: str) -> None:
    """End the passes for rounds that a carrier does not have any more: a query, and two reads for each handset."""
    duty = people.duty_of(carrier, clock.today())
    for device in fleet.devices_of(carrier):
        _end(
            device,
            lambda held: held.carrier == carrier and not held.alert and not rules.fits(held, duty),
            Ended.DUTY_CHANGED,
            correlation_id,
        )


def _suspend(device: str, cause: str, suspension: Suspension, correlation_id: str) -> None:
    def suspended(work: UnitOfWork, before: Kept) -> Holder | None:
        known = before.holder.suspensions.get(cause)
        if known is not None and (known.reason, known.alert) == (suspension.reason, suspension.alert):
            return None
        for held in before.holder.passes:
            store.mark(work, held, Status.SUSPENDED, clock.now())
        told = PassSuspended(reason=suspension.reason, alert=suspension.alert)
        store.say(work, device, "suspended", told, by=suspension.by, correlation_id=correlation_id)
        return msgspec.structs.replace(before.holder, suspensions={**before.holder.suspensions, cause: suspension})

    store.change(device, suspended)


def _require_open(alert_id: str, device: str) -> None:
    alert = alerts.alert(alert_id)
    if not alert.is_open or alert.device != device:
        raise AlertOfAnother("Suspend it without an alert, and lift it yourself.")


def _lift_what_is_over(device: str, correlation_id: str) -> None:
    """Take away the suspensions of alerts that have ended, or go on in one that has: two reads for each."""
    seen = store.load(device).holder.suspensions
    over = {cause: one for cause, one in seen.items() if one.alert and not alerts.alert(one.alert).is_open}
    if over:
        _lift(device, over, by=SYSTEM, correlation_id=correlation_id)


def _lift(device: str, seen: Mapping[str, Suspension], *, by: str, correlation_id: str) -> None:
    """Take suspensions away as they were seen, none that came since; with the last one the passes are good again."""

    def lifted(work: UnitOfWork, before: Kept) -> Holder | None:
        there = before.holder.suspensions
        gone = {cause: one for cause, one in there.items() if seen.get(cause) == one}
        left = {cause: one for cause, one in there.items() if cause not in gone}
        if not gone:
            return None
        for held in () if left else before.holder.passes:
            store.mark(work, held, Status.VALID, clock.now())
        for one in gone.values():
            told = SuspensionLifted(reason=one.reason, alert=one.alert, suspended_still=bool(left))
            store.say(work, device, "lifted", told, by=by, correlation_id=correlation_id)
        return msgspec.structs.replace(before.holder, suspensions=left)

    store.change(device, lifted)


def _end(device: str, is_ended: Callable[[Held], bool], why: Ended, correlation_id: str) -> None:
    def ended(work: UnitOfWork, before: Kept) -> Holder | None:
        over = [held for held in before.holder.passes if is_ended(held)]
        for held in over:
            store.end(work, device, held, why, by=SYSTEM, correlation_id=correlation_id)
        return _without(before.holder, over) if over else None

    store.change(device, ended)


def _without(holder: Holder, ended: Sequence[Held]) -> Holder:
    held = None if holder.held in ended else holder.held
    return msgspec.structs.replace(holder, held=held, help=None if holder.help in ended else holder.help)


def _shown(kept: Kept) -> DevicePass:
    return DevicePass(
        device=kept.device,
        held=_told(kept.holder.held),
        help=_told(kept.holder.help),
        suspensions=tuple(kept.holder.suspensions.values()),
    )


def _told(held: Held | None) -> HeldPass | None:
    if held is None or rules.is_over(held, clock.now()):
        return None
    return HeldPass(
        id=held.id,
        carrier=held.carrier,
        depot=held.depot,
        route=held.route,
        service=held.service,
        not_before=held.not_before,
        expires_at=held.expires_at,
    )
