"""The table `proofs`: what is known of each proof without its key."""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from chalicelib.core.table import Table


class ProofRow(Table):
    """One proof, by the id of the event that gave it. `missing` and `flags` are words separated by spaces.

    `code` is the SHA-256 of the verification code on its documents; `revision` is that of the last judgement.
    """

    table = "proofs"

    class Meta:
        pass

    id = UnicodeAttribute(hash_key=True)
    item = UnicodeAttribute()
    depot = UnicodeAttribute()
    delivered_on = UnicodeAttribute()
    missing = UnicodeAttribute(default="")
    flags = UnicodeAttribute(default="")
    code = UnicodeAttribute(default="")
    position = UnicodeAttribute()
    revision = NumberAttribute()
