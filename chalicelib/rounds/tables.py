"""The rows of rounds: the sorting plan, the items' places, and the bundles that were given out."""

from __future__ import annotations

from collections.abc import Iterable

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from chalicelib.core.table import Table


class _ByRoute(GlobalSecondaryIndex["RoundsRow"]):
    class Meta:
        index_name = "by-route"
        projection = AllProjection()

    route = UnicodeAttribute(hash_key=True)
    position = UnicodeAttribute(range_key=True)


class RoundsRow(Table):
    """What all rows of the table have. Only places carry `route` and `position`, so only they are in the index."""

    table = "rounds"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    route = UnicodeAttribute(null=True)
    position = UnicodeAttribute(null=True)
    by_route = _ByRoute()


class PlanRow(RoundsRow):
    """A line of the sorting plan, under `plan/<postcode>/<street>`, or a postcode's depot, under `plan/<postcode>`.

    `written_for` is the delivery (correlation id) that last wrote it.
    """

    class Meta:
        pass

    content = UnicodeAttribute()
    written_for = UnicodeAttribute()


class PlaceRow(RoundsRow):
    """Where an item lies, under `item/<number>`: `route` is `<depot>/<route>`, `position` begins with its rank.

    A held item lies on its depot's route `held`; its position begins with its last day, `holding` says all of its days.
    `seen`: the post has had it in hand. The row stays when the item has left its route: `revision` shows that
    something changed meanwhile.
    """

    class Meta:
        pass

    item = UnicodeAttribute()
    revision = NumberAttribute()
    announced = UnicodeAttribute(null=True)
    seen = BooleanAttribute(default=False)
    holding = UnicodeAttribute(null=True)


class BundleRow(RoundsRow):
    """The latest bundle of a round, under `round/<depot>/<route>/<day>`."""

    class Meta:
        pass

    snapshot = NumberAttribute()
    etag = UnicodeAttribute()


def places_on(depot: str, route: str) -> Iterable[PlaceRow]:
    """The items on a route, in the order of delivery: one query for each MiB."""
    return PlaceRow.query(f"{depot}/{route}", index_name="by-route")
