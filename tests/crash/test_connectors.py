"""The way of events to their consumers, killed everywhere: relay, tracking and the files to the receiver."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.connectors.relay.workers import relay
from chalicelib.connectors.tracking import rules, service, workers
from chalicelib.connectors.tracking.tables import DueRow, LineRow
from chalicelib.connectors.tracking.transport import SFTPSession
from chalicelib.core import clock as clocks
from chalicelib.core.events import Event
from tests.support import sftp, stored
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.crashes import Everywhere, Scenario
from tests.support.events import SCHEDULED, an_item_event, announced, deliver, invoke, recorded, stream_event
from tests.support.factories import an_item

SFTP_STEPS = tuple((SFTPSession, name) for name in ("open", "upload", "size", "rename", "remove"))
TRIES = ("attempt", "cleared", "leased_until", "temporary")
"""What a despatch says of how often it was tried."""


@pytest.fixture(autouse=True)
def _few_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer shards and shorter transactions: fewer steps of a kind, and more kinds of them."""
    monkeypatch.setattr(rules, "DUE_SHARDS", 1)
    monkeypatch.setattr(rules, "LINE_SHARDS", 2)
    monkeypatch.setattr(service, "_LINES_PER_TRANSACTION", 2)


def test_a_batch_of_the_stream_for_two_queues(everywhere: Everywhere) -> None:
    def arrange() -> list[Event]:
        return recorded(*(an_item_event(item=an_item()) for _ in range(12)))

    def take(batch: list[Event]) -> None:
        assert invoke(relay, stream_event(*batch)) == []

    everywhere(Scenario("relay", arrange, take))


def test_lines_of_an_item_of_which_much_came_before_its_announcement(everywhere: Everywhere) -> None:
    def arrange() -> list[Event]:
        item, now = an_item(), clocks.now()
        earlier = recorded(
            *(an_item_event(item=item, at=now + timedelta(minutes=minute)) for minute in range(3)),
            an_item_event(item=item, quarantined=True),
        )
        assert deliver(workers.tracking, earlier[:2]) == []
        made = announced(item)
        later = recorded(an_item_event("facteo.item.delivered", item=item, at=now + timedelta(minutes=5)))
        return [made, *later]

    def take(batch: list[Event]) -> None:
        assert deliver(workers.tracking, batch) == []

    everywhere(Scenario("tracking", arrange, take))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sftp.Receiver]:
    with sftp.serving(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


@pytest.fixture
def receiver(server: sftp.Receiver, aws: Cloud, tmp_path: Path) -> sftp.Receiver:
    server.starts_afresh(tmp_path)
    sftp.keep_secret(server.secret)
    return server


@pytest.mark.parametrize("picks_up", [False, True], ids=["left there", "picked up at once"])
def test_files_of_waiting_lines(
    receiver: sftp.Receiver, everywhere: Everywhere, clock: FakeClock, *, picks_up: bool
) -> None:
    def arrange() -> None:
        made = [announced(an_item(), reference=f"CMD-{number}") for number in range(3)]
        assert deliver(workers.tracking, made) == []

    def run(_: None) -> None:
        invoke(workers.despatch, SCHEDULED)

    def next_run(_: None) -> None:
        """The lease of the dead one is over."""
        if picks_up:
            receiver.pick_up()
        clock.advance(seconds=rules.LEASE.total_seconds() + 1)
        run(None)

    def facts(_: None) -> list[str]:
        files = [f"file {name} in the folder" for name in receiver.names() if not name.endswith(".ok")]
        files += [f"file {name} handed over" for name, _ in receiver.files()]
        return [
            *map(stored.alike, files),
            *(f"line {line} handed over" for line in receiver.lines()),
            *stored.facts(ignoring=TRIES),
        ]

    name = "despatch, picked up at once" if picks_up else "despatch"
    everywhere(Scenario(name, arrange, run, next_run, facts, lambda _: receiver.emptied(), SFTP_STEPS))
    assert not list(LineRow.scan(LineRow.pk.startswith("line/")))
    assert not list(DueRow.scan(DueRow.pk.startswith("due/")))
