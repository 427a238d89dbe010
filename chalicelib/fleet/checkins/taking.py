"""A check-in is taken: one read, of what lets the handset in, and one write of a small row."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec
from pynamodb.expressions.update import Action

from chalicelib.core import clock
from chalicelib.core.access import DeviceState, Handset
from chalicelib.core.transaction import retried
from chalicelib.fleet.checkins import leases, rules
from chalicelib.fleet.checkins.schemas import CheckedIn, CheckIn, KeptUse, PersonalUse, Said
from chalicelib.fleet.commands import boxes, proving
from chalicelib.fleet.policies import rules as policy_rules
from chalicelib.fleet.policies import serving
from chalicelib.fleet.tables import CheckInRow

KEPT_FOR: Final = timedelta(days=62)
"""After the last check-in, since totals of personal use are for this month and the last."""

_USES: Final = (CheckInRow.use_0, CheckInRow.use_1, CheckInRow.use_2)


def take(told: CheckIn, who: Handset, *, correlation_id: str) -> CheckedIn:
    """Keep what a handset says of itself, and tell it what it has to know: one write. What it has said before is
    forgotten, but for the personal use of this month and the last: a total goes with the first check-in of the second
    month after its own. Of a handset that is silent for all of that month it goes when the total of the third month is
    told, and with the whole row 62 days after the last check-in.

    Of one that may not do as it likes (to be wiped, or quarantined: mostly lost) its box is read too, which costs one
    more read: if it announced a wipe, it failed.
    """
    if who.state is not DeviceState.ENROLLED:
        retried(lambda: proving.seen_again(boxes.load(who.device), who, correlation_id=correlation_id))
    now = clock.now()
    lease_until = leases.until(who.row, now)
    CheckInRow(who.device).update(actions=_actions(told, who, lease_until, now))
    version, policy = serving.settings_of(who)
    return CheckedIn(
        server_time=now,
        lease_until=lease_until,
        commands_waiting=int(who.row.commands_waiting),
        policy=version,
        next_check_in_seconds=rules.next_check_in(told.battery, policy.check_in or policy_rules.DEFAULT_PACE),
    )


def _actions(told: CheckIn, who: Handset, lease_until: datetime | None, now: datetime) -> list[Action]:
    bare = msgspec.structs.replace(told, personal=None)
    said = Said(generation=who.generation, lease_until=lease_until, told=bare)
    return [
        CheckInRow.expires_at.set(now + KEPT_FOR),
        CheckInRow.seen_at.set(clock.stamp(now)),
        CheckInRow.content.set(msgspec.json.encode(said).decode()),
        _USES[rules.slot_to_clear(clock.today())].remove(),
        *_use(told.personal, who),
    ]


def _use(use: PersonalUse | None, who: Handset) -> list[Action]:
    """Of this month or the last. Of any other it is left out: a wrong month is no reason to close a container."""
    if use is None or use.month not in rules.months_of(clock.today()):
        return []
    kept = msgspec.json.encode(KeptUse(generation=who.generation, use=use)).decode()
    return [_USES[rules.slot_of(use.month)].set(kept)]
