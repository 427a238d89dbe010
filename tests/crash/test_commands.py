"""The life of a command, killed everywhere: nothing is obeyed twice in an enrolment, and nothing is stuck."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.commands.kinds import Kind
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.commands import a_report, a_wipe, declared_lost, fetched, order, ordered, send, signed, sweep
from tests.support.crashes import Everywhere, Scenario
from tests.support.factories import HeldHandset
from tests.support.fleet import NewHandset, a_post, retire

Given = tuple[HeldHandset, Any]


@pytest.fixture(autouse=True)
def one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """One shard of what is due instead of several: the same steps, fewer of them."""
    monkeypatch.setattr(records, "SHARDS", 1)


def standing(given: Given) -> Iterator[str]:
    """What is open for the handset, however often it was given out."""
    handset, _ = given
    yield f"{handset.row.state}, {int(handset.row.commands_waiting)} waiting"
    yield from (f"{one.kind} {one.state}" for one in boxes.load(handset.device).box.open)


def test_ordering(api: Api, everywhere: Everywhere) -> None:
    """Ordered again, another lock takes the place of the first: the handset is given one."""

    def ask(given: Given) -> None:
        assert order(api, given[0], kind="lock").status == 201

    everywhere(Scenario("command, ordered", lambda: (NewHandset(a_post(api)).enrolled(), None), ask, facts=standing))


def test_fetching(api: Api, clock: FakeClock, everywhere: Everywhere) -> None:
    """What was given out into nowhere comes again after its lease."""

    def arrange() -> Given:
        handset = NewHandset(a_post(api)).enrolled()
        for kind in ("lock", "diagnostics"):
            ordered(api, handset, kind)
        return handset, None

    def fetch_later(given: Given) -> None:
        clock.advance(minutes=15)
        assert len(fetched(given[0])) == 2

    everywhere(
        Scenario("command, fetched", arrange, lambda given: fetched(given[0]), redrive=fetch_later, facts=standing)
    )


@pytest.mark.parametrize("told", [("accepted",), ("accepted", "succeeded"), ("not-now",), ("refused",)], ids=" ".join)
def test_reporting(api: Api, everywhere: Everywhere, told: Sequence[str]) -> None:
    def arrange() -> Given:
        handset = NewHandset(a_post(api)).enrolled()
        ordered(api, handset, "lock")
        [given] = fetched(handset)
        *before, last = [a_report(given, what) for what in told]
        for report in before:
            assert send(handset, report).status == 200
        return handset, (last["command"], signed(handset, last))

    def say(given: Given) -> None:
        handset, (command, report) = given
        answer = handset.calls().post(f"/v1/commands/{command}/reports", {"report": report})
        assert answer.status == 200, answer.text

    everywhere(Scenario(f"command, {' '.join(told)}", arrange, say))


def test_a_wipe_is_announced(api: Api, everywhere: Everywhere) -> None:
    def arrange() -> Given:
        handset = NewHandset(a_post(api)).enrolled()
        declared_lost(handset)
        a_wipe(handset)
        [given] = fetched(handset)
        assert send(handset, a_report(given, "accepted")).body == {"state": "accepted"}
        last = a_report(given, "wiping", detail={"sent": 3, "lost": 0})
        return handset, (last["command"], signed(handset, last))

    def say(given: Given) -> None:
        handset, (command, report) = given
        answer = handset.calls().post(f"/v1/commands/{command}/reports", {"report": report})
        assert answer.body == {"state": "wipe-claimed"}

    everywhere(Scenario("command, wipe announced", arrange, say))


def test_the_old_key_is_seen_again(api: Api, clock: FakeClock, everywhere: Everywhere) -> None:
    def arrange() -> Given:
        handset = NewHandset(a_post(api)).enrolled()
        declared_lost(handset)
        a_wipe(handset)
        [given] = fetched(handset)
        for what in ("accepted", "wiping"):
            assert send(handset, a_report(given, what)).status == 200
        clock.advance(minutes=1)
        return handset, None

    def fetch(given: Given) -> None:
        assert fetched(given[0]) == []

    everywhere(Scenario("command, old key seen again", arrange, fetch))


def test_what_time_does(api: Api, clock: FakeClock, everywhere: Everywhere) -> None:
    """One expires, one that was accepted is silent for three days, one wipe is not confirmed."""

    def arrange() -> Given:
        handset = NewHandset(a_post(api)).enrolled()
        ordered(api, handset, "diagnostics")
        ordered(api, handset, "lock")
        declared_lost(handset)
        a_wipe(handset)
        wipe, lock, _ = fetched(handset)
        for given, what in ((wipe, "accepted"), (wipe, "wiping"), (lock, "accepted")):
            assert send(handset, a_report(given, what)).status == 200
        clock.advance(hours=72)
        return handset, None

    everywhere(Scenario("command, time", arrange, lambda _: sweep()))


def test_calling_off(api: Api, clock: FakeClock, everywhere: Everywhere) -> None:
    """A wipe that cools off: called off, the handset is told never to obey its warrant."""

    def arrange() -> Given:
        handset = NewHandset(a_post(api)).enrolled()
        declared_lost(handset)
        return handset, a_wipe(handset, Kind.CONTAINER_WIPE, cools_off=True)

    def call_off(given: Given) -> None:
        answer = api.as_staff("dispatcher").post(f"/v1/commands/{given[1]}/cancellation")
        assert answer.body["state"] == "cancelled", answer.text

    everywhere(Scenario("command, called off", arrange, call_off))


def test_a_new_enrolment_supersedes(api: Api, everywhere: Everywhere) -> None:
    def arrange() -> Any:
        newcomer = NewHandset(a_post(api))
        handset = newcomer.enrolled()
        ordered(api, handset, "lock")
        assert send(handset, a_report(fetched(handset)[0], "accepted")).body == {"state": "accepted"}
        retire(api, handset.device)
        return NewHandset(api, serial=newcomer.serial), api.as_staff("fleet-admin").post(
            "/v1/enrolment-tickets", {"carrier": "C1"}
        ).body["content"]["code"]

    def enrol(given: Any) -> None:
        newcomer, code = given
        assert newcomer.asks(code).body["generation"] == 2

    everywhere(Scenario("command, superseded", arrange, enrol))
