"""Items over HTTP: for staff, and for the post's own tracking site."""

from __future__ import annotations

from typing import Annotated

from chalice.app import Blueprint
from msgspec import Meta

from chalicelib.core.access import StaffMember, client, staff
from chalicelib.core.call import Call
from chalicelib.core.endpoint import Answer, endpoint
from chalicelib.core.errors import Conflict, NotFound
from chalicelib.core.schemas import Schema
from chalicelib.items import service, tracking
from chalicelib.items.schemas import Corrected, ItemHistory
from chalicelib.items.suivi import SuiviAnswer

routes = Blueprint(__name__)

ItemNumber = Annotated[str, Meta(pattern=r"^[0-9A-Z]{11,28}$")]
ItemNumbers = Annotated[str, Meta(max_length=300)]


class Language(Schema, frozen=True):
    """`fr_FR` (the default) or `en_GB`."""

    lang: str = "fr_FR"


SEES_ADDRESSEES = frozenset({"carrier-support", "depot-manager"})


@endpoint(
    routes,
    "GET /v1/items/{item}",
    allow=staff("carrier-support", "depot-manager", "dispatcher", "auditor"),
    problems=[NotFound],
)
def read(item: ItemNumber, who: StaffMember) -> ItemHistory:
    """The whole history of an item: what happened, who did it, when and where. Some roles see its addressee."""
    return service.read_with_addressee(item) if who.roles & SEES_ADDRESSEES else service.read(item)


@endpoint(
    routes,
    "POST /v1/items/{item}/corrections",
    allow=staff("carrier-support", "depot-manager"),
    problems=[NotFound, Conflict],
    status=201,
)
def correct(item: ItemNumber, request: Corrected, who: StaffMember, call: Call) -> ItemHistory:
    """Say that an event of the item did not happen. The event stays in the history, marked."""
    return service.correct(item, request, actor=who.actor, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/suivi/{items}", allow=client("tracking.read"), returns=SuiviAnswer)
def track(items: ItemNumbers, query: Language) -> Answer:
    """One item, or several separated by commas, in the shape of La Poste's Suivi v2.

    The HTTP status is the answer's returnCode: 200, 207 for several items (an array), 400 or 404.
    """
    status, answer = tracking.track(items.split(","), query.lang)
    return Answer(body=answer, status=status)
