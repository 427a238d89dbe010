"""A handset's batch, killed everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.sync import service
from tests.support.api import Api
from tests.support.crashes import Everywhere, Scenario
from tests.support.factories import HeldHandset, a_handset, an_item

Given = tuple[HeldHandset, list[dict[str, Any]]]


def test_a_batch_of_two_transactions_with_a_refused_event_and_a_repeated_one(
    api: Api, everywhere: Everywhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_ITEMS", 8)

    def arrange() -> Given:
        handset = a_handset(api)
        scans = [handset.event(item=an_item()) for _ in range(4)]
        malformed = handset.event()
        malformed["data"]["step"] = "teleported"
        return handset, [*scans[:2], malformed, *scans[2:], handset.event("facteo.item.delivered"), scans[0]]

    def send(given: Given) -> None:
        handset, events = given
        answer = handset.sync(*events)
        assert (answer.status, answer.body["acknowledged_through"]) == (200, 6)

    everywhere(Scenario("sync", arrange, send))
