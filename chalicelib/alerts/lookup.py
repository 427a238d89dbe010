"""What other features ask of alerts: one read each."""

from __future__ import annotations

from chalicelib.alerts import store, zones
from chalicelib.alerts.policies import NATIONAL
from chalicelib.alerts.schemas import Alert, Flag
from chalicelib.core.callers import StaffMember


def alert(alert_id: str) -> Alert:
    """An alert, or the one that it was joined to: one read, or more. Raises NotFound."""
    return store.existing(alert_id).alert


def alert_of_staff(alert_id: str, by: StaffMember) -> Alert:
    """An alert of the zones and depots of a member of staff. Raises NotFound, AccessDenied."""
    found = alert(alert_id)
    zones.require_alert(by, found.depot, found.zone or NATIONAL)
    return found


def is_under_duress(found: Alert) -> bool:
    """Whether the carrier says that somebody forces them, in an alert that goes on. With that it is no drill."""
    return found.is_open and Flag.DURESS in found.flags
