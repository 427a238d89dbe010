"""Loss cases over HTTP: for staff, for colleagues' handsets, for the lost one and for its carrier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalice.app import Blueprint

from chalicelib.core.access import Handset, handset, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import endpoint
from chalicelib.core.errors import ChangedMeanwhile, DeviceBlocked, NotFound
from chalicelib.core.later import later
from chalicelib.fleet.commands.routes import COMMANDED, COMMANDERS, READERS
from chalicelib.fleet.commands.rules import NotApplicable, TooManyCommands
from chalicelib.fleet.commands.schemas import CommandTold
from chalicelib.fleet.guards.breaker import BreakerOpen
from chalicelib.fleet.guards.buckets import BlastLimitReached, BucketSettings
from chalicelib.fleet.losses.rules import CaseOver, NoLostMode, NoWipe, TooManyReports
from chalicelib.fleet.losses.schemas import (
    CaseId,
    Cases,
    CaseSearch,
    CaseTold,
    DeclareLoss,
    GiveUp,
    LossCase,
    LossPosition,
    LossReported,
    LostMode,
    OwnCases,
    PositionsTold,
    ReportLoss,
    SawWiped,
)

if TYPE_CHECKING:
    from chalicelib.fleet.losses import ending, ladder, opening, positions, showing
else:
    ending, ladder, opening, positions, showing = later(
        "chalicelib.fleet.losses", "ending", "ladder", "opening", "positions", "showing"
    )

routes = Blueprint(__name__)

LOOKERS: Final = staff("dispatcher", "security-officer")


@endpoint(
    routes,
    "POST /v1/loss-cases",
    allow=COMMANDERS,
    problems=[NotFound, DeviceBlocked, ChangedMeanwhile],
    status=201,
    settings=BucketSettings,
)
def declare(request: DeclareLoss, who: StaffMember, call: Call) -> LossCase:
    """Declare a handset lost or stolen: from its next request on it may only send what it has, and obey. Declared
    again, it is the same case.
    """
    return opening.declare(request, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/loss-reports",
    allow=handset(),
    problems=[NotFound, TooManyReports, ChangedMeanwhile],
    status=201,
    settings=BucketSettings,
)
def report(request: ReportLoss, who: Handset, call: Call) -> LossReported:
    """A carrier says on a colleague's handset, or on a second one, that theirs is lost: three carriers a day."""
    return opening.report(request, who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/loss-cases", allow=READERS)
def search(query: CaseSearch, who: StaffMember) -> Cases:
    """The loss cases of a depot."""
    return showing.search(query, by=who)


@endpoint(routes, "GET /v1/loss-cases/own", allow=handset())
def own(who: Handset) -> OwnCases:
    """The carrier's own loss cases: who declared and ordered what, when positions were taken, and who looked."""
    return showing.own(who)


@endpoint(routes, "GET /v1/loss-cases/{case}", allow=READERS, problems=[NotFound])
def read(case: CaseId, who: StaffMember) -> CaseTold:
    """A loss case with all its steps: what an insurer wants to see. Only a proven wipe is called wiped."""
    return showing.read(case, by=who)


@endpoint(
    routes,
    "POST /v1/loss-cases/{case}/withholding",
    allow=staff("security-officer"),
    problems=[NotFound, CaseOver, ChangedMeanwhile],
    settings=BucketSettings,
)
def withhold(case: CaseId, who: StaffMember, call: Call) -> LossCase:
    """Withhold the lease of a lost handset that is not withheld yet. The answer says whether it is."""
    return opening.withhold(case, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/loss-cases/{case}/lost-mode",
    allow=COMMANDERS,
    problems=[NotFound, CaseOver, DeviceBlocked, NotApplicable, TooManyCommands, ChangedMeanwhile],
    status=201,
)
def lost_mode(case: CaseId, request: LostMode, who: StaffMember, call: Call) -> CommandTold:
    """Order lost mode: the handset locks, shows a text and a number, and sends where it is."""
    return ladder.lost_mode(case, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "POST /v1/loss-positions", allow=COMMANDED, problems=[NoLostMode, ChangedMeanwhile])
def take_position(request: LossPosition, who: Handset) -> None:
    """Where the handset is, while lost mode lasts. Outside a declared loss it is refused, and nothing is kept."""
    positions.take(request, who)


@endpoint(routes, "GET /v1/loss-cases/{case}/positions", allow=LOOKERS, problems=[NotFound])
def look(case: CaseId, who: StaffMember, call: Call) -> PositionsTold:
    """Where a lost handset is and was. That you looked is told to its carrier."""
    return positions.look(case, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/loss-cases/{case}/found",
    allow=COMMANDERS,
    problems=[NotFound, CaseOver, TooManyCommands, ChangedMeanwhile],
)
def found(case: CaseId, who: StaffMember, call: Call) -> LossCase:
    """The handset was found: it may work again at once, unless it has signed for a wipe. Its positions are purged."""
    return ending.found(case, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/loss-cases/{case}/closed",
    allow=COMMANDERS,
    problems=[NotFound, CaseOver, BreakerOpen, BlastLimitReached, ChangedMeanwhile],
    settings=BucketSettings,
)
def close(case: CaseId, request: GiveUp, who: StaffMember, call: Call) -> LossCase:
    """Give a handset up: it is retired, and cannot be enrolled again before it is found. Its positions are purged."""
    return ending.closed(case, request.reason, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/loss-cases/{case}/wipe-evidence",
    allow=COMMANDERS,
    problems=[NotFound, CaseOver, NoWipe, ChangedMeanwhile],
)
def see_wiped(case: CaseId, request: SawWiped, who: StaffMember, call: Call) -> LossCase:
    """Record that you saw the handset wiped, which proves it. Its positions are purged."""
    return ending.wiped(case, request.seen, by=who, correlation_id=call.correlation_id)
