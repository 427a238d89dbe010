"""Proxies that are registered, revoked and used, killed everywhere."""

from __future__ import annotations

from chalicelib.core import ids
from tests.support.api import Api
from tests.support.crashes import Everywhere, Scenario
from tests.support.factories import ITEM
from tests.support.proxies import a_one_off, a_proxy, put, registered, revoke, used, verified


def test_registration(api: Api, everywhere: Everywhere) -> None:
    def arrange() -> str:
        registered(api)
        return ids.new()

    def ask(proxy: str) -> None:
        assert put(api, proxy, a_proxy()).body["revision"] == 1

    everywhere(Scenario("proxy", arrange, ask))


def test_revocation(api: Api, everywhere: Everywhere) -> None:
    def ask(proxy: str) -> None:
        assert revoke(api, proxy).body["state"] == "revoked"

    everywhere(Scenario("proxy, revocation", lambda: verified(api), ask))


def test_a_use(api: Api, everywhere: Everywhere) -> None:
    def note(proxy: str) -> None:
        assert used(proxy)

    everywhere(Scenario("proxy, use", lambda: verified(api, a_one_off(ITEM)), note))
