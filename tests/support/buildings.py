"""Buildings and their readers: `a_building(sector=…)`, `registered(api)`, `a_reader_key("d1")`."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support import doors
from tests.support.api import Api
from tests.support.passes import SECTOR

BUILDING = "019ac9a0-0000-7000-8000-0000000000b1"
OTHER = "019ac9a0-0000-7000-8000-0000000000b2"
READER = "00000000000000d1"
MAIL_HOURS = {"days": "123456", "from": "06:00", "to": "24:00"}


def a_building(**changes: Any) -> dict[str, Any]:
    """What is stated of a building in the rue Lecourbe, which admits the mail."""
    told = {
        "street": "12 rue Lecourbe",
        "postcode": "75015",
        "town": "Paris",
        "sector": SECTOR,
        "services": {"1": [MAIL_HOURS]},
        "legal_basis": "postal-operator",
    }
    return told | changes


def registered(api: Api, building: str = BUILDING, **changes: Any) -> str:
    """The id of a building that was registered."""
    answer = api.as_staff("building-manager").put(f"/v1/buildings/{building}", a_building(**changes))
    assert answer.status == 200, answer.text
    return building


def a_reader_key(name: str = READER) -> str:
    """The public key of that reader, as it prints it when it is installed."""
    point = doors.key(name).public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return point.hex()


def a_reader(api: Api, reader: str = READER, building: str = BUILDING) -> str:
    """The id of a reader that was registered with a building."""
    path = f"/v1/buildings/{building}/readers/{reader}"
    answer = api.as_staff("building-manager").put(path, {"key": a_reader_key(reader)})
    assert answer.status == 200, answer.text
    return reader
