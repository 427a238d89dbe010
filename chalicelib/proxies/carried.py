"""What a carrier takes along of proxies. It is apart from the other shapes because every worker of rounds loads it."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from chalicelib.core.schemas import END, Schema

Name = Annotated[str, Meta(max_length=38, pattern=r"^\S(.*\S)?" + END)]


class Kind(enum.StrEnum):
    """For all items of a time, or for one item."""

    PERMANENT = "permanent"
    ONE_OFF = "one-off"


class Scope(enum.StrEnum):
    """Which items a proxy is for."""

    REGISTERED = "registered"
    PARCEL_AGAINST_SIGNATURE = "parcel-against-signature"
    CASH_ON_DELIVERY = "cash-on-delivery"
    DECLARED_VALUE = "declared-value"
    PLAIN_MAIL = "plain-mail"


class NamedHolder(Schema, frozen=True):
    """Whom a proxy names, or who stands at the door, by the identity document."""

    last_name: Name
    first_name: Name


class CarriedProxy(Schema, frozen=True):
    """A proxy at the address of `items` of the round: for whose items, of which scopes, and who may receive them.

    `principal` is the name as it is known: a person's with the first name and a birth name, or a company's. It is not
    valid any more from `ends_at` on.
    """

    id: str
    revision: int
    kind: Kind
    scopes: tuple[Scope, ...]
    ends_at: datetime
    principal: CarriedPrincipal
    holders: tuple[NamedHolder, ...]
    items: tuple[str, ...]


class CarriedPrincipal(Schema, frozen=True):
    """Whose items they are: a person, or a company."""

    last_name: str = ""
    first_name: str = ""
    birth_name: str = ""
    company: str = ""
