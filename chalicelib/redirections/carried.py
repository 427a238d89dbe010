"""What a carrier takes along of redirections. It is apart from the other shapes: every worker of rounds loads it."""

from __future__ import annotations

import enum
from datetime import date

from chalicelib.addresses.schemas import PostalAddress
from chalicelib.core.schemas import Schema


class RedirectionKind(enum.StrEnum):
    """For good, for a time, or kept at the office (garde)."""

    DEFINITIVE = "definitive"
    TEMPORARY = "temporary"
    HOLD = "hold"


class Reach(enum.StrEnum):
    """Whether the new address is served at national conditions."""

    NATIONAL = "national"
    INTERNATIONAL = "international"


class RedirectionScope(enum.StrEnum):
    """Whose items: all who live there under the names of the beneficiaries, the beneficiaries alone, or a company."""

    HOUSEHOLD = "household"
    BENEFICIARIES = "beneficiaries"
    COMPANY = "company"


class CarriedBeneficiary(Schema, frozen=True):
    """Whose items they are, for the matcher: a person, or a company."""

    last_name: str = ""
    first_name: str = ""
    gender: str = ""
    birth_name: str = ""
    company: str = ""


class CarriedRedirection(Schema, frozen=True):
    """A redirection that is active today, at the address of `items` of the round: for whom, and where to.

    It counts through `last_day`. `apartment` is that of the beneficiaries, where it is known: who states another one
    may be somebody else. Without a new address the items are kept at the office.
    """

    id: str
    revision: int
    kind: RedirectionKind
    scope: RedirectionScope
    reach: Reach
    last_day: date
    beneficiaries: tuple[CarriedBeneficiary, ...]
    apartment: str
    new_address: PostalAddress | None
    items: tuple[str, ...]
