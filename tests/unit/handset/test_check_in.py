"""Checking in: how the handset is, the lease that goes on, the policy that it takes, and where it is if it is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from handset import check_in, standing, trust
from handset.check_in import CheckedIn
from handset.client import Handset
from handset.transport import Refused
from tests.support.clock import FakeClock
from tests.support.office import Office, no_network, serving


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def office(clock: FakeClock) -> Iterator[Office]:
    office = Office(clock)
    with serving(office):
        yield office


@pytest.fixture
def handset(office: Office, tmp_path: Path) -> Handset:
    return office.enrol(tmp_path / "handset")


def answered(office: Office, lease_until: Any, policy: int = 0) -> None:
    office.answers["/v1/check-ins"] = {
        "server_time": office.clock().isoformat(),
        "lease_until": lease_until.isoformat() if lease_until else None,
        "commands_waiting": 0,
        "policy": policy,
        "next_check_in_seconds": 900,
    }


def test_it_says_how_the_handset_is(office: Office, handset: Handset, clock: FakeClock) -> None:
    vitals = {"battery": {"percent": 81}, "network": "4g", "personal": {"month": "2026-11", "sms": 41}}
    (handset.folder / "vitals.json").write_text(json.dumps(vitals))
    handset.scan("9V20524752032", "at-depot")
    until = clock() + timedelta(hours=72)
    answered(office, until)
    assert check_in.check_in(handset) == CheckedIn(until, 0, 900)
    told = office.bodies[0]
    assert told
    assert told.items() >= {**vitals, "outbox": 1, "policy": 0, "app_version": "0.1.0"}.items()
    assert set(told) == {*vitals, "outbox", "policy", "app_version", "storage_free_mb"}


def test_it_takes_a_lease_and_then_puts_its_end_off(office: Office, handset: Handset, clock: FakeClock) -> None:
    answered(office, clock() + timedelta(hours=72))
    check_in.check_in(handset)
    assert handset.container.until == clock() + timedelta(hours=72)
    clock.advance(hours=71)
    answered(office, clock() + timedelta(hours=8))
    check_in.check_in(handset)
    assert handset.container.until == clock() + timedelta(hours=8)
    assert [path for _, path in office.calls].count("/v1/lease") == 1
    clock.advance(hours=8)
    check_in.check_in(handset)
    assert [path for _, path in office.calls].count("/v1/lease") == 2


def test_without_a_lease_the_container_is_closed_at_once_and_opens_again_with_the_next(
    office: Office, handset: Handset, clock: FakeClock
) -> None:
    handset.take_lease()
    handset.container.write("round", b"{}")
    answered(office, None)
    for _ in range(2):
        assert check_in.check_in(handset).lease_until is None
        assert handset.container.until is None
    assert not (handset.folder / "keystore-lease.json").exists()
    answered(office, clock() + timedelta(hours=72))
    check_in.check_in(handset)
    assert handset.container.read("round") == b"{}"


def test_one_that_is_refused_a_lease_stays_closed_and_says_where_it_is(
    office: Office, handset: Handset, clock: FakeClock
) -> None:
    """Quarantined, and its lease was not withheld but ran out."""
    answered(office, clock() + timedelta(hours=72), policy=12)
    standing.change(handset, lost={"text": "Found me?", "phone": "+33155440000", "since": clock().isoformat()})
    office.answers["/v1/loss-positions"] = {}

    def blocked(_: str, path: str) -> None:
        if path in {"/v1/lease", "/v1/policy"}:
            raise Refused(403, {"type": "/problems/device-blocked"})

    office.hook = blocked
    assert check_in.check_in(handset) == CheckedIn(None, 0, 900)
    assert check_in.tell_position(handset, 48.84, 2.3, 12)


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_handset_whose_outbox_cannot_be_read_checks_in(
    office: Office, handset: Handset, clock: FakeClock, content: bytes
) -> None:
    handset.outbox_file.write_bytes(content)
    answered(office, clock() + timedelta(hours=72))
    check_in.check_in(handset)
    assert (office.bodies[0] or {})["outbox"] is None
    assert handset.container.until


def test_a_locked_container_is_not_opened_by_it(office: Office, handset: Handset, clock: FakeClock) -> None:
    handset.take_lease()
    handset.container.lock()
    answered(office, clock() + timedelta(hours=72))
    check_in.check_in(handset)
    assert handset.container.until is None


def test_it_takes_the_policy_that_is_named(office: Office, handset: Handset) -> None:
    office.answers["/v1/policy"] = {
        "policy": office.signed({"type": "facteo.policy", "version": 12, "settings": {"camera": False}})
    }
    answered(office, None, policy=12)
    assert check_in.check_in(handset).policy == 12
    check_in.check_in(handset)
    assert [path for _, path in office.calls].count("/v1/policy") == 1
    assert json.loads((handset.fleet / "policy.json").read_text())["settings"] == {"camera": False}
    assert trust.policy_version(handset) == 12


class TestWhatItApplied:
    PATH = "/v1/policy/application"

    @pytest.fixture(autouse=True)
    def policy(self, office: Office) -> None:
        settings = {"proxy": {}, "apn": "facteo.post"}
        told = {"type": "facteo.policy", "version": 12, "settings": settings}
        office.answers["/v1/policy"] = {"policy": office.signed(told)}
        answered(office, None, policy=12)

    def told(self, office: Office) -> list[Any]:
        return [body for (_, path), body in zip(office.calls, office.bodies, strict=True) if path == self.PATH]

    def test_it_is_said_once_for_each_policy(self, office: Office, handset: Handset) -> None:
        office.answers[self.PATH] = {}
        for _ in range(2):
            check_in.check_in(handset)
        assert self.told(office) == [{"version": 12, "applied": ["apn", "proxy"], "not_applied": []}]

    def test_without_a_network_it_is_said_at_the_next_check_in(self, office: Office, handset: Handset) -> None:
        office.hook = no_network(self.PATH)
        assert check_in.check_in(handset).policy == 12
        office.hook = no_network()
        office.answers[self.PATH] = {}
        check_in.check_in(Handset(handset.folder, now=handset.now))
        check_in.check_in(handset)
        assert len(self.told(office)) == 2

    def test_a_refusal_breaks_nothing(self, office: Office, handset: Handset) -> None:
        assert check_in.check_in(handset).policy == 12

    def test_of_what_holds_without_a_policy_nothing_is_said(self, office: Office, handset: Handset) -> None:
        told = {"type": "facteo.policy", "version": 0, "settings": {}}
        office.answers["/v1/policy"] = {"policy": office.signed(told)}
        assert trust.take_policy(handset) == 0
        assert self.told(office) == []


def test_without_a_declared_loss_no_position_is_sent(office: Office, handset: Handset) -> None:
    assert not check_in.tell_position(handset, 48.84, 2.3, 12)
    assert office.calls == []


def test_while_it_is_lost_its_position_is_sent(office: Office, handset: Handset, clock: FakeClock) -> None:
    standing.change(handset, lost={"text": "Found me?", "phone": "+33155440000", "since": clock().isoformat()})
    office.answers["/v1/loss-positions"] = {}
    assert check_in.tell_position(handset, 48.84, 2.3, 12)
    position = {"latitude": 48.84, "longitude": 2.3, "accuracy_m": 12}
    assert office.bodies == [{"at": clock().isoformat(), **position}]
    standing.change(handset, lost=None)
    assert not check_in.tell_position(handset, 48.84, 2.3, 12)


def test_where_there_are_no_check_ins_it_is_told(handset: Handset) -> None:
    with pytest.raises(Refused):
        check_in.check_in(handset)
