"""La Poste's product codes: the two characters that open a thirteen-character item number.

A table to read and correct. `None` means not known. `confirmed` says whether the meaning is published;
a code that is not here at all is accepted with a warning, because the list grows.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple


class Family(enum.StrEnum):
    """What carries the code."""

    PARCEL = "parcel"
    REGISTERED_LETTER = "registered-letter"


class ProductCode(NamedTuple):
    """One row: what the code means and what the carrier owes for it.

    `in_person`: for the addressee alone (remise en main propre), so that no proxy covers it. No published code says so.
    """

    code: str
    meaning: str
    family: Family = Family.PARCEL
    signature_required: bool | None = None
    out_of_home: bool | None = None
    confirmed: bool = True
    in_person: bool = False


_LETTER: Final = Family.REGISTERED_LETTER

_ROWS: Final = (
    ProductCode("9L", "Colissimo Access France", signature_required=False, out_of_home=False),
    ProductCode("9V", "Colissimo Expert France", signature_required=True, out_of_home=False),
    ProductCode("8Q", "Colissimo Access overseas", signature_required=False, out_of_home=False),
    ProductCode("7Q", "Colissimo Expert overseas", signature_required=True, out_of_home=False),
    ProductCode("8R", "Colissimo return service"),
    ProductCode("6A", "So Colissimo, home without signature", signature_required=False, out_of_home=False),
    ProductCode("6Q", "So Colissimo, home without signature", signature_required=False, out_of_home=False),
    ProductCode("6C", "So Colissimo, home with signature", signature_required=True, out_of_home=False),
    ProductCode("6K", "So Colissimo, home by appointment", out_of_home=False),
    ProductCode("6T", "So Colissimo, home by appointment", out_of_home=False),
    ProductCode("6H", "So Colissimo, chosen post office", out_of_home=True),
    ProductCode("6R", "So Colissimo, chosen post office", out_of_home=True),
    ProductCode("6J", "So Colissimo, parcel locker (Cityssimo)", out_of_home=True),
    ProductCode("6S", "So Colissimo, parcel locker (Cityssimo)", out_of_home=True),
    ProductCode("6M", "So Colissimo, pickup merchant, type A", out_of_home=True),
    ProductCode("6W", "So Colissimo, pickup merchant, type B", out_of_home=True),
    ProductCode("8L", "seen on labels, meaning unknown", confirmed=False),
    ProductCode("8V", "seen on labels, meaning unknown", confirmed=False),
    ProductCode("7A", "seen on labels, meaning unknown", confirmed=False),
    ProductCode("CY", "seen on labels, meaning unknown", confirmed=False),
    ProductCode("EY", "seen on labels, meaning unknown", confirmed=False),
    ProductCode("6P", "seen on labels, meaning unknown", confirmed=False),
    ProductCode("5S", "seen on labels, meaning unknown", confirmed=False),
    ProductCode("4G", "seen on labels, meaning unknown", confirmed=False),
    ProductCode("3P", "seen on labels, meaning unknown", confirmed=False),
    ProductCode("1A", "registered letter", _LETTER, signature_required=True, confirmed=False),
    ProductCode("1E", "registered letter", _LETTER, signature_required=True, confirmed=False),
    ProductCode("2C", "registered letter", _LETTER, signature_required=True, confirmed=False),
)

PRODUCT_CODES: Final[dict[str, ProductCode]] = {row.code: row for row in _ROWS}

LETTER_FIRST_DIGITS: Final = frozenset("12")
"""A code that is not in the table and starts with one of these is taken for a registered letter
(recommandé), whose key is only a warning: every known letter code starts so, no known parcel code does.
Unconfirmed."""

ACCESS_CODES: Final = frozenset({"9L", "8Q"})
"""Products without options: insurance, recommendation and cash on delivery are always zero."""


def family_of(code: str) -> Family:
    """Whether the code announces a parcel or a registered letter, for unknown codes too."""
    known = PRODUCT_CODES.get(code)
    if known is not None:
        return known.family
    return Family.REGISTERED_LETTER if code[:1] in LETTER_FIRST_DIGITS else Family.PARCEL
