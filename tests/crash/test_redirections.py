"""Redirections that are requested, verified, ended and renewed, killed everywhere."""

from __future__ import annotations

from chalicelib.core import ids
from tests.support.api import Api
from tests.support.crashes import Everywhere, Scenario
from tests.support.redirections import ANNE, OLD, Desk, a_request, an_address


def test_a_request(api: Api, everywhere: Everywhere) -> None:
    desk, there = Desk(api), an_address()

    def arrange() -> str:
        desk.requested(old_address=there, new_address=OLD, beneficiaries=[ANNE])
        return ids.new()

    body = a_request(new_address=there)

    def ask(redirection: str) -> None:
        assert desk.support.put(f"/v1/redirections/{redirection}", body).body["state"] == "pending-verification"

    everywhere(Scenario("redirection", arrange, ask))


def test_a_verification(api: Api, everywhere: Everywhere) -> None:
    desk = Desk(api)

    def arrange() -> tuple[str, str]:
        redirection = desk.requested()
        return redirection, desk.code(redirection)

    def ask(given: tuple[str, str]) -> None:
        redirection, code = given
        assert desk.posts(redirection, "verification", code=code).body["state"] == "scheduled"

    everywhere(Scenario("redirection, verification", arrange, ask))


def test_a_new_code(api: Api, everywhere: Everywhere) -> None:
    desk = Desk(api)

    def ask(redirection: str) -> None:
        assert desk.posts(redirection, "code", replaces=1).body["code"]["number"] == 2

    everywhere(Scenario("redirection, new code", desk.requested, ask))


def test_an_early_end(api: Api, everywhere: Everywhere) -> None:
    desk = Desk(api)

    def ask(redirection: str) -> None:
        assert desk.posts(redirection, "end", on="2026-12-24").body["last_day"] == "2026-12-24"

    everywhere(Scenario("redirection, early end", desk.verified, ask))


def test_a_renewal(api: Api, everywhere: Everywhere) -> None:
    desk, following = Desk(api), ids.new()

    def ask(redirection: str) -> None:
        assert desk.posts(redirection, "renewal", id=following, months=6).body["renews"] == redirection

    everywhere(Scenario("redirection, renewal", desk.verified, ask))
