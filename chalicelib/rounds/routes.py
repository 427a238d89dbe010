"""Rounds over HTTP: the carrier's bundle, and the depot's unsorted items."""

from __future__ import annotations

from datetime import date

from chalice.app import Blueprint

from chalicelib.core.access import Handset, handset, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import Answer, endpoint
from chalicelib.core.errors import ChangedMeanwhile, NotFound
from chalicelib.core.schemas import Page
from chalicelib.items.schemas import ItemNumber
from chalicelib.people import lookup as people
from chalicelib.people.ids import DepotId
from chalicelib.rounds import bundle, service
from chalicelib.rounds.bundle import NoRoundToday
from chalicelib.rounds.carried import Bundle
from chalicelib.rounds.schemas import HeldItems, Place, PlacedItems, Placement

routes = Blueprint(__name__)


class HeldPage(Page, frozen=True):
    """`until`: only items whose last day is that day or an earlier one. Until yesterday: those that go back today."""

    until: date | None = None


@endpoint(
    routes,
    "GET /v1/round",
    allow=handset(),
    problems=[NoRoundToday, ChangedMeanwhile],
    returns=Bundle,
    answers={304: "It is the one that If-None-Match names."},
)
def today(who: Handset, call: Call) -> Answer:
    """Everything for today's round, to work without a network. 304 if `If-None-Match` names what would come."""
    taken, etag = bundle.bundle_for(who, correlation_id=call.correlation_id)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if call.has(etag):
        return Answer(status=304, headers=headers)
    return Answer(body=taken, headers=headers)


@endpoint(routes, "GET /v1/depots/{depot}/unsorted", allow=staff("depot-manager"), problems=[NotFound])
def unsorted(depot: DepotId, query: Page, who: StaffMember) -> PlacedItems:
    """The depot's items that are on no route."""
    people.require_depot(who, depot)
    return service.unsorted(depot, query.after)


@endpoint(routes, "GET /v1/depots/{depot}/held", allow=staff("depot-manager"), problems=[NotFound])
def held(depot: DepotId, query: HeldPage, who: StaffMember) -> HeldItems:
    """The depot's held items, the first to go back to their senders first."""
    people.require_depot(who, depot)
    return service.held(depot, query.until, query.after)


@endpoint(
    routes,
    "PUT /v1/items/{item}/placement",
    allow=staff("depot-manager"),
    problems=[NotFound, ChangedMeanwhile],
)
def place(item: ItemNumber, request: Placement, who: StaffMember, call: Call) -> Place:
    """Put an item on a route of the depot."""
    return service.place_by_hand(item, request, by=who, correlation_id=call.correlation_id)
