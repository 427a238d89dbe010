"""Where a lost handset is: sent only while lost mode lasts, readable only as long as its case is open.

Positions are sealed under a key of the case, which is destroyed when the case ends. What stays is how many there were,
of when, and who looked.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from chalicelib.core import clock, keyring
from chalicelib.core.access import Handset
from chalicelib.core.callers import StaffMember
from chalicelib.core.keyring import DataKey, KeyGone
from chalicelib.core.schemas import Sealed
from chalicelib.core.table import Rows, find_together
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.losses import orders, rules, store
from chalicelib.fleet.losses.rules import NoLostMode
from chalicelib.fleet.losses.schemas import CaseState, LossCase, LossPosition, PositionsRead, PositionsTold
from chalicelib.fleet.tables import CommandsRow, LossLinesRow

MOST_SHOWN: Final = 300
"""A day, at one each five minutes."""


def take(position: LossPosition, who: Handset) -> None:
    """Keep where a lost handset is, each moment once: two reads, a query and a transaction.

    Raises NoLostMode, and RequestInvalid for one of the future; nothing is kept then.
    """
    box = boxes.of_handset(who).box
    if not box.loss:
        raise NoLostMode("This handset is not lost. Nothing was kept.")

    def taken() -> None:
        rows = find_together([(CommandsRow, store.key_of(box.loss)), keyring.place_of(store.key_of(box.loss))])
        kept = records.of_row(CommandsRow.among(rows, store.key_of(box.loss)), LossCase)
        if kept is None or kept.record.state is not CaseState.OPEN:
            raise NoLostMode("The loss case has ended. Nothing was kept.")
        rules.check_position(position, orders.of_case(kept.record, box), clock.now())
        if LossLinesRow.find(_line_of(kept.record), clock.stamp(position.at)):
            return
        with transaction() as work:
            _keep(work, kept.record, _key(work, rows, kept.record), position)
            store.save(work, rules.with_position(kept.record, position), instead_of=kept.revision)

    retried(taken)


def look(case_id: str, *, by: StaffMember, correlation_id: str) -> PositionsTold:
    """The latest positions of a case; that somebody looks is written first: three reads and a transaction.

    Raises NotFound, AccessDenied.
    """
    case = store.of_depots_of(by, case_id).record
    found = _read(case)
    told = PositionsRead(device=case.device, generation=case.generation, positions=len(found))
    with transaction() as work:
        store.say(work, case, "positions-read", told, by=by.actor, correlation_id=correlation_id)
    return PositionsTold(positions=tuple(found))


def purge(work: UnitOfWork, case: LossCase) -> None:
    """Make a case's positions unreadable for ever. Their rows expire by themselves."""
    if case.positions.taken:
        keyring.revoke(work, store.key_of(case.id))


def _key(work: UnitOfWork, rows: Rows, case: LossCase) -> DataKey:
    subject = store.key_of(case.id)
    try:
        return keyring.key_among(rows, subject)
    except KeyGone:
        return keyring.create(work, subject, keep_until=clock.today() + rules.POSITIONS_KEPT_FOR)


def _keep(work: UnitOfWork, case: LossCase, key: DataKey, position: LossPosition) -> None:
    line = LossLinesRow(
        _line_of(case),
        clock.stamp(position.at),
        content=key.seal(position),
        expires_at=clock.now() + rules.POSITIONS_KEPT_FOR,
    )
    work.put(line)


def _read(case: LossCase) -> list[LossPosition]:
    """The positions that can be read: none once the case has ended."""
    try:
        key = keyring.key_of(store.key_of(case.id))
    except KeyGone:
        return []
    rows = LossLinesRow.query(_line_of(case), scan_index_forward=False, limit=MOST_SHOWN, consistent_read=True)
    found = []
    for row in rows:
        with suppress(KeyGone):  # sealed under a key before this one
            found.append(key.open(Sealed(row.content), LossPosition))
    return found


def _line_of(case: LossCase) -> str:
    return f"position/{case.id}"
