"""The functions behind the passes: what happened elsewhere, what happened at doors, and what is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from chalice.app import Blueprint

from chalicelib.core import consumer, events
from chalicelib.core.consumer import Message
from chalicelib.core.events import Event
from chalicelib.fleet.event_types import STATE_CHANGES
from chalicelib.passes import event_types

workers = Blueprint(__name__)


class _Said(msgspec.Struct, frozen=True):
    """Of the body of an event, what is asked for below."""

    carrier: str = ""
    generation: int = 0


def _alert(event: Event) -> None:
    from chalicelib.passes import suspending  # noqa: PLC0415 - loads the alerts, which publishing needs not

    suspending.follow_alert(event.subject.removeprefix("alert/"), correlation_id=event.correlationid)


def _duty(event: Event) -> None:
    from chalicelib.passes import suspending  # noqa: PLC0415

    suspending.follow_duty(_said(event).carrier, correlation_id=event.correlationid)


def _enrolled(event: Event) -> None:
    _end_enrolment(event, _said(event).generation - 1)
    _device(event)


def _device(event: Event) -> None:
    from chalicelib.passes import suspending  # noqa: PLC0415

    suspending.follow_device(event.subject.removeprefix("device/"), correlation_id=event.correlationid)


def _retired(event: Event) -> None:
    _end_enrolment(event, _said(event).generation)


def _end_enrolment(event: Event, generation: int) -> None:
    from chalicelib.passes import suspending  # noqa: PLC0415

    device = event.subject.removeprefix("device/")
    suspending.end_enrolment(device, generation, correlation_id=event.correlationid)


def _said(event: Event) -> _Said:
    return msgspec.json.decode(event.data, type=_Said)


FOLLOWERS: Final[Mapping[str, Callable[[Event], None]]] = {
    event_types.ALERT_CLOSED: _alert,
    **dict.fromkeys(event_types.ALERT_CHANGES, _alert),
    **dict.fromkeys(event_types.DUTY_CHANGES, _duty),
    event_types.ENROLLED: _enrolled,
    event_types.RETIRED: _retired,
    **dict.fromkeys(STATE_CHANGES, _device),
    **dict.fromkeys(event_types.LISTED, lambda _: None),
}
"""Event type → what follows for passes, before the list is published. `connectors.relay.subscriptions` brings them."""


@consumer.queue(workers, "passes", batch_size=10)
def pass_events(messages: Sequence[Message]) -> None:
    """Something happened that passes follow, or that the list must say: do it, and publish the list once.

    Keys are none of its business: it signs with those that there are.
    """
    from chalicelib.passes import keys, listing  # noqa: PLC0415 - load what signs

    for message in messages:
        event = events.decode(message.body)
        FOLLOWERS[event.type](event)
    listing.publish_list(keys.standing())


@consumer.queue(workers, "entries", batch_size=10)
def pass_entries(messages: Sequence[Message]) -> None:
    """Handsets told of doors: put the halves of entries together. However many wait, no suspension waits with them."""
    from chalicelib.passes import pairing  # noqa: PLC0415

    for message in messages:
        pairing.follow(events.decode(message.body))


@consumer.schedule(workers, "rate(1 minute)")
def publish_passes() -> None:
    """Every minute: the keys, the list and the time."""
    from chalicelib.passes import listing  # noqa: PLC0415 - loads what signs

    listing.publish()


@consumer.schedule(workers, "rate(1 hour)")
def pair_entries() -> None:
    """Each hour: tell depots of entries of which one half has not come within a day."""
    from chalicelib.passes import pairing  # noqa: PLC0415

    pairing.raise_waiting()
