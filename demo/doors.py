"""The demo goes on: building passes that open doors without a network, and everything that does not."""

from __future__ import annotations

import base64
import secrets
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from demo import seed, staff
from demo.day import expect, say
from handset import passes
from handset.badge import NEWS, Badge
from handset.client import Handset
from handset.ids import new_id
from handset.passes import Wallet
from handset.signing import HandsetKey
from handset.transport import NoNetwork
from infra.running import Run
from reader import apdu, brought, checks, tokens
from reader.door import Decision, Door, Kind, Outcome
from reader.refusals import Refusal

CARRIERS = BEARER, COLLEAGUE, STRANGER = "C1001", "C1002", "C2001"
"""Carriers of three rounds, each with doors of its own."""
SECTOR = seed.SECTORS["75015A", "T12"]
DOORS = 3
_HOUSE: Final = {
    "street": "2 RUE DU DOCTEUR ROUX",
    "postcode": "75015",
    "town": "PARIS",
    "services": {"1": [{"days": "1234567", "from": "00:00", "to": "24:00"}]},
    "legal_basis": "postal-operator",
}
"""A building whose manager lets the mail in at any hour."""
_FITS_ONE_ANSWER = 192
"""Bytes of a token that goes over with its proof in one short APDU."""
_TAPS = 3
"""How often a carrier taps whose answer came too late, on a machine that is busy."""
_HALVES = 2
_VALID, _SUSPENDED = 0, 2
"""What the status list says."""
_LISTED_WITHIN = 60.0
"""Seconds: each minute it is signed anew if it must be."""


class Shift(NamedTuple):
    """Three handsets with a pass each, and the doors of the first one's sector."""

    bearer: Handset
    colleague: Handset
    stranger: Handset
    doors: list[Door]


def day(running: Run) -> None:
    """The doors, step by step. Raises DemoFailed, or TimeoutError."""
    with tempfile.TemporaryDirectory() as folder:
        shift = _begin(running, Path(folder))
        _open(shift)
        _refuse(shift, Path(folder))
        _suspend(running, shift)
        _end(shift)


def install(running: Run, folder: Path, sector: str) -> Door:
    """A new reader at a door of a new building in that sector, as its manager has it installed and registered.

    It knows its line of the registry, the two roots, and what its installer's handset brought.
    """
    manager, path = staff.token(running, "building-manager"), f"/v1/buildings/{new_id()}"
    staff.call(running, "PUT", path, {**_HOUSE, "sector": sector}, bearer=manager)
    reader = f"{path}/readers/{secrets.token_hex(8)}"
    line = staff.call(running, "GET", f"{reader}/line", bearer=manager)
    news = {kind: staff.call(running, "GET", where, bearer=manager) for kind, where, _ in NEWS}
    door = Door.install(folder, line, [base64.b64decode(root) for root in news[passes.KEY_SET]["roots"]])
    staff.call(running, "PUT", reader, {"key": _point(door)}, bearer=manager)
    for kind, _, member in NEWS:
        door.take(Kind(kind), base64.b64decode(news[kind][member]))
    expect([kind for kind in Kind if not door.has(kind)], [], "what the new reader did not take")
    return door


def _point(door: Door) -> str:
    """The key of its receipts, as `python -m reader install` prints it."""
    return door.public_key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint).hex()


def _begin(running: Run, folder: Path) -> Shift:
    number = int(time.time())
    bearer, colleague, stranger = (
        _on_shift(running, carrier, folder / f"{carrier}-doors-{number}") for carrier in CARRIERS
    )
    doors = [install(running, folder / f"door-{place}", SECTOR) for place in range(DOORS)]
    say(f"{DOORS} readers are registered and installed in the sector {SECTOR}. From here on they have no network")
    return Shift(bearer, colleague, stranger, doors)


def _on_shift(running: Run, carrier: str, folder: Path) -> Handset:
    handset = staff.enrol(running, carrier, folder)
    badge = Badge(handset)
    until = seed.wait_for(lambda: _asked(badge), f"the pass of {carrier}")
    badge.news()
    token = handset.wallet.token
    say(f"{carrier} begins the shift: a pass of {len(token)} bytes for {_where(token)}, until {_clock(until)}")
    expect(len(token) <= _FITS_ONE_ANSWER, True, "whether the pass fits one short APDU")
    return handset


def _asked(badge: Badge) -> datetime | None:
    """Until when the pass is good; None as long as a new back office has no keys for passes yet."""
    try:
        return badge.ask()
    except NoNetwork:
        return None


def _open(shift: Shift) -> None:
    for door in shift.doors:
        began = time.monotonic()
        _visit(door, shift.bearer.wallet, None, f"{BEARER} at the door {_name(door)}")
        say(f"  asked, answered, judged, and the news taken in {(time.monotonic() - began) * 1000:.0f} ms")


def _refuse(shift: Shift, folder: Path) -> None:
    """What does not open: somebody else's pass, a copy, a changed one, one of another sector, and an old one."""
    token = shift.bearer.wallet.token
    door = shift.doors[0]
    copied = _thief(folder / "copied", token)
    _visit(door, copied, Refusal.COPIED, "Another handset shows a copy of that pass")
    changed = _thief(folder / "changed", _with_a_bit_changed(token))
    _visit(door, changed, Refusal.BAD_SIGNATURE, "The same with one bit of the carrier's number changed")
    _visit(door, shift.stranger.wallet, Refusal.OUT_OF_PERIMETER, f"{STRANGER} shows a good pass of another sector")
    late = Door(folder / "door-1", lambda: tokens.parse(token).expires + checks.SKEW + 1)
    _visit(late, shift.bearer.wallet, Refusal.EXPIRED, f"{BEARER} where the clock says that the shift is over")
    shift.doors[1] = Door(folder / "door-1")


def _suspend(running: Run, shift: Shift) -> None:
    """Suspended, it opens until any handset brings the new list; lifted, it opens again after the next visit."""
    path = f"/v1/passes/{shift.bearer.enrolment['device']}/suspension"
    bearer, door = staff.token(running, "security-officer"), shift.doors[0]
    staff.call(running, "PUT", path, {"reason": "robbery"}, bearer=bearer)
    say(f"The security officer suspends the pass of {BEARER}: robbery")
    _wait_for_the_list(shift, _SUSPENDED)
    _visit(door, shift.bearer.wallet, None, "  the door has not heard of it")
    _visit(door, shift.colleague.wallet, Refusal.OUT_OF_PERIMETER, f"  {COLLEAGUE} happens to tap, and brings the list")
    _visit(door, shift.bearer.wallet, Refusal.SUSPENDED, f"{BEARER} again")
    staff.call(running, "DELETE", path, bearer=bearer)
    say("It was a mistake: the suspension is lifted")
    _wait_for_the_list(shift, _VALID)
    _visit(door, shift.bearer.wallet, Refusal.SUSPENDED, "  the door has not heard of it")
    _visit(door, shift.colleague.wallet, Refusal.OUT_OF_PERIMETER, f"  {COLLEAGUE} taps again, with the newer list")
    _visit(door, shift.bearer.wallet, None, f"{BEARER} again")


def _end(shift: Shift) -> None:
    """The uses go to the back office, each with the door's receipt; the pass is given back."""
    for door in shift.doors:
        say(f"The log of {_name(door)}, each entry proven: {', '.join(entry.result for entry in door.log())}")
    for carrier, handset in zip(CARRIERS, (shift.bearer, shift.colleague, shift.stranger), strict=True):
        _tell(carrier, handset)
    _show_entries(shift.bearer)
    Badge(shift.bearer).give_back()
    expect(shift.bearer.wallet.day_pass, None, "the pass after it was given back")
    say(f"{BEARER} gives the pass back at the end of the shift")


def _tell(carrier: str, handset: Handset) -> None:
    uses = len(handset.wallet.uses)
    synced = handset.sync()
    say(f"The handset of {carrier} tells where it was shown, {uses} x, each time with the door's receipt")
    expect((synced.recorded, synced.refused), (2 * uses, 0), "halves of uses recorded and refused")


def _show_entries(handset: Handset) -> None:
    """What the carrier sees of their own, once both halves of each have met."""

    def met() -> list[Any] | None:
        entries: list[Any] = handset.call("GET", "/v1/pass/entries").body["entries"]
        return entries if entries and all(len(entry["told_by"]) == _HALVES for entry in entries) else None

    entries = seed.wait_for(met, "both halves of each entry")
    results = Counter(entry["result"] for entry in entries)
    told = ", ".join(f"{number} {result}" for result, number in sorted(results.items()))
    say(f"{BEARER} sees what the post knows of it, each told by handset and door, gone in three months: {told}")


def _visit(door: Door, wallet: Wallet, refusal: Refusal | None, what: str) -> None:
    """A handset at a door, over APDUs: it opens, or not for that reason."""
    decision, outcomes = _tapped(door, wallet)
    took = f" (news taken: {len(outcomes)})" if outcomes else ""
    say(f"{what}: {decision.refusal or 'it opens'}{took}")
    expect(decision.refusal, refusal, f"refusal of {what.strip()}")
    expect(set(outcomes) <= {Outcome.TAKEN}, True, "whether all news is good")


def _tapped(door: Door, wallet: Wallet) -> tuple[Decision, list[Outcome]]:
    for _ in range(_TAPS):
        decision, outcomes = apdu.visit(door, wallet)
        if decision.refusal is not Refusal.TOO_SLOW:
            break
    return decision, outcomes


def _thief(folder: Path, token: bytes) -> Wallet:
    """A handset that shows a token without its key."""
    folder.mkdir()
    wallet = Wallet(folder, HandsetKey.generate().sign_raw)
    wallet.keep(token)
    return wallet


def _with_a_bit_changed(token: bytes) -> bytes:
    """The pass of the neighbouring number."""
    return token.replace(BEARER.encode(), b"C1000")


def _wait_for_the_list(shift: Shift, status: int) -> None:
    """Until the published list says that of the bearer's pass; the colleague takes it along."""
    index, began = tokens.parse(shift.bearer.wallet.token).index, time.monotonic()

    def says_so() -> bool | None:
        told = base64.b64decode(shift.colleague.call("GET", "/v1/status-lists/0").body["status_list"])
        return brought.status_list(told).status(index) == status or None

    seed.wait_for(says_so, "the new status list", _LISTED_WITHIN)
    Badge(shift.colleague).news()
    say(f"  the list says so after {time.monotonic() - began:.1f} s; the handset of {COLLEAGUE} fetches it")


def _where(token: bytes) -> str:
    return f"the sector {tokens.parse(token).perimeter!s}"


def _name(door: Door) -> str:
    return door.place.reader.hex()


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(ZoneInfo('Europe/Paris')):%H:%M}"
