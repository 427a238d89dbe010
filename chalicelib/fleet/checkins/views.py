"""What staff see of a depot's devices, by their last check-ins. Retired ones are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from chalicelib.core import clock, settings
from chalicelib.core.access import AccessRow, DeviceState
from chalicelib.core.callers import StaffMember
from chalicelib.core.table import find_together
from chalicelib.fleet.checkins import rules, usage
from chalicelib.fleet.checkins.rules import Looked, Seen
from chalicelib.fleet.checkins.schemas import (
    DepotSummary,
    DepotUse,
    Finding,
    Said,
    SeenDevice,
    SeenDevices,
    SeenSearch,
)
from chalicelib.fleet.own_settings import ViewSettings
from chalicelib.fleet.tables import CheckInRow, DeviceRow
from chalicelib.people import lookup as people

PAGE: Final = 50
"""As many as one call reads, of two tables."""
MOST: Final = 1000
"""Of a depot: far more than any has."""


class Known(NamedTuple):
    """A device that is in use: its enrolment, what lets it in, and its last check-in, if there was one in it."""

    row: DeviceRow
    entry: AccessRow
    check_in: CheckInRow | None


def search(wanted: SeenSearch, *, by: StaffMember) -> SeenDevices:
    """A page of a depot's devices: two calls. Raises AccessDenied."""
    people.require_depot(by, wanted.depot)
    rows, looked = _rows(wanted.depot, wanted.after, PAGE), looked_now()
    devices = [shown(known, looked) for known in _known(wanted.depot, rows)]
    fitting = tuple(one for one in devices if wanted.finding is None or wanted.finding in one.findings)
    return SeenDevices(devices=fitting, next=rows[-1].device if len(rows) == PAGE else "")


def all_of(depot: str, *, by: StaffMember) -> list[Known]:
    """A depot's devices, 1,000 at most: a query, and a call for each 50. Raises AccessDenied."""
    people.require_depot(by, depot)
    rows = _rows(depot, None, MOST)
    return [known for start in range(0, len(rows), PAGE) for known in _known(depot, rows[start : start + PAGE])]


def summary(depot: str, *, by: StaffMember) -> DepotSummary:
    """How many of a depot's devices have each finding: as many calls as `all_of`. Raises AccessDenied."""
    known, looked = all_of(depot, by=by), looked_now()
    counted = Counter(finding for one in known for finding in shown(one, looked).findings)
    return DepotSummary(
        depot=depot,
        devices=len(known),
        findings={finding: counted[finding] for finding in Finding},
        personal=_use_of(known),
    )


def looked_now() -> Looked:
    """By what devices are judged now."""
    return Looked(clock.now(), clock.today(), settings.load(ViewSettings).oldest_app)


def shown(known: Known, looked: Looked) -> SeenDevice:
    """A device as staff see it."""
    state = DeviceState(known.entry.state)
    enrolled = state is DeviceState.ENROLLED
    enrolled_at = datetime.fromisoformat(known.row.enrolled_at)
    if known.check_in is None:
        findings = rules.found(Seen(enrolled, enrolled_at, None, None), looked)
        return SeenDevice(device=known.entry.device, carrier=known.entry.carrier, state=state, findings=findings)
    said, seen_at = known.check_in.holds(Said), datetime.fromisoformat(known.check_in.seen_at)
    told = said.told
    return SeenDevice(
        device=known.entry.device,
        carrier=known.entry.carrier,
        state=state,
        last_seen=seen_at,
        battery_percent=told.battery.percent if told.battery else None,
        battery_health=told.battery.health if told.battery else None,
        storage_free_mb=told.storage_free_mb,
        os_patch=told.os_patch,
        app_version=told.app_version,
        lease_until=said.lease_until,
        outbox=told.outbox,
        policy=told.policy,
        findings=rules.found(Seen(enrolled, enrolled_at, seen_at, told), looked),
    )


def _rows(depot: str, after: str | None, limit: int) -> list[DeviceRow]:
    start = DeviceRow.pk > f"device/{after}" if after else None
    return list(DeviceRow.query(f"depot/{depot}", start, index_name="by-group", limit=limit))


def _known(depot: str, rows: Sequence[DeviceRow]) -> Iterator[Known]:
    """Those that are in use, and the depot's still: the index lags behind."""
    ids = [row.device for row in rows]
    found = find_together([*((AccessRow, one) for one in ids), *((CheckInRow, one) for one in ids)])
    for row in rows:
        entry = AccessRow.among(found, row.device)
        if entry is not None and entry.depot == depot and entry.state != DeviceState.RETIRED:
            yield Known(row, entry, _of_enrolment(CheckInRow.among(found, row.device), entry))


def _of_enrolment(row: CheckInRow | None, entry: AccessRow) -> CheckInRow | None:
    return row if row is not None and row.holds(Said).generation == entry.generation else None


def _use_of(known: Sequence[Known]) -> DepotUse | None:
    """The depot's total of this month; None if it would tell of each."""
    month, _ = rules.months_of(clock.today())
    counted = [
        usage.of_month(one.check_in, month, int(one.entry.generation)) for one in known if one.check_in is not None
    ]
    if len(counted) < rules.FEW:
        return None
    return DepotUse(
        handsets=len(counted),
        call_seconds=sum(one.call_seconds for one in counted),
        sms=sum(one.sms for one in counted),
    )
