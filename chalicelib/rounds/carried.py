"""What a carrier takes along: the bundle. It is apart from the other shapes: the sorting worker needs none of it."""

from __future__ import annotations

from datetime import date, datetime

from chalicelib.core.schemas import Schema
from chalicelib.items.schemas import Addressee
from chalicelib.passes.schemas import PassTold
from chalicelib.proxies.carried import CarriedProxy
from chalicelib.redirections.carried import CarriedRedirection


class Round(Schema, frozen=True):
    """One carrier's work on one day."""

    depot: str
    route: str
    day: date


class BundleItem(Schema, frozen=True):
    """An item to be delivered. Without an addressee it was never announced, or may no longer be read."""

    item: str
    rank: int
    product: str = ""
    signature_required: bool = False
    cash_on_delivery_cents: int = 0
    recommendation: str = ""
    acknowledgement_of_receipt: bool = False
    addressee: Addressee | None = None


class Bundle(Schema, frozen=True):
    """Everything that a carrier takes along for a round, to work without a network.

    `snapshot` counts the different contents that this round has had; events quote it, so that what the carrier knew
    can be told later. `building_pass` is the one that the handset was given before, if it is not over.
    """

    round: Round
    snapshot: int
    server_time: datetime
    items: tuple[BundleItem, ...]
    proxies: tuple[CarriedProxy, ...] = ()
    redirections: tuple[CarriedRedirection, ...] = ()
    building_pass: PassTold | None = None


class BundleTaken(Schema, frozen=True):
    """`facteo.round.bundled`: a content of a round's bundle, and what was in it, by ids only."""

    snapshot: int
    etag: str
    items: tuple[str, ...]
