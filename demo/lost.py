"""The demo goes on: a handset is lost, shut out, emptied by two people, found, and enrolled again."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from demo import approvers, losses, seed, staff
from demo.day import expect, say
from handset import check_in, wiping
from handset.badge import Badge
from handset.client import Handset
from handset.container import Container
from handset.files import read_json
from handset.orders import Orders
from handset.transport import Refused
from infra.running import Run

CARRIER: Final = "C1002"
_ROUNDS_SCANS = 3
_PHOTOS: Final = ("holiday.jpg", "notes/shopping.txt", "contacts.vcf")
_SUSPENDED_WITHIN = 60.0
"""Seconds."""


class Lost(NamedTuple):
    """A handset that is lost: its loss case, and the digests of what its carrier has on it."""

    handset: Handset
    case: str
    personal: dict[str, str]

    @property
    def device(self) -> str:
        """Its id."""
        return str(self.handset.enrolment["device"])


def day(running: Run) -> None:
    """The lost handset, step by step. Raises DemoFailed, or TimeoutError."""
    with tempfile.TemporaryDirectory() as folder:
        handset = _begin(running, Path(folder) / f"{CARRIER}-lost-{int(time.time())}")
        lost = _lose(running, handset)
        wipe = _wipe(running, lost)
        _find(running, lost, wipe)


def _begin(running: Run, folder: Path) -> Handset:
    """A handset with a round, a pass, scans that were not sent, and what its carrier has put on it."""
    handset = staff.enrol(running, CARRIER, folder)
    for name in _PHOTOS:
        path = folder / wiping.PERSONAL / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{name} of {CARRIER}".encode() * 100)
    bundle = handset.take_round()
    Badge(handset).ask()
    answered = check_in.check_in(handset)
    item = bundle["items"][0]["item"] if bundle["items"] else seed.ITEM
    for _ in range(_ROUNDS_SCANS):
        handset.scan(item, "out-for-delivery")
    say(f"{CARRIER} is on the round: {_ROUNDS_SCANS} scans wait, and {len(_PHOTOS)} files are their own")
    expect(answered.lease_until is not None, True, "whether the container has a lease")
    return handset


def _lose(running: Run, handset: Handset) -> Lost:
    case = losses.declare(running, handset.enrolment["device"])
    lost = Lost(handset, case["id"], _digests(handset.folder))
    say(f"The depot declares it lost: case {lost.case}")
    expect(_refusal(lambda: handset.call("GET", "/v1/round")), "device-blocked", "its next request")
    say("  its next request is refused: device-blocked")
    lease = check_in.check_in(handset).lease_until
    expect(lease, None, "the lease of its container")
    say("  its container gets no lease any more: it is unreadable when the last one ends, without any command")
    seed.wait_for(lambda: _is_suspended(running, lost), "the suspension of its pass", _SUSPENDED_WITHIN)
    say("  its pass is suspended")
    return lost


def _wipe(running: Run, lost: Lost) -> str:
    """The id of the wipe, once two people have approved it and the handset has obeyed."""
    alone = losses.order(running, lost.device, "container-wipe")
    expect(alone, "approvals-required", "what a fleet administrator alone is answered")
    say("A fleet administrator alone orders a wipe: approvals-required")
    warrant = losses.ask_for_wipe(running, lost.device)
    for role in approvers.APPROVERS:
        warrant = losses.approve_wipe(running, warrant, role)
        missing = f", {warrant['missing']} missing" if warrant["missing"] else ""
        say(f"  the {role} approves the exact words with a passkey: {warrant['state']}{missing}")
    [outcome] = Orders(lost.handset, show=lambda reason: say(f"  the handset verifies both, and shows: {reason}")).run()
    expect(outcome.what, "wiping", "what became of the order")
    return _look_at(running, lost, warrant["targets"][0]["command"])


def _look_at(running: Run, lost: Lost, command: str) -> str:
    folder = lost.handset.folder
    wiped = read_json(folder / wiping.WIPED) or {}
    expect((wiped["sent"], wiped["lost"]), (_ROUNDS_SCANS, 0), "events that went up first, and that died")
    say(f"  {wiped['sent']} events went up first, {wiped['lost']} died; the container is gone")
    expect(Container(folder, lost.handset.now).made, False, "whether there is a container")
    expect(_digests(folder), lost.personal, "the personal files")
    say(f"  all {len(lost.personal)} personal files are there, byte for byte")
    told = losses.command(running, command)
    expect(told["shown"], "wipe announced by the handset, not proven", "what staff read")
    say(f"  staff read: {told['shown']}")
    return command


def _find(running: Run, lost: Lost, wipe: str) -> None:
    folder = lost.handset.folder
    refused = _refusal(lambda: staff.enrol(running, CARRIER, folder))
    expect(refused, "handset-under-review", "an enrolment while it is lost")
    say("Somebody tries to enrol it again: handset-under-review")
    case = losses.found(running, lost.case)
    say(f"It was found: the case is {case['state']}")
    again = staff.enrol(running, CARRIER, folder)
    expect((again.enrolment["device"], again.enrolment["generation"]), (lost.device, 2), "device and generation")
    told = losses.command(running, wipe)
    expect((told["shown"], told["evidence"]["proof"]), ("wiped", "confirmed"), "what staff read")
    say(f"  enrolled again, generation 2. Staff read: {told['shown']} ({told['evidence']['how']})")
    expect(Orders(again).run(), [], "orders of the former enrolment that run")
    expect(_digests(folder), lost.personal, "the personal files")
    say("  no old order runs on it, and the personal files are there still")
    _show_own(again, lost)


def _show_own(handset: Handset, lost: Lost) -> None:
    """What the carrier is told of it afterwards."""
    cases = handset.call("GET", "/v1/loss-cases/own").body["cases"]
    [case] = [one for one in cases if one["id"] == lost.case]
    ordered = ", ".join(f"{one['kind']}: {one['shown']}" for one in case["ordered"])
    taken = case["positions"]["taken"]
    say(f"  {CARRIER} sees who declared it, and what was ordered ({ordered}); positions taken: {taken}")


def _is_suspended(running: Run, lost: Lost) -> bool | None:
    bearer = staff.token(running, "security-officer")
    told = staff.call(running, "GET", f"/v1/passes/{lost.device}", bearer=bearer)
    return any(one["reason"] == "loss" for one in told["suspensions"]) or None


def _refusal(ask: Callable[[], object]) -> str:
    """The problem with which something is refused; empty if it is not."""
    try:
        ask()
    except Refused as refused:
        return str(refused.problem.get("type", "")).removeprefix("/problems/")
    return ""


def _digests(folder: Path) -> dict[str, str]:
    """What is in the personal space: each file with the SHA-256 of its content."""
    space = folder / wiping.PERSONAL
    files = sorted(path for path in space.rglob("*") if path.is_file())
    return {str(path.relative_to(space)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
