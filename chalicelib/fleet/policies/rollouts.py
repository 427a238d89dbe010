"""A new version goes out in rings: referents, then 1 %, 10 % and everybody. It is halted by itself if too many fail.

Silence is no success: a rollout moves on only once some of those that it has reached said what became of it. From the
referents, who may be none, to 1 % staff move it without.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from chalicelib.core import clock, events, settings, telemetry
from chalicelib.core.access import AccessRow
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import NotFound, RequestInvalid
from chalicelib.core.events import Event
from chalicelib.core.transaction import retried, transaction
from chalicelib.fleet.own_settings import RolloutSettings
from chalicelib.fleet.policies import applying, rules, standing
from chalicelib.fleet.policies.documents import require_everywhere
from chalicelib.fleet.policies.rules import RolloutStands, Tally, VersionOutOfTurn
from chalicelib.fleet.policies.schemas import Publish, Rollout, RolloutMoved, RolloutTold
from chalicelib.fleet.policies.standing import Kept
from chalicelib.fleet.policies.store import key_of
from chalicelib.fleet.tables import PolicyRow

SYSTEM = "system/policy"
TOO_MANY_FAILED = "too many handsets could not apply it"


def publish(version: int, wanted: Publish, *, by: StaffMember, correlation_id: str) -> RolloutTold:
    """Publish what was set for groups since the version before, as that version: a read for each 100 referents, and a
    transaction. Done again, it changes nothing.

    Raises AccessDenied, RequestInvalid, RolloutUnderWay, VersionOutOfTurn.
    """
    require_everywhere(by)
    return retried(lambda: _publish(version, wanted, by, correlation_id))


def read(version: int, after: str | None, *, by: StaffMember) -> RolloutTold:
    """How far a version has come: a read and two queries. Raises NotFound, AccessDenied."""
    require_everywhere(by)
    return _told(_existing(version).rollout, after)


def move_on(version: int, *, by: StaffMember, correlation_id: str) -> RolloutTold:
    """Let a version reach its next ring, if it has had its time and was tried. Raises NotFound, AccessDenied,
    RolloutStands, RingTooYoung, RingUntried.
    """
    require_everywhere(by)

    def moved() -> RolloutTold:
        kept = _newest(version)
        rules.check_moves(kept.rollout)
        rules.check_tried(kept.rollout, clock.now(), _tried_for())
        rules.check_reported(kept.rollout, applying.tally_of(version))
        after = rules.moved_on(kept.rollout, clock.now())
        _save(kept, after, "moved-on", "", by=by.actor, correlation_id=correlation_id)
        return _told(after, None)

    return retried(moved)


def halt(version: int, reason: str, *, by: StaffMember, correlation_id: str) -> RolloutTold:
    """Let a version reach nobody else. Who has it keeps it, and is given the next one first. Halted again it stays as
    it is. Raises NotFound, AccessDenied, RolloutStands.
    """
    require_everywhere(by)

    def halted() -> RolloutTold:
        kept = _newest(version)
        if kept.rollout.halted:
            return _told(kept.rollout, None)
        return _told(_halt(kept, reason, by=by.actor, correlation_id=correlation_id), None)

    return retried(halted)


def resume(version: int, *, by: StaffMember, correlation_id: str) -> RolloutTold:
    """Go on with a version that was halted; those that failed so far are excused. Resumed again it goes on as it does.
    Raises NotFound, AccessDenied, RolloutStands.
    """
    require_everywhere(by)

    def resumed() -> RolloutTold:
        kept = _newest(version)
        if not kept.rollout.halted:
            return _told(kept.rollout, None)
        failed = applying.tally_of(version).failed
        after = msgspec.structs.replace(kept.rollout, halted="", excused=failed, ring_since=clock.now())
        _save(kept, after, "resumed", "", by=by.actor, correlation_id=correlation_id)
        return _told(after, None)

    return retried(resumed)


def judge() -> None:
    """Halt the newest version if too many failed: two queries, and a transaction if it is halted."""

    def judged() -> None:
        kept = standing.latest()
        if kept.rollout.version and not kept.rollout.halted:
            _judge(kept)

    retried(judged)


def advance() -> None:
    """What is due, once a minute: two queries, three while a version is on its way, and a transaction if it moves."""
    retried(_advance)


def _advance() -> None:
    kept = standing.latest()
    rollout = kept.rollout
    if not rollout.version or rollout.halted or _judge(kept) or rules.is_complete(rollout):
        return
    has_had_its_time = clock.now() >= rollout.ring_since + _tried_for()
    if has_had_its_time and applying.tally_of(rollout.version).reported:
        after = rules.moved_on(rollout, clock.now())
        _save(kept, after, "moved-on", "", by=SYSTEM, correlation_id=key_of(rollout.version))


def _publish(version: int, wanted: Publish, by: StaffMember, correlation_id: str) -> RolloutTold:
    before = standing.latest().rollout
    if version == before.version and (before.reason, before.referents) == (wanted.reason, wanted.referents):
        return _told(before, None)
    if version != before.version + 1:
        raise VersionOutOfTurn(f"The next version is {before.version + 1}.", next=before.version + 1)
    base, mends = rules.begins(before)
    _check_referents(wanted.referents)
    now = clock.now()
    rollout = Rollout(
        version=version,
        base=base,
        reason=wanted.reason,
        published_by=by.actor,
        published_at=now,
        ring_since=now,
        referents=wanted.referents,
        mends=mends,
    )
    with transaction() as work:
        standing.save(work, rollout, instead_of=0)
        applying.begin(work, version)
        told = {"by": by.actor, "correlation_id": correlation_id}
        work.append(_event(rollout, "published", wanted.reason, Tally(0, 0), **told))
    return _told(rollout, None)


def _check_referents(devices: tuple[str, ...]) -> None:
    """Raise RequestInvalid unless they are devices, of as many depots."""
    depots = [row.depot for row in AccessRow.find_many(set(devices))]
    if len(depots) < len(devices):
        raise RequestInvalid("Some of the referents are no devices, or named twice.")
    if len(set(depots)) < len(depots):
        raise RequestInvalid("Name one referent of a depot at most.")


def _existing(version: int) -> Kept:
    row = PolicyRow.find(standing.ROLLOUTS, key_of(version))
    if row is None:
        raise NotFound(f"Version {version} was not published.")
    return Kept(row.holds(Rollout), int(row.revision))


def _newest(version: int) -> Kept:
    """The rollout of a version that is the newest: nothing moves the others. Raises NotFound, RolloutStands."""
    kept = standing.latest()
    if kept.rollout.version == version:
        return kept
    _existing(version)
    raise RolloutStands("A newer version has taken its place.", version=kept.rollout.version)


def _judge(kept: Kept) -> bool:
    """Halt a rollout if too many failed; whether it was."""
    if not rules.fails(kept.rollout, applying.tally_of(kept.rollout.version)):
        return False
    _halt(kept, TOO_MANY_FAILED, by=SYSTEM, correlation_id=key_of(kept.rollout.version))
    return True


def _halt(kept: Kept, reason: str, *, by: str, correlation_id: str) -> Rollout:
    after = msgspec.structs.replace(kept.rollout, halted=reason)
    _save(kept, after, "halted", reason, by=by, correlation_id=correlation_id)
    telemetry.count("PolicyHalted")
    return after


def _save(kept: Kept, after: Rollout, what: str, reason: str, *, by: str, correlation_id: str) -> None:
    tally = applying.tally_of(after.version)
    with transaction() as work:
        standing.save(work, after, instead_of=kept.revision)
        work.append(_event(after, what, reason, tally, by=by, correlation_id=correlation_id))


def _event(rollout: Rollout, what: str, reason: str, tally: Tally, *, by: str, correlation_id: str) -> Event:
    moved = RolloutMoved(
        version=rollout.version,
        base=rollout.base,
        ring=rollout.ring,
        reported=tally.reported,
        failed=tally.failed,
        reason=reason,
    )
    subject = f"policy/{rollout.version}"
    return events.make(f"facteo.policy.{what}", subject, moved, actor=by, correlation_id=correlation_id)


def _tried_for() -> timedelta:
    return timedelta(hours=settings.load(RolloutSettings).ring_hours)


def _told(rollout: Rollout, after: str | None) -> RolloutTold:
    tally = applying.tally_of(rollout.version)
    failing = applying.failing(rollout.version, after)
    return RolloutTold(
        version=rollout.version,
        base=rollout.base,
        reason=rollout.reason,
        published_by=rollout.published_by,
        published_at=rollout.published_at,
        ring=rollout.ring,
        percent=rules.PERCENT[rollout.ring],
        ring_since=rollout.ring_since,
        referents=rollout.referents,
        mends=tuple(one.version for one in rollout.mends),
        halted=rollout.halted,
        reported=tally.reported,
        failed=tally.failed,
        failing=failing,
        next=failing[-1].device if len(failing) == applying.PAGE else "",
    )
