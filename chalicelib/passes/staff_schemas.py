"""What staff say of passes and are told, and what the journal says of a pass until it ends."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from chalicelib.alerts.schemas import AlertId
from chalicelib.core.schemas import Schema
from chalicelib.passes.registry_schemas import BuildingId, Sector
from chalicelib.passes.schemas import Reason, Service, Suspension
from chalicelib.people.ids import DepotId, RouteId


class StaffReason(enum.StrEnum):
    """Why a member of staff suspends a handset's pass. That somebody is under duress, only an alert says."""

    ROBBERY = "robbery"
    LOSS = "loss"
    OTHER = "other"


class SuspendPass(Schema, frozen=True):
    """Why a handset's pass is to open nothing, and the alert with whose end that ends, if there is one.

    Without one it lasts until somebody lifts it.
    """

    reason: StaffReason
    alert: AlertId | None = None


class HeldPass(Schema, frozen=True):
    """A pass as staff see it."""

    id: str
    carrier: str
    depot: str
    route: str
    service: Service
    not_before: datetime
    expires_at: datetime


class DevicePass(Schema, frozen=True):
    """What a handset holds and what suspends it, as staff see it."""

    device: str
    held: HeldPass | None
    help: HeldPass | None
    suspensions: tuple[Suspension, ...]


class GrantHelp(Schema, frozen=True):
    """The alert whose carrier is to be helped: the pass opens the last door that they opened."""

    alert: AlertId


class StatePerimeter(Schema, frozen=True, kw_only=True):
    """Where a round's passes open doors: in a sector, or, for a relief round, at up to 20 buildings.

    `sector` is the municipality's INSEE code and the sector within it. Give one of both.
    """

    service: Service = Service.MAIL
    sector: Sector | None = None
    buildings: Annotated[tuple[BuildingId, ...], Meta(max_length=20)] = ()


class Perimeter(StatePerimeter, frozen=True, kw_only=True):
    """Where a round's passes open doors."""

    depot: DepotId
    route: RouteId


class PerimeterStated(Schema, frozen=True):
    """`facteo.pass-perimeter.stated`."""

    service: Service
    sector: str
    buildings: tuple[str, ...]


class PassIssued(Schema, frozen=True):
    """`facteo.pass.issued`: until when and where it opens doors. Its place in the list is told to nobody."""

    id: str
    kid: str
    generation: int
    service: Service
    sector: str
    buildings: tuple[str, ...]
    not_before: datetime
    expires_at: datetime
    alert: str = ""


class PassSuspended(Schema, frozen=True):
    """`facteo.pass.suspended`: whatever the handset holds, and what it would get, opens nothing."""

    reason: Reason
    alert: str = ""


class SuspensionLifted(Schema, frozen=True, kw_only=True):
    """`facteo.pass.lifted`: of the handset's suspensions this one is over."""

    reason: Reason
    alert: str = ""
    suspended_still: bool
