"""The fleet's rules: tickets and serial numbers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.fleet import rules
from chalicelib.fleet.rules import TicketExpired, TicketUnknown
from tests.support.clock import MONDAY_MORNING

MOMENT = timedelta(microseconds=1)


def test_a_ticket_is_valid_to_the_last_moment_of_its_hour() -> None:
    rules.check_validity(MONDAY_MORNING, MONDAY_MORNING)
    with pytest.raises(TicketExpired):
        rules.check_validity(MONDAY_MORNING, MONDAY_MORNING + MOMENT)


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("id.secret", ("id", "secret")),
        ("id.sec.ret", ("id", "sec.ret")),
        ("id", ("id", "")),
        ("", ("", "")),
        (".secret", ("", "secret")),
    ],
)
def test_a_code_is_an_id_and_a_secret(code: str, parts: tuple[str, str]) -> None:
    assert rules.split_code(code) == parts


@pytest.mark.parametrize("wrong", ["", "Secret", "secret ", "é"])
def test_only_the_secret_opens(wrong: str) -> None:
    rules.check_secret("secret", rules.hashed("secret"))
    with pytest.raises(TicketUnknown):
        rules.check_secret(wrong, rules.hashed("secret"))


@pytest.mark.parametrize("spelling", ["RF8N1", "rf8n1", " RF8N1 "])
def test_a_serial_number_is_known_again_and_not_told(spelling: str) -> None:
    key = rules.hardware_key(spelling)
    assert key == rules.hardware_key("RF8N1")
    assert "rf8n1" not in key.lower()
