"""What makes a proxy, what verifies it, and what ends it: no I/O."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from chalicelib.core.errors import Conflict, Problem
from chalicelib.proxies import states
from chalicelib.proxies.carried import Kind
from chalicelib.proxies.schemas import (
    Facts,
    Method,
    People,
    RegisterProxy,
    Revocation,
    Seen,
    State,
    Verification,
)

MAX_AT_ADDRESS: Final = 100
KEPT_MONTHS: Final = 13
"""How long whom a proxy names can be read after its end: the time in which a delivery may be complained of, and one
month more."""

STARTS_WITHIN: Final = timedelta(days=366)
"""How long before its start a proxy may be registered."""


class Term(NamedTuple):
    """How long a proxy may last. `confirmed`: it is published."""

    months: int = 0
    days: int = 0
    confirmed: bool = True


LONGEST: Final[Mapping[tuple[Kind, bool], Term]] = {
    (Kind.PERMANENT, False): Term(months=60, confirmed=False),
    (Kind.PERMANENT, True): Term(months=60),
    (Kind.ONE_OFF, False): Term(days=30, confirmed=False),
    (Kind.ONE_OFF, True): Term(days=30, confirmed=False),
}
"""By kind, and whether a legal person gives it."""

DOCUMENTS: Final[Mapping[tuple[Method, Kind, bool], frozenset[Seen]]] = {
    (Method.POST_OFFICE, Kind.PERMANENT, False): frozenset({Seen.PRINCIPAL_IDENTITY, Seen.PROOF_OF_ADDRESS}),
    (Method.ONLINE, Kind.PERMANENT, False): frozenset({Seen.PRINCIPAL_IDENTITY, Seen.PROOF_OF_ADDRESS}),
    (Method.POST_OFFICE, Kind.ONE_OFF, False): frozenset({Seen.PRINCIPAL_IDENTITY, Seen.HOLDER_IDENTITY}),
    (Method.DELIVERY_NOTICE, Kind.ONE_OFF, False): frozenset({Seen.PRINCIPAL_IDENTITY, Seen.HOLDER_IDENTITY}),
    (Method.LEGAL_REPRESENTATIVE, Kind.PERMANENT, True): frozenset(
        {Seen.PRINCIPAL_IDENTITY, Seen.COMPANY_REGISTRATION}
    ),
    (Method.LEGAL_REPRESENTATIVE, Kind.ONE_OFF, True): frozenset({Seen.PRINCIPAL_IDENTITY, Seen.COMPANY_REGISTRATION}),
}
"""What must be seen, by method, kind, and whether a legal person gives the proxy. What has no line is no way."""


class ProxyDatesCross(Problem):
    status = 422
    title = "These are no days of a proxy"


class HolderIsMinor(Problem):
    status = 422
    title = "A minor cannot hold a proxy"


class ProxyUnproved(Problem):
    status = 422
    title = "What was seen does not verify this proxy"


class RevocationBackdated(Problem):
    status = 422
    title = "A proxy is not revoked for the past"


class TooManyProxies(Problem):
    status = 409
    title = "There are as many proxies at this address as it can have"


# --- making one ---------------------------------------------------------------------------------------------


def require_sound(stated: RegisterProxy, today: date) -> None:
    """Raise ProxyDatesCross or HolderIsMinor for what cannot be a proxy."""
    _require_days(stated, today)
    for number, holder in enumerate(stated.holders, 1):
        if states.age_on(stated.start, holder) < states.FULL_AGE:
            told = f"Name another holder: number {number} is not {states.FULL_AGE} years old on {stated.start}."
            raise HolderIsMinor(told, holder=number)


def _require_days(stated: RegisterProxy, today: date) -> None:
    if stated.end < max(stated.start, today):
        raise ProxyDatesCross("It would be over before it begins: let it end on a later day.")
    if stated.start > today + STARTS_WITHIN:
        raise ProxyDatesCross(f"Register it later: it starts more than {STARTS_WITHIN.days} days from now.")
    term = LONGEST[stated.kind, stated.principal.is_legal_person]
    latest = _months_later(stated.start, term.months) + timedelta(days=term.days)
    if stated.end > latest:
        raise ProxyDatesCross(f"Let it end on {latest} at the latest.", latest=latest.isoformat())


def require_proved(facts: Facts, verification: Verification) -> None:
    """Raise ProxyUnproved unless this method verifies such a proxy and all was seen that it wants."""
    wanted = DOCUMENTS.get((verification.method, facts.kind, facts.legal_person))
    if wanted is None:
        ways = sorted(method for method, kind, legal in DOCUMENTS if (kind, legal) == (facts.kind, facts.legal_person))
        raise ProxyUnproved(f"Verify it by {' or '.join(ways)}.", methods=ways)
    missing = sorted(wanted - set(verification.documents))
    if missing:
        raise ProxyUnproved(f"Have these shown too: {', '.join(missing)}.", missing=missing)


def revoked_from(facts: Facts, revocation: Revocation, now: datetime) -> datetime | None:
    """From when on a revocation that is stated now holds; None if that was said already.

    Raises Conflict for a proxy that is over, or ends before that, and RevocationBackdated.
    """
    stated, former = revocation.effective_at, facts.revocation
    if former and former.reason is revocation.reason and _said_again(stated, former.effective_at, now):
        return None
    state = states.state_at(facts, now)
    if state not in (State.REQUESTED, State.ACTIVE):
        raise Conflict(f"The proxy is {state}: there is nothing to revoke.", state=state.value)
    if stated is not None and stated < now:
        raise RevocationBackdated("Revoke it from now on, or from a later moment.")
    effective_at = stated or now
    if effective_at >= states.ends_at(facts):
        raise Conflict("The proxy ends before that; revoke it for an earlier moment.")
    return effective_at


def _said_again(stated: datetime | None, effective_at: datetime, now: datetime) -> bool:
    return effective_at <= now if stated is None else stated == effective_at


def stated(facts: Facts, people: People) -> RegisterProxy:
    """What was stated to register the proxy."""
    return RegisterProxy(
        principal=people.principal,
        address=people.address,
        holders=people.holders,
        scopes=facts.scopes,
        start=facts.start,
        end=facts.end,
        kind=facts.kind,
        item=facts.item,
    )


def retention_month(end: date) -> str:
    """The month to whose end whom a proxy names can be read: `2027-12`."""
    return f"{_months_later(end, KEPT_MONTHS):%Y-%m}"


def last_day_of(month: str) -> date:
    """The last day of a month: `2027-12` gives 31 December."""
    first = date.fromisoformat(f"{month}-01")
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def gone_after(month: str) -> datetime:
    """The moment at which rows go whose people can be read to the end of that month."""
    return states.midnight(last_day_of(month) + timedelta(days=1))


def _months_later(day: date, months: int) -> date:
    """The same day so many months later, or the last one of that month."""
    years, month = divmod(day.month - 1 + months, 12)
    last = calendar.monthrange(day.year + years, month + 1)[1]
    return date(day.year + years, month + 1, min(day.day, last))
