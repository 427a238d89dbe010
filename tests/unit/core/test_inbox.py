"""The inbox: a consumer deals with an event once."""

from __future__ import annotations

import pytest

from chalicelib.core import inbox
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.inbox import InboxRow
from chalicelib.core.journal import EventIdRow
from chalicelib.core.transaction import transaction
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.races import overtaken


def handled(event: str, consumer: str = "tracking") -> None:
    """Mark the event and write an effect, together."""
    with transaction() as work:
        inbox.mark(work, consumer, event)
        work.put(EventIdRow(id=f"effect-{event}", subject=consumer, fingerprint=""))


def test_what_a_consumer_has_not_dealt_with_comes_back_in_order_and_once(aws: Cloud) -> None:
    handled("b")

    with aws.counting() as calls:
        assert inbox.unseen("tracking", ["c", "b", "a", "c"]) == ["c", "a"]

    assert calls == {"BatchGetItem": 1}
    assert inbox.unseen("sorting", ["b"]) == ["b"]
    assert inbox.unseen("tracking", []) == []


def test_a_repeat_is_refused_with_its_effect(aws: Cloud) -> None:
    handled("a")
    EventIdRow(id="effect-a", subject="tracking", fingerprint="of the first").save()

    with pytest.raises(ChangedMeanwhile):
        handled("a")

    assert EventIdRow.get("effect-a").fingerprint == "of the first"


def test_of_two_at_once_one_is_refused(aws: Cloud) -> None:
    with pytest.raises(ChangedMeanwhile), overtaken(by=lambda: handled("a")):
        handled("a")

    assert InboxRow.count() == 1


def test_a_row_outlives_a_years_replay(aws: Cloud, clock: FakeClock) -> None:
    handled("a")

    assert (InboxRow.get("tracking/a").expires_at - clock.at).days == 400
