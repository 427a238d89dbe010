"""Pure decisions of policy, as tables: how documents merge, which ring reaches whom, and when a rollout is halted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from chalicelib.core.errors import Conflict, NotFound, RequestInvalid
from chalicelib.fleet.attestation import Assurance
from chalicelib.fleet.policies.schemas import (
    Container,
    Group,
    GroupKind,
    GroupPolicy,
    Pace,
    Reached,
    RequiredApp,
    Rollout,
    Telephony,
)

DEFAULT_PACE: Final = Pace(normal=900, low=1800, lowest=3600)
DEFAULTS: Final = GroupPolicy(telephony=Telephony(call_seconds=2 * 3600), check_in=DEFAULT_PACE)
"""What holds where no group says otherwise."""

NAMES: Final[Mapping[GroupKind, frozenset[str]]] = {
    GroupKind.FLEET: frozenset({"all"}),
    GroupKind.TIER: frozenset(Assurance),
    GroupKind.ROLE: frozenset({"carrier"}),
}
"""Kind of group → the names that it has. Depots are named by `people`."""

PERCENT: Final = (0, 1, 10, 100)
"""Ring → the part of the fleet that it reaches. Ring 0 are the referents, whom all later ones reach too."""
LAST_RING: Final = len(PERCENT) - 1

FAILING_SHARE: Final = 0.05
FAILING_AT_LEAST: Final = 3
"""A rollout is halted if more than that share of those that reported failed, and so many."""


class RolloutUnderWay(Conflict):
    title = "Another version of the policy is being rolled out"


class RolloutStands(Conflict):
    title = "The rollout does not move"


class RingTooYoung(Conflict):
    title = "The ring has not been tried for long enough"


class RingUntried(Conflict):
    title = "No device of the ring has said what became of it"


class VersionOutOfTurn(Conflict):
    title = "That is not the policy's next version"


class Tally(NamedTuple):
    """How many devices said what became of a version, and how many of them failed."""

    reported: int
    failed: int


# --- groups -------------------------------------------------------------------------------------------------


def groups_of(assurance: Assurance, depot: str) -> tuple[Group, ...]:
    """The groups of a handset, the least specific first."""
    return (
        Group(GroupKind.FLEET, "all"),
        Group(GroupKind.TIER, assurance.value),
        Group(GroupKind.ROLE, "carrier"),
        Group(GroupKind.DEPOT, depot),
    )


def check_name(group: Group) -> None:
    """Raise NotFound for a group that there is not. Whether there is a depot is for others to say."""
    if group.kind in NAMES and group.name not in NAMES[group.kind]:
        raise NotFound(f"There is no group {group.key}. {group.kind} has: {', '.join(sorted(NAMES[group.kind]))}.")


def check_own_app(settings: GroupPolicy, package: str) -> None:
    """Raise RequestInvalid if our own application is blocked: a handset without it takes no other policy."""
    if package in (settings.blocked_apps or ()):
        raise RequestInvalid(f"{package} is our own application. It cannot be blocked.")


def _most_specific(values: Sequence[Any]) -> Any:
    return values[-1]


def _every(values: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({one for value in values for one in value}))


def _newest_of_each(values: Iterable[Sequence[RequiredApp]]) -> tuple[RequiredApp, ...]:
    newest: dict[str, int] = {}
    for app in (app for value in values for app in value):
        newest[app.package] = max(app.minimum_version, newest.get(app.package, 0))
    return tuple(RequiredApp(package=name, minimum_version=newest[name]) for name in sorted(newest))


_STRICTEST: Final[Mapping[str, Callable[[Iterable[Any]], Any]]] = {
    "lock_minutes": min,
    "copy_paste": all,
    "camera": all,
}
"""Rule of the container → which of several holds."""


def _strictest(values: Sequence[Container]) -> Container:
    given = {name: [value for one in values if (value := getattr(one, name)) is not None] for name in _STRICTEST}
    return Container(**{name: _STRICTEST[name](found) for name, found in given.items() if found})


MERGE: Final[Mapping[str, Callable[[Sequence[Any]], Any]]] = {
    "required_apps": _newest_of_each,
    "blocked_apps": _every,
    "mail": _most_specific,
    "proxy": _most_specific,
    "apn": _most_specific,
    "telephony": _most_specific,
    "container": _strictest,
    "check_in": _most_specific,
}
"""Setting → which of several values holds. They are given from the least to the most specific."""


def merged(documents: Sequence[GroupPolicy]) -> GroupPolicy:
    """What holds for a handset by the documents of its groups, the least specific first. A blocked app is never
    required.
    """
    given = {name: [value for one in documents if (value := getattr(one, name)) is not None] for name in MERGE}
    found = GroupPolicy(**{name: MERGE[name](values) for name, values in given.items() if values})
    if not found.required_apps or not found.blocked_apps:
        return found
    allowed = tuple(app for app in found.required_apps if app.package not in found.blocked_apps)
    return msgspec.structs.replace(found, required_apps=allowed)


# --- rings --------------------------------------------------------------------------------------------------


def version_for(rollout: Rollout, device: str) -> int:
    """The version that a device is to have. 0: none was published, and DEFAULTS hold."""
    return rollout.version if is_reached(rollout, device) else rollout.base


def is_reached(rollout: Rollout, device: str) -> bool:
    """Whether a rollout has reached a device: by its ring, or since it mends what the device has."""
    return any(_has_reached(one, device) for one in (rollout, *rollout.mends))


def is_complete(rollout: Rollout) -> bool:
    """Whether it has reached everybody, or there is none."""
    return rollout.ring == LAST_RING and not rollout.halted


def begins(rollout: Rollout) -> tuple[int, tuple[Reached, ...]]:
    """Where the next version begins: what devices have that it has not reached, and what it mends. No device's version
    ever goes down, so that whoever has one that was halted is given the next one first.

    Raises RolloutUnderWay.
    """
    if rollout.ring == LAST_RING:
        return rollout.version, ()
    if not rollout.halted:
        raise RolloutUnderWay("Halt it, or wait until it has reached everybody.", version=rollout.version)
    halted = Reached(version=rollout.version, ring=rollout.ring, referents=rollout.referents)
    return rollout.base, (*rollout.mends, halted)


def check_moves(rollout: Rollout) -> None:
    """Raise RolloutStands if it was halted, or has nobody left to reach."""
    if rollout.halted:
        raise RolloutStands(f"It was halted: {rollout.halted}", version=rollout.version)
    if rollout.ring == LAST_RING:
        raise RolloutStands("It has reached everybody.", version=rollout.version)


def check_tried(rollout: Rollout, now: datetime, at_least: timedelta) -> None:
    """Raise RingTooYoung unless its present ring has had that long."""
    ready_at = rollout.ring_since + at_least
    if now < ready_at:
        raise RingTooYoung("Give its devices time to say what became of it.", ready_at=ready_at.isoformat())


def check_reported(rollout: Rollout, tally: Tally) -> None:
    """Raise RingUntried unless some device that it has reached said what became of it: silence is no success. Referents
    may be none, so that it comes to the first part of the fleet without.
    """
    if rollout.ring > 0 and not tally.reported:
        raise RingUntried("Nobody has said what became of it. Wait until a device has.", ring=rollout.ring)


def moved_on(rollout: Rollout, now: datetime) -> Rollout:
    """The rollout with its next ring."""
    return msgspec.structs.replace(rollout, ring=rollout.ring + 1, ring_since=now)


def fails(rollout: Rollout, tally: Tally) -> bool:
    """Whether too many failed of those that reported, beside those that were excused."""
    failed = tally.failed - rollout.excused
    return failed >= FAILING_AT_LEAST and failed > FAILING_SHARE * tally.reported


def _has_reached(one: Reached, device: str) -> bool:
    return _place(one.version, device) < PERCENT[one.ring] or device in one.referents


def _place(version: int, device: str) -> float:
    """Where a device stands among all of them, from 0 to below 100: in each version elsewhere, so that it is not always
    the same carriers who try.
    """
    return int.from_bytes(hashlib.sha256(f"{version}/{device}".encode()).digest()[:4], "big") * 100 / (1 << 32)
