"""When a building lets whom in: the registry and its readers decide alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import public_keys
from chalicelib.core.clock import PARIS
from chalicelib.core.errors import RequestInvalid
from chalicelib.passes import registry_rules
from chalicelib.passes.legal_bases import LEGAL_SOURCES, LegalBasis
from chalicelib.passes.registry_schemas import BuildingEntry, ReaderLine
from chalicelib.passes.schemas import Service
from reader.places import Place
from tests.support import doors
from tests.support.buildings import BUILDING, READER, a_building, a_reader_key

TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
HOURS = st.builds(
    lambda days, since, to: {"days": "".join(sorted(days)), "from": since, "to": to},
    st.sets(st.sampled_from("1234567"), min_size=1),
    TIMES,
    st.one_of(TIMES, st.just("24:00")),
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - theirs


def entry(services: dict[str, Any]) -> BuildingEntry:
    return msgspec.convert(a_building(id=BUILDING, services=services), BuildingEntry)


@given(st.dictionaries(st.sampled_from("123"), st.lists(HOURS, min_size=1, max_size=3)), MOMENTS)
def test_the_registry_and_a_reader_with_its_line_admit_the_same(services: dict[str, Any], moment: datetime) -> None:
    building = entry(services)
    line = ReaderLine(reader=READER, sector=building.sector, building="00" * 16, services=building.services)
    place = Place.of(msgspec.json.decode(msgspec.json.encode(line)))

    for service in Service:
        by_reader = service in place.services and place.admits(service, int(moment.timestamp()))
        assert registry_rules.admits(building, service, moment) is by_reader


@pytest.mark.parametrize(
    ("local", "is_admitted"),
    [
        ("2026-11-23T05:59:59", False),
        ("2026-11-23T06:00:00", True),
        ("2026-11-28T23:59:59", True),
        ("2026-11-29T00:00:00", False),
        ("2026-11-29T09:00:00", False),
        ("2026-07-13T06:00:00", True),
        ("2026-07-13T05:59:59", False),
    ],
)
def test_hours_are_those_of_paris(local: str, is_admitted: bool) -> None:
    mail = entry({"1": [{"days": "123456", "from": "06:00", "to": "24:00"}]})
    moment = datetime.fromisoformat(local).replace(tzinfo=PARIS)

    assert registry_rules.admits(mail, Service.MAIL, moment) is is_admitted
    assert registry_rules.admits(mail, Service.MAIL, moment.astimezone(UTC)) is is_admitted
    assert not registry_rules.admits(mail, Service.PARCELS, moment)


@given(HOURS)
def test_hours_end_on_the_day_on_which_they_begin(hours: dict[str, str]) -> None:
    fault = registry_rules.fault_of(entry({"1": [doors.ALWAYS, hours]}))

    assert (fault is None) is (hours["from"] < hours["to"])
    assert fault is None or fault.endswith(".")


def test_each_legal_basis_says_where_it_is_written() -> None:
    assert set(LEGAL_SOURCES) == set(LegalBasis)
    assert len(set(LEGAL_SOURCES.values())) == len(LegalBasis)


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_a_compressed_point_is_the_key_that_it_stands_for(name: str) -> None:
    found = public_keys.of_point(bytes.fromhex(a_reader_key(name)))

    assert msgspec.structs.asdict(found) == doors.jwk(name)
    assert found.opened() == doors.key(name).public_key()


@pytest.mark.parametrize("point", ["02" + "ff" * 32, "00", "04" + "00" * 64, ""])
def test_what_is_no_point_is_refused(point: str) -> None:
    with pytest.raises(RequestInvalid, match="P-256"):
        public_keys.of_point(bytes.fromhex(point))
