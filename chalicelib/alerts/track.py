"""Where an alert's carrier was and is, as GeoJSON (RFC 7946): longitude first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from chalicelib.alerts.schemas import Fix, Method
from chalicelib.core.schemas import Schema

OLD_AFTER: Final = timedelta(minutes=2)
"""Longer than the longest time between two reports: it is the last known position, not the present one."""
DECIMALS: Final = 6
"""Of a degree: 11 cm at most."""
FEWEST_OF_A_LINE: Final = 2

Coordinates = tuple[float, float]
"""Longitude, latitude: WGS 84 degrees."""


class TrackPoint(Schema, frozen=True, tag_field="type", tag="Point"):
    """A position."""

    coordinates: Coordinates


class TrackLine(Schema, frozen=True, tag_field="type", tag="LineString"):
    """Two positions or more, in the order of a way."""

    coordinates: tuple[Coordinates, ...]


class LastPosition(Schema, frozen=True, tag_field="kind", tag="last-position"):
    """What is known of the last position: the radius (metres) within which it lies with `confidence` (per cent).

    `age_seconds` is its age when this was written. `old`: it is too old to be where the carrier is. `late`: the
    alert was received long after it was raised.
    """

    fixed_at: datetime
    age_seconds: int
    radius: float | None
    confidence: int
    method: Method
    old: bool
    late: bool


class Breadcrumb(Schema, frozen=True, tag_field="kind", tag="breadcrumb"):
    """When the carrier was at each position of the line."""

    fixed_at: tuple[datetime, ...]


class TrackFeature(Schema, frozen=True, tag_field="type", tag="Feature"):
    """The last position as a point, or the way to it as a line."""

    geometry: TrackPoint | TrackLine
    properties: LastPosition | Breadcrumb


class Track(Schema, frozen=True, tag_field="type", tag="FeatureCollection"):
    """The last position, and the way to it if there were others. Nothing, if no position is known."""

    features: tuple[TrackFeature, ...]


def of_fixes(fixes: Sequence[Fix], now: datetime, *, late: bool = False) -> Track:
    """The track of fixes that are in the order of their reception. None is left out, whatever its age."""
    if not fixes:
        return Track(features=())
    properties = _last_position(fixes[-1], now, late=late)
    last = TrackFeature(geometry=TrackPoint(coordinates=_place(fixes[-1])), properties=properties)
    return Track(features=(last, _way(fixes)) if len(fixes) >= FEWEST_OF_A_LINE else (last,))


def _last_position(fix: Fix, now: datetime, *, late: bool) -> LastPosition:
    age = max(now - fix.fixed_at, timedelta())
    return LastPosition(
        fixed_at=fix.fixed_at,
        age_seconds=int(age.total_seconds()),
        radius=fix.radius,
        confidence=fix.confidence,
        method=fix.method,
        old=age > OLD_AFTER,
        late=late,
    )


def _way(fixes: Sequence[Fix]) -> TrackFeature:
    line = TrackLine(coordinates=tuple(_place(fix) for fix in fixes))
    return TrackFeature(geometry=line, properties=Breadcrumb(fixed_at=tuple(fix.fixed_at for fix in fixes)))


def _place(fix: Fix) -> Coordinates:
    return round(fix.longitude, DECIMALS), round(fix.latitude, DECIMALS)
