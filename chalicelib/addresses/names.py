"""Whom a contract names, and whether a name on an item is theirs. How that is found out is in `matcher`."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from chalicelib.core.schemas import Schema

Gender = Literal["", "f", "m"]
Name = Annotated[str, Meta(max_length=38)]


class Verdict(enum.StrEnum):
    """Whether the item is a beneficiary's; of a REVIEW the carrier decides."""

    MATCH = "match"
    REVIEW = "review"
    NO = "no"


class Beneficiary(Schema, frozen=True):
    """Whom a contract names: a person by the surname, or a company. A person may have a birth name beside it."""

    last_name: Name = ""
    first_name: Name = ""
    gender: Gender = ""
    birth_name: Name = ""
    company: Name = ""

    def __post_init__(self) -> None:
        if bool(self.last_name.strip()) == bool(self.company.strip()):
            raise ValueError("a beneficiary is a person (last_name) or a company (company), one of the two")
        if self.company and (self.first_name or self.birth_name or self.gender):
            raise ValueError("a company has no first name, no birth name and no gender")


class Match(Schema, frozen=True):
    """The answer: by which rule, in a sentence for the carrier, and who matched or may have (by index).

    `rank` (0 to 100) only puts several REVIEW in order.
    """

    verdict: Verdict
    rule: str
    sentence: str
    beneficiary: int | None
    rank: int = 0


def match(name_on_item: str, beneficiaries: Sequence[Beneficiary], *, household: bool) -> Match:
    """Whether the item is for one of the beneficiaries. `household`: the contract is for all who live there."""
    from chalicelib.addresses import matcher  # noqa: PLC0415 - 9 ms of words and patterns, needed at a door only

    return matcher.match(name_on_item, beneficiaries, household=household)
