"""The work list of a depot over HTTP, for its staff."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.attention import service
from chalicelib.attention.schemas import EntryId, Handled, Handling, WorkList
from chalicelib.core.access import staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import endpoint
from chalicelib.core.errors import ChangedMeanwhile, Conflict, NotFound
from chalicelib.core.schemas import Page
from chalicelib.people.ids import DepotId

routes = Blueprint(__name__)


@endpoint(routes, "GET /v1/depots/{depot}/attention", allow=staff("depot-manager", "dispatcher", "auditor"))
def waiting(depot: DepotId, query: Page, who: StaffMember) -> WorkList:
    """What a human must look at in the depot, the oldest first, a hundred at a time.

    Proofs that lack a mention or were flagged, redirections that were flagged, and doubtful entries with a pass.
    """
    return service.waiting(depot, query.after, by=who)


@endpoint(
    routes,
    "POST /v1/depots/{depot}/attention/{entry}/handling",
    allow=staff("depot-manager"),
    problems=[NotFound, Conflict, ChangedMeanwhile],
)
def handle(depot: DepotId, entry: EntryId, request: Handling, who: StaffMember, call: Call) -> Handled:
    """Say what was done about an entry, which takes it off the list. The note is kept for ever: it names nobody.

    Said again by the same person in the same words, the answer is the same; anybody else is told who was faster.
    """
    return service.handle(depot, entry, request.note, by=who, correlation_id=call.correlation_id)
