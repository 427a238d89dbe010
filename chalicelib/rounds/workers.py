"""The consumer that keeps every item where it lies."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from chalice.app import Blueprint

from chalicelib.core import consumer, events
from chalicelib.core.consumer import Message
from chalicelib.core.events import Event
from chalicelib.rounds import plan, settling
from chalicelib.rounds.plan import SortingSettings
from chalicelib.rounds.schemas import SettleRequest

workers = Blueprint(__name__)


@consumer.queue(workers, "sorting", batch_size=25, settings=SortingSettings)
def sorting(messages: Sequence[Message]) -> None:
    """Settle each item of the batch once. No inbox: the place is worked out from the whole journal each time.

    A change of the plan is not worked off here: it becomes requests of some items each.
    """
    told = [_read(message.body) for message in messages]
    for item in sorted({item for one in told for item in _items_of(one)}):
        settling.settle(item)
    for one in told:
        if isinstance(one, Event) and one.type == "facteo.plan.changed":
            plan.ask_to_settle(one)


def _read(body: str) -> Event | SettleRequest:
    try:
        return msgspec.json.decode(body, type=SettleRequest)
    except msgspec.ValidationError:
        return events.decode(body)


def _items_of(one: Event | SettleRequest) -> Sequence[str]:
    if isinstance(one, SettleRequest):
        return one.settle
    return [one.subject.removeprefix("item/")] if one.subject.startswith("item/") else []
