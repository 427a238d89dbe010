"""A device is retired: its key is refused for ever, and what its handset has not signed for is called off."""

from __future__ import annotations

from chalicelib.core import events
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet.commands import boxes, requesting
from chalicelib.fleet.commands.boxes import Held
from chalicelib.fleet.commands.schemas import Box
from chalicelib.fleet.schemas import DeviceRetired
from chalicelib.fleet.tables import DeviceRow


def retire(work: UnitOfWork, before: Held, box: Box, reason: str, *, by: str, correlation_id: str) -> None:
    """Write a box whose device is retired, and why. The work is refused with ChangedMeanwhile if others were faster."""
    ended = requesting.end_all(work, box, by=by, correlation_id=correlation_id)
    boxes.save(work, before, ended, retired=True)
    work.update(
        DeviceRow(f"device/{box.device}", "device"),
        [DeviceRow.retired_for.set(reason)],
        when=DeviceRow.generation == box.generation,
        otherwise=ChangedMeanwhile("The device was enrolled again at the same time."),
    )
    event = events.make(
        "facteo.device.retired",
        f"device/{box.device}",
        DeviceRetired(generation=box.generation, reason=reason),
        actor=by,
        correlation_id=correlation_id,
        place=f"depot/{box.depot}",
    )
    work.append(event)
