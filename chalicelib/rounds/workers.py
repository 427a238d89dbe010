"""The consumer that keeps every item where it lies."""

from __future__ import annotations

from collections.abc import Sequence

from chalice.app import Blueprint

from chalicelib.core import consumer, events
from chalicelib.core.consumer import Message
from chalicelib.rounds import service
from chalicelib.rounds.schemas import PlanChanged

workers = Blueprint(__name__)


@consumer.queue(workers, "sorting", batch_size=25)
def sorting(messages: Sequence[Message]) -> None:
    """Settle each item of the batch once. No inbox: the place is worked out from the whole journal each time."""
    happened = [events.decode(message.body) for message in messages]
    for depot in sorted({e.body(PlanChanged).depot for e in happened if e.type == "facteo.plan.changed"}):
        service.settle_unsorted(depot)
    for item in sorted({e.subject.removeprefix("item/") for e in happened if e.subject.startswith("item/")}):
        service.settle(item)
