"""Handsets that talk real HTTP to the API in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handset.client import Handset
from tests.support import bridge as bridges
from tests.support.api import Api
from tests.support.bridge import Bridge
from tests.support.clock import FakeClock
from tests.support.factories import CARRIER, DEPOT

ADDRESS = {"street": "12 rue Lecourbe", "postcode": "75015", "town": "Paris"}


@pytest.fixture
def bridge(api: Api) -> Iterator[Bridge]:
    """The API behind a real HTTP server; it knows one carrier and their depot."""
    ops, manager = api.as_staff("ops"), api.as_staff("depot-manager")
    depot = {"name": "Paris 15", "zone": "PARIS-SUD", "postcodes": ["75015"], "address": ADDRESS}
    carrier = {"first_name": "Zoé", "last_name": "Martin", "phone": "+33612345678", "depot": DEPOT}
    assert ops.put("/v1/zones/PARIS-SUD", {"name": "Paris Sud"}).status == 200
    assert ops.put(f"/v1/depots/{DEPOT}", depot).status == 200
    assert manager.put(f"/v1/carriers/{CARRIER}", carrier).status == 200
    with bridges.serving(api) as running:
        yield running


@pytest.fixture
def handset(bridge: Bridge, tmp_path: Path, clock: FakeClock) -> Handset:
    """An enrolled handset of the carrier."""
    return bridge.enrol(tmp_path / "handset", clock)
