"""What devices say of a version: each is counted once, however often it says it, and corrected if it says otherwise.

Only the number of applied settings is kept, and of the others which and why, by a code.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from zlib import crc32

from chalicelib.core import clock
from chalicelib.core.access import Handset
from chalicelib.core.errors import ChangedMeanwhile, NotFound, RequestInvalid
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet.policies import rules, standing
from chalicelib.fleet.policies.rules import Tally
from chalicelib.fleet.policies.schemas import Application, DeviceApplication
from chalicelib.fleet.policies.store import encoded, key_of
from chalicelib.fleet.tables import PolicyRow, TallyRow

PAGE: Final = 50
SHARDS: Final = 8
"""76,500 devices may say something within a quarter of an hour: more than transactions on one row take."""
KEPT_FOR: Final = timedelta(days=400)


def begin(work: UnitOfWork, version: int) -> None:
    """Let devices be counted for a version."""
    for shard in range(SHARDS):
        work.put(TallyRow(_tally_key(version), str(shard)))


def note(who: Handset, told: Application) -> bool:
    """Keep what a handset says of a version: two reads, and a transaction if that is new. Whether something failed.

    Raises RequestInvalid for a version that it was not given.
    """
    retried(lambda: _note(who, told))
    return bool(told.not_applied)


def tally_of(version: int) -> Tally:
    """How many devices said what became of a version: one consistent query."""
    rows = list(TallyRow.query(_tally_key(version), consistent_read=True))
    return Tally(sum(int(row.reported) for row in rows), sum(int(row.failed) for row in rows))


def failing(version: int, after: str | None) -> tuple[DeviceApplication, ...]:
    """A page of the devices that could not apply all of a version, by id: one query."""
    start = PolicyRow.sk > after if after else None
    rows = PolicyRow.query(_failing_key(version), start, limit=PAGE, consistent_read=True)
    return tuple(row.holds(DeviceApplication) for row in rows)


def of_device(version: int, device: str) -> DeviceApplication | None:
    """What a device said of a version last: one read."""
    row = PolicyRow.find(_applied_key(version), device)
    return row.holds(DeviceApplication) if row else None


def _note(who: Handset, told: Application) -> None:
    _check_given(who, told.version)
    row = PolicyRow.find(_applied_key(told.version), who.device)
    before = row.holds(DeviceApplication) if row else None
    now = DeviceApplication(
        device=who.device,
        depot=who.depot,
        generation=who.generation,
        at=clock.now(),
        applied=len(set(told.applied)),
        not_applied=told.not_applied,
    )
    if before is not None and _says(before) == _says(now):
        return
    with transaction() as work:
        revision = int(row.revision) if row else 0
        _put(work, _applied_key(told.version), now, revision)
        _count(work, told.version, before, now)
        _list(work, told.version, before, now)


def _check_given(who: Handset, version: int) -> None:
    """Raise RequestInvalid for a version that is not there, or has not reached this handset."""
    rollout = standing.latest().rollout
    if version > rollout.version or (version == rollout.version and not rules.is_reached(rollout, who.device)):
        raise RequestInvalid(f"Your policy is not of version {version}. Take it: GET /v1/policy.")


def _says(said: DeviceApplication) -> tuple[object, ...]:
    return said.generation, said.applied, said.not_applied


def _put(work: UnitOfWork, key: str, said: DeviceApplication, instead_of: int) -> None:
    row = PolicyRow(key, said.device, content=encoded(said), revision=instead_of + 1, expires_at=clock.now() + KEPT_FOR)
    meanwhile = ChangedMeanwhile("The handset said something else at the same time.")
    work.put(row, when=PolicyRow.is_still(instead_of), otherwise=meanwhile)


def _count(work: UnitOfWork, version: int, before: DeviceApplication | None, now: DeviceApplication) -> None:
    more = int(before is None)
    worse = int(bool(now.not_applied)) - int(before is not None and bool(before.not_applied))
    if not more and not worse:
        return
    row = TallyRow(_tally_key(version), str(crc32(now.device.encode()) % SHARDS))
    counted = [TallyRow.reported.set(TallyRow.reported + more), TallyRow.failed.set(TallyRow.failed + worse)]
    missing = NotFound(f"Version {version} was not published.")
    work.update(row, counted, when=TallyRow.pk.exists(), otherwise=missing)


def _list(work: UnitOfWork, version: int, before: DeviceApplication | None, now: DeviceApplication) -> None:
    key = _failing_key(version)
    if now.not_applied:
        work.put(PolicyRow(key, now.device, content=encoded(now), expires_at=clock.now() + KEPT_FOR))
    elif before is not None and before.not_applied:
        work.delete(PolicyRow(key, now.device))


def _applied_key(version: int) -> str:
    return f"applied/{key_of(version)}"


def _failing_key(version: int) -> str:
    return f"failing/{key_of(version)}"


def _tally_key(version: int) -> str:
    return f"tally/{key_of(version)}"
