"""The relay's table: every consumer has its queue, and no event type in it is one that nobody makes."""

from __future__ import annotations

import msgspec
import pytest

from chalicelib.connectors.relay.service import RelaySettings
from chalicelib.connectors.relay.subscriptions import SUBSCRIPTIONS, wants
from chalicelib.core.settings import Settings
from chalicelib.items.schemas import EVENT_TYPES

OTHER_TYPES = {"facteo.plan.changed"}


def test_every_consumer_has_a_queue_and_every_queue_a_consumer() -> None:
    fields = {field.name for field in msgspec.structs.fields(RelaySettings)}
    common = {field.name for field in msgspec.structs.fields(Settings)}
    assert fields - common == {f"{consumer}_queue" for consumer in SUBSCRIPTIONS}


@pytest.mark.parametrize("consumer", SUBSCRIPTIONS)
def test_every_type_in_the_table_exists(consumer: str) -> None:
    known = {*EVENT_TYPES, *OTHER_TYPES}
    for pattern in SUBSCRIPTIONS[consumer]:
        family = pattern.removesuffix("*")
        assert pattern in known or (pattern.endswith(".*") and any(name.startswith(family) for name in known))


def test_a_family_is_not_matched_by_its_first_letters() -> None:
    assert wants("tracking", "facteo.item.announced")
    assert not wants("tracking", "facteo.items.announced")
    assert not wants("tracking", "facteo.device.event-refused")
    assert not wants("sorting", "facteo.item.photographed")
