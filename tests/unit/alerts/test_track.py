"""Where a carrier is and was, as GeoJSON."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.alerts import track
from chalicelib.alerts.schemas import Fix, Method
from chalicelib.alerts.track import Track
from tests.support.clock import MONDAY_MORNING

NOW = MONDAY_MORNING + timedelta(minutes=5)


def a_fix(seconds: float, latitude: float = 44.84, longitude: float = -0.58) -> Fix:
    fixed_at = MONDAY_MORNING + timedelta(seconds=seconds)
    return Fix(latitude=latitude, longitude=longitude, fixed_at=fixed_at, radius=12.5, method=Method.GNSS)


def written(*fixes: Fix, late: bool = False) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(track.of_fixes(fixes, NOW, late=late)))  # type: ignore[no-any-return]


def test_the_last_position_is_a_point_longitude_first() -> None:
    assert written(a_fix(290)) == {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [-0.58, 44.84]},
                "properties": {
                    "kind": "last-position",
                    "fixed_at": "2026-11-23T07:04:50Z",
                    "age_seconds": 10,
                    "radius": 12.5,
                    "confidence": 68,
                    "method": "gnss",
                    "old": False,
                    "late": False,
                },
            }
        ],
    }


def test_two_positions_or_more_are_a_line_as_well() -> None:
    point, line = written(a_fix(0), a_fix(60, longitude=-0.5), a_fix(120, latitude=45))["features"]
    assert point["geometry"]["coordinates"] == [-0.58, 45]
    assert line["geometry"] == {"type": "LineString", "coordinates": [[-0.58, 44.84], [-0.5, 44.84], [-0.58, 45]]}
    assert line["properties"]["kind"] == "breadcrumb"
    assert line["properties"]["fixed_at"] == [f"2026-11-23T07:0{minute}:00Z" for minute in range(3)]


def test_without_a_position_there_is_no_feature() -> None:
    assert written() == {"type": "FeatureCollection", "features": []}


@pytest.mark.parametrize(("seconds", "age", "old"), [(400, 0, False), (180, 120, False), (179.5, 120, True)])
def test_an_old_position_is_shown_and_marked(seconds: float, age: int, *, old: bool) -> None:
    [last] = written(a_fix(seconds))["features"]
    assert (last["properties"]["age_seconds"], last["properties"]["old"]) == (age, old)


def test_what_was_received_last_is_last_whatever_its_time() -> None:
    features = written(a_fix(200), a_fix(100, latitude=45), late=True)["features"]
    assert features[0]["geometry"]["coordinates"] == [-0.58, 45]
    assert features[0]["properties"]["late"]


fixes = st.builds(a_fix, st.integers(-(10**6), 10**6), st.floats(-90, 90, allow_subnormal=False), st.floats(-180, 180))


@given(st.lists(fixes, max_size=5))
def test_it_is_geojson_and_reads_back(told: list[Fix]) -> None:
    document = track.of_fixes(told, NOW)
    assert msgspec.json.decode(msgspec.json.encode(document), type=Track) == document
    for feature in json.loads(msgspec.json.encode(document))["features"]:
        line = feature["geometry"]["coordinates"]
        is_line = feature["geometry"]["type"] == "LineString"
        assert not is_line or len(line) == len(told) >= 2
        for longitude, latitude in line if is_line else [line]:
            assert -180 <= longitude <= 180
            assert -90 <= latitude <= 90


def test_an_endpoint_can_declare_it() -> None:
    [schema], components = msgspec.json.schema_components([Track], ref_template="{name}")
    assert schema == {"$ref": "Track"}
    assert {"Track", "TrackFeature", "TrackPoint", "TrackLine"} <= components.keys()
