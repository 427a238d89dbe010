"""What other features ask of devices: one read each."""

from __future__ import annotations

from chalicelib.core import access
from chalicelib.core.access import DeviceState
from chalicelib.core.errors import NotFound
from chalicelib.fleet.attestation import Assurance
from chalicelib.fleet.tables import CarrierDeviceRow, DeviceRow


def assurance_of(device: str) -> Assurance:
    """How well an enrolled device's key is kept: one read. Raises NotFound."""
    return Assurance(_existing(device).assurance)


def depot_of(device: str) -> str:
    """The depot of a device: one read. Raises NotFound."""
    return str(_existing(device).depot)


def is_blocked(device: str) -> bool:
    """Whether a device may do nothing now but send and obey, or not even that: one consistent read. Raises NotFound."""
    return access.state_of(device) is not DeviceState.ENROLLED


def devices_of(carrier: str) -> list[str]:
    """The devices that are, or were, a carrier's: one query."""
    return [row.device for row in CarrierDeviceRow.query(f"carrier/{carrier}", consistent_read=True)]


def _existing(device: str) -> DeviceRow:
    row = DeviceRow.find(f"device/{device}", "device")
    if row is None:
        raise NotFound(f"There is no device {device}.")
    return row
