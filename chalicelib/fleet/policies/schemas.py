"""Policy as staff write it, as handsets get it, and what is told of it."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from chalicelib.core.schemas import END, Schema
from chalicelib.fleet.schemas import DeviceId

Package = Annotated[str, Meta(pattern=r"^[A-Za-z]\w*(\.[A-Za-z]\w*)+" + END, max_length=120)]
Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.*-]{1,253}" + END)]
Version = Annotated[int, Meta(ge=1, le=99_999_999)]
Reason = Annotated[str, Meta(min_length=3, max_length=200)]
Why = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}" + END)]
PaceSeconds = Annotated[int, Meta(ge=60, le=4 * 3600)]
"""Half of the shortest lease at most: a handset that misses a check-in keeps its container."""
CallSeconds = Annotated[int, Meta(ge=0, le=31 * 24 * 3600)]
Messages = Annotated[int, Meta(ge=0, le=1_000_000)]

MOST_REFERENTS = 1000


class GroupKind(enum.StrEnum):
    """Kinds of groups, the least specific first."""

    FLEET = "fleet"
    TIER = "tier"
    ROLE = "role"
    DEPOT = "depot"


class Group(NamedTuple):
    """A group of handsets: `fleet/all`, `tier/<assurance>`, `role/carrier`, `depot/<id>`."""

    kind: GroupKind
    name: str

    @property
    def key(self) -> str:
        """How it is called."""
        return f"{self.kind}/{self.name}"


class RequiredApp(Schema, frozen=True):
    """An app that must be there, of at least that version (Android's versionCode)."""

    package: Package
    minimum_version: Annotated[int, Meta(ge=0)] = 0


class Mail(Schema, frozen=True):
    """Where mail is fetched, and the domain of addresses."""

    server: Host
    domain: Host


class Proxy(Schema, frozen=True):
    """By which proxy the container reaches the internet, and which hosts it reaches without."""

    host: Host
    port: Annotated[int, Meta(ge=1, le=65_535)]
    exceptions: Annotated[tuple[Host, ...], Meta(max_length=50)] = ()


class Telephony(Schema, frozen=True, omit_defaults=True):
    """What a carrier may use for themselves in a month. None: as much as they like."""

    call_seconds: CallSeconds | None = None
    sms: Messages | None = None


class Container(Schema, frozen=True, omit_defaults=True):
    """Rules of the container: after how many minutes it locks, and whether text and pictures may come in or go out."""

    lock_minutes: Annotated[int, Meta(ge=1, le=60)] | None = None
    copy_paste: bool | None = None
    camera: bool | None = None


class Pace(Schema, frozen=True):
    """Seconds between two check-ins, by how full the battery is."""

    normal: PaceSeconds
    low: PaceSeconds
    lowest: PaceSeconds


class GroupPolicy(Schema, frozen=True, omit_defaults=True):
    """What is set for a group. What is left out is for less specific groups to say."""

    required_apps: Annotated[tuple[RequiredApp, ...], Meta(max_length=100)] | None = None
    blocked_apps: Annotated[tuple[Package, ...], Meta(max_length=100)] | None = None
    mail: Mail | None = None
    proxy: Proxy | None = None
    apn: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]{1,100}" + END)] | None = None
    telephony: Telephony | None = None
    container: Container | None = None
    check_in: Pace | None = None


Setting = Literal["required_apps", "blocked_apps", "mail", "proxy", "apn", "telephony", "container", "check_in"]
"""A member of GroupPolicy."""


class GroupTold(Schema, frozen=True):
    """What is set for a group, since which version, and whether that has been published."""

    kind: GroupKind
    name: str
    version: int
    published: bool
    settings: GroupPolicy


class Told(Schema, frozen=True):
    """A handset's policy: the payload of what is signed."""

    version: int
    settings: GroupPolicy
    type: Literal["facteo.policy"] = "facteo.policy"


class Signed(Schema, frozen=True):
    """A policy as compact JWS, as it is kept and as handsets get it."""

    policy: str


class Publish(Schema, frozen=True):
    """Who gets a new version first: one device of each depot at most, and why there is one."""

    reason: Reason
    referents: Annotated[tuple[DeviceId, ...], Meta(max_length=MOST_REFERENTS)] = ()


class Halt(Schema, frozen=True):
    """Why a rollout is halted."""

    reason: Reason


class Reached(Schema, frozen=True, kw_only=True):
    """Whom a version has reached."""

    version: int
    ring: int = 0
    referents: tuple[str, ...] = ()


class Rollout(Reached, frozen=True, kw_only=True):
    """How far a version has come. `base` is what devices have that it has not reached. `halted` says why, if it is.

    `mends` are versions that were halted before it: it has reached whoever has one of them. `excused` is how many had
    failed when it was resumed.
    """

    base: int
    reason: str
    published_by: str
    published_at: datetime
    ring_since: datetime
    halted: str = ""
    excused: int = 0
    mends: tuple[Reached, ...] = ()


class Applied(Schema, frozen=True):
    """A setting that could not be applied, and why."""

    setting: Setting
    why: Why


class Application(Schema, frozen=True):
    """What a handset has applied of a version of its policy, and what not."""

    version: Version
    applied: Annotated[tuple[Setting, ...], Meta(max_length=20)] = ()
    not_applied: Annotated[tuple[Applied, ...], Meta(max_length=20)] = ()


class DeviceApplication(Schema, frozen=True):
    """What a device said of a version last: how many settings it has applied, which not and why."""

    device: str
    depot: str
    generation: int
    at: datetime
    applied: int
    not_applied: tuple[Applied, ...]


class DevicePolicy(Schema, frozen=True):
    """The version that a device is to have, and what it said of it, if it did."""

    device: str
    version: int
    application: DeviceApplication | None


class RolloutTold(Schema, frozen=True):
    """How far a version has come, how many devices said what became of it, and those that failed, by id.

    `percent` is the part of the fleet that it has reached, beside the `referents` and whoever has a version that it
    `mends`. `halted` says why, if it is.
    `next` is the `after` of the next page of failing devices.
    """

    version: int
    base: int
    reason: str
    published_by: str
    published_at: datetime
    ring: int
    percent: int
    ring_since: datetime
    referents: tuple[str, ...]
    mends: tuple[int, ...]
    halted: str
    reported: int
    failed: int
    failing: tuple[DeviceApplication, ...]
    next: str = ""


class RolloutMoved(Schema, frozen=True):
    """`facteo.policy.published`, `.moved-on`, `.halted`, `.resumed`: where a rollout stands from then on, and why."""

    version: int
    base: int
    ring: int
    reported: int
    failed: int
    reason: str


class GroupSet(Schema, frozen=True):
    """`facteo.policy-group.set`: what is set for a group from a version on."""

    version: int
    settings: GroupPolicy
