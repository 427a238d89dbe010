"""The relay's table: every consumer has its queue, and no event type in it is one that nobody makes."""

from __future__ import annotations

import msgspec
import pytest

from chalicelib.connectors.relay.service import RelaySettings
from chalicelib.connectors.relay.subscriptions import CONDITIONS, OF_HANDSETS, SUBSCRIPTIONS, wants
from chalicelib.connectors.return_file import CODES
from chalicelib.core.settings import Settings
from chalicelib.fleet.event_types import RELEASES
from chalicelib.items.schemas import EVENT_TYPES
from chalicelib.judging.workers import JUDGES
from chalicelib.passes.event_types import FOLLOWED, TOLD_BY_HANDSETS
from chalicelib.passes.evidence import HANDSET_FACTS
from chalicelib.passes.workers import FOLLOWERS
from chalicelib.signatures.terms import ALARM
from chalicelib.sync.drafts import ACCEPTED

OTHER_TYPES = {"facteo.plan.changed", ALARM, *FOLLOWED, *TOLD_BY_HANDSETS, *RELEASES}


def test_every_consumer_has_a_queue_and_every_queue_a_consumer() -> None:
    fields = {field.name for field in msgspec.structs.fields(RelaySettings)}
    common = {field.name for field in msgspec.structs.fields(Settings)}
    assert fields - common == {f"{consumer}_queue" for consumer in SUBSCRIPTIONS}


@pytest.mark.parametrize("consumer", SUBSCRIPTIONS)
def test_every_type_in_the_table_exists(consumer: str) -> None:
    assert set(SUBSCRIPTIONS[consumer]) <= {*EVENT_TYPES, *OTHER_TYPES}


def test_every_type_that_tracking_takes_has_its_code() -> None:
    coded = {row.event_type for row in CODES}
    assert set(SUBSCRIPTIONS["tracking"]) == coded


def test_whatever_is_brought_to_judging_has_its_judge() -> None:
    assert set(SUBSCRIPTIONS["judging"]) == set(JUDGES)


def test_whatever_is_brought_to_the_passes_is_followed() -> None:
    assert set(SUBSCRIPTIONS["passes"]) == set(FOLLOWERS)


def test_what_handsets_tell_of_doors_is_not_brought_to_where_passes_are_suspended() -> None:
    """Of entries there are millions a day: a suspension must not wait behind them."""
    assert set(SUBSCRIPTIONS["entries"]) == set(HANDSET_FACTS)
    assert not set(SUBSCRIPTIONS["passes"]) & set(HANDSET_FACTS)


def test_every_condition_is_of_something_that_the_consumer_takes() -> None:
    assert all(event_type in SUBSCRIPTIONS[consumer] for consumer, event_type in CONDITIONS)


def test_each_consumer_takes_its_types_only() -> None:
    assert wants("tracking", "facteo.item.announced")
    assert not wants("tracking", "facteo.item.placed")
    assert not wants("tracking", "facteo.device.event-refused")
    assert wants("sorting", "facteo.plan.changed")


def test_whoever_takes_what_handsets_send_is_given_what_was_held() -> None:
    taking = {consumer for consumer, types in SUBSCRIPTIONS.items() if set(types) & set(ACCEPTED)}
    assert taking == set(OF_HANDSETS)
