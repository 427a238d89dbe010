"""The table `proofs`: what is known of each proof without its key."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from chalicelib.core.table import Table


class _ByAttention(GlobalSecondaryIndex["ProofRow"]):
    class Meta:
        index_name = "by-attention"
        projection = AllProjection()

    attention = UnicodeAttribute(hash_key=True)
    position = UnicodeAttribute(range_key=True)


class ProofRow(Table):
    """One proof, by the id of the event that gave it. `missing` and `flags` are words separated by spaces.

    `attention` is the depot of a proof that a human must look at, and no attribute of any other; `code` is the SHA-256
    of the verification code on its documents.
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
    attention = UnicodeAttribute(null=True)
    position = UnicodeAttribute()
    by_attention = _ByAttention()
