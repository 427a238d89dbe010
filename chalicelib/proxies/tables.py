"""The table `proxies`: each proxy as it is, and beside it what is looked up at a door, all proxies of an address."""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute

from chalicelib.core.table import Table


class ProxiesRow(Table):
    """A proxy under `proxy/<id>`, or those at an address under `address/<fingerprint>`, as JSON, people sealed in it.

    `revision` grows by one with each change. The row goes when nobody it names can be read any more.
    """

    table = "proxies"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    content = UnicodeAttribute()
    revision = NumberAttribute()
    expires_at = TTLAttribute()
