"""Proxies after the door: used up, and judged by what was valid and what the handset knew."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core import clock as clocks
from chalicelib.proxies import service
from chalicelib.proxies.carried import NamedHolder, Scope
from chalicelib.proxies.verdicts import Act
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.factories import ITEM
from tests.support.proxies import (
    a_holder,
    a_one_off,
    a_proxy,
    registered,
    revoke,
    types,
    used,
    verified,
    verify,
)
from tests.support.races import contended, overtaken

UNKNOWN = "019ac9a0-0000-7000-8000-0000000000ff"
HOLDER = {"last_name": "MOREAU", "first_name": "Julien"}


class TestUse:
    def test_uses_up_a_one_off_proxy_at_its_first_act(self, api: Api) -> None:
        proxy = verified(api, a_one_off(ITEM))
        assert [used(proxy), used(proxy), used(proxy, "act-2")] == [True, True, False]
        told = api.as_staff("auditor").get(f"/v1/proxies/{proxy}").body
        assert (told["state"], told["used_for"], types(proxy)) == (
            "used",
            "act-1",
            ["registered", "verified", "used"],
        )

    def test_leaves_a_permanent_one_alone(self, api: Api, aws: Cloud) -> None:
        proxy = verified(api)
        with aws.counting() as calls:
            assert [used(proxy), used(proxy, "act-2"), used(UNKNOWN)] == [True, True, False]
        assert calls == {"GetItem": 3}

    @pytest.mark.parametrize("racing", [overtaken, contended])
    def test_of_two_at_once_one_is_the_first(self, api: Api, racing: Any) -> None:
        proxy, first = verified(api, a_one_off(ITEM)), []
        with racing(by=lambda: first.append(used(proxy, "act-2"))):
            first.append(used(proxy, "act-1"))
        assert sorted(first) == [False, True]
        assert types(proxy) == ["registered", "verified", "used"]


class TestJudgement:
    def judged(self, proxy: str, **changes: Any) -> str:
        """The outcome of an act, by default one that is as it should be."""
        told: dict[str, Any] = {
            "moment": clocks.now(),
            "holder": NamedHolder(**HOLDER),
            "scopes": [Scope.REGISTERED],
            "known_revision": 2,
        }
        return service.judge(service.history(proxy), Act(**(told | changes)), None).outcome

    def test_holds_what_was_true_against_what_the_handset_knew(self, api: Api, clock: FakeClock) -> None:
        proxy, start = verified(api), clock.at
        clock.advance(hours=3)
        noon = clock.at
        revoke(api, proxy)

        for moment, known, outcome in [
            (start, 2, ""),
            (start, 3, ""),
            (start, None, "proxy-unknown-to-device"),
            (start, 1, "proxy-unknown-to-device"),
            (start, 9, "proxy-unknown-to-device"),
            (noon, 2, "proxy-revoked-unknown-to-device"),
            (noon, 3, "proxy-invalid"),
            (noon, None, "proxy-invalid"),
        ]:
            assert self.judged(proxy, moment=moment, known_revision=known) == outcome, (moment, known)

    def test_a_proxy_is_not_valid_before_it_was_verified(self, api: Api, clock: FakeClock) -> None:
        proxy, before = registered(api), clock.at
        clock.advance(hours=1)
        verify(api, proxy)
        assert self.judged(proxy, moment=before, known_revision=1) == "proxy-invalid"
        assert self.judged(proxy) == ""

    def test_who_received_what_is_held_against_the_proxy(self, api: Api) -> None:
        proxy = verified(api)
        for changes, outcome in [
            ({"holder": NamedHolder(last_name="MOREAU", first_name="Julie")}, "holder-not-named"),
            ({"holder": NamedHolder(last_name="MOREAUX", first_name="Julien")}, "holder-to-review"),
            ({"scopes": [Scope.DECLARED_VALUE]}, "proxy-out-of-scope"),
        ]:
            assert self.judged(proxy, **changes) == outcome
        assert self.judged(UNKNOWN) == "proxy-unknown"

    def test_a_holder_who_was_a_minor_at_the_door_is_flagged(self, api: Api) -> None:
        proxy = verified(api, a_proxy(start="2026-12-01", holders=[a_holder(born_on="2008-11-30")]))
        act = Act(clocks.now(), NamedHolder(**HOLDER), [Scope.REGISTERED], 2)
        judged = service.judge(service.history(proxy), act, None)
        assert judged.flags == ("proxy-invalid", "holder-is-minor")

    def test_the_second_use_of_a_one_off_proxy_is_flagged(self, api: Api) -> None:
        proxy = verified(api, a_one_off(ITEM))
        used(proxy, "act-1")
        assert self.judged(proxy, item=ITEM, proof="act-1") == ""
        assert self.judged(proxy, item=ITEM, proof="act-2") == "proxy-already-used"
        assert self.judged(proxy, item="9V00000000024", proof="act-1") == "proxy-out-of-scope"

    def test_without_names_a_human_looks(self, api: Api, clock: FakeClock) -> None:
        proxy, moment = verified(api), clock.at
        clock.at = datetime(2029, 1, 1, tzinfo=UTC)
        assert self.judged(proxy, moment=moment) == "holder-to-review"
