"""What handsets say of themselves, and what they and staff are told."""

from __future__ import annotations

import enum
from datetime import date, datetime
from typing import Annotated

from msgspec import Meta

from chalicelib.core.access import DeviceState
from chalicelib.core.schemas import END, Schema
from chalicelib.fleet.schemas import DeviceId
from chalicelib.people.ids import DepotId

AppVersion = Annotated[str, Meta(pattern=r"^[0-9A-Za-z.+_-]{1,40}" + END)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Month = Annotated[str, Meta(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])" + END)]


class Health(enum.StrEnum):
    """What Android says of a battery (BatteryManager)."""

    GOOD = "good"
    COLD = "cold"
    OVERHEAT = "overheat"
    OVER_VOLTAGE = "over-voltage"
    DEAD = "dead"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class Network(enum.StrEnum):
    """By which network a handset came."""

    WIFI = "wifi"
    G2 = "2g"
    G3 = "3g"
    G4 = "4g"
    G5 = "5g"
    OTHER = "other"


class Finding(enum.StrEnum):
    """What is to be looked after at a device."""

    SILENT = "silent"
    OLD_PATCH = "old-patch"
    WEAK_BATTERY = "weak-battery"
    LOW_STORAGE = "low-storage"
    OLD_APP = "old-app"


class Battery(Schema, frozen=True):
    """A handset's battery."""

    percent: Annotated[int, Meta(ge=0, le=100)]
    charging: bool = False
    health: Health = Health.UNKNOWN


class PersonalUse(Schema, frozen=True):
    """Totals of a month. Who was called is nobody's business: there is no member for it."""

    month: Month
    call_seconds: Annotated[int, Meta(ge=0, le=31 * 24 * 3600)]
    sms: Count


class CheckIn(Schema, frozen=True, omit_defaults=True):
    """What a handset says of itself. `os_patch` is the date of its security patch, `outbox` counts events, `policy` is
    the version that it keeps to. A handset whose outbox cannot be read says nothing of it: its lease goes on.
    """

    outbox: Count | None = None
    battery: Battery | None = None
    storage_free_mb: Annotated[int, Meta(ge=0, le=10**13)] | None = None
    os_patch: date | None = None
    app_version: AppVersion | None = None
    network: Network | None = None
    policy: Annotated[int, Meta(ge=0, le=99_999_999)] | None = None
    personal: PersonalUse | None = None


class CheckedIn(Schema, frozen=True):
    """The answer to a check-in. `lease_until` None: the container is to be closed."""

    server_time: datetime
    lease_until: datetime | None
    commands_waiting: int
    policy: int
    next_check_in_seconds: int


class Said(Schema, frozen=True):
    """What is kept of a device's last check-in, without personal use."""

    generation: int
    lease_until: datetime | None
    told: CheckIn


class KeptUse(Schema, frozen=True):
    """What is kept of the personal use of a month, in an enrolment."""

    generation: int
    use: PersonalUse


class LeaseKey(Schema, frozen=True):
    """The lease key: 32 bytes, and until when to keep it."""

    key: bytes
    until: datetime


class MonthlyUse(Schema, frozen=True):
    """What was counted in a month, and what is left of the allowance. None: there is no limit."""

    month: str
    call_seconds: int
    sms: int
    call_seconds_left: int | None
    sms_left: int | None


class Usage(Schema, frozen=True):
    """A carrier's own personal use. None as an allowance: there is no limit."""

    allowed_call_seconds: int | None
    allowed_sms: int | None
    this_month: MonthlyUse
    last_month: MonthlyUse


class SeenDevice(Schema, frozen=True):
    """A device by its last check-in; without one, most is None. `last_seen` is by our clock."""

    device: str
    carrier: str
    state: DeviceState
    last_seen: datetime | None = None
    battery_percent: int | None = None
    battery_health: Health | None = None
    storage_free_mb: int | None = None
    os_patch: date | None = None
    app_version: str | None = None
    lease_until: datetime | None = None
    outbox: int | None = None
    policy: int | None = None
    findings: tuple[Finding, ...] = ()


class SeenDevices(Schema, frozen=True):
    """Devices by id. `next` is the `after` of the next page, empty on the last one.

    What is left out (without that finding, retired) makes a page shorter, down to an empty one with a `next`.
    """

    devices: tuple[SeenDevice, ...]
    next: str = ""


class SeenSearch(Schema, frozen=True):
    """A depot's devices, or those with a finding; `after` is the page before's `next`."""

    depot: DepotId
    finding: Finding | None = None
    after: DeviceId | None = None


class OfDepot(Schema, frozen=True):
    """Which depot."""

    depot: DepotId


class DepotUse(Schema, frozen=True):
    """The personal use of all of a depot's handsets in this month."""

    handsets: int
    call_seconds: int
    sms: int


class DepotSummary(Schema, frozen=True):
    """A depot's devices, and how many have each finding. `personal` is None where so few said something that it would
    tell of each.
    """

    depot: str
    devices: int
    findings: dict[Finding, int]
    personal: DepotUse | None
