"""The lease of a container: a key without which it cannot be read, and which a handset may keep for some days only.

The container's own key is made by the handset, and kept there only wrapped by two others at once: one of the hardware
keystore, and the lease key, which is made here. That is what each of them protects against:

- Whoever has the back office, and all its keys, has lease keys, but no container: the hardware's key never leaves it.
- Whoever has the handset has the hardware's key, and until `until` the lease key too. A handset that is switched off,
  or kept from the network, is unreadable 72 hours after its last check-in, without any command. So is one whose lease
  is withheld since it was lost, which is reversible: the same key is given again once it is found.
- Once the handset has signed for a wipe, or was given up after two people had approved one, what the lease keys are
  made from is destroyed (`guards.choke`): no container of the device can be opened any more that is not open.

It does not protect from whoever takes over an unlocked handset within its lease, nor from a handset that was changed so
that it keeps the key, or whose clock is turned back: one whose key is not attested gets eight hours at most, since
nobody knows what it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from chalicelib.core import access, clock, keyring
from chalicelib.core.access import AccessRow, DeviceState, Handset
from chalicelib.core.call import Call
from chalicelib.core.errors import DeviceBlocked
from chalicelib.core.keyring import DataKey, KeyGone
from chalicelib.core.table import Place, Rows, find_together
from chalicelib.core.transaction import retried, transaction
from chalicelib.fleet.attestation import Assurance
from chalicelib.fleet.checkins import rules
from chalicelib.fleet.checkins.schemas import LeaseKey
from chalicelib.fleet.guards import choke

PUT_OFF: Final = frozenset({DeviceState.ENROLLED, DeviceState.QUARANTINED})
"""In which states a lease is put off, unless it is withheld: `guards` bounds how many leases anybody withholds, so that
nobody makes the whole fleet unreadable by declaring it lost.
"""
KEPT_FOR: Final = timedelta(days=3652)
"""Longer than any handset lives. It ends sooner by a wipe only."""


def beside(_: Call, device: str) -> list[Place]:
    """What lease keys are made from, to be read with what lets the device in."""
    return _places(device)


def until(row: AccessRow, now: datetime) -> datetime | None:
    """Until when a device may keep its lease key. None: its lease is withheld, or two people approved a wipe."""
    if row.lease_withheld or row.state not in PUT_OFF:
        return None
    return now + rules.LEASES[Assurance(row.assurance)]


def lease(who: Handset) -> LeaseKey:
    """The lease key of this enrolment: the same as long as it lasts. No call more, and a transaction at the first ask.

    Raises DeviceBlocked.
    """
    good_until = until(who.row, clock.now())
    if good_until is None:
        raise DeviceBlocked("This handset gets no lease. Call your depot.", state=who.state.value)
    found = [who.beside]
    escrow = retried(lambda: _escrow(who, found.pop() if found else find_together(_places(who.device))))
    secret = escrow.fingerprint({"device": who.device, "generation": who.generation})
    return LeaseKey(key=bytes.fromhex(secret), until=good_until)


def _places(device: str) -> list[Place]:
    return [keyring.place_of(choke.escrow_of(device))]


def _escrow(who: Handset, rows: Rows) -> DataKey:
    subject = choke.escrow_of(who.device)
    try:
        return keyring.key_among(rows, subject)
    except KeyGone:
        with transaction() as work:
            access.require_still(work, who.row)
            return keyring.create(work, subject, keep_until=clock.today() + KEPT_FOR)
