"""A handset is declared lost, by one person: all that follows at once can be taken back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from chalicelib.attention import raising
from chalicelib.attention.raising import Matter
from chalicelib.attention.schemas import Kind as Concern
from chalicelib.core import clock, ids
from chalicelib.core.access import DeviceState, Handset
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import DeviceBlocked, NotFound, RequestInvalid
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet import records
from chalicelib.fleet import rules as fleet_rules
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.guards import withholding
from chalicelib.fleet.losses import rules, store
from chalicelib.fleet.losses.schemas import (
    DeclaredHow,
    DeclareLoss,
    LossCase,
    LossKind,
    LossOpened,
    LossReported,
    OnDevice,
    ReportLoss,
    Reports,
)
from chalicelib.fleet.tables import CarrierDeviceRow, HardwareRow, LossLinesRow
from chalicelib.people import lookup as people

REPORTED: Final = "reported-lost"
"""What a depot is told of a loss that its staff did not declare."""
REPORTS_REMEMBERED: Final = timedelta(days=2)


class Declared(NamedTuple):
    """What is said of a handset, by whom, and on which other one (empty: by staff)."""

    kind: LossKind
    by: str
    correlation_id: str
    lost_since: datetime | None = None
    witnessed: bool = False
    reported_on: str = ""


def declare(wanted: DeclareLoss, *, by: StaffMember, correlation_id: str) -> LossCase:
    """Open a case for a handset, which is quarantined from its next request on. Declared again, it is the same case.

    Two reads (one more for a serial number), those of the buckets, and one transaction. Raises RequestInvalid,
    NotFound, AccessDenied, and DeviceBlocked for one that is retired and was not lost.
    """
    rules.check_lost_since(wanted.lost_since, clock.now())
    device = _device(wanted)
    said = Declared(wanted.kind, by.actor, correlation_id, wanted.lost_since, wanted.witnessed)

    def opened() -> LossCase:
        before = boxes.load(device)
        people.require_depot(by, before.box.depot)
        return _opened(before, said)

    return retried(opened)


def report(wanted: ReportLoss, who: Handset, *, correlation_id: str) -> LossReported:
    """Open a case for each other enrolled handset of a carrier of this one's depot, who says so on it.

    A query and three reads, and a transaction for each handset. Raises NotFound, TooManyReports.
    """
    devices = _handsets_of(wanted.carrier, who)
    retried(lambda: _note(wanted.carrier, who))
    said = Declared(wanted.kind, who.actor, correlation_id, reported_on=who.device)
    return LossReported(cases=tuple(_reported(device, said) for device in devices))


def withhold(case_id: str, *, by: StaffMember, correlation_id: str) -> LossCase:
    """Withhold the lease of a lost handset that was not withheld, because too many were at that time. The case says
    whether it is now.

    Raises NotFound, AccessDenied, CaseOver.
    """
    return retried(lambda: _withheld(case_id, by, correlation_id))


def _device(wanted: DeclareLoss) -> str:
    if (wanted.device is None) == (wanted.serial is None):
        raise RequestInvalid("Give exactly one of device and serial.")
    if wanted.device is not None:
        return wanted.device
    seen = HardwareRow.find(fleet_rules.hardware_key(wanted.serial or ""), "hardware")
    if seen is None:
        raise NotFound("There is no device with that serial number.")
    return str(seen.device)


def _handsets_of(carrier: str, who: Handset) -> list[str]:
    rows = CarrierDeviceRow.query(f"carrier/{carrier}", consistent_read=True)
    held = boxes.load_many(row.device for row in rows if row.device != who.device)
    found = [one.device for one in held.values() if _is_theirs(one, carrier, who.depot)]
    if not found:
        raise NotFound(f"The carrier {carrier} has no other handset at this depot.")
    return found


def _is_theirs(held: Held, carrier: str, depot: str) -> bool:
    theirs = (held.entry.carrier, held.entry.depot) == (carrier, depot)
    return theirs and held.state is not DeviceState.RETIRED


def _note(carrier: str, who: Handset) -> None:
    """Note whose handsets were reported lost on this one today, for so many it may not be. Raises TooManyReports."""
    key = f"loss-reports/{who.device}"
    kept = records.load(key, Reports)
    before = kept.record if kept else None
    after = rules.reported(before, carrier, clock.today().isoformat())
    if after == before:
        return
    with transaction() as work:
        over = clock.now() + REPORTS_REMEMBERED
        records.save(work, key, after, instead_of=kept.revision if kept else 0, expires_at=over)


def _reported(device: str, said: Declared) -> str:
    return retried(lambda: _opened(boxes.load(device), said).id)


def _opened(before: Held, said: Declared) -> LossCase:
    if before.box.loss:
        return store.load(before.box.loss).record
    if before.state is DeviceState.RETIRED:
        raise DeviceBlocked("That handset is retired: its key is refused already.", state=before.entry.state)
    route = _route(before.box.carrier)
    with transaction() as work:
        withheld = withholding.take(work, before.device, before.box.depot, said.by)
        case = _made(before, said, route, lease_withheld=withheld)
        store.save(work, case, instead_of=0)
        work.put(LossLinesRow(f"carrier/{case.carrier}", case.id))
        _say_opened(work, case, said)
        box = msgspec.structs.replace(before.box, loss=case.id)
        state = boxes.save(work, before, box, lease_withheld=withheld)
        boxes.say_change(work, before, box, state, by=said.by, correlation_id=said.correlation_id or case.id)
    return case


def _route(carrier: str) -> str:
    duty = people.duty_of(carrier, clock.today())
    return duty.route if duty else ""


def _made(before: Held, said: Declared, route: str, *, lease_withheld: bool) -> LossCase:
    now, box = clock.now(), before.box
    return LossCase(
        id=ids.new(now),
        device=box.device,
        generation=box.generation,
        carrier=box.carrier,
        depot=box.depot,
        kind=said.kind,
        lost_since=said.lost_since,
        witnessed=said.witnessed,
        declared_by=said.by,
        declared_at=now,
        how=DeclaredHow.HANDSET if said.reported_on else DeclaredHow.STAFF,
        lease_withheld=lease_withheld,
        on_device=OnDevice(
            acknowledged_through=int(before.entry.acknowledged_through), route=route, open_commands=len(box.open)
        ),
        ask_at=now + rules.ASKED_AFTER,
    )


def _say_opened(work: UnitOfWork, case: LossCase, said: Declared) -> None:
    told = LossOpened(
        device=case.device,
        generation=case.generation,
        carrier=case.carrier,
        kind=case.kind,
        how=case.how,
        witnessed=case.witnessed,
        lease_withheld=case.lease_withheld,
        reported_on=said.reported_on,
    )
    event = store.say(work, case, "opened", told, by=said.by, correlation_id=said.correlation_id)
    if said.reported_on:
        raising.raise_(work, Matter(Concern.DEVICE, event.subject, event, flags=[REPORTED]))


def _withheld(case_id: str, by: StaffMember, correlation_id: str) -> LossCase:
    kept = store.of_depots_of(by, case_id)
    case = kept.record
    rules.check_open(case)
    if case.lease_withheld:
        return case
    before = boxes.load(case.device)
    with transaction() as work:
        if withholding.take(work, case.device, case.depot, by.actor):
            case = msgspec.structs.replace(case, lease_withheld=True)
            store.save(work, case, instead_of=kept.revision)
            boxes.save(work, before, before.box, lease_withheld=True)
            store.say(work, case, "lease-withheld", store.said(case), by=by.actor, correlation_id=correlation_id)
    return case
