"""Handsets that come and go, killed everywhere."""

from __future__ import annotations

import pytest

from tests.support.api import Api
from tests.support.crashes import Everywhere, Scenario
from tests.support.fleet import NewHandset, a_post, a_ticket, retire

Given = tuple[NewHandset, str]


@pytest.mark.parametrize("before", [False, True], ids=["new", "retired before"])
def test_enrolment(api: Api, everywhere: Everywhere, *, before: bool) -> None:
    def arrange() -> Given:
        newcomer = NewHandset(a_post(api))
        if before:
            retire(api, NewHandset(api, serial=newcomer.serial).enrolled().device)
        return newcomer, a_ticket(api)["code"]

    def ask(given: Given) -> None:
        newcomer, code = given
        answer = newcomer.asks(code)
        assert (answer.status, answer.body["generation"]) == (201, 1 + before)

    everywhere(Scenario("enrolment, again" if before else "enrolment", arrange, ask))


def test_retirement(api: Api, everywhere: Everywhere) -> None:
    def ask(device: str) -> None:
        assert retire(api, device).body["state"] == "retired"

    everywhere(Scenario("retirement", lambda: NewHandset(a_post(api)).enrolled().device, ask))
