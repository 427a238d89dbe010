"""A carrier's two PINs: one says that it is nothing, the other seems to, and escalates.

Whoever watches must not learn which of the two was entered. So each entry costs the same work, whatever matches, and
neither PIN clears the count of wrong ones. Under duress nobody may be made to change the PINs either: a change with the
duress PIN is answered as any other and changes nothing, but from then on the handset behaves as if it had. The PINs
that were chosen count as duress PINs, and the carrier's own are called wrong, though the duress PIN still escalates.
That ends when staff reset the PINs, and the carrier chooses new ones.
"""

from __future__ import annotations

import base64
import enum
import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from chalicelib.alerts.schemas import SetPins
from chalicelib.alerts.tables import AlertsRow
from chalicelib.core import clock, events
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import ChangedMeanwhile, Problem
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.people import lookup as people

if TYPE_CHECKING:  # workers let nobody in
    from chalicelib.core.access import Handset

PINS_SET: Final = "facteo.alert-pins.set"
PINS_RESET: Final = "facteo.alert-pins.reset"

MEMORY_KIB: Final = 19 * 1024
ITERATIONS: Final = 2
LANES: Final = 1
"""Argon2id (RFC 9106) with the least that OWASP's Password Storage Cheat Sheet recommends: 19 MiB, t = 2, p = 1.

RFC 9106's own second choice (64 MiB, t = 3, p = 4) would take four times as long, four times for each entry.
"""
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32

TRIES: Final = 5
TRIES_WITHIN: Final = timedelta(minutes=15)
SAID_AGAIN_WITHIN: Final = timedelta(minutes=5)
"""How long a handset whose answer got lost may set the same PINs again: later it tells one of them, like anybody."""
NO_PIN: Final = ""


class PinWrong(Problem):
    status = 403
    title = "The PIN is wrong"


class PinLocked(Problem):
    status = 429
    title = "Too many wrong PINs"


class PinsMissing(Problem):
    status = 409
    title = "No PINs are set"


class PinsAlike(Problem):
    title = "The two PINs are the same"


class Which(enum.Enum):
    """Which PIN was entered, as the server knows it."""

    GOOD = "good"
    DURESS = "duress"
    NEITHER = "neither"


class Entered(NamedTuple):
    """Which PIN it was, and the problem that the handset is to be told, if there is one.

    Deal with DURESS first, even if there is a problem, and raise the problem then. `revision` is that of the PINs that
    were changed by it: the same when it is said again.
    """

    which: Which
    problem: Problem | None = None
    revision: int = 0


class Pins(Schema, frozen=True, omit_defaults=True):
    """A carrier's PINs as hashes (PHC strings), and how many wrong ones were entered since when.

    `decoys` are the hashes of the PINs that somebody set with the duress PIN: they seem to be the carrier's. `said` is
    the hash of the last request that set PINs, when it came, and the revision that it made.
    """

    pin_hash: str
    duress_hash: str
    wrong: int = 0
    wrong_since: datetime | None = None
    decoys: tuple[str, ...] = ()
    said: str = ""
    said_at: datetime | None = None
    said_revision: int = 0


class PinsSet(Schema, frozen=True):
    """`facteo.alert-pins.set`: a carrier set their PINs, or seemed to under duress."""

    under_duress: bool


class PinsReset(Schema, frozen=True):
    """`facteo.alert-pins.reset`: staff let a carrier choose new PINs."""


def entered(carrier: str, pin: str) -> Entered:
    """Which of the carrier's PINs this is: one read, and a write if the handset is told that it is wrong.

    After five wrong ones within 15 minutes the good PIN counts as none until these are over. The duress PIN never does.
    """
    row = AlertsRow.find(_key(carrier))
    if row is None:
        _which(_NOBODYS, pin)
        return Entered(Which.NEITHER, PinsMissing("Set your two PINs first. Until then only an operator can end it."))
    return _entered(row, pin)


def save(request: SetPins, who: Handset, *, correlation_id: str) -> Entered:
    """Set the carrier's PINs: a read and a transaction. Raises PinsAlike.

    If there are PINs, `current_pin` must be one of them: which one it was, and the problem if it was none, is given
    back as by `entered`. Said again within five minutes, the answer is the same. By nothing else may a handset learn
    which PINs are set, and which of them is which: every request that sets none is counted.
    """
    if request.pin == request.duress_pin:
        raise PinsAlike("Choose two PINs that differ: one ends an alert, the other calls for help unnoticed.")
    return retried(lambda: _saved(request, who, correlation_id))


def reset(carrier: str, *, by: StaffMember, correlation_id: str) -> None:
    """Forget the PINs of a carrier who forgot them, and who then chooses new ones: two reads and a transaction.

    Raises NotFound, AccessDenied.
    """
    people.require_depot(by, people.carrier(carrier).depot)
    retried(lambda: _reset(carrier, by, correlation_id))


def _reset(carrier: str, by: StaffMember, correlation_id: str) -> None:
    row = AlertsRow.find(_key(carrier))
    if row is None:
        return
    with transaction() as work:
        changed = ChangedMeanwhile("The PINs changed at the same time.")
        work.delete(row, when=AlertsRow.revision == row.revision, otherwise=changed)
        work.append(
            events.make(PINS_RESET, _subject(carrier), PinsReset(), actor=by.actor, correlation_id=correlation_id)
        )


def _saved(request: SetPins, who: Handset, correlation_id: str) -> Entered:
    chosen = (_hash(request.pin), _hash(request.duress_pin))
    row = AlertsRow.find(_key(who.carrier))
    if row is None:
        row, told = AlertsRow(pk=_key(who.carrier), revision=0), Entered(Which.GOOD)
        pins = Pins(pin_hash=chosen[0], duress_hash=chosen[1])
    else:
        before = row.holds(Pins)
        if said := _said_before(before, request):
            return said
        told = _entered(row, request.current_pin or NO_PIN)
        pins = _changed(before, chosen, told.which)
    revision = int(row.revision) + 1
    if told.problem is None:
        said_now = {"said": _hash(_words(request)), "said_at": clock.now(), "said_revision": revision}
        _save(row, msgspec.structs.replace(pins, **said_now), who, correlation_id, by=told.which)
    return told._replace(revision=revision)


def _changed(pins: Pins, chosen: tuple[str, str], by: Which) -> Pins:
    if by is Which.DURESS:
        return msgspec.structs.replace(pins, decoys=chosen)
    return Pins(pin_hash=chosen[0], duress_hash=chosen[1], wrong=pins.wrong, wrong_since=pins.wrong_since)


def _said_before(pins: Pins, request: SetPins) -> Entered | None:
    """What was answered to the same request, if it came just now and its answer may have got lost."""
    if _locked_for(pins) or pins.said_at is None or clock.now() >= pins.said_at + SAID_AGAIN_WITHIN:
        return None
    if not _matches(_words(request), pins.said):
        return None
    return Entered(Which.DURESS if _is_decoyed(pins) else Which.GOOD, revision=pins.said_revision)


def _words(request: SetPins) -> str:
    return f"{request.current_pin or NO_PIN}/{request.pin}/{request.duress_pin}"


def _entered(row: AlertsRow, pin: str) -> Entered:
    pins = row.holds(Pins)
    which, shown = _which(pins, pin)
    left = _locked_for(pins)
    if left:
        seconds = str(int(left.total_seconds()) + 1)
        told = PinLocked("Wait until it can be tried again, or call your depot.", headers={"Retry-After": seconds})
        return Entered(which if which is Which.DURESS else Which.NEITHER, told)
    if not shown:
        _count_wrong(row)
        return Entered(which, PinWrong("Enter one of your two PINs."))
    return Entered(which)


def _which(pins: Pins, pin: str) -> tuple[Which, bool]:
    """Which PIN it is, and whether the handset may see that it is one."""
    good, duress, *decoys = _matches_each(pin, pins)
    decoyed = _is_decoyed(pins)
    if decoyed and any(decoys):
        return Which.DURESS, True
    if duress:
        return Which.DURESS, not decoyed
    return (Which.GOOD, True) if good and not decoyed else (Which.NEITHER, False)


def _matches_each(pin: str, pins: Pins) -> list[bool]:
    """Whether it is the good PIN, the one for duress, each decoy. All are looked at, whichever matches first."""
    hashes = (pins.pin_hash, pins.duress_hash, *(pins.decoys or _NOBODYS.decoys))
    return [_matches(pin, known) for known in hashes]


def _is_decoyed(pins: Pins) -> bool:
    return bool(pins.decoys)


def _locked_for(pins: Pins) -> timedelta:
    """How long no PIN is taken any more; zero if one is."""
    if pins.wrong_since is None or pins.wrong < TRIES:
        return timedelta()
    return max(pins.wrong_since + TRIES_WITHIN - clock.now(), timedelta())


def _count_wrong(row: AlertsRow) -> None:
    try:
        _count_one_more(row)
    except ChangedMeanwhile:
        retried(lambda: _count_one_more(AlertsRow.get(row.pk, consistent_read=True)))


def _count_one_more(row: AlertsRow) -> None:
    pins, now = row.holds(Pins), clock.now()
    since = pins.wrong_since
    fresh = since is None or now >= since + TRIES_WITHIN
    counted = {"wrong": 1, "wrong_since": now} if fresh else {"wrong": pins.wrong + 1}
    with transaction() as work:
        _put(work, row, msgspec.structs.replace(pins, **counted))


def _save(row: AlertsRow, pins: Pins, who: Handset, correlation_id: str, *, by: Which) -> None:
    said = PinsSet(under_duress=by is Which.DURESS)
    with transaction() as work:
        _put(work, row, pins)
        work.append(events.make(PINS_SET, _subject(who.carrier), said, actor=who.actor, correlation_id=correlation_id))


def _put(work: UnitOfWork, row: AlertsRow, pins: Pins) -> None:
    """Write the PINs over the row that was read; a row of revision 0 is one that is not there."""
    revision = int(row.revision)
    following = AlertsRow(pk=row.pk, content=msgspec.json.encode(pins).decode(), revision=revision + 1)
    unchanged = AlertsRow.revision == revision if revision else AlertsRow.pk.does_not_exist()
    work.put(following, when=unchanged, otherwise=ChangedMeanwhile("The PINs changed at the same time."))


def _key(carrier: str) -> str:
    return f"pins/{carrier}"


def _subject(carrier: str) -> str:
    return f"alert-pins/{carrier}"


def _hash(pin: str) -> str:
    return _argon2(os.urandom(SALT_BYTES)).derive_phc_encoded(pin.encode())


def _argon2(salt: bytes) -> Argon2id:
    return Argon2id(salt=salt, length=HASH_BYTES, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB)


def _matches(pin: str, known: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(pin.encode(), known)
    except InvalidKey:
        return False
    return True


def _nobodys_hash() -> str:
    """A hash that costs as much to verify as any other, and that no PIN has."""
    salt, digest = (base64.b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (SALT_BYTES, HASH_BYTES))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={ITERATIONS},p={LANES}${salt}${digest}"


_NOBODYS: Final = Pins(pin_hash=_nobodys_hash(), duress_hash=_nobodys_hash(), decoys=(_nobodys_hash(), _nobodys_hash()))
