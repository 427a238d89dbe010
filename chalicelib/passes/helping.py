"""A pass for whoever comes to help: it opens, once, the last door that the carrier in danger opened."""

from __future__ import annotations

from datetime import datetime

import msgspec

from chalicelib.alerts import lookup as alerts
from chalicelib.core import access, clock
from chalicelib.core.access import Handset
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import Conflict, NotFound
from chalicelib.core.table import Rows
from chalicelib.core.transaction import retried, transaction
from chalicelib.fleet import lookup as fleet
from chalicelib.passes import buildings, entries, issuing, registry_rules, rules, store, suspending
from chalicelib.passes.issuing import Bearer, PassIsSuspended, Terms
from chalicelib.passes.schemas import Ended, PassTold, Service
from chalicelib.passes.staff_schemas import DevicePass
from chalicelib.people import lookup as people


class NoLastDoor(Conflict):
    title = "There is no last door that a pass could open"


def grant(device: str, alert_id: str, *, by: StaffMember, correlation_id: str) -> DevicePass:
    """Give a handset a pass for an hour to the last door of the carrier of an open alert; it ends with the alert.

    Raises NotFound, AccessDenied, NoLastDoor, AssuranceTooLow, PassIsSuspended, DeviceBlocked.
    """
    alert = alerts.alert_of_staff(alert_id, by)
    people.require_depot(by, fleet.depot_of(device))
    building = entries.last_door(alert.carrier) if alert.is_open else None
    if building is None:
        raise NoLastDoor(
            "The alert is over, or no reader signed lately that it opened for the carrier. Look where they are."
        )
    now = clock.now().replace(microsecond=0)
    _require_admitted(building, now)
    issuing.require_assurance(fleet.assurance_of(device))
    terms = Terms(Service.HELP, "", (building,), now, now + rules.HELP_LIFE, alert.id)
    found = issuing.places()
    retried(lambda: _give(device, terms, next(found), by=by.actor, correlation_id=correlation_id))
    suspending.follow_alert(alert.id, correlation_id=correlation_id)
    return suspending.read(device, by=by)


def _require_admitted(building: str, now: datetime) -> None:
    record = buildings.record(building)
    if record is None or not registry_rules.admits(record, Service.HELP, now):
        raise NoLastDoor("The manager of that building lets no help in with a pass. Call them.")


def of_handset(who: Handset) -> PassTold:
    """The pass to help that a handset was given: one read. Raises NotFound."""
    held = store.load(who.device).holder.help
    if held is None or rules.is_over(held, clock.now()):
        raise NotFound("You were given no pass to help.")
    return PassTold.of(held)


def _give(device: str, terms: Terms, found: Rows, *, by: str, correlation_id: str) -> None:
    before, entry = store.load(device), access.enrolled(device)
    if before.holder.suspensions:
        raise PassIsSuspended("The handset of who is to help is suspended itself.")
    bearer = Bearer(device, int(entry.generation), entry.key, entry.carrier, entry.depot, "")
    with transaction() as work:
        access.require_still(work, entry)
        made = issuing.make(work, bearer, terms, found, by=by, correlation_id=correlation_id)
        if before.holder.help is not None:
            store.end(work, device, before.holder.help, Ended.REPLACED, by=by, correlation_id=correlation_id)
        store.note_helper(work, made, device)
        store.save(work, before, msgspec.structs.replace(before.holder, help=made))
