"""The round in the container: sealed by the first lease, out of sight without one, and there again with the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from handset import standing
from handset.client import Handset
from handset.container import ContainerClosed
from handset.transport import Answer, NoNetwork, Refused, Transport
from tests.support.clock import FakeClock
from tests.support.office import HOURS, Office, no_network, serving

NAME = "Hélène LEFÈVRE"
ROUND = {"snapshot": 3, "building_pass": None, "items": [{"item": "9V20524752032", "addressee": {"name": NAME}}]}
ITEM = "9V20524752032"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def office(clock: FakeClock) -> Iterator[Office]:
    office = Office(clock)
    office.answers["/v1/round"] = ROUND
    with serving(office):
        yield office


@pytest.fixture
def handset(office: Office, tmp_path: Path) -> Handset:
    return office.enrol(tmp_path / "handset")


def refused(path: str) -> Any:
    """A hook: the back office refuses that path."""

    def hook(_: str, asked: str) -> None:
        if asked == path:
            raise Refused(404, {"type": "/problems/not-found"})

    return hook


def is_told_in(folder: Path) -> bool:
    """Whether the addressee's name stands in any file."""
    spelled = [NAME.encode(), NAME.encode("unicode_escape")]
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return any(one in content for one in spelled for content in contents)


def test_a_round_costs_one_more_call_and_is_sealed(office: Office, handset: Handset) -> None:
    assert handset.take_round() == ROUND
    assert office.calls == [("GET", "/v1/round"), ("POST", "/v1/lease")]
    assert not is_told_in(handset.folder)
    again = Handset(handset.folder, now=handset.now)
    assert again.round
    assert again.round["bundle"] == ROUND
    assert again.scan(ITEM, "presented")["snapshot"] == 3
    again.take_round()
    assert office.calls[2:] == [("GET", "/v1/round")], "the lease is good still"


def test_without_a_network_it_serves_while_the_lease_lasts(office: Office, handset: Handset, clock: FakeClock) -> None:
    handset.take_round()
    office.hook = no_network("")
    clock.advance(hours=HOURS, seconds=-1)
    assert handset.take_round() == ROUND
    clock.advance(seconds=1)
    assert handset.round is None
    with pytest.raises(NoNetwork):
        handset.take_round()
    assert handset.scan(ITEM, "presented")["snapshot"] == 0, "what happens at the door is recorded all the same"


def test_it_comes_back_with_a_new_lease(office: Office, handset: Handset, clock: FakeClock) -> None:
    handset.take_round()
    clock.advance(hours=HOURS)
    handset.take_lease()
    assert handset.round
    assert handset.round["bundle"] == ROUND


@pytest.mark.parametrize("hook", [refused("/v1/lease"), no_network("/v1/lease")])
def test_a_handset_that_never_had_a_lease_works_as_before(office: Office, handset: Handset, hook: Any) -> None:
    office.hook = hook
    assert handset.take_round() == ROUND
    assert handset.round
    assert (handset.container.made, handset.round["bundle"]) == (False, ROUND)
    office.hook = no_network()
    handset.take_lease()
    assert handset.round["bundle"] == ROUND
    assert not is_told_in(handset.folder), "what lay outside is sealed with the first lease"


def test_once_there_is_a_container_nothing_is_kept_outside(office: Office, handset: Handset, clock: FakeClock) -> None:
    handset.take_round()
    clock.advance(hours=HOURS)
    office.hook = refused("/v1/lease")
    with pytest.raises(Refused):
        handset.take_round()
    assert not is_told_in(handset.folder)


def test_a_locked_container_takes_no_round(office: Office, handset: Handset) -> None:
    handset.take_round()
    handset.container.lock()
    with pytest.raises(ContainerClosed):
        handset.take_round()
    assert handset.round is None
    assert not is_told_in(handset.folder)


def test_a_lock_hides_a_round_that_was_never_sealed(office: Office, handset: Handset) -> None:
    office.hook = refused("/v1/lease")
    handset.take_round()
    handset.container.lock()
    assert handset.round is None


def test_a_new_enrolment_begins_with_neither(office: Office, handset: Handset) -> None:
    handset.take_round()
    standing.change(handset, locked=True, voided=["one"])
    enrolment = {**handset.enrolment, "source": "/handsets/another/3", "generation": 3}
    with patch.object(Transport, "send", return_value=Answer(201, {}, enrolment)):
        content = {"code": "code", "url": "https://api.facteo.test"}
        again = Handset.enrol(handset.folder, content, serial="S-1", now=handset.now)
    assert (again.round, again.container.made) == (None, False)
    assert standing.of(again)["voided"] == []
    assert not (handset.folder / "keystore-container.key").exists()
