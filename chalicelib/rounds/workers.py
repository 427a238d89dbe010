"""The consumer that keeps every item where it lies."""

from __future__ import annotations

from collections.abc import Sequence

from chalice.app import Blueprint

from chalicelib.core import consumer, events
from chalicelib.core.consumer import Message
from chalicelib.core.events import Event
from chalicelib.rounds import service
from chalicelib.rounds.schemas import PlanChanged

workers = Blueprint(__name__)


@consumer.queue(workers, "sorting", batch_size=25)
def sorting(messages: Sequence[Message]) -> None:
    """Settle each item of the batch once. No inbox: the place is worked out from the whole journal each time."""
    happened = [events.decode(message.body) for message in messages]
    for depot, postcodes in _changed_plans(happened).items():
        service.settle_unsorted(depot, frozenset(postcodes))
    for item in sorted({e.subject.removeprefix("item/") for e in happened if e.subject.startswith("item/")}):
        service.settle(item)


def _changed_plans(happened: Sequence[Event]) -> dict[str, set[str]]:
    """Depot → the postcodes of which its plan has changed."""
    changed: dict[str, set[str]] = {}
    for event in happened:
        if event.type == "facteo.plan.changed":
            said = event.body(PlanChanged)
            changed.setdefault(said.depot, set()).update(line.postcode for line in said.lines)
    return changed
