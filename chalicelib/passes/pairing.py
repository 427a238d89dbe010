"""Putting the two halves of an entry together, and telling a depot of what does not fit.

A handset sends both, in any order, each any number of times. Each half that is new is written with the words by which
its depot is told to look at it, so that it is told once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Final, NamedTuple

import msgspec

from chalicelib.attention import raising
from chalicelib.attention.raising import Matter
from chalicelib.attention.schemas import Kind
from chalicelib.core import clock, journal, keyring
from chalicelib.core.clock import PARIS
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.events import Event
from chalicelib.core.keyring import DataKey, KeyGone
from chalicelib.core.public_keys import PublicKey
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.passes import anomalies, buildings, diary, evidence, receipts
from chalicelib.passes.anomalies import FORGED, NO_RECEIPT, NO_USE, TWO_PLACES, UNKNOWN_READER, Services
from chalicelib.passes.diary import Kept
from chalicelib.passes.entry_schemas import Halves, Receipted, Shown, Waiting
from chalicelib.passes.event_types import USED
from chalicelib.passes.evidence import ANY_READER
from chalicelib.passes.receipts import Receipt
from chalicelib.passes.registry_schemas import ReaderRecord
from chalicelib.passes.schemas import PassReceipt, PassUsed, SealedOfDay
from chalicelib.passes.tables import PassesRow, PassLinesRow

WAITS_FOR: Final = timedelta(hours=24)
"""So long a half may wait for the other: a handset sends both as soon as it has a network."""
LOOK_BACK: Final = 7
"""Days after which what waits is not looked for any more: a worker that fails for a week is noticed otherwise."""
RUN_FOR: Final = timedelta(minutes=4)
"""A run begins nothing new after that, and its function ends a minute later."""

_ONCE_A_DAY: Final = frozenset({FORGED, UNKNOWN_READER})
"""What a handset can make up by the hundred: its depot is told of the first of a day."""
_TOLD_FOR: Final = timedelta(days=30)
"""Longer than an event may wait in a queue, to be taken when its day is over."""
_REVISIONS: Final = {TWO_PLACES: 2, NO_RECEIPT: 3, NO_USE: 4}
"""Of what is found later than the half itself: each word has an entry of its own on the work list."""
_ONE_DAY: Final = timedelta(days=1)
_NAME_LETTERS: Final = 32


class Told(NamedTuple):
    """A half as it was told: either `shown` or `receipt`, or neither if that is no receipt. `name` is the entry's."""

    event: Event
    name: str
    shown: Shown | None = None
    receipt: Receipt | None = None

    @property
    def reader(self) -> str:
        """The reader that it names; empty if none."""
        half = self.shown or self.receipt
        return half.reader if half and half.reader != ANY_READER else ""


def follow(event: Event) -> None:
    """Take a half of an entry. Taken before, it changes nothing.

    Six calls of DynamoDB at most, unless something is wrong: the halves, the reader, its building, a transaction, and a
    query for entries of the same minute; and once for each day its key.
    """
    try:
        day = event.body(SealedOfDay).day
        key = keyring.shared_key_of(evidence.key_name(day))
        told = _understood(event, key)
        first = Kept(told.name, _nothing_yet(event), 0, day, key)
        _look_elsewhere(retried(lambda: _join(diary.load(told.name) or first, told)))
    except KeyGone:
        return  # its time is over


def raise_waiting() -> None:
    """Tell depots of each half that has waited for more than a day: 112 queries, and four calls for each."""
    end, before = clock.now() + RUN_FOR, clock.now() - WAITS_FOR
    for row in _waiting():
        if clock.now() >= end:
            return
        if row.holds(Waiting).since <= before:
            retried(lambda row=row: _settle(row))  # type: ignore[misc]


def _understood(event: Event, key: DataKey) -> Told:
    sealed = event.body(SealedOfDay).sealed
    if event.type == USED:
        return _shown(event, key.open(sealed, PassUsed))
    receipt = receipts.parse(key.open(sealed, PassReceipt).receipt)
    return Told(event, _joint_name(event, receipt.challenge) if receipt else event.id, receipt=receipt)


def _shown(event: Event, used: PassUsed) -> Told:
    """A code is a name for itself: who knows readers and moments could try which ones its challenge comes from."""
    is_code = evidence.is_code(used, event.time)
    shown = Shown(pass_id=used.id, reader=used.reader, at=event.happened_at, is_code=is_code)
    return Told(event, event.id if is_code else _joint_name(event, used.challenge), shown=shown)


def _joint_name(event: Event, challenge: str) -> str:
    """The name of the entry to which both halves belong that a handset tells of a challenge.

    What another handset tells of the same challenge is another entry: none can touch what a colleague's tells.
    """
    return hashlib.sha256(f"{event.device}/{challenge}".encode()).hexdigest()[:_NAME_LETTERS]


def _nothing_yet(event: Event) -> Halves:
    carrier = event.actor.removeprefix("carrier/")
    return Halves(carrier=carrier, told_in=(event.subject, event.id), at=event.happened_at)


def _join(kept: Kept, told: Told) -> Halves:
    before = kept.halves
    if before.shown if told.shown else before.receipt:
        return before
    after = _with(before, told)
    if after == before:
        return before
    with transaction() as work:
        diary.save(work, kept, after)
        if after.line:
            diary.write(work, kept, after)
            diary.wait(work, kept, after, since=told.event.receivedat)
        new = [word for word in after.words if word not in before.words and _is_first(work, told.event, word)]
        raising.raise_(work, _matter(told.event, new), instead_of=_missed(before, after))
    return after


def _is_first(work: UnitOfWork, event: Event, word: str) -> bool:
    """Whether a depot is to be told of it: of some words once for each handset and day, whoever dealt with it since.

    A read for such a word. The day is ours: the handset's own clock says what the handset likes.
    """
    if word not in _ONCE_A_DAY:
        return True
    key = f"told/{event.device}/{event.receivedat.astimezone(PARIS).date()}/{word}"
    if PassesRow.find(key) is not None:
        return False
    at_once = ChangedMeanwhile("The same was told of the same handset at the same time.")
    work.put(PassesRow(key, expires_at=event.receivedat + _TOLD_FOR), unless_exists=at_once)
    return True


def _with(before: Halves, told: Told) -> Halves:
    """The halves with this one too. What nobody can have signed is no half: it is only told to the depot."""
    reader = buildings.reader(told.reader) if told.reader else None
    if told.shown is None and not _may_be_signed(told.receipt, reader):
        return _worded(before, FORGED)
    if not before.line:
        before = msgspec.structs.replace(_nothing_yet(told.event), words=before.words)
    receipt = _receipted(told.receipt, reader) if told.receipt else before.receipt
    at = receipt.at if receipt and receipt.proven else before.at
    after = msgspec.structs.replace(
        before,
        shown=told.shown or before.shown,
        receipt=receipt,
        at=at,
        building=_building(before, told, reader),
        line=diary.line(told.name, at),
    )
    unknown = [UNKNOWN_READER] if told.reader and reader is None else []
    after = _worded(after, *unknown, *anomalies.of_halves(after, _services(after)))
    return msgspec.structs.replace(after, waits=_waits(after, told))


def _may_be_signed(receipt: Receipt | None, reader: ReaderRecord | None) -> bool:
    """Whether a receipt is by its reader's key, or nobody can tell because the registry does not have the reader."""
    if receipt is None or reader is None:
        return receipt is not None
    return msgspec.convert(reader.key, PublicKey).verifies(receipt.message, receipt.signature)


def _receipted(receipt: Receipt, reader: ReaderRecord | None) -> Receipted:
    return Receipted(
        pass_id=receipt.id, reader=receipt.reader, at=receipt.at, result=receipt.result, proven=reader is not None
    )


def _building(before: Halves, told: Told, reader: ReaderRecord | None) -> str:
    """Where it was: the reader that signed says so, rather than the handset."""
    here = reader.building if reader else ""
    return here or before.building if told.receipt else before.building or here


def _services(halves: Halves) -> Services | None:
    """When which service may enter the building whose door opened: a read. None if none did, or nobody knows."""
    building = buildings.record(halves.building) if anomalies.has_opened(halves) else None
    return building.services if building else None


def _worded(halves: Halves, *words: str) -> Halves:
    return msgspec.structs.replace(halves, words=tuple(dict.fromkeys((*halves.words, *words))))


def _waits(halves: Halves, told: Told) -> str:
    """Where it is to wait for its other half: nowhere if it is a code, or if the registry does not have the reader."""
    missing = anomalies.missing(halves)
    if not missing or missing in halves.words or UNKNOWN_READER in halves.words:
        return ""
    if halves.is_code:
        return ""
    return diary.waiting_list(told.event.receivedat.astimezone(UTC).date(), told.name[-1])


def _look_elsewhere(halves: Halves) -> None:
    """Tell of a pass that was at two buildings at once, with the later one of both entries.

    Once both are written, so that of two that come at the same time one sees the other. That a code was shown says
    nothing: nobody may have been there to look at it.
    """
    if not (halves.line and halves.building and halves.pass_id) or halves.is_code:
        return
    first, last = (clock.stamp(halves.at + apart) for apart in (-anomalies.TOO_NEAR, anomalies.TOO_NEAR))
    near = PassLinesRow.query(
        f"carrier/{halves.carrier}", PassLinesRow.sk.between(first, f"{last}~"), consistent_read=True
    )
    others = [(row.sk, entry) for row, entry in diary.opened(row for row in near if row.sk != halves.line)]
    for line in anomalies.elsewhere(halves, others):
        later = diary.name_of(max(line, halves.line))
        retried(lambda later=later: _raise_late(later, TWO_PLACES))  # type: ignore[misc]


def _raise_late(name: str, word: str) -> None:
    kept = diary.load(name)
    if kept is not None and word not in kept.halves.words:
        with transaction() as work:
            _tell(work, kept, word, waits=kept.halves.waits)


def _settle(row: PassLinesRow) -> None:
    """What waits is told once, and waits no more."""
    try:
        kept = diary.load(row.sk)
    except KeyGone:
        kept = None
    word = anomalies.missing(kept.halves) if kept else ""
    with transaction() as work:
        work.delete(row)
        if kept is not None and word:
            _tell(work, kept, word, waits="")


def _tell(work: UnitOfWork, kept: Kept, word: str, *, waits: str) -> None:
    """Tell of something that the event itself did not show: one read."""
    diary.save(work, kept, msgspec.structs.replace(_worded(kept.halves, word), waits=waits))
    raising.raise_(work, _late_matter(kept.halves, word))


def _missed(before: Halves, after: Halves) -> Matter | None:
    """That a half was missing, if a depot was told so and it has come now. One read then."""
    word = anomalies.missing(before)
    return _late_matter(before, word) if word in before.words and not anomalies.missing(after) else None


def _late_matter(halves: Halves, word: str) -> Matter:
    [event] = journal.read_many([halves.told_in])
    return _matter(event, [word], _REVISIONS[word])


def _matter(event: Event, words: list[str], revision: int = 1) -> Matter:
    return Matter(Kind.ENTRY, event.subject, event, flags=words, revision=revision)


def _waiting() -> Iterator[PassLinesRow]:
    """What waits, the oldest days first."""
    today = clock.now().astimezone(UTC).date()
    for ago in range(LOOK_BACK, 0, -1):
        for shard in diary.SHARDS:
            yield from PassLinesRow.query(diary.waiting_list(today - ago * _ONE_DAY, shard))
