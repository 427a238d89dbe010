"""Proofs over HTTP: for staff who answer senders and addressees, for auditors, and for whoever holds a document."""

from __future__ import annotations

from typing import Annotated

from chalice.app import Blueprint
from msgspec import Meta

from chalicelib.core.access import public, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import endpoint
from chalicelib.core.errors import NotFound
from chalicelib.core.schemas import END
from chalicelib.items.schemas import ItemNumber
from chalicelib.signatures import service
from chalicelib.signatures.schemas import EventId, ProofAnswer, Proofs, Readings, ReadProof, Verification
from chalicelib.signatures.service import DocumentSettings, ProofErased, ProofNotReady

routes = Blueprint(__name__)

Code = Annotated[str, Meta(pattern=r"^[A-Za-z2-7]{16}" + END)]


@endpoint(
    routes,
    "GET /v1/items/{item}/proofs",
    allow=staff("carrier-support", "depot-manager", "auditor"),
    problems=[NotFound],
)
def of_item(item: ItemNumber, who: StaffMember) -> Proofs:
    """The proofs of an item: that they exist, whether they are complete, and until when they can be read."""
    return service.of_item(item, by=who)


@endpoint(
    routes,
    "POST /v1/proofs/{proof}/readings",
    allow=staff("carrier-support"),
    problems=[NotFound, ProofNotReady, ProofErased],
    settings=DocumentSettings,
)
def read(proof: EventId, request: ReadProof, who: StaffMember, call: Call) -> ProofAnswer:
    """A proof, its documents and the drawn signature, for a reason that is put on record."""
    return service.read(proof, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/proofs/{proof}/readings", allow=staff("auditor"), problems=[NotFound])
def readings(proof: EventId) -> Readings:
    """Who read a proof, and why."""
    return service.readings(proof)


@endpoint(
    routes,
    "GET /v1/proofs/{proof}/verifications/{code}",
    allow=public("whoever holds a document may ask whether it is ours"),
    problems=[NotFound],
)
def verify(proof: EventId, code: Code) -> Verification:
    """What the code on a document confirms: the item, the day, and whether the proof is complete."""
    return service.verified(proof, code)
