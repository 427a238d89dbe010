"""Passes, killed everywhere: a handset has one, no suspension is forgotten, no half of an entry is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from chalicelib.core import journal
from chalicelib.core.events import Event
from chalicelib.passes import pairing
from chalicelib.passes.workers import pair_entries, pass_entries, pass_events
from tests.support import stored
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.crashes import Everywhere, Scenario
from tests.support.doors import OTHER_READER
from tests.support.entries import OTHER_NONCE, both, brought, told, two_buildings, used
from tests.support.events import SCHEDULED, deliver, invoke
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import NewHandset
from tests.support.passes import a_bearer, a_round, a_working_post, ask, publish, suspend


def test_the_second_half_of_an_entry(api: Api, clock: FakeClock, everywhere: Everywhere) -> None:
    """The same pass was at another building a moment ago; the reader knows it as suspended."""

    def arrange() -> Sequence[Event]:
        two_buildings()
        handset = a_handset(api)
        shown, got = told(handset, *both(handset, result="suspended"))
        clock.advance(seconds=10)
        elsewhere = told(handset, *both(handset, reader=OTHER_READER, nonce=OTHER_NONCE))
        brought([shown, *elsewhere])
        return [got]

    def act(brings: Sequence[Event]) -> None:
        assert deliver(pass_entries, brings) == []

    everywhere(Scenario("pass, second half", arrange, act))


def test_the_first_half_of_an_entry(api: Api, everywhere: Everywhere) -> None:
    def arrange() -> Sequence[Event]:
        two_buildings()
        handset = a_handset(api)
        return told(handset, used(handset))

    def act(brings: Sequence[Event]) -> None:
        assert deliver(pass_entries, brings) == []

    everywhere(Scenario("pass, first half", arrange, act))


def test_a_half_that_waits(api: Api, clock: FakeClock, everywhere: Everywhere, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the days before only the last two are looked through."""
    monkeypatch.setattr(pairing, "LOOK_BACK", 2)

    def arrange() -> None:
        two_buildings()
        handset = a_handset(api)
        brought(told(handset, *both(handset)[:1], used(handset, nonce=OTHER_NONCE)))
        clock.advance(hours=25)

    def act(_: None) -> None:
        assert invoke(pair_entries, SCHEDULED) == []

    everywhere(Scenario("pass, missing half", arrange, act))


def test_telling_of_an_entry(api: Api, everywhere: Everywhere) -> None:
    """The day's first one makes the day's key."""
    handset = a_handset(api)
    halves = both(handset)

    def act(_: None) -> None:
        assert handset.sync(*halves).body["acknowledged_through"] == len(halves)

    everywhere(Scenario("pass, told", two_buildings, act))


# --- passes themselves --------------------------------------------------------------------------------------

VARIES = re.compile(
    r'"(id|token|kid|slot|sealed|jwk|x|y|key_set|status_list|time|says|issued_at|roots)":("[^"]*"|[0-9]+)'
)
"""What is random in a pass, a key or a signature."""


def facts(_: Any) -> Iterator[str]:
    """What there is, but for what is random, and places of the list by how many there are."""
    for fact in stored.facts(ignoring={"revision", "pk", "sk", "expires_at"}):
        yield VARIES.sub("", fact.replace("\\", ""))


def asked(handset: HeldHandset) -> None:
    assert ask(handset).status == 200


def test_a_pass(api: Api, everywhere: Everywhere) -> None:
    """Whatever is killed, the handset has one pass, and one place of the list is taken."""
    post = a_working_post(api)
    everywhere(Scenario("pass", lambda: NewHandset(post).enrolled(), asked, facts=facts))


def test_another_round(api: Api, everywhere: Everywhere) -> None:
    def arrange() -> HeldHandset:
        handset = a_bearer(a_working_post(api))
        a_round(api, route="T13")
        return handset

    everywhere(Scenario("pass, another round", arrange, asked, facts=facts))


def test_a_suspension_and_its_end(api: Api, everywhere: Everywhere) -> None:
    def act(handset: HeldHandset) -> None:
        assert suspend(api, handset).status == 200
        said = [event for event in journal.read(f"device/{handset.device}") if event.type == "facteo.pass.suspended"]
        assert deliver(pass_events, said) == []

    everywhere(Scenario("pass, suspended", lambda: a_bearer(a_working_post(api)), act, facts=facts))


def test_the_first_minute(api: Api, everywhere: Everywhere) -> None:
    """Two keys, one set, one list: whoever comes second finds them."""

    def act(_: None) -> None:
        publish()

    everywhere(Scenario("pass, keys", lambda: None, act, facts=facts))
