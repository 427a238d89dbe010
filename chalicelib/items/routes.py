"""Items over HTTP: for staff, and for the post's own tracking site."""

from __future__ import annotations

from typing import Annotated

from chalice.app import Blueprint
from msgspec import Meta

from chalicelib.core.access import client, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import EVERYWHERE, StaffMember
from chalicelib.core.endpoint import Answer, endpoint
from chalicelib.core.errors import ChangedMeanwhile, Conflict, NotFound
from chalicelib.core.schemas import Schema
from chalicelib.items import rules, service, tracking
from chalicelib.items.schemas import Corrected, ItemHistory, ItemNumber
from chalicelib.items.suivi import SuiviAnswer
from chalicelib.people import lookup as people

routes = Blueprint(__name__)

ItemNumbers = Annotated[str, Meta(max_length=300)]


class Language(Schema, frozen=True):
    """`fr_FR` (the default) or `en_GB`."""

    lang: str = "fr_FR"


@endpoint(
    routes,
    "GET /v1/items/{item}",
    allow=staff("carrier-support", "depot-manager", "dispatcher", "auditor"),
    problems=[NotFound],
)
def read(item: ItemNumber, who: StaffMember) -> ItemHistory:
    """The whole history of an item: what happened, who did it, when and where.

    Its addressee is shown to carrier support, and to the managers of the depots in whose hands it has been.
    """
    history = service.read(item)
    return service.with_addressee(history) if _sees_addressee(who, history) else history


@endpoint(
    routes,
    "POST /v1/items/{item}/corrections",
    allow=staff("carrier-support", "depot-manager"),
    problems=[NotFound, Conflict, ChangedMeanwhile],
    status=201,
)
def correct(item: ItemNumber, request: Corrected, who: StaffMember, call: Call) -> ItemHistory:
    """Say that an event of the item did not happen. The event stays in the history, marked.

    Said again, the answer is the same.
    """
    return service.correct(item, request, by=who, correlation_id=call.correlation_id)


def _sees_addressee(who: StaffMember, history: ItemHistory) -> bool:
    if rules.NATIONWIDE in who.roles:
        return True
    if "depot-manager" not in who.roles:
        return False
    return EVERYWHERE in who.scopes or any(people.may_work_for(who, depot) for depot in rules.depots_of(history))


@endpoint(
    routes,
    "GET /v1/suivi/{items}",
    allow=client("tracking.read"),
    returns=SuiviAnswer | tuple[SuiviAnswer, ...],
    answers={207: "Several items, each with a code of its own.", 400: "Not an item number.", 404: "Unknown item."},
)
def track(items: ItemNumbers, query: Language) -> Answer:
    """One item, or several separated by commas, in the shape of La Poste's Suivi v2.

    The HTTP status is the answer's returnCode: 200, 207 for several items (an array), 400 or 404.
    """
    status, answer = tracking.track(items.split(","), query.lang)
    return Answer(body=answer, status=status)
