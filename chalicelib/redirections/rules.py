"""Pure decisions on contracts: what may be agreed, and what a contract is at a moment. Days are those of Paris."""

from __future__ import annotations

import calendar
import secrets
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import msgspec

from chalicelib.addresses import names
from chalicelib.addresses.country_names import OVERSEAS
from chalicelib.addresses.letters import plain
from chalicelib.addresses.names import Beneficiary, Verdict
from chalicelib.addresses.schemas import PostalAddress
from chalicelib.core import working_days
from chalicelib.core.clock import PARIS
from chalicelib.core.errors import Conflict, Problem
from chalicelib.redirections import conditions
from chalicelib.redirections.carried import Reach, RedirectionKind, RedirectionScope
from chalicelib.redirections.schemas import (
    CodeRecord,
    Destination,
    IdentityDocument,
    RedirectionRecord,
    RedirectionRequest,
    RedirectionState,
    Terms,
)

DAY = timedelta(days=1)
_SATURDAY = 5
_TITLES = {"m": "M", "f": "MME"}

WAITING = frozenset({RedirectionState.REQUESTED, RedirectionState.PENDING_VERIFICATION})
STANDING = frozenset({RedirectionState.SCHEDULED, RedirectionState.ACTIVE})


class DurationNotOffered(Problem):
    status = 422
    title = "No redirection of this kind lasts that long"


class StartNotOffered(Problem):
    status = 422
    title = "The redirection cannot start on that day"


class AddressNotServed(Problem):
    status = 422
    title = "The post does not deliver at the old address"


class OverlappingContract(Conflict):
    title = "There is a redirection for the same people in these days"


class RedirectionLoop(Problem):
    status = 422
    title = "The items would come back to the old address"


class RedirectionChainTooLong(Problem):
    status = 422
    title = "Too many redirections would follow one another"


class TooManyRedirections(Problem):
    status = 409
    title = "There are too many redirections at this address"


class CodeWrong(Problem):
    status = 422
    title = "The code is wrong"


class CodeExpired(Problem):
    status = 409
    title = "The code has expired"


class CodeExhausted(Problem):
    status = 409
    title = "The code was given wrongly too often"


class IdentityIncomplete(Problem):
    status = 422
    title = "An adult among the beneficiaries has shown no document"


class Contract(msgspec.Struct, frozen=True):
    """A contract whose personal data can be read."""

    terms: Terms
    destination: Destination


# --- days -----------------------------------------------------------------------------------------------------


def day_of(moment: datetime) -> date:
    """The day in Paris."""
    return moment.astimezone(PARIS).date()


def earliest_start(requested_on: date, set_up_days: int = conditions.SET_UP_WORKING_DAYS) -> date:
    """The first day that may be agreed: so many working days after the request."""
    return working_days.after(requested_on, set_up_days)


def last_day_of(start: date, months: int) -> date:
    """The last day of so many months: the one before the same day of the month, or, without one, the month's last."""
    last = _last_of_month(start, months)
    return last if last.day < start.day else last.replace(day=start.day) - DAY


def kept_until(end: date) -> date:
    """The last day on which a contract can be read: that of the month in which its 13 months end."""
    return _last_of_month(end, conditions.KEPT_MONTHS)


def _last_of_month(day: date, months_later: int) -> date:
    years, month = divmod(day.month - 1 + months_later, 12)
    year = day.year + years
    return date(year, month + 1, calendar.monthrange(year, month + 1)[1])


# --- what may be agreed ---------------------------------------------------------------------------------------


def agreed_end(request: RedirectionRequest, requested_on: date, set_up_days: int) -> date:
    """The last day of a contract that may be agreed, which needs so many working days before it counts.

    Raises StartNotOffered, DurationNotOffered, and AddressNotServed for an old address that is not ours.
    """
    if not is_ours(request.old_address):
        raise AddressNotServed("Ask the post of the country where the old address lies.")
    first, latest = earliest_start(requested_on, set_up_days), requested_on + conditions.LATEST_START
    if not first <= request.start <= latest:
        raise StartNotOffered(f"Choose a day from {first} to {latest}.", first=first, last=latest)
    if request.months is not None:
        return _end_of_months(request.kind, request.start, request.months)
    return _end_given(request.kind, request.start, request.end or request.start)


def renewed_end(terms: Terms, months: int) -> date:
    """The last day of the contract that follows this one without a gap. Raises DurationNotOffered, Conflict."""
    if not conditions.DURATIONS[terms.kind].renewable:
        raise Conflict("Only a redirection for good is renewed. Register a new contract.")
    return _end_of_months(terms.kind, terms.last_day + DAY, months)


def _end_of_months(kind: RedirectionKind, start: date, months: int) -> date:
    end, row = last_day_of(start, months), conditions.DURATIONS[kind]
    if row.months and months not in row.months:
        raise DurationNotOffered(f"Choose {' or '.join(map(str, sorted(row.months)))} months.")
    return end if row.months else _end_given(kind, start, end)


def _end_given(kind: RedirectionKind, start: date, end: date) -> date:
    row = conditions.DURATIONS[kind]
    if row.months:
        raise DurationNotOffered(f"Choose {' or '.join(map(str, sorted(row.months)))} months.")
    first, last = start + (row.min_days - 1) * DAY, last_day_of(start, row.max_months)
    if not first <= end <= last:
        raise DurationNotOffered(f"Choose a last day from {first} to {last}.", first=first, last=last)
    return end


def reach_of(new_address: PostalAddress | None) -> Reach:
    """National if French postcodes serve the new address, overseas too, or if there is none."""
    return Reach.NATIONAL if new_address is None or is_ours(new_address) else Reach.INTERNATIONAL


def is_ours(address: PostalAddress) -> bool:
    """Whether the post itself delivers there."""
    return address.country == "FR" or address.country in OVERSEAS


def check_documents(record: RedirectionRecord, beneficiaries: int, documents: Sequence[IdentityDocument]) -> None:
    """Raise IdentityIncomplete unless every adult among the beneficiaries has shown a document."""
    shown = {document.beneficiary for document in documents}
    missing = sorted(set(range(beneficiaries)) - set(record.minors) - shown)
    if missing:
        raise IdentityIncomplete("Have each adult show a document, or send a code instead.", missing=missing)


# --- what a contract is ---------------------------------------------------------------------------------------


def state_of(terms: Terms, moment: datetime, *, code_issued: bool = False) -> RedirectionState:
    """What the contract is at a moment, by its facts and dates alone. Its last day is a whole one."""
    if _has_come(terms.refused_at, moment):
        return RedirectionState.REFUSED
    if _has_come(terms.cancelled_at, moment):
        return RedirectionState.CANCELLED
    day = day_of(moment)
    if day > terms.last_day:
        return RedirectionState.ENDED_EARLY if terms.ended_on else RedirectionState.EXPIRED
    if not _has_come(terms.verified_at, moment):
        return RedirectionState.PENDING_VERIFICATION if code_issued else RedirectionState.REQUESTED
    return RedirectionState.SCHEDULED if day < terms.start else RedirectionState.ACTIVE


def is_active(terms: Terms, moment: datetime) -> bool:
    """Whether items are redirected by it at that moment."""
    return state_of(terms, moment) is RedirectionState.ACTIVE


def is_over(terms: Terms, moment: datetime) -> bool:
    """Whether it will never redirect anything any more."""
    return state_of(terms, moment) not in WAITING | STANDING


def _has_come(fact: datetime | None, moment: datetime) -> bool:
    return fact is not None and fact <= moment


def reminder_of(terms: Terms) -> date:
    """The day on which its end is announced."""
    return max(terms.last_day - conditions.REMINDER, terms.start)


# --- codes ----------------------------------------------------------------------------------------------------


def new_code() -> str:
    """A code that nobody guesses: 31 to the power of 8."""
    return "".join(secrets.choice(conditions.CODE_ALPHABET) for _ in range(conditions.CODE_LENGTH))


def spoken_code(text: str) -> str:
    """A code as it was typed, without spaces and hyphens, in capitals."""
    return "".join(text.upper().replace("-", " ").split())


def attempts_left(code: CodeRecord) -> int:
    """How often it may still be given."""
    return max(conditions.CODE_ATTEMPTS - code.attempts, 0)


def check_open(code: CodeRecord, now: datetime) -> None:
    """Raise CodeExpired or CodeExhausted for a code that proves nothing any more."""
    if now > code.valid_until:
        raise CodeExpired("Issue a new code; it is mailed to the old address.")
    if not attempts_left(code):
        raise CodeExhausted("Issue a new code; it is mailed to the old address.")


# --- contracts beside one another -----------------------------------------------------------------------------


def overlap(one: Contract, other: Contract) -> bool:
    """Whether two contracts at one address are for the same people in the same days.

    A household is everybody of its names; who states another flat is another household.
    """
    return _same_days(one.terms, other.terms) and not other_flat(one, other.destination.apartment) and meet(one, other)


def meet(one: Contract, other: Contract) -> bool:
    """Whether the contracts share a beneficiary: who is one of both by the matcher, without a doubt."""
    household = RedirectionScope.HOUSEHOLD in {one.terms.scope, other.terms.scope}
    mine, theirs = one.destination.beneficiaries, other.destination.beneficiaries
    return any(
        who in mine or names.match(label_of(who), mine, household=household).verdict is Verdict.MATCH for who in theirs
    )


def follows(first: Contract, later: Contract) -> bool:
    """Whether items of the first contract are redirected again by the later one, at the new address."""
    return _same_days(first.terms, later.terms) and meet(first, later)


def other_flat(contract: Contract, apartment: str) -> bool:
    """Whether both say which flat, and say another one."""
    mine, theirs = plain(contract.destination.apartment), plain(apartment)
    return bool(mine and theirs) and mine != theirs


def label_of(who: Beneficiary) -> str:
    """The name as it stands on an item: `MME ANNE LE GOFF`."""
    parts = (_TITLES.get(who.gender, ""), who.first_name, who.last_name or who.company)
    return " ".join(part for part in parts if part)


def _same_days(one: Terms, other: Terms) -> bool:
    return one.start <= other.last_day and other.start <= one.last_day
