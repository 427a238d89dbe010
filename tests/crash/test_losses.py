"""A loss, killed everywhere: declared once, ended once, and nothing that was held is lost or released too early."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.attention.tables import AttentionRow
from chalicelib.connectors.relay.workers import readmit
from chalicelib.core import events, journal
from chalicelib.core.events import Event
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.event_types import LOSS_FOUND
from chalicelib.fleet.losses import store
from chalicelib.fleet.tables import LossLinesRow
from tests.support import stored
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.commands import a_wipe, fetched, reported, sweep
from tests.support.crashes import Everywhere, Scenario
from tests.support.events import deliver
from tests.support.factories import HeldHandset, an_item
from tests.support.fleet import HERE, NewHandset, a_post
from tests.support.losses import SHOWN, a_case, a_position, declare, does, in_lost_mode, said

Given = tuple[HeldHandset, Any]


@pytest.fixture(autouse=True)
def one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """One shard of what is due instead of several: the same steps, fewer of them."""
    monkeypatch.setattr(records, "SHARDS", 1)


def standing(given: Given) -> Iterator[str]:
    """What the handset may do, what is open for it, and what it has to do with losses."""
    handset, _ = given
    box = boxes.load(handset.device).box
    yield f"{handset.row.state}, {handset.row.lease_withheld}, {bool(box.loss)}"
    yield from (f"{one.kind} {one.state}" for one in box.open)
    yield f"{len(list(LossLinesRow.query(f'held/{handset.device}/{handset.generation}')))} held"
    for row in LossLinesRow.query(f"carrier/{handset.row.carrier}"):
        case = store.load(row.sk).record
        yield f"{case.state}, {case.positions.taken} positions, asked {case.approvals_asked_at}"
        yield from said(case.id)
    yield from (row.flags for row in AttentionRow.query(HERE))


def a_lost_handset(api: Api) -> Given:
    handset = NewHandset(a_post(api)).enrolled()
    return handset, a_case(api, handset)


def test_declaring(api: Api, everywhere: Everywhere) -> None:
    def ask(given: Given) -> None:
        assert declare(api, given[0]).status == 201

    everywhere(Scenario("loss, declared", lambda: (NewHandset(a_post(api)).enrolled(), None), ask, facts=standing))


def test_a_position(api: Api, everywhere: Everywhere) -> None:
    def arrange() -> Given:
        handset, case = a_lost_handset(api)
        in_lost_mode(api, handset, case)
        return handset, a_position()

    def send(given: Given) -> None:
        assert given[0].calls().post("/v1/loss-positions", given[1]).status == 204

    everywhere(Scenario("loss, position", arrange, send, facts=standing))


def test_found(api: Api, everywhere: Everywhere) -> None:
    """What waited is called off, and the handset told to stand down, once."""

    def arrange() -> Given:
        handset, case = a_lost_handset(api)
        in_lost_mode(api, handset, case)
        assert does(api, case, "lost-mode", SHOWN).status == 201
        a_wipe(handset)
        return handset, case

    def end(given: Given) -> None:
        assert does(api, given[1], "found").body["state"] == "found"

    everywhere(Scenario("loss, found", arrange, end, facts=standing))


@pytest.mark.parametrize(
    ("end", "body"), [("closed", {"reason": "not-found"}), ("wipe-evidence", {"seen": "set-up-screen"})]
)
def test_other_ends(api: Api, everywhere: Everywhere, end: str, body: dict[str, str]) -> None:
    def arrange() -> Given:
        handset, case = a_lost_handset(api)
        a_wipe(handset)
        assert reported(handset, fetched(handset)[0], "accepted") == "accepted"
        return handset, case

    def ends(given: Given) -> None:
        assert does(api, given[1], end, body).status == 200

    everywhere(Scenario(f"loss, {end}", arrange, ends, facts=standing))


def test_asking(api: Api, clock: FakeClock, everywhere: Everywhere) -> None:
    def arrange() -> Given:
        given = a_lost_handset(api)
        clock.advance(hours=24)
        return given

    everywhere(Scenario("loss, approvals asked", arrange, lambda _: sweep(), facts=standing))


def test_releasing(api: Api, everywhere: Everywhere) -> None:
    """Rows go when their events were sent: killed before, they are sent again, which consumers tell. Whatever was sent
    counts by then, and was released once.
    """

    def arrange() -> tuple[HeldHandset, Event]:
        handset, case = a_lost_handset(api)
        handset.sync(*(handset.event(item=an_item()) for _ in range(3)))
        does(api, case, "found")
        [found] = [event for event in journal.read(f"loss/{case}") if event.type == LOSS_FOUND]
        return handset, found

    def release(given: tuple[HeldHandset, Event]) -> None:
        assert deliver(readmit, [given[1]]) == []

    def facts(given: tuple[HeldHandset, Event]) -> Iterator[str]:
        yield from standing(given)
        rows = list(journal.JournalRow.scan(journal.JournalRow.subject.startswith("item/")))
        yield from (row.type for row in rows)
        counting = {event.id for subject in {row.subject for row in rows} for event in journal.read(subject)}
        yield f"{len(counting)} count"
        assert {event.id for event in map(events.decode, stored.waiting("tracking"))} <= counting

    everywhere(Scenario("loss, released", arrange, release, facts=facts))
