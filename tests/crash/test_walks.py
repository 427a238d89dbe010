"""The walks that go on where they stopped, killed everywhere: the sweeper's and the erasure's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.connectors.relay.workers import sweep
from chalicelib.core import clock as clocks
from chalicelib.core import journal, keyring
from chalicelib.core.progress import ProgressRow
from chalicelib.core.transaction import transaction
from chalicelib.erasure.workers import erase
from tests.support.clock import FakeClock
from tests.support.crashes import Everywhere, Scenario
from tests.support.events import SCHEDULED, an_item_event, invoke, recorded


@pytest.fixture(autouse=True)
def few_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two partitions instead of sixteen: the same steps, fewer of them."""
    monkeypatch.setattr(journal, "TIME_SHARDS", 2)
    monkeypatch.setattr(keyring, "DESTRUCTION_SHARDS", 2)


def test_the_sweeper(everywhere: Everywhere, clock: FakeClock) -> None:
    def arrange() -> None:
        ProgressRow("sweeper", through=clock.at).save()
        recorded(*(an_item_event() for _ in range(3)))
        clock.advance(minutes=20)

    everywhere(Scenario("sweeper", arrange, lambda _: invoke(sweep, SCHEDULED)))


def test_erasure(everywhere: Everywhere, clock: FakeClock) -> None:
    def arrange() -> None:
        ProgressRow("erasure", through=clock.at - timedelta(days=1)).save()
        with transaction() as work:
            for number in range(3):
                keyring.create(work, f"item/{number}", keep_until=clocks.today())
        clock.advance(days=1)

    everywhere(Scenario("erasure", arrange, lambda _: invoke(erase, SCHEDULED)))
