"""The bundle: everything that a carrier takes along in the morning, to work without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from chalicelib.core import clock, events, keyring
from chalicelib.core.access import Handset
from chalicelib.core.errors import ChangedMeanwhile, Problem
from chalicelib.core.keyring import DataKey
from chalicelib.core.schemas import Schema
from chalicelib.core.transaction import retried, transaction
from chalicelib.items import handover
from chalicelib.items import rules as item_rules
from chalicelib.items.schemas import Addressee, Announced
from chalicelib.passes.carried import carried
from chalicelib.people import lookup as people
from chalicelib.proxies import service as proxies
from chalicelib.proxies.carried import CarriedProxy
from chalicelib.redirections import lookups as redirections
from chalicelib.redirections.carried import CarriedRedirection
from chalicelib.rounds import rules
from chalicelib.rounds.carried import Bundle, BundleItem, BundleTaken, Round
from chalicelib.rounds.parts import BundlePart
from chalicelib.rounds.tables import BundleRow, PlaceRow, places_on

FINGERPRINTS_KEPT_FOR = timedelta(days=62)
"""Longer than the month whose bundles are told apart by them."""


class NoRoundToday(Problem):
    status = 404
    title = "You have no round today"


class ItemsPart:
    """The items on the route, in the order of delivery, without those that were announced and never came."""

    name = "items"

    def collect(self, of: Round, items: Sequence[BundleItem]) -> Sequence[BundleItem]:
        """One query for each MiB of places, and one call for each 100 items' keys."""
        told = [(place, _announced(place)) for place in places_on(of.depot, of.route)]
        due = [(place, said) for place, said in told if rules.is_due(said, seen=bool(place.seen), today=of.day)]
        keys = keyring.keys_of(item_rules.subject_of(place.item) for place, _ in due)
        return [_bundle_item(place, said, keys.get(item_rules.subject_of(place.item))) for place, said in due]

    def ids(self, collected: Sequence[Schema]) -> tuple[str, ...]:
        """The items' numbers."""
        return tuple(item.item for item in collected if isinstance(item, BundleItem))


class ProxiesPart:
    """The proxies at the addresses of the items, those that are valid now."""

    name = "proxies"

    def collect(self, of: Round, items: Sequence[BundleItem]) -> Sequence[CarriedProxy]:
        """One call for each 100 addresses."""
        return proxies.carried({item.item: item.addressee for item in items if item.addressee})

    def ids(self, collected: Sequence[Schema]) -> tuple[str, ...]:
        """The proxies, in the revisions that were taken along."""
        return tuple(f"proxy/{one.id}@{one.revision}" for one in collected if isinstance(one, CarriedProxy))


class RedirectionsPart:
    """The redirections at the addresses of the items, those that are active now."""

    name = "redirections"

    def collect(self, of: Round, items: Sequence[BundleItem]) -> Sequence[CarriedRedirection]:
        """One call for each 100 addresses."""
        return redirections.carried({item.item: item.addressee for item in items if item.addressee})

    def ids(self, collected: Sequence[Schema]) -> tuple[str, ...]:
        """The redirections, in the revisions that were taken along."""
        return tuple(f"redirection/{one.id}@{one.revision}" for one in collected if isinstance(one, CarriedRedirection))


PARTS: tuple[BundlePart, ...] = (ItemsPart(), ProxiesPart(), RedirectionsPart())
"""What goes into a bundle, items first: a feature adds its part here, and a field of its name to the Bundle."""


def bundle_for(who: Handset, *, correlation_id: str) -> tuple[Bundle, str]:
    """Today's bundle of a handset's carrier and its ETag. Raises NoRoundToday.

    A content that was not given out before gets the next snapshot number, and the journal keeps what was in it. The
    pass is the handset's own: it makes another ETag, but no other snapshot of the round.
    """
    today = clock.today()
    duty = people.duty_of(who.carrier, today)
    if duty is None:
        raise NoRoundToday("The roster has no round for you today; ask your depot.")
    of = Round(depot=duty.depot, route=duty.route, day=today)
    collected: dict[str, tuple[Any, ...]] = {}
    for part in PARTS:
        collected[part.name] = tuple(part.collect(of, collected.get(ItemsPart.name, ())))
    content = _fingerprint(collected, today)
    named = tuple(name for part in PARTS for name in part.ids(collected[part.name]))
    snapshot = retried(lambda: _snapshot(of, f'"{content}"', named, who.actor, correlation_id))
    own = carried(who)
    etag = f'"{content}-{own.id}"' if own else f'"{content}"'
    return Bundle(round=of, snapshot=snapshot, server_time=clock.now(), building_pass=own, **collected), etag


def _fingerprint(collected: Mapping[str, Sequence[Schema]], day: date) -> str:
    """Of what a carrier takes along, names too: under a key that dies, so that nobody finds them by trying."""
    key = keyring.shared_key(f"bundles/{day:%Y-%m}", keep_until=day + FINGERPRINTS_KEPT_FOR)
    return key.fingerprint(collected)[:32]


def _announced(place: PlaceRow) -> Announced | None:
    return msgspec.json.decode(place.announced, type=Announced) if place.announced else None


def _bundle_item(place: PlaceRow, announced: Announced | None, key: DataKey | None) -> BundleItem:
    rank = int(place.position.partition("/")[0])
    signature_required = handover.signature_required(place.item, announced)
    if announced is None:
        return BundleItem(item=place.item, rank=rank, signature_required=signature_required)
    return BundleItem(
        item=place.item,
        rank=rank,
        product=announced.product,
        signature_required=signature_required,
        cash_on_delivery_cents=announced.cash_on_delivery_cents,
        recommendation=announced.recommendation,
        acknowledgement_of_receipt=announced.acknowledgement_of_receipt,
        addressee=_opened(key, announced),
    )


def _opened(key: DataKey | None, announced: Announced) -> Addressee | None:
    try:
        return key.open(announced.addressee, Addressee) if key else None
    except keyring.KeyGone:
        return None


def _snapshot(of: Round, etag: str, named: tuple[str, ...], actor: str, correlation_id: str) -> int:
    """The number of this content: the round's latest one if nothing changed, else the next."""
    pk = f"round/{of.depot}/{of.route}/{of.day}"
    former = BundleRow.find(pk, "bundle")
    if former is not None and former.etag == etag:
        return int(former.snapshot)
    snapshot = int(former.snapshot) + 1 if former else 1
    unchanged = BundleRow.snapshot == former.snapshot if former else BundleRow.pk.does_not_exist()
    taken = BundleTaken(snapshot=snapshot, etag=etag, items=named)
    with transaction() as work:
        work.put(
            BundleRow(pk, "bundle", snapshot=snapshot, etag=etag),
            when=unchanged,
            otherwise=ChangedMeanwhile("The round was bundled at the same time."),
        )
        work.append(events.make("facteo.round.bundled", pk, taken, actor=actor, correlation_id=correlation_id))
    return snapshot
