"""Take a handset's batch: every event exactly once, every number of its enrolment accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from chalicelib.core import access, clock, events, ids, journal, keyring, telemetry
from chalicelib.core.access import Handset
from chalicelib.core.errors import ChangedMeanwhile, EventIdReused, Problem
from chalicelib.core.events import Event
from chalicelib.core.journal import EventIdRow
from chalicelib.core.transaction import MAX_ITEMS, TRIES, UnitOfWork, transaction
from chalicelib.sync import drafts, problems
from chalicelib.sync.drafts import Draft, Sender
from chalicelib.sync.problems import EventMalformed, SequenceReused, SequenceTooFarAhead
from chalicelib.sync.rules import Progress
from chalicelib.sync.schemas import Batch, EventResult, RefusedEvent, Result, SentEvent, SyncAnswer

_ROWS_FOR_ACKNOWLEDGING = 1

Results = dict[int, EventResult]


def take(batch: Batch, handset: Handset, correlation_id: str) -> SyncAnswer:
    """Take a batch: a result for each event, in its place.

    What was taken before is a duplicate, and answered as it was then. Raises ChangedMeanwhile if syncs of the same
    device keep overtaking each other, and DeviceBlocked if the device was retired meanwhile.
    """
    sender = Sender(handset, handset.row, batch.clock, clock.now(), correlation_id)
    for _ in range(TRIES):
        try:
            return _take(batch, sender)
        except (ChangedMeanwhile, EventIdReused):
            sender = msgspec.structs.replace(sender, row=access.current(handset))
    raise ChangedMeanwhile("Other syncs of this device keep overtaking this one; send it again.")


def _take(batch: Batch, sender: Sender) -> SyncAnswer:
    results: Results = {}
    progress = Progress.parse(int(sender.row.acknowledged_through), sender.row.beyond)
    made = _drafts(batch, sender, results)
    for chunk in _in_transactions(_new_ones(made, progress, results)):
        progress = _write(chunk, sender, progress)
        results |= {draft.position: _result(draft, draft.refusal) for draft in chunk}
    return SyncAnswer(
        results=tuple(results[position] for position in range(len(batch.events))),
        acknowledged_through=progress.through,
        received_at=sender.received_at,
    )


def _drafts(batch: Batch, sender: Sender, results: Results) -> list[Draft]:
    """A draft of each event that can be addressed; the others are answered at once and recorded nowhere."""
    made = []
    for position, raw in enumerate(batch.events):
        address = drafts.address_of(raw)
        if address is None:
            problem = EventMalformed("An event needs an id (UUIDv7, lower case) and a sequence number (1 or more).")
            refused = EventResult(id=None, sequence=None, result=Result.REFUSED, problem=problem.to_dict())
            results[position] = refused
        else:
            made.append(drafts.draft(position, address, raw, sender))
    return made


def _new_ones(made: Sequence[Draft], progress: Progress, results: Results) -> list[Draft]:
    """The drafts that are to be written. Those that are known already, or come too early, are answered."""
    known = journal.lookup(name for draft in made for name in (draft.address.id, *draft.claims))
    told_apart = _told_apart(made, known)
    known |= journal.lookup(draft.record_id for draft in told_apart if draft.record_id != draft.address.id)
    new: dict[str, Draft] = {}
    for draft in _unclaimed(told_apart, known):
        if guard := known.get(draft.record_id):
            results[draft.position] = _repeated_result(draft, guard.refusal)
        elif twin := new.get(draft.record_id):
            results[draft.position] = _repeated_result(draft, _slug(twin.refusal))
        elif draft.foreign:
            new[draft.record_id] = draft
        elif not progress.admits(draft.address.sequence):
            too_far = _result(draft, _too_far_ahead(progress))
            results[draft.position] = msgspec.structs.replace(too_far, result=Result.POSTPONED)
        else:
            new[draft.record_id] = _numbered(draft, progress)
            progress = progress.taking(draft.address.sequence)
    return list(new.values())


def _told_apart(made: Sequence[Draft], known: Mapping[str, EventIdRow]) -> list[Draft]:
    """An id that stands for another content already makes a refusal, recorded under an id of its own."""
    contents = {event_id: guard.fingerprint for event_id, guard in known.items()}
    return [
        draft
        if contents.setdefault(draft.address.id, draft.content) == draft.content
        else msgspec.structs.replace(
            draft, event=None, evidence=None, refusal=_id_reused(draft), record_id=_id_of_refusal(draft)
        )
        for draft in made
    ]


def _unclaimed(told_apart: Sequence[Draft], known: Mapping[str, EventIdRow]) -> Iterator[Draft]:
    """The drafts; one that claims what another owns, in the journal or earlier in the batch, is made a refusal."""
    owners = {name: row.subject for name, row in known.items()}
    for draft in told_apart:
        others = {name: owner for name, by in draft.claims.items() if (owner := owners.setdefault(name, by)) != by}
        yield _clashing(draft, others) if others and draft.record_id not in known else draft


def _clashing(draft: Draft, owners: Mapping[str, str]) -> Draft:
    if draft.evidence is None or draft.event is None:
        return draft
    refusal, alarm = draft.evidence.clash(owners, draft.event)
    return msgspec.structs.replace(draft, event=None, evidence=None, refusal=refusal, alarm=alarm)


def _numbered(draft: Draft, progress: Progress) -> Draft:
    """The draft, refused if another event has had its number: the mark of a cloned or restored handset."""
    if draft.refusal is not None or not progress.has(draft.address.sequence):
        return draft
    telemetry.count("SequenceClash")
    clash = SequenceReused("Another event has this number: the handset must enrol again.")
    return msgspec.structs.replace(draft, event=None, evidence=None, refusal=clash)


def _in_transactions(new: Sequence[Draft]) -> Iterator[Sequence[Draft]]:
    """The drafts in as few transactions as DynamoDB's limit of items allows."""
    chunk: list[Draft] = []
    rows = _ROWS_FOR_ACKNOWLEDGING
    for draft in new:
        if rows + draft.rows > MAX_ITEMS:
            yield chunk
            chunk, rows = [], _ROWS_FOR_ACKNOWLEDGING
        chunk.append(draft)
        rows += draft.rows
    if chunk:
        yield chunk


def _write(chunk: Sequence[Draft], sender: Sender, progress: Progress) -> Progress:
    with transaction() as work:
        for draft in chunk:
            if draft.event:
                _append(work, draft, draft.event)
            else:
                _append_refusal(work, draft, sender)
            if not draft.foreign:
                progress = progress.taking(draft.address.sequence)
        access.acknowledge(work, sender.row, through=progress.through, beyond=progress.beyond_text)
    sender.row.revision += 1
    return progress


def _append(work: UnitOfWork, draft: Draft, event: Event) -> None:
    for name, owner in draft.claims.items():
        work.claim(name, by=owner, otherwise=ChangedMeanwhile("Another event claimed the same at the same time."))
    work.append(draft.evidence.kept(work, event) if draft.evidence else event, content=draft.content)
    if event.quarantined:
        from chalicelib.fleet import holding  # noqa: PLC0415 - loads tables, and few handsets are lost

        holding.hold(work, event)


def _append_refusal(work: UnitOfWork, draft: Draft, sender: Sender) -> None:
    """Record that an event was refused, and what was sent, sealed: it may hold personal data."""
    key = keyring.create(work, f"refusal/{draft.record_id}", keep_until=clock.today() + draft.refusal_kept_for)
    refused = RefusedEvent(
        event_id=draft.address.id,
        sequence=draft.address.sequence,
        problem=_slug(draft.refusal),
        sent=key.seal(
            SentEvent(
                detail=draft.refusal.detail if draft.refusal else "",
                text=bytes(draft.raw)[: drafts.LARGEST].decode("utf-8", "ignore"),
            )
        ),
    )
    event = events.make(
        "facteo.device.event-refused",
        f"device/{sender.handset.device}",
        refused,
        actor=sender.handset.actor,
        correlation_id=sender.correlation_id,
        event_id=draft.record_id,
    )
    work.append(event, content=draft.content, refusal=_slug(draft.refusal))
    if draft.alarm:
        work.append(draft.alarm)


def _id_reused(draft: Draft) -> EventIdReused:
    return EventIdReused("This id stands for another event; give each event an id of its own.", event=draft.address.id)


def _id_of_refusal(draft: Draft) -> str:
    return ids.derived(ids.moment(draft.address.id), draft.address.id, str(draft.address.sequence), draft.content)


def _too_far_ahead(progress: Progress) -> SequenceTooFarAhead:
    missing = progress.through + 1
    return SequenceTooFarAhead(f"Send the events from number {missing} on first, then this one again.", missing=missing)


def _result(draft: Draft, refusal: Problem | None) -> EventResult:
    return EventResult(
        id=draft.address.id,
        sequence=draft.address.sequence,
        result=Result.REFUSED if refusal else Result.RECORDED,
        problem=refusal.to_dict() if refusal else None,
    )


def _repeated_result(draft: Draft, refused_as: str) -> EventResult:
    """The result of an event that was taken before: the problem of a refused one is told again."""
    if not refused_as:
        return msgspec.structs.replace(_result(draft, None), result=Result.DUPLICATE)
    if draft.refusal and draft.refusal.slug() == refused_as:
        return _result(draft, draft.refusal)
    return _result(draft, problems.again(refused_as))


def _slug(refusal: Problem | None) -> str:
    return refusal.slug() if refusal else ""
