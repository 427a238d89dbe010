"""What a building's manager may state of its hours, and when a service may enter by them: no I/O."""

from __future__ import annotations

from datetime import datetime

from chalicelib.passes.registry_schemas import BuildingDetails, Hours


def admits(building: BuildingDetails, service: int, moment: datetime) -> bool:
    """Whether a building's manager lets a service in at a moment."""
    return any(hours.holds(moment) for hours in _hours_of(building, service))


def fault_of(building: BuildingDetails) -> str | None:
    """What is wrong with a building beyond the shape of its fields, as a sentence, or None."""
    for number in building.services:
        for hours in _hours_of(building, int(number)):
            if hours.since >= hours.to:
                return (
                    f"The hours of service {number}, from {hours.since} to {hours.to}, must end on the day they begin."
                )
    return None


def _hours_of(building: BuildingDetails, service: int) -> tuple[Hours, ...]:
    return building.services.get(str(int(service)), ())
