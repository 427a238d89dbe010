"""The types of the events that passes follow, and of what handsets tell of doors: a queue for each of both."""

from __future__ import annotations

from typing import Final

from chalicelib.fleet.event_types import STATE_CHANGES

ALERT_CLOSED: Final = "facteo.alert.closed"
ALERT_CHANGES: Final = (
    "facteo.alert.raised",
    "facteo.alert.duress",
    "facteo.alert.pressed-again",
    "facteo.alert.joined",
)
"""After these a carrier may be under duress who was not before."""
DUTY_CHANGES: Final = ("facteo.duty.assigned", "facteo.duty.changed", "facteo.duty.withdrawn")
ENROLLED: Final = "facteo.device.enrolled"
RETIRED: Final = "facteo.device.retired"
LISTED: Final = ("facteo.pass.suspended", "facteo.pass.lifted", "facteo.pass.ended")
"""After these the list says something else."""

FOLLOWED: Final = (ALERT_CLOSED, *ALERT_CHANGES, *DUTY_CHANGES, ENROLLED, RETIRED, *STATE_CHANGES, *LISTED)
"""After these a pass may be worth something else than before: some thousands a day, and each within a minute."""

USED: Final = "facteo.pass.used"
RECEIPT: Final = "facteo.pass.receipt"
TOLD_BY_HANDSETS: Final = (USED, RECEIPT)
"""What happened at a door, from either side: millions a day, of which none is urgent."""
