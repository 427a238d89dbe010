"""Factories with keyword overrides: `an_event(sequence=3)`, `an_announcement(item="…")`."""

from __future__ import annotations

import itertools
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from chalicelib.core import clock, ids
from chalicelib.core.access import AccessRow
from chalicelib.core.schemas import Schema, Sealed
from chalicelib.items.identifiers import from_edi
from chalicelib.items.schemas import Addressee, Announcement
from chalicelib.rounds.schemas import PlanLine
from handset.signing import HandsetKey
from tests.support.api import Api, Caller

ITEM = "9V20524752032"
DEPOT = "75015A"
CARRIER = "C1001"
ROUTE = "T12"

_numbers = itertools.count(1)


def an_item(product: str = "9V") -> str:
    """The number of a parcel that no test had before."""
    return from_edi(product, f"{next(_numbers):010}")


def an_addressee(**changes: Any) -> Addressee:
    """Somebody in the rue de la Paix."""
    told = {
        "name": "Mme Hélène LEFÈVRE",
        "street": "12 RUE DE LA PAIX",
        "postcode": "75015",
        "town": "PARIS",
        "mobile": "+33612341234",
    }
    return Addressee(**(told | changes))


def an_announcement(**changes: Any) -> Announcement:
    """A parcel announced by client 999999."""
    told = {
        "item": ITEM,
        "client": "999999",
        "deposit_slip": "3181",
        "product": "9V",
        "reference": "64004504",
        "handed_over_on": date(2026, 11, 22),
        "weight_grams": 1000,
        "delivery_postcode": "75015",
        "addressee": an_addressee(),
    }
    return Announcement(**(told | changes))


def a_plan_line(**changes: Any) -> PlanLine:
    """The whole rue de la Paix lies on the route T12."""
    told = {"postcode": "75015", "street": "RUE DE LA PAIX", "depot": DEPOT, "route": ROUTE, "rank": 100}
    return PlanLine(**(told | changes))


class OpenSeal:
    """Seals nothing, so that a test can look inside."""

    def seal(self, plain: Schema) -> Sealed:
        return Sealed(msgspec.json.encode(plain).decode())


class HeldHandset:
    """A handset in a test's hand: it makes events with its own numbers, and calls as itself."""

    def __init__(self, api: Api, device: str, key: HandsetKey, *, generation: int = 1) -> None:
        self.api, self.device, self.key, self.generation = api, device, key, generation
        self.sequence = 0
        self.boot = "boot-1"

    def calls(self, **options: Any) -> Caller:
        """The caller that signs as this handset."""
        return self.api.as_handset(self.key, self.device, **options)

    @property
    def source(self) -> str:
        return f"/handsets/{self.device}/{self.generation}"

    def event(self, event_type: str = "facteo.item.scanned", *, item: str = ITEM, **changes: Any) -> dict[str, Any]:
        """A CloudEvent of this handset, with the next number."""
        self.sequence += 1
        at = changes.pop("at", clock.now())
        data = {"barcode": {"raw": item, "symbology": "code128"}}
        data |= changes.pop("data", {"step": "out-for-delivery"} if event_type == "facteo.item.scanned" else {})
        return {
            "specversion": "1.0",
            "id": ids.new(at),
            "source": self.source,
            "type": event_type,
            "subject": f"item/{item}",
            "time": at.isoformat(),
            "datacontenttype": "application/json",
            "data": data,
            "sequence": self.sequence,
            "devicemonotonic": monotonic(at),
            "deviceboot": self.boot,
        } | changes

    def batch(self, *events: Any, at: datetime | None = None, boot: str | None = None) -> dict[str, Any]:
        """What is sent: the events and the clock."""
        now = at or clock.now()
        reading = {"time": now.isoformat(), "monotonic": monotonic(now), "boot": boot or self.boot}
        return {"clock": reading, "events": list(events)}

    def sync(self, *events: Any, **options: Any) -> Any:
        """Send the events and give the answer."""
        return self.calls().post("/v1/events", self.batch(*events, **options))

    @property
    def row(self) -> AccessRow:
        return AccessRow.get(self.device, consistent_read=True)


def monotonic(at: datetime) -> int:
    """Milliseconds since a boot an hour before the tests' morning."""
    return int((at - datetime.fromisoformat("2026-11-23T06:00:00+00:00")) / timedelta(milliseconds=1))


def a_handset(api: Api, device: str = "", **changes: Any) -> HeldHandset:
    """An enrolled handset of the carrier C1001 at the depot 75015A. Keywords change its access row."""
    key, device = HandsetKey.generate(), device or ids.new()
    told = {
        "generation": 1,
        "state": "enrolled",
        "key": msgspec.json.encode(key.public_jwk).decode(),
        "carrier": CARRIER,
        "depot": DEPOT,
    }
    row = AccessRow(device, **(told | changes))
    row.save()
    return HeldHandset(api, device, key, generation=row.generation)
