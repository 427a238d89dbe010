"""Judging redirections: by the contract as it was then and as the handset knew it, and whether they go in circles."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.attention.tables import AttentionRow
from chalicelib.core import ids, journal
from chalicelib.core.events import Event
from chalicelib.judging.workers import judging
from chalicelib.redirections.schemas import RedirectionJudged
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.events import an_item_event, announced, deliver, recorded
from tests.support.factories import an_addressee, an_item
from tests.support.races import overtaken
from tests.support.redirections import Desk, in_days

JUDGED = "facteo.redirection.judged"


@pytest.fixture
def desk(api: Api) -> Desk:
    return Desk(api)


@pytest.fixture
def contract(desk: Desk, clock: FakeClock) -> dict[str, Any]:
    """An active contract, in the revision that handsets know."""
    redirection = desk.verified()
    clock.advance(days=4)
    return {"id": redirection, "revision": desk.read(redirection)["revision"]}


def redirected(item: str, contract: dict[str, Any] | None) -> Event:
    [event] = recorded(an_item_event("facteo.item.redirected", item=item, data={"redirection": contract}))
    return event


def flags(event: Event) -> tuple[str, ...]:
    found = [one.body(RedirectionJudged) for one in journal.read(event.subject) if one.type == JUDGED]
    [judged] = [one for one in found if one.event == event.id]
    return judged.flags


def judged(event: Event) -> tuple[str, ...]:
    assert deliver(judging, [event]) == []
    return flags(event)


def test_by_an_active_contract(contract: dict[str, Any]) -> None:
    assert judged(redirected(an_item(), contract)) == ()


def test_by_one_that_ended_while_the_handset_was_offline(
    desk: Desk, contract: dict[str, Any], clock: FakeClock
) -> None:
    assert desk.posts(contract["id"], "end", on=in_days(0)).status == 200
    clock.advance(days=1)

    assert judged(redirected(an_item(), contract)) == ("redirection-ended-unknown-to-device",)
    assert judged(redirected(an_item(), contract | {"revision": contract["revision"] + 1})) == ("redirection-invalid",)


def test_the_depot_is_told_of_what_is_doubtful_and_of_nothing_else(contract: dict[str, Any]) -> None:
    good, doubtful = redirected(an_item(), contract), redirected(an_item(), None)
    assert [judged(good), judged(doubtful)] == [(), ("redirection-not-named",)]

    [row] = AttentionRow.query("75015A")
    assert (row.kind, row.subject, row.flags) == ("redirection", doubtful.subject, "redirection-not-named")


def test_by_none_or_one_that_nobody_knows(contract: dict[str, Any]) -> None:
    assert judged(redirected(an_item(), None)) == ("redirection-not-named",)
    assert judged(redirected(an_item(), {"id": ids.new(), "revision": 1})) == ("redirection-unknown",)


def test_by_a_contract_of_another_address(contract: dict[str, Any]) -> None:
    here, there = an_item(), an_item()
    announced(here)
    announced(there, addressee=an_addressee(street="14 RUE DE LA PAIX"))

    assert judged(redirected(here, contract)) == ()
    assert judged(redirected(there, contract)) == ("redirection-of-another-address",)


def test_an_item_that_goes_in_circles(contract: dict[str, Any], clock: FakeClock) -> None:
    item = an_item()
    assert judged(redirected(item, contract)) == ()
    clock.advance(days=1)

    assert judged(redirected(item, contract)) == ("redirection-loop",)


def test_each_is_judged_once(contract: dict[str, Any]) -> None:
    event = redirected(an_item(), contract)
    with overtaken(by=lambda: deliver(judging, [event])):
        assert deliver(judging, [event, event]) == []

    assert flags(event) == ()
