"""When a handset comes next, what is found at devices, and what is left of an allowance."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from chalicelib.fleet.attestation import Assurance
from chalicelib.fleet.checkins import rules, sheets
from chalicelib.fleet.checkins.rules import Looked, Seen
from chalicelib.fleet.checkins.schemas import Battery, CheckIn, Finding, KeptUse, PersonalUse
from chalicelib.fleet.policies.rules import DEFAULT_PACE
from chalicelib.fleet.policies.schemas import Telephony
from tests.support.clock import MONDAY_MORNING

LOOKED = Looked(MONDAY_MORNING, date(2026, 11, 23), "1.4")
DAYS = timedelta(days=1)


def seen(*, enrolled: bool = True, ago: timedelta = DAYS, **told: Any) -> Seen:
    check_in = msgspec.convert({"outbox": 0} | told, CheckIn)
    return Seen(enrolled, MONDAY_MORNING - 30 * DAYS, MONDAY_MORNING - ago, check_in)


@pytest.mark.parametrize(
    ("percent", "charging", "seconds"),
    [(100, False, 900), (30, False, 900), (29, False, 1800), (15, False, 1800), (14, False, 3600), (14, True, 1800)],
)
def test_the_emptier_the_battery_the_later_a_handset_comes(percent: int, charging: bool, seconds: int) -> None:
    assert rules.next_check_in(Battery(percent=percent, charging=charging), DEFAULT_PACE) == seconds


def test_a_handset_that_says_nothing_of_its_battery_comes_as_others() -> None:
    assert rules.next_check_in(None, DEFAULT_PACE) == 900


def test_every_assurance_has_its_lease() -> None:
    assert set(rules.LEASES) == set(Assurance)


@pytest.mark.parametrize(
    ("device", "found"),
    [
        (seen(), []),
        (seen(ago=7 * DAYS), [Finding.SILENT]),
        (seen(ago=7 * DAYS, enrolled=False), []),
        (seen(os_patch="2026-05-27"), []),
        (seen(os_patch="2026-05-26"), [Finding.OLD_PATCH]),
        (seen(battery={"percent": 80, "health": "dead"}), [Finding.WEAK_BATTERY]),
        (seen(battery={"percent": 14}), [Finding.WEAK_BATTERY]),
        (seen(battery={"percent": 14, "charging": True}), []),
        (seen(storage_free_mb=1023), [Finding.LOW_STORAGE]),
        (seen(storage_free_mb=1024), []),
        (seen(app_version="1.3.9"), [Finding.OLD_APP]),
        (seen(app_version="1.10"), []),
        (seen(app_version="1.4.0-beta.2"), []),
        (seen(app_version="beta"), [Finding.OLD_APP]),
    ],
)
def test_what_is_found(device: Seen, found: list[Finding]) -> None:
    assert list(rules.found(device, LOOKED)) == found


def test_a_device_that_never_came_is_silent_a_week_after_its_enrolment() -> None:
    never = Seen(True, MONDAY_MORNING - 7 * DAYS, None, None)
    assert rules.found(never, LOOKED) == (Finding.SILENT,)
    assert rules.found(never._replace(enrolled_at=MONDAY_MORNING), LOOKED) == ()


def test_every_finding_has_its_rule() -> None:
    assert set(rules.FINDINGS) == set(Finding)


@pytest.mark.parametrize(
    ("day", "months"), [("2026-11-01", ("2026-11", "2026-10")), ("2027-01-31", ("2027-01", "2026-12"))]
)
def test_this_month_and_the_last_are_kept_beside_each_other(day: str, months: tuple[str, str]) -> None:
    assert rules.months_of(date.fromisoformat(day)) == months
    assert {*map(rules.slot_of, months), rules.slot_to_clear(date.fromisoformat(day))} == {0, 1, 2}


def test_what_was_counted_in_another_month_or_enrolment_is_not_counted() -> None:
    kept = KeptUse(generation=2, use=PersonalUse(month="2026-11", call_seconds=60, sms=1))
    nothing = {month: PersonalUse(month=month, call_seconds=0, sms=0) for month in ("2026-09", "2026-11")}
    assert rules.of_month(kept, "2026-11", 2) == kept.use
    assert rules.of_month(kept, "2026-11", 3) == rules.of_month(None, "2026-11", 2) == nothing["2026-11"]
    assert rules.of_month(kept, "2026-09", 2) == nothing["2026-09"]


def test_what_is_left_is_never_below_nothing() -> None:
    use = PersonalUse(month="2026-11", call_seconds=7300, sms=9)
    left = rules.against(use, Telephony(call_seconds=7200))
    assert (left.call_seconds_left, left.sms_left) == (0, None)
    assert rules.against(use, Telephony(call_seconds=7500, sms=10)).sms_left == 1


@pytest.mark.parametrize("text", ["=1+1", "+33", "-2", "@SUM(A1)", "\t=1", "\r=1"])
def test_nothing_in_a_sheet_is_calculated(text: str) -> None:
    assert sheets.cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0, "0"), (("silent", "old-app"), "silent old-app"), ("a=1", "a=1")]
)
def test_cells(value: Any, text: str) -> None:
    assert sheets.cell(value) == text
