"""How much may be destroyed, or made unreadable, in a while: for a person, a depot, a region and the whole fleet.

A bucket is a row with the moments at which something was taken from it. It is changed in the transaction of what takes
from it, so that two at once never take more than there is. What is wiped or retired waits while the breaker is open.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from chalicelib.core import settings
from chalicelib.core.errors import NotFound, Problem
from chalicelib.core.settings import Settings
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet import records
from chalicelib.fleet.guards import breaker
from chalicelib.fleet.guards.schemas import BucketRecord
from chalicelib.fleet.records import Kept
from chalicelib.people import lookup as people


class BucketSettings(Settings, frozen=True, kw_only=True):
    """How many devices there are in each bucket."""

    wipes_of_person: int = 5
    wipes_of_depot: int = 3
    wipes_of_zone: int = 15
    wipes_of_fleet: int = 40
    withheld_of_person: int = 20
    withheld_of_depot: int = 40
    withheld_of_zone: int = 200
    withheld_of_fleet: int = 400


class Family(enum.StrEnum):
    """What is taken."""

    WIPES = "wipes"
    WITHHELD = "withheld"
    """Leases that are withheld, and retirements: the container becomes unreadable too."""


class Place(NamedTuple):
    """Where a device is: its depot, and the zone of that."""

    depot: str
    zone: str


SPANS: Final[Mapping[str, timedelta]] = {
    "person": timedelta(hours=1),
    "depot": timedelta(days=1),
    "zone": timedelta(days=1),
    "fleet": timedelta(days=1),
}
"""Whose bucket → how long what was taken counts."""


class Bucket(NamedTuple):
    """One of them. `whose` is a key of SPANS, `name` empty for the fleet."""

    family: Family
    whose: str
    name: str

    @property
    def key(self) -> str:
        """Where it stands."""
        return f"bucket/{self.family}/{self.whose}/{self.name}"

    @property
    def limit(self) -> int:
        """How many devices are in it."""
        return int(getattr(settings.load(BucketSettings), f"{self.family}_of_{self.whose}"))


class BlastLimitReached(Problem):
    """`bucket` is the first with too little, `people` are those by whose doing it was reached, `depots` those of the
    devices.
    """

    status = 429
    title = "That is more than may be destroyed in a while"

    def __init__(self, bucket: Bucket, people: Iterable[str], depots: Iterable[str]) -> None:
        hours = int(SPANS[bucket.whose] / timedelta(hours=1))
        told = f"At most {bucket.limit} devices in {hours} h for the {bucket.whose} {bucket.name}".rstrip()
        super().__init__(f"{told}.", bucket=f"{bucket.family}/{bucket.whose}", limit=bucket.limit, hours=hours)
        self.bucket, self.people, self.depots = bucket, frozenset(people), frozenset(depots)


def place_of(depot: str) -> Place:
    """Where a depot's devices are: one read. A depot that nobody knows is in no zone."""
    try:
        return Place(depot, people.depot(depot).zone)
    except NotFound:
        return Place(depot, "")


def require_room(family: Family, who: str, places: Sequence[Place], *, now: datetime) -> None:
    """Raise BreakerOpen, or BlastLimitReached if a bucket has too little left for these devices: two reads."""
    breaker.closed()
    _after(family, who, places, frozenset({who}), now)


def take(
    work: UnitOfWork,
    family: Family,
    who: str,
    places: Sequence[Place],
    *,
    now: datetime,
    with_: Iterable[str] = (),
) -> None:
    """Take one for each device, by its place, for `who` asked for it: two reads, and at most 23 rows for ten devices.

    `with_` are others by whose doing it is taken. Raises BreakerOpen, and BlastLimitReached for the first bucket that
    has too little; nothing is added to the work then.
    """
    seen = breaker.closed()
    take_even_so(work, family, who, places, now=now, with_=with_)
    breaker.require_still(work, seen)


def take_even_so(
    work: UnitOfWork,
    family: Family,
    who: str,
    places: Sequence[Place],
    *,
    now: datetime,
    with_: Iterable[str] = (),
) -> None:
    """As `take`, and while the breaker is open too: one read. Raises BlastLimitReached."""
    after = _after(family, who, places, frozenset({who, *with_}), now)
    for bucket, kept in after.items():
        records.save(work, bucket.key, kept.record, instead_of=kept.revision, expires_at=now + SPANS[bucket.whose])


def _after(
    family: Family, who: str, places: Sequence[Place], people: frozenset[str], now: datetime
) -> dict[Bucket, Kept[BucketRecord]]:
    """The buckets as they are once it is taken, with the revisions that they were read with."""
    wanted = _wanted(family, who, places)
    held = records.load_many([bucket.key for bucket in wanted], BucketRecord)
    after = {}
    for bucket, number in wanted.items():
        kept = held.get(bucket.key, Kept(BucketRecord(taken=()), 0))
        since = (now - SPANS[bucket.whose]).timestamp()
        recent = tuple(moment for moment in kept.record.taken if moment > since)
        if len(recent) + number > bucket.limit:
            raise BlastLimitReached(bucket, people, (place.depot for place in places))
        after[bucket] = Kept(BucketRecord(taken=(*recent, *[int(now.timestamp())] * number)), kept.revision)
    return after


def _wanted(family: Family, who: str, places: Sequence[Place]) -> Counter[Bucket]:
    """How many are taken from which bucket. Who asks is looked at first, the fleet last."""
    wanted = Counter({Bucket(family, "person", who): len(places)})
    wanted.update(Bucket(family, "depot", place.depot) for place in places)
    wanted.update(Bucket(family, "zone", place.zone) for place in places if place.zone)
    wanted[Bucket(family, "fleet", "")] = len(places)
    return wanted
