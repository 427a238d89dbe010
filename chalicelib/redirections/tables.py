"""The rows of redirections: each contract, and what there is at each old address."""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute

from chalicelib.core.table import Table


class RedirectionsRow(Table):
    """What all rows of the table have. `writes` counts the writes of a row: nobody overwrites what they have not seen.

    What may be forgotten with the personal data in it is deleted at `expires_at`.
    """

    table = "redirections"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    writes = NumberAttribute()
    expires_at = TTLAttribute()


class RedirectionRow(RedirectionsRow):
    """A contract, under `redirection/<id>`, and the code that was issued for it last, each as JSON."""

    class Meta:
        pass

    record = UnicodeAttribute()
    code = UnicodeAttribute(null=True)


class AddressRow(RedirectionsRow):
    """The contracts at an old address, under `address/<its name in the index>`, as a JSON list."""

    class Meta:
        pass

    contracts = UnicodeAttribute()
