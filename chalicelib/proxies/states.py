"""What a proxy is at a moment. It follows from the facts in its events and the dates, and is never written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from chalicelib.core import clock
from chalicelib.core.events import Event
from chalicelib.core.schemas import Schema, Sealed
from chalicelib.proxies.schemas import (
    Facts,
    Holder,
    Refused,
    RefusedBy,
    Registered,
    Revoked,
    RevokedBy,
    State,
    Used,
    Verified,
    VerifiedBy,
)

FactsT = TypeVar("FactsT", bound=Facts)

REGISTERED: Final = "facteo.proxy.registered"
VERIFIED: Final = "facteo.proxy.verified"
REFUSED: Final = "facteo.proxy.refused"
REVOKED: Final = "facteo.proxy.revoked"
USED: Final = "facteo.proxy.used"

FULL_AGE: Final = 18


def apply(facts: FactsT, event: Event) -> FactsT:
    """The facts after one more event of the proxy."""
    return msgspec.structs.replace(facts, revision=facts.revision + 1, **_CHANGES[event.type](event))


def registered(facts: Facts, month: str, people: Sealed) -> Registered:
    """The body of the event that registers a proxy with these facts."""
    return Registered(
        revision=1,
        kind=facts.kind,
        scopes=facts.scopes,
        start=facts.start,
        end=facts.end,
        item=facts.item,
        legal_person=facts.legal_person,
        month=month,
        people=people,
    )


def in_order(history: Sequence[Event]) -> list[Event]:
    """A proxy's events by their revisions: their ids tell no order within a millisecond."""
    return sorted(history, key=lambda event: event.body(_Numbered).revision)


def fold(history: Sequence[Event], *, through: int | None = None) -> Facts | None:
    """The facts after a proxy's events up to that revision (default: all). None if there was nothing yet."""
    facts: Facts | None = None
    for event in in_order(history)[:through]:
        facts = _registered(event.body(Registered)) if facts is None else apply(facts, event)
    return facts


def state_at(facts: Facts, moment: datetime) -> State:
    """What a proxy with these facts is at a moment. Before its start a verified one is active, though not valid."""
    if facts.refusal:
        return State.REFUSED
    if facts.used_for is not None:
        return State.USED
    if facts.revocation and facts.revocation.effective_at <= moment:
        return State.REVOKED
    if moment >= _midnight_after(facts.end):
        return State.EXPIRED
    return State.ACTIVE if facts.verification else State.REQUESTED


def ends_at(facts: Facts) -> datetime:
    """The moment from which on the proxy is not valid: after its last day, or by its revocation."""
    over = _midnight_after(facts.end)
    return min(over, facts.revocation.effective_at) if facts.revocation else over


class Validity(NamedTuple):
    """Whether a proxy is valid, and if it is not, why."""

    valid: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.valid


def valid_at(facts: Facts, moment: datetime) -> Validity:
    """Whether the proxy is valid at that moment. A one-off one that was used is not."""
    if facts.used_for is not None:
        return Validity(False, "used")
    return in_force_at(facts, moment)


def in_force_at(facts: Facts, moment: datetime) -> Validity:
    """The same, whether a one-off proxy was used or not."""
    if facts.refusal:
        return Validity(False, "refused")
    if facts.verification is None or facts.verification.at > moment:
        return Validity(False, "not-verified")
    if facts.revocation and facts.revocation.effective_at <= moment:
        return Validity(False, "revoked")
    if moment < midnight(facts.start):
        return Validity(False, "not-started")
    return Validity(False, "expired") if moment >= _midnight_after(facts.end) else Validity(True)


def age_on(day: date, holder: Holder) -> int:
    """The age of a holder in full years."""
    born = holder.born_on
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def is_of_age(holder: Holder, moment: datetime) -> bool:
    """Whether the holder, who was on some proxy's first day, is of full age at that moment."""
    born = holder.born_on
    leap = (born.month, born.day) == (2, 29)
    year = born.year + FULL_AGE
    return moment >= midnight(date(year, 3, 1) if leap else born.replace(year=year))


def midnight(day: date) -> datetime:
    """The moment at which a day of Paris begins."""
    return datetime.combine(day, time(), clock.PARIS)


class _Numbered(Schema, frozen=True, forbid_unknown_fields=False):
    """What every event of a proxy has."""

    revision: int


def _registered(body: Registered) -> Facts:
    return Facts(
        revision=1,
        kind=body.kind,
        scopes=body.scopes,
        start=body.start,
        end=body.end,
        item=body.item,
        legal_person=body.legal_person,
    )


def _verified(event: Event) -> dict[str, Any]:
    body = event.body(Verified)
    by = VerifiedBy(method=body.method, documents=body.documents, by=event.actor, at=event.receivedat)
    return {"verification": by}


def _refused(event: Event) -> dict[str, Any]:
    return {"refusal": RefusedBy(reason=event.body(Refused).reason, by=event.actor, at=event.receivedat)}


def _revoked(event: Event) -> dict[str, Any]:
    body = event.body(Revoked)
    by = RevokedBy(reason=body.reason, effective_at=body.effective_at, by=event.actor, at=event.receivedat)
    return {"revocation": by}


def _used(event: Event) -> dict[str, Any]:
    return {"used_for": event.body(Used).proof}


_CHANGES: Final[Mapping[str, Callable[[Event], dict[str, Any]]]] = {
    VERIFIED: _verified,
    REFUSED: _refused,
    REVOKED: _revoked,
    USED: _used,
}


def _midnight_after(day: date) -> datetime:
    return midnight(day + timedelta(days=1))
