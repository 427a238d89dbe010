"""The functions behind the alerts: the journal's second stream mapping, timers, pages, texts, and the sweeper."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from chalice.app import Blueprint

from chalicelib.alerts import paging, ticking
from chalicelib.alerts.paging import PageWanted
from chalicelib.alerts.ticking import TickingSettings, TimerSet
from chalicelib.core import consumer, events
from chalicelib.core.consumer import Message
from chalicelib.core.settings import Settings

workers = Blueprint(__name__)


@consumer.stream(workers, batch_size=20, subjects="alert/", settings=TickingSettings)
def alert_events(messages: Sequence[Message]) -> None:
    """Something happened to alerts: do what is due, and tell the consoles."""
    subjects = [events.decode(message.body).subject for message in messages]
    ticking.tick_all(dict.fromkeys(subject.removeprefix("alert/") for subject in subjects))


@consumer.queue(workers, "alert-timers", batch_size=1, settings=TickingSettings)
def alert_timers(messages: Sequence[Message]) -> None:
    """A timer went off."""
    for message in messages:
        ticking.tick_all([msgspec.json.decode(message.body, type=TimerSet).alert])


@consumer.queue(workers, "pages", batch_size=1, settings=TickingSettings)
def alert_pages(messages: Sequence[Message]) -> None:
    """One page each, so that a channel that hangs delays no other. What reached nobody lets the ladder go on."""
    for message in messages:
        wanted = msgspec.json.decode(message.body, type=PageWanted)
        if paging.deliver(wanted):
            ticking.tick_all([wanted.alert])


@consumer.queue(workers, "alert-texts", batch_size=1, settings=Settings)
def alert_texts(messages: Sequence[Message]) -> None:
    """A text came in from a handset without data."""
    from chalicelib.alerts import texts  # noqa: PLC0415 - who calls is of no interest to the other workers

    for message in messages:
        texts.take(message.body, message_id=message.id)


@consumer.schedule(workers, "rate(1 minute)", settings=TickingSettings)
def alert_sweep() -> None:
    """Every minute, for a minute: whatever timer was lost."""
    ticking.sweep()
