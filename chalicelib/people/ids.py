"""How carriers, zones, depots and routes are named."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from chalicelib.core.schemas import END

CarrierId = Annotated[str, Meta(pattern=r"^[0-9A-Z]{1,20}" + END)]
ZoneId = Annotated[str, Meta(pattern=r"^[0-9A-Z-]{1,20}" + END)]
DepotId = Annotated[str, Meta(pattern=r"^[0-9A-Z]{2,10}" + END)]
RouteId = Annotated[str, Meta(pattern=r"^[0-9A-Z]{1,10}" + END)]
