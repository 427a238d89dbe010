"""Policy, leases and check-ins, killed everywhere."""

from __future__ import annotations

from chalicelib.fleet.workers import settle_fleet
from tests.support.api import Api
from tests.support.crashes import Everywhere, Scenario
from tests.support.events import SCHEDULED, invoke
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import HERE
from tests.support.policies import applies, at_ring, publishes, sets

DEVICES = tuple(f"019ac9a0-0000-7000-8000-0000000000a{number}" for number in range(3))
"""The same in each run, since they are counted by their ids."""


def _two_failing(api: Api) -> HeldHandset:
    """A version that reached everybody, which two could not apply; another handset."""
    assert publishes(api).status == 200
    at_ring(3)
    *failing, other = (a_handset(api, device, depot=HERE) for device in DEVICES)
    for handset in failing:
        assert applies(handset, apn="no-right").status == 204
    api.clock.advance(minutes=1)
    return other


def test_a_group_is_set(api: Api, everywhere: Everywhere) -> None:
    def ask(_: None) -> None:
        assert sets(api, "fleet/all", {"apn": "facteo.post"}).body["version"] == 1

    everywhere(Scenario("policy set", lambda: None, ask))


def test_a_version_is_published(api: Api, everywhere: Everywhere) -> None:
    def ask(_: None) -> None:
        assert publishes(api).status == 200

    everywhere(Scenario("policy published", lambda: None, ask))


def test_the_last_failure_before_it_is_halted(api: Api, everywhere: Everywhere) -> None:
    """Whoever dies before it is halted leaves that to the clock."""

    def ask(handset: HeldHandset) -> None:
        assert applies(handset, apn="no-right").status == 204
        assert invoke(settle_fleet, SCHEDULED) == []

    everywhere(Scenario("policy halted", lambda: _two_failing(api), ask))


def test_a_lease_key_is_made(api: Api, everywhere: Everywhere) -> None:
    def ask(handset: HeldHandset) -> None:
        assert handset.calls().post("/v1/lease").status == 200

    everywhere(Scenario("lease key", lambda: a_handset(api), ask))


def test_a_check_in(api: Api, everywhere: Everywhere) -> None:
    def ask(handset: HeldHandset) -> None:
        assert handset.calls().post("/v1/check-ins", {"outbox": 0}).status == 200

    everywhere(Scenario("check-in", lambda: a_handset(api), ask))
