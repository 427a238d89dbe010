"""The status list and the time: signed anew when they must be."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from chalicelib.core import clock, telemetry
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.transaction import transaction
from chalicelib.passes import keys, status_list, tokens
from chalicelib.passes.keys import Ring
from chalicelib.passes.published_schemas import SignedList, TimeTold
from chalicelib.passes.publishing import STATUS_LIST, TIME, key_of, published
from chalicelib.passes.schemas import Mark, Status
from chalicelib.passes.store import LIST, MARKED
from chalicelib.passes.tables import PassesRow, PassLinesRow

URI: Final = f"/v1/status-lists/{LIST}"
LIFE: Final = timedelta(days=1)
SIGNED_ANEW_AFTER: Final = timedelta(hours=6)
TTL_SECONDS: Final = 60
"""After which whoever has a network looks for a newer list."""
LONGEST: Final = 16_384
"""Bytes that a reader takes."""


def publish() -> None:
    """Publish whatever has to be: keys a week ahead, the list if it changed, and the time.

    Two reads, a query, and a transaction each for the time, for the list and for the keys, if they changed. If the
    keys cannot be kept up (a root is away, say) the others are published by those that are there before that is raised.
    """
    failure: Exception | None = None
    try:
        ring = keys.kept_up()
    except Exception as error:
        failure, ring = error, keys.standing()
    publish_list(ring)
    _publish_time(ring)
    if failure is not None:
        raise failure


def publish_list(ring: Ring) -> None:
    """Sign the list if it says something else than the one before, or if that one is old or by a key that is gone.

    Its date is later than that of the one before, by which readers tell the newer one, and never ahead of the clock,
    since they would follow it: a second list within a second waits for the next second. If that is not enough, or if
    another one is signed beside it, it is left to the next minute.
    """
    row = PassesRow.find(key_of(STATUS_LIST))
    last, now = row.holds(SignedList) if row else None, clock.now().replace(microsecond=0)
    told = statuses(now)
    says = hashlib.sha256(status_list.packed(told)).hexdigest()
    if last is not None and _is_good(last, says, ring, now):
        return
    if last is not None and last.issued_at >= now:
        clock.pause(1.0)
        now = clock.now().replace(microsecond=0)
    if last is not None and last.issued_at >= now:
        return
    kid, signer = ring.list_signer(now)
    signed = status_list.status_list(URI, told, issued=now, expires=now + LIFE, ttl=TTL_SECONDS, by=signer)
    listed = SignedList(issued_at=now, status_list=signed, kid=kid, says=says)
    _put_later(published(STATUS_LIST, listed, revision=_seconds(now)))
    telemetry.count("StatusListsPublished")
    if len(signed) > LONGEST:
        telemetry.logger.error("the status list is longer than readers take", extra={"bytes": len(signed)})


def _is_good(last: SignedList, says: str, ring: Ring, now: datetime) -> bool:
    return last.says == says and ring.has(last.kid) and now - last.issued_at < SIGNED_ANEW_AFTER


def _publish_time(ring: Ring) -> None:
    now = clock.now()
    _, signer = ring.signer(now)
    _put_later(published(TIME, TimeTold(time=tokens.signed_time(now, signer)), revision=_seconds(now)))


def _put_later(row: PassesRow) -> None:
    """Publish it unless something of the same second or later is. Its revision is its date."""
    is_later = PassesRow.is_none() | (PassesRow.revision < row.revision)
    with suppress(ChangedMeanwhile), transaction() as work:
        work.put(row, when=is_later, otherwise=ChangedMeanwhile("Somebody published a later one."))


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def statuses(now: datetime) -> dict[int, Status]:
    """What the list says of each index, of passes that are not over: one consistent query."""
    marks = ((row, row.holds(Mark)) for row in PassLinesRow.query(MARKED, consistent_read=True))
    return {int(row.sk): mark.status for row, mark in marks if mark.until > now}
