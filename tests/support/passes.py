"""Passes at work: a round that opens doors, handsets that ask for theirs, and what the list says of them."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

from chalicelib.connectors.relay.subscriptions import is_relayed
from chalicelib.core import clock, journal
from chalicelib.fleet.tables import DeviceRow
from chalicelib.passes import listing, store
from chalicelib.passes.published_schemas import SignedList
from chalicelib.passes.publishing import STATUS_LIST as STATUS_LIST_NAME
from chalicelib.passes.publishing import key_of
from chalicelib.passes.schemas import Held, Holder, Status
from chalicelib.passes.tables import PassesRow
from chalicelib.passes.workers import pass_events, publish_passes
from handset.passes import KEY_SET, STATUS_LIST, TIME, Wallet
from reader import brought
from reader.door import Door, Kind
from tests.support.api import Answered, Api
from tests.support.clock import FakeClock
from tests.support.doors import PLACE, clocks
from tests.support.events import SCHEDULED, deliver, invoke
from tests.support.factories import HeldHandset
from tests.support.fleet import HERE, OURS, NewHandset, a_post

ROUTE = "T12"
SECTOR = "7511502"
DAY = "2026-11-23"
SHIFT = {"depot": HERE, "route": ROUTE, "starts": "06:30", "ends": "13:00"}


def a_round(api: Api, carrier: str = OURS, **changes: Any) -> None:
    """The carrier has a round today, whose passes open the doors of a sector."""
    duty = SHIFT | changes
    manager = api.as_staff("depot-manager")
    assert manager.put(f"/v1/carriers/{carrier}/duties/{DAY}", duty).status == 200
    perimeter = {"service": 1, "sector": SECTOR}
    assert manager.put(f"/v1/pass-perimeters/{duty['depot']}/{duty['route']}", perimeter).status == 200


def a_working_post(api: Api) -> Api:
    """A post whose carrier has a round today, and keys for passes."""
    a_post(api)
    a_round(api)
    publish()
    return api


def publish() -> None:
    """What happens each minute."""
    _later_than_the_list()
    invoke(publish_passes, SCHEDULED)


def _later_than_the_list() -> None:
    """No two lists have one date: a second passes if there is one of this second."""
    row = PassesRow.find(key_of(STATUS_LIST_NAME))
    if row is not None and row.holds(SignedList).issued_at >= clock.now().replace(microsecond=0):
        FakeClock.current().advance(seconds=1)


def ask(handset: HeldHandset) -> Answered:
    """Ask for the pass of today."""
    return handset.calls().post("/v1/pass")


def a_bearer(api: Api, carrier: str = OURS) -> HeldHandset:
    """A handset that has its pass."""
    handset = NewHandset(api).enrolled(carrier)
    answer = ask(handset)
    assert answer.status == 200, answer.text
    return handset


def attest(handset: HeldHandset, assurance: str = "tee") -> None:
    """Have it known how well the handset's key is kept."""
    row = DeviceRow.get(f"device/{handset.device}", "device")
    row.assurance = assurance
    row.save()


def suspend(api: Api, handset: HeldHandset, reason: str = "robbery", **more: str) -> Answered:
    """A dispatcher suspends what the handset holds."""
    body = {"reason": reason, **more}
    return api.as_staff("dispatcher").put(f"/v1/passes/{handset.device}/suspension", body)


def status(api: Api, handset: HeldHandset) -> Status:
    """What the published list says of the handset's pass."""
    return listed(api, held(handset).slot)


def marks() -> dict[int, Status]:
    """Every place of which the next list will say something, and what."""
    return listing.statuses(clock.now())


def said(handset: HeldHandset) -> list[str]:
    """What the journal says of the handset's passes, sorted: within a moment its order is none."""
    types = [event.type for event in journal.read(f"device/{handset.device}")]
    return sorted(told.removeprefix("facteo.pass.") for told in types if told.startswith("facteo.pass."))


def holder(handset: HeldHandset) -> Holder:
    """What the back office knows of what a handset holds."""
    return store.load(handset.device).holder


def held(handset: HeldHandset) -> Held:
    """The pass that a handset has."""
    found = holder(handset).held
    assert found is not None
    return found


def listed(api: Api, slot: int) -> Status:
    """What the published list says of a place, by an independent reading of it."""
    told = api.as_nobody().get("/v1/status-lists/0").body["status_list"]
    return Status(brought.status_list(base64.b64decode(told)).status(slot) or 0)


def follow() -> None:
    """Bring to the passes whatever happened so far, as the relay would; what was brought before comes again."""
    so_far = journal.received(clock.now() - timedelta(days=1), clock.now() + timedelta(seconds=1))
    brought_to_passes = [event for event in so_far if is_relayed("passes", event)]
    _later_than_the_list()
    if brought_to_passes:
        assert deliver(pass_events, brought_to_passes) == []


def news(api: Api) -> dict[str, bytes]:
    """What everybody may read, by the names that a handset has for it."""
    anybody = api.as_nobody()
    return {
        KEY_SET: base64.b64decode(anybody.get("/v1/pass-keys").body["key_set"]),
        TIME: base64.b64decode(anybody.get("/v1/pass-time").body["time"]),
        STATUS_LIST: base64.b64decode(anybody.get("/v1/status-lists/0").body["status_list"]),
    }


def a_wallet_of(handset: HeldHandset, folder: Path, clock: FakeClock) -> Wallet:
    """The handset as a card, with its pass and what there is for readers."""
    folder.mkdir()
    wallet = Wallet(folder, handset.key.sign_raw, clock)
    wallet.keep(held(handset).token)
    return updated(wallet, handset.api)


def updated(wallet: Wallet, api: Api) -> Wallet:
    """The card, with the newest for readers."""
    for kind, data in news(api).items():
        wallet.carry(kind, data)
    return wallet


def a_reader(api: Api, folder: Path, clock: FakeClock, **place: Any) -> Door:
    """A reader of the sector, as it was installed: it knows the roots, and has what the first handset brought."""
    told = api.as_nobody().get("/v1/pass-keys").body
    roots = [base64.b64decode(root) for root in told["roots"]]
    door = Door.install(folder, {**PLACE, "sector": SECTOR, **place}, roots, *clocks(clock))
    for kind, data in news(api).items():
        assert door.take(Kind(kind), data) in {"taken", "not-newer"}
    return door
