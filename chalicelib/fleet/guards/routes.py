"""The guards over HTTP: passkeys and approvers, warrants, the breaker; and the sets of approvers for handsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from chalice.app import Blueprint
from msgspec import Meta

from chalicelib.core.access import Handset, handset, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import endpoint
from chalicelib.core.errors import ChangedMeanwhile, DeviceBlocked, NotFound
from chalicelib.core.later import later
from chalicelib.core.schemas import Page
from chalicelib.fleet.commands.rules import NotApplicable, TooManyCommands
from chalicelib.fleet.guards.breaker import BreakerOpen
from chalicelib.fleet.guards.buckets import BlastLimitReached, BucketSettings
from chalicelib.fleet.guards.choke import ApprovalsRequired
from chalicelib.fleet.guards.passkeys import ApprovalInvalid, NotAnApprover, PasskeyInvalid, PasskeySettings
from chalicelib.fleet.guards.problems import NoApprovers, NotRegistered, SetOver, WarrantOver
from chalicelib.fleet.guards.schemas import (
    ApproversTold,
    BreakerTold,
    CloseBreaker,
    GiveApproval,
    PasskeyOptions,
    PasskeyTold,
    ProposeSet,
    RegisterPasskey,
    Sets,
    SetsAfter,
    SetTold,
)
from chalicelib.fleet.guards.warrant_schemas import EndWarrant, RequestWarrant, WarrantId, Warrants, WarrantTold

if TYPE_CHECKING:
    from chalicelib.fleet.guards import approvers, closing, warrants
else:
    approvers, closing, warrants = later("chalicelib.fleet.guards", "approvers", "closing", "warrants")

routes = Blueprint(__name__)

APPROVING: Final = staff("fleet-admin", "depot-manager", "security-officer")
CANCELLING: Final = staff("fleet-admin", "depot-manager", "dispatcher", "security-officer")
READING: Final = staff("fleet-admin", "depot-manager", "dispatcher", "security-officer", "auditor")
SECURITY: Final = staff("security-officer")

Version = Annotated[int, Meta(ge=1, le=1_000_000)]


# --- passkeys and approvers -----------------------------------------------------------------------------------


@endpoint(
    routes,
    "POST /v1/approver-passkeys/options",
    allow=APPROVING,
    problems=[ChangedMeanwhile],
    settings=PasskeySettings,
)
def passkey_options(who: StaffMember) -> PasskeyOptions:
    """What `navigator.credentials.create` needs to make a passkey for you, within five minutes."""
    return approvers.options(by=who)


@endpoint(
    routes,
    "POST /v1/approver-passkeys",
    allow=APPROVING,
    problems=[PasskeyInvalid, ChangedMeanwhile],
    status=201,
    settings=PasskeySettings,
)
def register_passkey(request: RegisterPasskey, who: StaffMember, call: Call) -> PasskeyTold:
    """Register your new passkey. It counts once a set of approvers that names it is in force."""
    return approvers.register(request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/approvers", allow=READING)
def read_approvers(who: StaffMember) -> ApproversTold:
    """Who may approve, who is proposed, and whose passkeys wait."""
    return approvers.read()


@endpoint(
    routes,
    "POST /v1/approver-sets",
    allow=SECURITY,
    problems=[NotRegistered, SetOver, ChangedMeanwhile],
    status=201,
    settings=PasskeySettings,
)
def propose_set(request: ProposeSet, who: StaffMember, call: Call) -> SetTold:
    """Propose who is to be an approver: all of them, and whose passkey is to change. Two of those who are now have to
    approve.
    """
    return approvers.propose(request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/approver-sets/{version}/approvals",
    allow=APPROVING,
    problems=[SetOver, NotAnApprover, ApprovalInvalid, ChangedMeanwhile],
)
def approve_set(version: Version, request: GiveApproval, who: StaffMember, call: Call) -> SetTold:
    """Approve the proposed set with your passkey. With the second person it is in force."""
    return approvers.approve(version, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/approver-sets", allow=handset(blocked_too=True))
def approver_sets(query: SetsAfter, who: Handset) -> Sets:
    """The sets of approvers that followed the one that a handset knows. See docs/protocol/commands.md."""
    return approvers.after(query.after)


# --- warrants -------------------------------------------------------------------------------------------------


@endpoint(
    routes,
    "POST /v1/warrants",
    allow=APPROVING,
    problems=[
        NotFound,
        DeviceBlocked,
        NotApplicable,
        TooManyCommands,
        NoApprovers,
        BreakerOpen,
        BlastLimitReached,
        ChangedMeanwhile,
    ],
    status=201,
    settings=BucketSettings,
)
def request_warrant(request: RequestWarrant, who: StaffMember, call: Call) -> WarrantTold:
    """Ask two approvers to have handsets wiped or given up. Nothing happens before both have approved."""
    return warrants.request(request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/warrants", allow=READING)
def waiting_warrants(query: Page, who: StaffMember) -> Warrants:
    """The warrants that wait for approvals or cool off, for depots of yours, the oldest first."""
    return warrants.waiting(query.after, by=who)


@endpoint(routes, "GET /v1/warrants/{warrant}", allow=READING)
def read_warrant(warrant: WarrantId, who: StaffMember) -> WarrantTold:
    """A warrant: what it says, who approved it, and what became of each handset."""
    return warrants.read(warrant, by=who)


@endpoint(
    routes,
    "POST /v1/warrants/{warrant}/approvals",
    allow=APPROVING,
    problems=[
        WarrantOver,
        NotAnApprover,
        ApprovalInvalid,
        ApprovalsRequired,
        BreakerOpen,
        BlastLimitReached,
        ChangedMeanwhile,
    ],
    settings=BucketSettings,
)
def approve_warrant(warrant: WarrantId, request: GiveApproval, who: StaffMember, call: Call) -> WarrantTold:
    """Approve a warrant with your passkey. With the second person its handsets are blocked at once, and wiped later."""
    return warrants.approve(warrant, request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/warrants/{warrant}/rejection",
    allow=APPROVING,
    problems=[NotAnApprover, WarrantOver, ChangedMeanwhile],
)
def reject_warrant(warrant: WarrantId, request: EndWarrant, who: StaffMember, call: Call) -> WarrantTold:
    """Refuse to approve a warrant, as an approver: nobody can any more."""
    return warrants.reject(warrant, request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/warrants/{warrant}/cancellation",
    allow=CANCELLING,
    problems=[WarrantOver, TooManyCommands, DeviceBlocked, ChangedMeanwhile],
)
def cancel_warrant(warrant: WarrantId, request: EndWarrant, who: StaffMember, call: Call) -> WarrantTold:
    """Call a warrant off, with everything that it ordered and no handset has signed for yet."""
    return warrants.cancel(warrant, request, by=who, correlation_id=call.correlation_id)


# --- the breaker ----------------------------------------------------------------------------------------------


@endpoint(routes, "GET /v1/breaker", allow=READING)
def read_breaker(who: StaffMember) -> BreakerTold:
    """Whether everything that destroys is stopped, since when, and why."""
    return closing.read()


@endpoint(routes, "POST /v1/breaker/closing", allow=SECURITY, problems=[ChangedMeanwhile])
def close_breaker(request: CloseBreaker, who: StaffMember, call: Call) -> BreakerTold:
    """Close the breaker: somebody by whose doing it did not open."""
    return closing.close(request.reason, by=who, correlation_id=call.correlation_id)
