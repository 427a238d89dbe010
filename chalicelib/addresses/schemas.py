"""A postal address as it is entered."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from chalicelib.core.schemas import END, Schema

MAX_LINE = 38
"""Characters of a line, spaces included (NF Z10-011)."""

Line = Annotated[str, Meta(max_length=MAX_LINE)]


class PostalAddress(Schema, frozen=True, kw_only=True):
    """Lines 2 to 6 of NF Z10-011, and the country (ISO 3166-1 alpha-2). Line 1 is the name.

    Postcode and town share line 6, so that they have 38 characters together.
    """

    apartment: Line = ""
    building: Line = ""
    street: Line = ""
    hamlet: Line = ""
    postcode: Annotated[str, Meta(pattern=r"^[0-9A-Z -]{2,9}" + END)]
    town: Annotated[str, Meta(min_length=1, max_length=MAX_LINE)]
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}" + END)] = "FR"

    def __post_init__(self) -> None:
        if len(f"{self.postcode} {self.town}") > MAX_LINE:
            raise ValueError(f"postcode and town have {MAX_LINE} characters together (NF Z10-011, line 6)")
        if not (self.street.strip() or self.hamlet.strip()):
            raise ValueError("an address needs a street (line 4) or a hamlet or box (line 5)")
