"""Carriers, depots, zones, duties and clients: as they are registered, recorded and answered.

A record (`Depot`) is what its row and its events hold. `Save…` is the body that states it; `replaces` in it is the
revision that the caller has seen, so that a newer one is not overwritten (left out: whatever is there). `…Answer`
is what comes back: the record and its revision, which grows by one with each change.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from chalicelib.core.schemas import END, Schema, Sealed
from chalicelib.people.ids import CarrierId, DepotId, RouteId, ZoneId

ClientNumber = Annotated[str, Meta(pattern=r"^[0-9]{6}" + END)]
Name = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^\S(.*\S)?" + END)]
Line = Annotated[str, Meta(max_length=80)]
Phone = Annotated[str, Meta(pattern=r"^(\+?[0-9]{6,15})?" + END)]
Postcode = Annotated[str, Meta(pattern=r"^[0-9A-Z -]{2,9}" + END)]
HourAndMinute = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]" + END)]
Revision = Annotated[int, Meta(ge=0)]


class Address(Schema, frozen=True, kw_only=True):
    """Where a depot or a client is. `country` is ISO 3166-1 alpha-2."""

    street: Line = ""
    postcode: Postcode
    town: Name
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}" + END)] = "FR"


class CarrierPerson(Schema, frozen=True, kw_only=True):
    """Who a carrier is (personal data: stored sealed only)."""

    first_name: Name
    last_name: Name
    phone: Phone = ""


class SaveCarrier(CarrierPerson, frozen=True, kw_only=True):
    """A carrier's name, depot and manager (the staff id, if there is one)."""

    depot: DepotId
    manager: Line = ""
    replaces: Revision | None = None


class CarrierEntry(CarrierPerson, frozen=True, kw_only=True):
    """A carrier with their name, before it is sealed: what a request or a legacy file states."""

    id: CarrierId
    depot: DepotId
    manager: Line = ""


class Carrier(Schema, frozen=True, kw_only=True):
    """Where a carrier belongs, without a word of who they are."""

    id: str
    depot: str
    manager: str = ""


class CarrierRecord(Carrier, frozen=True, kw_only=True):
    """`facteo.carrier.registered`, `.changed`: the carrier with `person` sealed under `carrier/<id>`."""

    person: Sealed


class CarrierAnswer(Carrier, frozen=True, kw_only=True):
    """A carrier. `person` is null once its retention has ended."""

    person: CarrierPerson | None
    revision: int


class CarriersOfDepot(Schema, frozen=True, kw_only=True):
    """Asks for the carriers of a depot, those after the carrier `after`."""

    depot: DepotId
    after: Annotated[str, Meta(max_length=20)] = ""


class CarrierPage(Schema, frozen=True, kw_only=True):
    """Carriers by their id. `next` is the `after` of the next page, empty on the last one."""

    carriers: tuple[CarrierAnswer, ...]
    next: str = ""


class Subcontractor(Schema, frozen=True, kw_only=True):
    """The company that delivers on behalf of the post: proofs name it (arrêté of 7 February 2007, article 3)."""

    name: Name
    address: Address


class DepotDetails(Schema, frozen=True, kw_only=True):
    """A depot (site, plateforme de distribution): what it is called, the postcodes it serves, its zone.

    `subcontractor` is who runs it, unless the post does.
    """

    name: Name
    zone: ZoneId
    address: Address
    postcodes: Annotated[tuple[Postcode, ...], Meta(max_length=200)] = ()
    subcontractor: Subcontractor | None = None


class SaveDepot(DepotDetails, frozen=True, kw_only=True):
    """States what a depot is."""

    replaces: Revision | None = None


class Depot(DepotDetails, frozen=True, kw_only=True):
    """A depot."""

    id: DepotId


class DepotAnswer(Depot, frozen=True, kw_only=True):
    """A depot and its revision."""

    revision: int


class DepotsOfZone(Schema, frozen=True, kw_only=True):
    """Asks for the depots of a zone, those after the depot `after`."""

    zone: ZoneId
    after: Annotated[str, Meta(max_length=20)] = ""


class DepotPage(Schema, frozen=True, kw_only=True):
    """Depots by their id. `next` is the `after` of the next page, empty on the last one."""

    depots: tuple[DepotAnswer, ...]
    next: str = ""


class SaveZone(Schema, frozen=True, kw_only=True):
    """States what a zone is called."""

    name: Name
    replaces: Revision | None = None


class Zone(Schema, frozen=True, kw_only=True):
    """A zone: some depots under one direction."""

    id: ZoneId
    name: Name


class ZoneAnswer(Zone, frozen=True, kw_only=True):
    """A zone and its revision."""

    revision: int


class ZonesAfter(Schema, frozen=True, kw_only=True):
    """Asks for the zones after the zone `after`."""

    after: Annotated[str, Meta(max_length=20)] = ""


class ZonePage(Schema, frozen=True, kw_only=True):
    """Zones by their id. `next` is the `after` of the next page, empty on the last one."""

    zones: tuple[ZoneAnswer, ...]
    next: str = ""


class DutyDetails(Schema, frozen=True, kw_only=True):
    """Which round (tournée) of which depot a carrier works, from and to when: `06:30`, Paris time."""

    depot: DepotId
    route: RouteId
    starts: HourAndMinute
    ends: HourAndMinute


class AssignDuty(DutyDetails, frozen=True, kw_only=True):
    """States what a carrier does on a day."""

    replaces: Revision | None = None


class Duty(DutyDetails, frozen=True, kw_only=True):
    """What a carrier does on a day of the roster (vacation)."""

    carrier: CarrierId
    day: date


class DutyAnswer(Duty, frozen=True, kw_only=True):
    """A duty and its revision."""

    revision: int


class DutyPeriod(Schema, frozen=True, kw_only=True):
    """Days from `from` (default: today) through `to` (default: six days after `from`)."""

    since: date | None = msgspec.field(default=None, name="from")
    to: date | None = None


class DutyList(Schema, frozen=True, kw_only=True):
    """A carrier's duties, by day."""

    duties: tuple[DutyAnswer, ...]


class ClientProduct(Schema, frozen=True, kw_only=True):
    """A product (two characters) that a client sends, and its agreed price in cents of euro for one item."""

    product: Annotated[str, Meta(pattern=r"^[0-9A-Z]{1,2}" + END)]
    price_cents: Annotated[int, Meta(ge=0, le=10_000_000)]


class ClientDetails(Schema, frozen=True, kw_only=True):
    """A client of the post: the company, where it is, what it sends and at which prices."""

    company: Name
    address: Address
    products: Annotated[tuple[ClientProduct, ...], Meta(max_length=100)] = ()


class SaveClient(ClientDetails, frozen=True, kw_only=True):
    """States what is known of a client."""

    replaces: Revision | None = None


class Client(ClientDetails, frozen=True, kw_only=True):
    """A client of the post, by its number of six digits."""

    number: ClientNumber


class ClientAnswer(Client, frozen=True, kw_only=True):
    """A client and its revision."""

    revision: int
