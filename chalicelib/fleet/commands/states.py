"""The life of a command, as tables: which word of whom leads where. What is over stays over."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class State(enum.StrEnum):
    """Where a command stands."""

    APPROVED = "approved"
    """It destroys, and cools off: anybody may still call it off."""
    QUEUED = "queued"
    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    """The handset has signed that it will do it: the point of no return."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    """By the handset: a check of its own failed."""
    UNSUPPORTED = "unsupported"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    UNANSWERED = "unanswered"
    """Accepted, and nothing heard since: whether it was done is not known."""
    WIPE_CLAIMED = "wipe-claimed"
    """The handset said that it was about to wipe. That is no proof: see `Proof`."""


class What(enum.StrEnum):
    """What a handset reports."""

    ACCEPTED = "accepted"
    NOT_NOW = "not-now"
    UNSUPPORTED = "unsupported"
    REFUSED = "refused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    WIPING = "wiping"


class Proof(enum.StrEnum):
    """What is known of a wipe. Only `confirmed` may be shown as wiped."""

    ANNOUNCED = "announced"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"


BEFORE_ACCEPTED: Final = frozenset({State.APPROVED, State.QUEUED, State.DELIVERED})
"""It may still be cancelled, expire or be superseded."""
OPEN: Final = BEFORE_ACCEPTED | {State.ACCEPTED}

_REPORTED: Final[Mapping[What, State]] = {
    What.ACCEPTED: State.ACCEPTED,
    What.NOT_NOW: State.QUEUED,
    What.UNSUPPORTED: State.UNSUPPORTED,
    What.REFUSED: State.REFUSED,
}
"""Of a command that was given out and not accepted yet."""

_AFTERWARDS: Final[Mapping[What, State]] = {
    What.SUCCEEDED: State.SUCCEEDED,
    What.FAILED: State.FAILED,
    What.WIPING: State.WIPE_CLAIMED,
}
"""Of one that was accepted."""

_LATER_PROOFS: Final[Mapping[Proof | None, frozenset[Proof]]] = {
    None: frozenset(Proof),
    Proof.ANNOUNCED: frozenset({Proof.CONFIRMED, Proof.UNCONFIRMED, Proof.FAILED}),
    Proof.UNCONFIRMED: frozenset({Proof.CONFIRMED, Proof.FAILED}),
    Proof.FAILED: frozenset(),
    Proof.CONFIRMED: frozenset(),
}
"""What was known → what may be known later."""


def after(state: State, what: What, *, destroys: bool) -> State | None:
    """The state after a report; None if it changes nothing. A wipe that "succeeded" is only claimed, ever."""
    if state in BEFORE_ACCEPTED - {State.APPROVED}:
        return _REPORTED.get(what)
    if state is not State.ACCEPTED:
        return None
    if destroys and what is What.SUCCEEDED:
        return State.WIPE_CLAIMED
    if not destroys and what is What.WIPING:
        return None
    return _AFTERWARDS.get(what)


def may_become(proof: Proof | None, later: Proof, *, seen: bool = False) -> bool:
    """Whether what is known of a wipe may change to that: the better knowledge wins, whenever it comes.

    That a wipe failed is undone only by somebody who has `seen` the wiped handset: a new key it makes itself.
    """
    return later in _LATER_PROOFS[proof] or (seen and proof is Proof.FAILED and later is Proof.CONFIRMED)
