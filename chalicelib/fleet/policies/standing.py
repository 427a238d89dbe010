"""The newest rollout, and each process's view of it: check-ins come by the million, and rollouts take days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from chalicelib.core import clock
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet.policies.rules import LAST_RING
from chalicelib.fleet.policies.schemas import Rollout
from chalicelib.fleet.policies.store import encoded, key_of
from chalicelib.fleet.tables import PolicyRow

HELD_FOR: Final = timedelta(minutes=5)
ROLLOUTS: Final = "rollouts"

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
NONE: Final = Rollout(
    version=0, base=0, reason="", published_by="", published_at=_BEGINNING, ring_since=_BEGINNING, ring=LAST_RING
)
"""Nothing was published yet."""


class Kept(NamedTuple):
    """A rollout as it was read, and its revision: 0 if there was none."""

    rollout: Rollout
    revision: int


class _Held(NamedTuple):
    rollout: Rollout
    until: datetime


_held: list[_Held] = []


def held() -> Rollout:
    """The newest rollout as it stood five minutes ago at most: one read for a process and five minutes."""
    if not _held or _held[0].until <= clock.now():
        _held[:] = [_Held(latest().rollout, clock.now() + HELD_FOR)]
    return _held[0].rollout


def latest() -> Kept:
    """The newest rollout: one consistent query."""
    rows = PolicyRow.query(ROLLOUTS, scan_index_forward=False, limit=1, consistent_read=True)
    row = next(iter(rows), None)
    return Kept(row.holds(Rollout), int(row.revision)) if row else Kept(NONE, 0)


def save(work: UnitOfWork, rollout: Rollout, *, instead_of: int) -> None:
    """Write how far a rollout has come in place of that revision. Raises ChangedMeanwhile at commit."""
    content, key = encoded(rollout), key_of(rollout.version)
    row = PolicyRow(ROLLOUTS, key, content=content, revision=instead_of + 1)
    work.put(row, when=PolicyRow.is_still(instead_of), otherwise=ChangedMeanwhile("The rollout has just moved."))


def forget() -> None:
    """Drop what this process holds."""
    _held.clear()
