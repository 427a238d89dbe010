"""The days and states of contracts, and who meets whom."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.redirections import conditions, rules
from tests.support.redirections import a_contract, terms

DAYS = st.dates(date(2020, 1, 1), date(2090, 12, 31))


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


class TestDays:
    @pytest.mark.parametrize(
        ("requested", "first"),
        [
            ("2026-11-23", "2026-11-26"),
            ("2026-11-26", "2026-12-01"),
            ("2026-11-28", "2026-12-02"),
            ("2026-12-23", "2026-12-29"),
            ("2026-12-31", "2027-01-06"),
            ("2027-03-25", "2027-03-31"),
            ("2027-05-04", "2027-05-10"),
            ("2027-07-13", "2027-07-19"),
        ],
        ids=["Monday", "Thursday", "Saturday", "Christmas", "New Year", "Easter", "Ascension", "14 July"],
    )
    def test_three_working_days_lie_before_the_first_one(self, requested: str, first: str) -> None:
        assert rules.earliest_start(date.fromisoformat(requested)) == date.fromisoformat(first)

    @pytest.mark.parametrize(
        ("start", "months", "last"),
        [
            ("2026-12-01", 6, "2027-05-31"),
            ("2026-12-15", 12, "2027-12-14"),
            ("2027-01-01", 12, "2027-12-31"),
            ("2026-08-31", 6, "2027-02-28"),
            ("2027-08-29", 6, "2028-02-28"),
            ("2027-08-31", 6, "2028-02-29"),
            ("2028-02-29", 12, "2029-02-28"),
            ("2027-03-31", 1, "2027-04-30"),
        ],
    )
    def test_months_end_before_the_same_day_or_with_the_month(self, start: str, months: int, last: str) -> None:
        assert rules.last_day_of(date.fromisoformat(start), months) == date.fromisoformat(last)

    @given(start=DAYS, months=st.integers(1, 12))
    def test_months_last_as_long_as_months_do(self, start: date, months: int) -> None:
        days = (rules.last_day_of(start, months) - start).days + 1
        assert 28 * months <= days <= 31 * months
        assert days <= 366

    @pytest.mark.parametrize(
        ("end", "last"), [("2026-11-30", "2027-12-31"), ("2027-01-31", "2028-02-29"), ("2026-12-01", "2028-01-31")]
    )
    def test_it_is_read_until_the_end_of_the_thirteenth_month(self, end: str, last: str) -> None:
        assert rules.kept_until(date.fromisoformat(end)) == date.fromisoformat(last)

    def test_the_end_is_announced_ten_days_before_and_not_before_the_start(self) -> None:
        assert rules.reminder_of(terms(end=date(2027, 5, 25))) == date(2027, 5, 15)
        short = terms(start=date(2027, 5, 1), end=date(2027, 5, 3))
        assert rules.reminder_of(short) == short.start


class TestState:
    @pytest.mark.parametrize(
        ("changes", "moment", "state"),
        [
            ({"verified_at": None}, "2026-12-24T12:00:00+01:00", "requested"),
            ({"verified_at": None}, "2027-05-26T00:00:00+02:00", "expired"),
            ({"verified_at": at("2026-12-24T12:00:00+01:00")}, "2026-12-24T11:59:59+01:00", "requested"),
            ({"verified_at": at("2026-12-24T12:00:00+01:00")}, "2026-12-24T12:00:00+01:00", "active"),
            ({}, "2026-11-25T23:59:59+01:00", "scheduled"),
            ({}, "2026-11-25T23:00:00+00:00", "active"),
            ({}, "2027-05-25T21:59:59+00:00", "active"),
            ({}, "2027-05-25T22:00:00+00:00", "expired"),
            ({"end": date(2027, 3, 28)}, "2027-03-28T21:59:59+00:00", "active"),
            ({"end": date(2027, 3, 28)}, "2027-03-28T22:00:00+00:00", "expired"),
            ({"end": date(2027, 3, 27)}, "2027-03-27T22:59:59+00:00", "active"),
            ({"end": date(2027, 10, 31)}, "2027-10-31T22:59:59+00:00", "active"),
            ({"ended_on": date(2026, 12, 31)}, "2026-12-31T23:59:59+01:00", "active"),
            ({"ended_on": date(2026, 12, 31)}, "2027-01-01T00:00:00+01:00", "ended-early"),
            ({"cancelled_at": at("2026-11-24T08:00:00+01:00")}, "2026-12-24T12:00:00+01:00", "cancelled"),
            ({"refused_at": at("2026-11-24T08:00:00+01:00")}, "2026-12-24T12:00:00+01:00", "refused"),
            ({"cancelled_at": at("2026-11-25T08:00:00+01:00")}, "2026-11-25T07:59:59+01:00", "scheduled"),
        ],
    )
    def test_follows_from_facts_and_days_of_paris(self, changes: dict[str, Any], moment: str, state: str) -> None:
        assert rules.state_of(terms(**changes), at(moment)) == state

    def test_a_code_makes_what_waits_pending(self) -> None:
        waiting = terms(verified_at=None)
        assert rules.state_of(waiting, at("2026-11-24T08:00:00+01:00"), code_issued=True) == "pending-verification"

    @given(hours=st.integers(0, 24 * 365), ended_on=st.sampled_from([None, date(2027, 1, 15)]))
    def test_what_is_over_stays_over(self, hours: int, ended_on: date | None) -> None:
        contract, moment = terms(ended_on=ended_on), at("2026-11-24T08:00:00+01:00") + timedelta(hours=hours)
        assert not rules.is_over(contract, moment) or rules.is_over(contract, moment + timedelta(hours=1))


class TestCodes:
    def test_are_of_eight_letters_that_nobody_takes_for_another(self) -> None:
        codes = {rules.new_code() for _ in range(50)}

        assert len(codes) == 50
        assert {len(code) for code in codes} == {8}
        assert not set("".join(codes)) & set("IL1O0")
        assert set("".join(codes)) <= set(conditions.CODE_ALPHABET)


class TestTables:
    def test_every_sentence_fits_the_screen(self) -> None:
        assert all(len(row.sentence) <= 120 for row in conditions.EXCLUSIONS)

    def test_every_kind_has_a_duration(self) -> None:
        assert set(conditions.DURATIONS) == set(conditions.RedirectionKind)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"names": ["Jean Dupont"]}, {"names": ["Jean Dupont"]}, True),
        ({"names": ["Jean Dupont"]}, {"names": ["Marie Dupont"]}, False),
        ({"names": ["Jean Dupont"]}, {"names": ["Marie Dupont"], "scope": "household"}, True),
        ({"names": ["Jean Dupont"]}, {"names": ["Marie Durand"], "scope": "household"}, False),
        ({"names": ["Jean Dupont"]}, {"names": ["J Dupont", "Zoé Martin"]}, True),
        ({"companies": ["SARL Dupont"]}, {"names": ["Jean Dupont"], "scope": "household"}, False),
        ({"companies": ["SARL Dupont"]}, {"companies": ["Dupont SAS"]}, True),
    ],
)
def test_contracts_meet_in_a_beneficiary(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert rules.meet(a_contract(**one), a_contract(**other)) is same
    assert rules.meet(a_contract(**other), a_contract(**one)) is same
