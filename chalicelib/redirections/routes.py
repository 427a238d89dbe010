"""Redirections over HTTP: contracts for carrier support, the code's letter for the print shop, checks for handsets."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.core.access import Handset, handset, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import endpoint
from chalicelib.core.errors import AccessDenied, ChangedMeanwhile, Conflict, NotFound
from chalicelib.items import service as items
from chalicelib.redirections import lookups, service, verification
from chalicelib.redirections.rules import (
    AddressNotServed,
    CodeExhausted,
    CodeExpired,
    CodeWrong,
    DurationNotOffered,
    IdentityIncomplete,
    OverlappingContract,
    RedirectionChainTooLong,
    RedirectionLoop,
    StartNotOffered,
    TooManyRedirections,
)
from chalicelib.redirections.schemas import (
    Cancellation,
    CodeLetter,
    EarlyEnd,
    NewCode,
    Redirection,
    RedirectionCheck,
    RedirectionDecision,
    RedirectionId,
    RedirectionRefusal,
    RedirectionRequest,
    RedirectionSearch,
    RedirectionsFound,
    RedirectionVerification,
    Renewal,
)
from chalicelib.redirections.service import RedirectionSettings

routes = Blueprint(__name__)

_FITTING = (
    DurationNotOffered,
    OverlappingContract,
    RedirectionLoop,
    RedirectionChainTooLong,
    TooManyRedirections,
    Conflict,
    ChangedMeanwhile,
)
"""Why a new contract may not fit."""


@endpoint(
    routes,
    "PUT /v1/redirections/{redirection}",
    allow=staff("carrier-support"),
    problems=[StartNotOffered, AddressNotServed, *_FITTING],
    settings=RedirectionSettings,
)
def register(redirection: RedirectionId, request: RedirectionRequest, who: StaffMember, call: Call) -> Redirection:
    """Register a redirection that a subscriber asks for, under an id (UUIDv7) of yours. It counts once verified."""
    return service.register(redirection, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/redirections/{redirection}", allow=staff("carrier-support", "auditor"))
def read(redirection: RedirectionId) -> Redirection:
    """A redirection, and what it is today."""
    return service.read(redirection)


@endpoint(
    routes,
    "POST /v1/redirections/{redirection}/verification",
    allow=staff("carrier-support"),
    problems=[CodeWrong, CodeExpired, CodeExhausted, IdentityIncomplete, Conflict, ChangedMeanwhile],
)
def verify(redirection: RedirectionId, request: RedirectionVerification, who: StaffMember, call: Call) -> Redirection:
    """Verify a redirection, by the code of the letter or by another method. Wrong codes are counted."""
    return verification.verify(redirection, request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/redirections/{redirection}/code",
    allow=staff("carrier-support"),
    problems=[Conflict, ChangedMeanwhile],
)
def issue_code(redirection: RedirectionId, request: NewCode, who: StaffMember, call: Call) -> Redirection:
    """Have a new code mailed to the old address. The one before proves nothing any more."""
    return verification.issue_code(redirection, request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "GET /v1/redirections/{redirection}/letter",
    allow=staff("ops"),
    problems=[AccessDenied, Conflict],
)
def letter(redirection: RedirectionId, who: StaffMember, call: Call) -> CodeLetter:
    """The letter with the code, for the print shop. That you read it is journalled."""
    return verification.letter(redirection, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/redirections/{redirection}/refusal",
    allow=staff("carrier-support"),
    problems=[Conflict, ChangedMeanwhile],
)
def refuse(redirection: RedirectionId, request: RedirectionRefusal, who: StaffMember, call: Call) -> Redirection:
    """Refuse a redirection that waits to be verified."""
    return service.refuse(redirection, request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/redirections/{redirection}/cancellation",
    allow=staff("carrier-support"),
    problems=[Conflict, ChangedMeanwhile],
)
def cancel(redirection: RedirectionId, request: Cancellation, who: StaffMember, call: Call) -> Redirection:
    """Cancel a redirection that has not begun."""
    return service.cancel(redirection, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/redirections/{redirection}/end",
    allow=staff("carrier-support"),
    problems=[Conflict, ChangedMeanwhile],
)
def end(redirection: RedirectionId, request: EarlyEnd, who: StaffMember, call: Call) -> Redirection:
    """End a redirection early. It is not taken up again."""
    return service.end(redirection, request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/redirections/{redirection}/renewal",
    allow=staff("carrier-support"),
    problems=_FITTING,
)
def renew(redirection: RedirectionId, request: Renewal, who: StaffMember, call: Call) -> Redirection:
    """Make the redirection that follows this one without a gap; the answer is the new one."""
    return service.renew(redirection, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "POST /v1/redirection-searches", allow=staff("carrier-support", "auditor"))
def search(request: RedirectionSearch, who: StaffMember, call: Call) -> RedirectionsFound:
    """The redirections at an old address. That you searched for it is journalled."""
    return lookups.search(request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "POST /v1/redirection-checks", allow=handset(beside=items.asked_for), problems=[NotFound])
def check(request: RedirectionCheck, who: Handset) -> RedirectionDecision:
    """What to do with an item now: deliver, redirect, hold, return or ask, and why."""
    return lookups.check(request, who)
