"""How an item is handed over: what its number, its product and its announcement ask for at the door."""

from __future__ import annotations

from chalicelib.items import identifiers
from chalicelib.items.identifiers import S10Details
from chalicelib.items.product_codes import PRODUCT_CODES
from chalicelib.items.schemas import Announced

SIGNED_SERVICES = frozenset("RV")
"""The first letters of the S10 services that are handed over against signature: registered, insured."""


def signature_required(item: str, announced: Announced | None) -> bool:
    """Whether the item is handed over against signature: by its announcement, and by what its number says.

    Registered and insured items of the UPU (S10 numbers R… and V…), and products whose code says so.
    """
    if announced is not None and announced.recommendation:
        return True
    details = identifiers.parse(item).details
    if isinstance(details, S10Details):
        return details.service[0] in SIGNED_SERVICES
    product = PRODUCT_CODES.get(announced.product if announced else item[:2])
    return bool(product and product.signature_required)


def in_person(item: str, announced: Announced | None) -> bool:
    """Whether the item is for the addressee alone (remise en main propre), by its product's code."""
    product = PRODUCT_CODES.get(announced.product if announced else item[:2])
    return bool(product and product.in_person)
