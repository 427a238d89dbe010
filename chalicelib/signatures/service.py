"""Proofs for people: which there are, reading one for a stated reason, who read it, and whether a document is ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import date

from chalicelib.core import events, journal, keyring, settings
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import NotFound, Problem
from chalicelib.core.events import Event
from chalicelib.core.keyring import KeyGone
from chalicelib.core.settings import Settings
from chalicelib.core.transaction import transaction
from chalicelib.items import rules as item_rules
from chalicelib.items.event_types import HANDED_OVER
from chalicelib.people import lookup as people
from chalicelib.signatures import assembly, drawings, rules
from chalicelib.signatures.schemas import (
    Judged,
    Mention,
    Proof,
    ProofAnswer,
    ProofRead,
    Proofs,
    ProofSummary,
    Reading,
    Readings,
    ReadProof,
    Verification,
)
from chalicelib.signatures.tables import ProofRow

READ = "facteo.proof.read"


class DocumentSettings(Settings, frozen=True, kw_only=True):
    """Where the code on a document is checked."""

    public_url: str


class ProofErased(Problem):
    status = 410
    title = "The proof has been erased"


class ProofNotReady(Problem):
    status = 409
    title = "The proof is being put together"


def of_item(item: str, *, by: StaffMember) -> Proofs:
    """The proofs of an item, without a word of who received: a query and a read. Raises NotFound, AccessDenied."""
    found = [event for event in journal.read(item_rules.subject_of(item)) if event.type == HANDED_OVER]
    if not found:
        raise NotFound(f"The item {item} was not handed over against signature.")
    rows = sorted(ProofRow.find_many([event.id for event in found]), key=lambda row: row.position)
    if item_rules.NATIONWIDE not in by.roles:
        for depot in {event.place.removeprefix("depot/") for event in found}:
            people.require_depot(by, depot)
    return Proofs(proofs=tuple(map(_summary, rows)))


def read(proof: str, request: ReadProof, *, by: StaffMember, correlation_id: str) -> ProofAnswer:
    """A proof with its documents. That it was read, by whom and why, is on record before it is shown.

    Raises NotFound, ProofNotReady, ProofErased.
    """
    event, judged = _judged(proof)
    try:
        key = keyring.key_of(rules.subject_of(proof))
    except KeyGone as error:
        raise ProofErased("A proof is kept for a year from the delivery; the item's history still shows it.") from error
    with transaction() as work:
        work.append(
            events.make(
                READ,
                rules.subject_of(proof),
                ProofRead(reason=request.reason, words=key.seal(request)),
                actor=by.actor,
                correlation_id=correlation_id,
            )
        )
    return _answer(assembly.proof_of(event, judged, key), judged)


def readings(proof: str) -> Readings:
    """Who read a proof, and why: a query and a read. Raises NotFound."""
    history = _history(proof)
    found = [event for event in history if event.type == READ]
    key = keyring.keys_of([rules.subject_of(proof)]).get(rules.subject_of(proof))
    return Readings(readings=tuple(_reading(event, key) for event in found))


def verified(proof: str, code: str) -> Verification:
    """What a document with that code proves: a read and a query. Raises NotFound for any other code."""
    row = ProofRow.find(proof)
    given = hashlib.sha256(code.upper().encode()).hexdigest()
    if row is None or not hmac.compare_digest(row.code, given):
        raise NotFound("No document of ours has this code.")
    complete = not row.missing and _stands(proof, row.item)
    return Verification(item=row.item, delivered_on=date.fromisoformat(row.delivered_on), complete=complete)


def _stands(proof: str, item: str) -> bool:
    """Whether nobody has declared that the handing over did not happen: outside it is told from that moment on."""
    return proof in {event.id for event in item_rules.standing(journal.read(item_rules.subject_of(item)))}


def _history(proof: str) -> list[Event]:
    history = journal.read(rules.subject_of(proof))
    if not history:
        raise NotFound(f"There is no proof {proof}.")
    return history


def _judged(proof: str) -> tuple[Event, Judged]:
    """The event that gave the proof, and what was judged of it last: a query and two reads."""
    row = ProofRow.find(proof)
    if row is None:
        raise ProofNotReady(
            "It is put together within a minute of the sync; if there was none, there is no such proof."
        )
    [event] = journal.read_many([(item_rules.subject_of(row.item), proof)])
    judged = rules.latest(_history(proof))
    if judged is None:
        raise ProofNotReady("It is put together again; ask in a moment.")
    return event, judged


def _answer(proof: Proof, judged: Judged) -> ProofAnswer:
    from chalicelib.signatures import documents  # noqa: PLC0415 - the PDF library, which few requests need

    url = f"{settings.load(DocumentSettings).public_url}/v1/proofs/{proof.id}/verifications/{proof.verification_code}"
    acknowledged = judged.acknowledgement_of_receipt
    drawing = proof.act.drawing if proof.act else None
    return ProofAnswer(
        proof=proof,
        document=_base64(documents.proof_of_delivery(proof, url)),
        acknowledgement=_base64(documents.acknowledgement(proof, url)) if acknowledged else None,
        drawing=drawings.svg(drawing) if drawing else None,
    )


def _reading(event: Event, key: keyring.DataKey | None) -> Reading:
    body = event.body(ProofRead)
    words = key.open(body.words, ReadProof) if key else None
    return Reading(at=event.receivedat, actor=event.actor, reason=body.reason, words=words)


def _summary(row: ProofRow) -> ProofSummary:
    delivered_on = date.fromisoformat(row.delivered_on)
    return ProofSummary(
        id=row.id,
        item=row.item,
        delivered_on=delivered_on,
        readable_until=rules.readable_until(delivered_on),
        depot=row.depot,
        complete=not row.missing,
        missing=tuple(map(Mention, row.missing.split())),
        flags=tuple(row.flags.split()),
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
