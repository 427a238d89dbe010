"""Why one event of a batch is refused. Each stands in the event's result; none fails the batch."""

from __future__ import annotations

from chalicelib.core.errors import EventIdReused, Problem
from chalicelib.items.service import UnknownIdentifier
from chalicelib.passes.evidence import ReceiptMalformed
from chalicelib.signatures.evidence import (
    ActMismatch,
    ActUnproven,
    DrawingTooLarge,
    SignatureDegenerate,
    SignatureReused,
)


class EventMalformed(Problem):
    status = 422
    title = "The event does not have the shape of its type"


class EventTooLarge(Problem):
    status = 413
    title = "The event is too large"


class EventTypeUnknown(Problem):
    status = 422
    title = "Handsets do not send events of this type"


class SourceMismatch(Problem):
    status = 403
    title = "The event was made by another handset or under another enrolment"


class SubjectMismatch(Problem):
    status = 422
    title = "The event's subject is not what its data speak of"


class SequenceReused(Problem):
    status = 409
    title = "Another event has had this number"


class SequenceTooFarAhead(Problem):
    status = 409
    title = "Too many numbers before this one are missing"


_REFUSALS: dict[str, type[Problem]] = {
    problem.slug(): problem
    for problem in (
        ActMismatch,
        ActUnproven,
        DrawingTooLarge,
        EventIdReused,
        EventMalformed,
        EventTooLarge,
        EventTypeUnknown,
        ReceiptMalformed,
        SequenceReused,
        SignatureDegenerate,
        SignatureReused,
        SourceMismatch,
        SubjectMismatch,
        UnknownIdentifier,
    )
}


def again(slug: str) -> Problem:
    """The problem with which an event was refused when it first came."""
    return _REFUSALS.get(slug, EventMalformed)("This event was refused when it first came. It is final: send others.")
