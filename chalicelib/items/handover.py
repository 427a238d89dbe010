"""How an item is handed over: what its number, its product and its announcement ask for at the door."""

from __future__ import annotations

from typing import Protocol

from chalicelib.items.product_codes import PRODUCT_CODES

SIGNED_SERVICES = frozenset("RV")
"""The first letters of the S10 services that are handed over against signature: registered, insured."""


class Stated(Protocol):
    """What of an announcement matters here."""

    @property
    def product(self) -> str:
        """The code of the product."""

    @property
    def recommendation(self) -> str:
        """The level of guarantee, if it is a registered item."""


def signature_required(item: str, announced: Stated | None) -> bool:
    """Whether the item is handed over against signature: by its announcement, and by the shape of its number.

    Registered and insured items of the UPU (S10 numbers R… and V…), and products whose code says so.
    """
    if announced is not None and announced.recommendation:
        return True
    if item[:2].isalpha() and item[-2:].isalpha():
        return item[0] in SIGNED_SERVICES
    product = PRODUCT_CODES.get(announced.product if announced else item[:2])
    return bool(product and product.signature_required)


def in_person(item: str, announced: Stated | None) -> bool:
    """Whether the item is for the addressee alone (remise en main propre), by its product's code."""
    product = PRODUCT_CODES.get(announced.product if announced else item[:2])
    return bool(product and product.in_person)
