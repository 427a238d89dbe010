"""What can be ordered of a handset: a table that a domain expert can read and correct."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple


class Kind(enum.StrEnum):
    """What is ordered."""

    RING = "ring"
    MESSAGE = "message"
    LOCK = "lock"
    LOST_MODE = "lost-mode"
    CONTAINER_LOCK = "container-lock"
    STAND_DOWN = "stand-down"
    POLICY_REFRESH = "policy-refresh"
    DIAGNOSTICS = "diagnostics"
    CONTAINER_WIPE = "container-wipe"
    RELEASE = "release"
    FULL_WIPE = "full-wipe"


class Lane(enum.IntEnum):
    """Which goes first: a wipe never waits behind refreshes."""

    WIPE = 0
    LOCK = 1
    REST = 2


class Capability(enum.StrEnum):
    """What a handset may be unable to do."""

    WORK_PROFILE = "work-profile"
    LOST_MODE = "lost-mode"
    FACTORY_RESET = "factory-reset"


class Ownership(enum.StrEnum):
    """Whose handset it is."""

    COMPANY = "company"
    PERSONAL = "personal"


class Traits(NamedTuple):
    """A kind's lane, for how long it is the handset's before it is given out again, and when it is too late for it.

    `lives` None: as long as the loss case. `destroys`: two people must approve it. `withholds`: the container cannot be
    read meanwhile, so that buckets bound it. `locks`: a handset that was found is to be freed from it. `of_case`: only
    while a loss case is open. `several`: a second one does not take the place of the first. `android` is the first
    version that can do it.
    """

    lane: Lane
    lease: timedelta
    lives: timedelta | None
    destroys: bool = False
    withholds: bool = False
    locks: bool = False
    of_case: bool = False
    several: bool = False
    company_owned: bool = False
    android: int = 0
    needs: Capability | None = None


_SOON, _LATER = timedelta(minutes=1), timedelta(minutes=15)

KINDS: Final[Mapping[Kind, Traits]] = {
    Kind.RING: Traits(Lane.REST, _SOON, timedelta(minutes=15)),
    Kind.MESSAGE: Traits(Lane.REST, _LATER, timedelta(days=1), several=True),
    Kind.LOCK: Traits(Lane.LOCK, _SOON, timedelta(days=30), locks=True),
    Kind.LOST_MODE: Traits(Lane.LOCK, _SOON, None, locks=True, of_case=True, android=11, needs=Capability.LOST_MODE),
    Kind.CONTAINER_LOCK: Traits(
        Lane.LOCK, _SOON, timedelta(days=30), withholds=True, locks=True, needs=Capability.WORK_PROFILE
    ),
    Kind.STAND_DOWN: Traits(Lane.LOCK, _SOON, timedelta(days=365)),
    Kind.POLICY_REFRESH: Traits(Lane.REST, _LATER, timedelta(days=7)),
    Kind.DIAGNOSTICS: Traits(Lane.REST, _LATER, timedelta(days=1)),
    Kind.CONTAINER_WIPE: Traits(Lane.WIPE, _SOON, None, destroys=True, of_case=True, needs=Capability.WORK_PROFILE),
    Kind.RELEASE: Traits(
        Lane.WIPE,
        _SOON,
        timedelta(days=30),
        destroys=True,
        company_owned=True,
        android=8,
        needs=Capability.WORK_PROFILE,
    ),
    Kind.FULL_WIPE: Traits(
        Lane.WIPE, _SOON, None, destroys=True, of_case=True, company_owned=True, needs=Capability.FACTORY_RESET
    ),
}
