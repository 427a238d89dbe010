"""Checking in: how the handset is, which puts off the end of its lease (docs/protocol/commands.md, section 1)."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from handset import standing, trust
from handset.client import Handset
from handset.files import read_json
from handset.transport import Refused

APP_VERSION: Final = "0.1.0"
DIAGNOSED: Final = ("battery", "storage_free_mb", "os_patch", "app_version", "outbox", "policy")
"""What `diagnostics` may tell: nothing of the personal space."""

_MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class CheckedIn:
    """What came of a check-in: until when the container can be read (None: it is closed), the policy that is applied,
    and when to check in again.
    """

    lease_until: datetime | None
    policy: int
    next_seconds: int


def state(handset: Handset) -> dict[str, Any]:
    """How the handset is, as a check-in tells it.

    `outbox` is None if it cannot be read. What only sensors know (`battery`, `network`, `personal` …) is what
    `vitals.json` in its folder says, if anything.
    """
    known = {
        "storage_free_mb": shutil.disk_usage(handset.folder).free // _MEGABYTE,
        "app_version": APP_VERSION,
        "outbox": handset.events_waiting,
        "policy": trust.policy_version(handset),
    }
    return {**(read_json(handset.folder / "vitals.json") or {}), **known}


def diagnostics(handset: Handset) -> dict[str, Any]:
    """What is reported on `diagnostics`."""
    return {name: value for name, value in state(handset).items() if name in DIAGNOSED}


def check_in(handset: Handset) -> CheckedIn:
    """Check in; renew the container's lease, and take the policy if there is another. Without a lease the container is
    closed at once.

    Raises NoNetwork, Refused, ContainerClosed, and Malformed for a policy that is not the back office's.
    """
    told = handset.call("POST", "/v1/check-ins", state(handset)).body
    until = _lease(handset, datetime.fromisoformat(told["lease_until"]) if told["lease_until"] else None)
    _policy(handset, told["policy"])
    return CheckedIn(until, trust.policy_version(handset), told["next_check_in_seconds"])


def tell_position(handset: Handset, latitude: float, longitude: float, accuracy_m: float) -> bool:
    """Say where the handset is (WGS 84, degrees) if it is declared lost; otherwise nothing is sent, and False given.

    Raises NoNetwork and Refused.
    """
    if not standing.of(handset)["lost"]:
        return False
    position = {"latitude": latitude, "longitude": longitude, "accuracy_m": accuracy_m}
    handset.call("POST", "/v1/loss-positions", {"at": handset.now().isoformat(), **position})
    return True


def _lease(handset: Handset, until: datetime | None) -> datetime | None:
    """Put off the end of the lease, or take one anew if there is none; the lease as it is then, None if there is none:
    it is withheld or refused, or the container was locked by order.
    """
    if until is None:
        handset.container.close()
    elif handset.container.until is not None:
        handset.container.put_off(until)
    elif not handset.container.locked:
        # One that is quarantined keeps a lease, but is given no other.
        with suppress(Refused):
            handset.take_lease()
    return handset.container.until


def _policy(handset: Handset, named: int) -> None:
    """Take the policy if another than its own is named; otherwise say what was applied, unless that was said."""
    if named in (0, trust.policy_version(handset)):
        trust.tell_application(handset)
        return
    # One that is quarantined is given none.
    with suppress(Refused):
        trust.take_policy(handset)
