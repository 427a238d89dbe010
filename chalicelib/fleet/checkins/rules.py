"""Pure decisions of check-ins, as tables: for how long a lease holds, when a handset comes next, what is found."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from chalicelib.fleet.attestation import Assurance
from chalicelib.fleet.checkins.schemas import Battery, CheckIn, Finding, Health, KeptUse, MonthlyUse, PersonalUse
from chalicelib.fleet.policies.schemas import Pace, Telephony

LEASES: Final[Mapping[Assurance, timedelta]] = {
    Assurance.NONE: timedelta(hours=8),
    Assurance.SOFTWARE: timedelta(hours=8),
    Assurance.TEE: timedelta(hours=72),
    Assurance.STRONGBOX: timedelta(hours=72),
}
"""How well a handset's key is kept → how long its container stays open without a check-in."""

LOW_PERCENT, LOWEST_PERCENT = 30, 15

SILENT_AFTER: Final = timedelta(days=7)
OLD_PATCH_AFTER: Final = timedelta(days=180)
LOW_STORAGE_MB: Final = 1024
WEAK: Final = frozenset({Health.DEAD, Health.FAILURE, Health.OVERHEAT, Health.OVER_VOLTAGE})

SLOTS: Final = 3
"""For totals of personal use. A year's months divide by it: they take turns for ever."""

FEW: Final = 5
"""A total of fewer handsets would tell of each."""


class Seen(NamedTuple):
    """A device as it is judged: whether it is blocked, and its last check-in, if there was one in this enrolment."""

    enrolled: bool
    enrolled_at: datetime
    seen_at: datetime | None
    told: CheckIn | None


class Looked(NamedTuple):
    """When somebody looks, on which business day, and the oldest app that is up to date."""

    at: datetime
    day: date
    oldest_app: str


def next_check_in(battery: Battery | None, pace: Pace) -> int:
    """In how many seconds a handset is to come again."""
    if battery is None or battery.percent >= LOW_PERCENT:
        return pace.normal
    return pace.lowest if battery.percent < LOWEST_PERCENT and not battery.charging else pace.low


# --- findings -----------------------------------------------------------------------------------------------


def _is_silent(seen: Seen, looked: Looked) -> bool:
    last = seen.seen_at or seen.enrolled_at
    return seen.enrolled and looked.at - last >= SILENT_AFTER


def _has_old_patch(seen: Seen, looked: Looked) -> bool:
    return bool(seen.told and seen.told.os_patch and looked.day - seen.told.os_patch > OLD_PATCH_AFTER)


def _has_weak_battery(seen: Seen, _: Looked) -> bool:
    battery = seen.told.battery if seen.told else None
    if battery is None:
        return False
    return battery.health in WEAK or (battery.percent < LOWEST_PERCENT and not battery.charging)


def _has_low_storage(seen: Seen, _: Looked) -> bool:
    return bool(seen.told and seen.told.storage_free_mb is not None and seen.told.storage_free_mb < LOW_STORAGE_MB)


def _has_old_app(seen: Seen, looked: Looked) -> bool:
    version = seen.told.app_version if seen.told else None
    return version is not None and version_key(version) < version_key(looked.oldest_app)


FINDINGS: Final[Mapping[Finding, Callable[[Seen, Looked], bool]]] = {
    Finding.SILENT: _is_silent,
    Finding.OLD_PATCH: _has_old_patch,
    Finding.WEAK_BATTERY: _has_weak_battery,
    Finding.LOW_STORAGE: _has_low_storage,
    Finding.OLD_APP: _has_old_app,
}
"""What is found → of whom."""


def found(seen: Seen, looked: Looked) -> tuple[Finding, ...]:
    """What is to be looked after at a device."""
    return tuple(finding for finding, holds in FINDINGS.items() if holds(seen, looked))


def version_key(version: str) -> tuple[int, ...]:
    """By which versions are told older and newer: 1.10 comes after 1.9. What stands after the numbers says nothing."""
    numbers = [int(number) for number in re.split(r"[^0-9.]", version)[0].split(".") if number]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


# --- personal use -------------------------------------------------------------------------------------------


def months_of(today: date) -> tuple[str, str]:
    """This business month and the one before: `2026-11`, `2026-10`."""
    last = today.replace(day=1) - timedelta(days=1)
    return f"{today:%Y-%m}", f"{last:%Y-%m}"


def slot_of(month: str) -> int:
    """Where a month's total is kept: a month, the next and the one after are kept beside each other."""
    return int(month[5:]) % SLOTS


def slot_to_clear(today: date) -> int:
    """Where neither this month's total is kept nor the last one's, but that of the month before them."""
    [slot] = set(range(SLOTS)) - {slot_of(month) for month in months_of(today)}
    return slot


def of_month(kept: KeptUse | None, month: str, generation: int) -> PersonalUse:
    """What was counted in a month of this enrolment: nothing if what is kept is of another."""
    fits = kept is not None and (kept.generation, kept.use.month) == (generation, month)
    return kept.use if kept and fits else PersonalUse(month=month, call_seconds=0, sms=0)


def against(use: PersonalUse, allowed: Telephony) -> MonthlyUse:
    """What was counted, and what is left of the allowance."""
    return MonthlyUse(
        month=use.month,
        call_seconds=use.call_seconds,
        sms=use.sms,
        call_seconds_left=_left(use.call_seconds, allowed.call_seconds),
        sms_left=_left(use.sms, allowed.sms),
    )


def _left(used: int, allowed: int | None) -> int | None:
    return None if allowed is None else max(0, allowed - used)
