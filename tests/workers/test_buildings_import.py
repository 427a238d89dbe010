"""Buildings from files: what was stated last counts, whenever it is taken, and no file touches a reader or a secret."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest

from chalicelib.core.errors import Problem
from chalicelib.core.intake import Superseded, Taken
from chalicelib.core.journal import JournalRow
from chalicelib.passes import buildings, legacy
from chalicelib.passes.registry_schemas import BuildingEntry, BuildingRecord
from tests.support.api import Api
from tests.support.buildings import BUILDING, OTHER, READER, a_building, a_reader, registered
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.inbox import Post
from tests.support.races import overtaken

MORNING = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
HEADER = "building;street;postcode;town;sector;mail;parcels;legal_basis"
FILE = "inbox/buildings/rue-lecourbe.csv"


class Line(NamedTuple):
    """A line of the file written so many minutes after the morning, in a slice of its own."""

    minute: int
    number: int

    def states(self, town: str, **changes: Any) -> Taken | Problem:
        """Take the line."""
        entry = msgspec.convert(a_building(id=BUILDING, town=town, **changes), BuildingEntry)
        [outcome] = legacy.import_buildings(
            [entry],
            lines=[self.number],
            at=MORNING + timedelta(minutes=self.minute),
            actor="legacy/buildings",
            correlation_id=f"import/{self.minute}/{self.number // 1000}",
        )
        return outcome


FIRST, LATER_LINE, NEWER_FILE = Line(10, 9), Line(10, 2500), Line(20, 3)


@pytest.fixture
def noon(api: Api, clock: FakeClock) -> Api:
    """The API at noon."""
    clock.advance(hours=5)
    return api


@pytest.fixture
def post(aws: Cloud) -> Post:
    """The legacy side."""
    return Post(aws)


def known() -> BuildingRecord:
    found = buildings.record(BUILDING)
    assert found is not None
    return found


def journalled() -> list[str]:
    return sorted(row.type for row in JournalRow.scan())


class TestFiles:
    GOOD = f"{BUILDING};12 rue Lecourbe;75015;Paris;7511502;123456 06:00-24:00, 7 08:00-12:00;;postal-operator"

    def test_a_file_registers_buildings_and_is_taken_once(self, post: Post) -> None:
        bad = [
            f"{OTHER};14 rue Lecourbe;75015;Paris;7511502;6h-24h;;postal-operator",
            f"{OTHER};14 rue Lecourbe;75015;Paris;7511502;1 22:00-06:00;;postal-operator",
            f"{OTHER};14 rue Lecourbe;75015;Paris;7511502;;;gas",
        ]
        post.take(FILE, "\n".join([HEADER, self.GOOD, *bad]))
        post.take(FILE.replace("rue", "again"), f"{HEADER}\n{self.GOOD}\n")

        assert post.counts(FILE) == (1, 0, 3)
        assert post.counts(FILE.replace("rue", "again")) == (0, 1, 0)
        assert [line.split(": ")[0] for line in post.report(FILE)[::2]] == ["3;6;mail", "5;8;legal_basis"]
        assert "must end on the day" in post.report(FILE)[1]
        assert [one.days for one in known().services["1"]] == ["123456", "7"]
        assert buildings.record(OTHER) is None

    def test_a_moved_building_keeps_its_secret_and_its_readers(self, post: Post, api: Api) -> None:
        registered(api)
        a_reader(api)
        before = known()
        api.clock.advance(minutes=1)

        post.take(FILE, f"{HEADER}\n{self.GOOD.replace('7511502', '7511503')}\n")

        assert (known().sector, known().secret, known().readers) == ("7511503", before.secret, (READER,))
        listed = api.as_staff("auditor").get("/v1/buildings", sector="7511502").body["buildings"]
        assert listed == []

    def test_of_two_lines_for_one_building_the_last_counts(self, post: Post) -> None:
        post.take(FILE, "\n".join([HEADER, self.GOOD.replace("Paris", "Lyon"), self.GOOD, self.GOOD]))

        assert post.counts(FILE) == (1, 1, 1)
        assert post.report(FILE) == ["2;0;Line 4 says otherwise, and counts."]
        assert known().town == "Paris"

    def test_many_lines_cost_few_calls(self, aws: Cloud) -> None:
        template = msgspec.convert(a_building(id=BUILDING), BuildingEntry)
        entries = [msgspec.structs.replace(template, id=f"{BUILDING[:-2]}{number:02x}") for number in range(40)]
        told: Any = {"lines": range(2, 42), "at": MORNING, "actor": "legacy/buildings", "correlation_id": "import/1/1"}

        with aws.counting() as calls:
            assert legacy.import_buildings(entries, **told) == [Taken.RECORDED] * 40
        with aws.counting() as again:
            assert legacy.import_buildings(entries, **told) == [Taken.REPEATED] * 40

        assert calls == {"BatchGetItem": 4, "TransactWriteItems": 2}
        assert again == {"BatchGetItem": 4}


@pytest.mark.parametrize("order", list(itertools.permutations([FIRST, LATER_LINE, NEWER_FILE])))
@pytest.mark.usefixtures("noon")
def test_the_newest_line_counts_in_whatever_order_they_are_taken(order: Sequence[Line]) -> None:
    outcomes = {line: line.states(f"T{line.minute}-{line.number}") for line in order}

    newest = f"T{NEWER_FILE.minute}-{NEWER_FILE.number}"
    assert known().town == newest
    for line, outcome in outcomes.items():
        before = order[: order.index(line)]
        assert isinstance(outcome, Superseded) is any(other > line for other in before)
    again = {line: line.states(f"T{line.minute}-{line.number}") for line in order}
    assert [line for line in order if again[line] is Taken.REPEATED] == [
        line for line in order if outcomes[line] is Taken.RECORDED
    ]
    assert known().town == newest


def test_a_line_older_than_what_staff_stated_changes_nothing_and_says_why(noon: Api) -> None:
    registered(noon, town="Staff")
    before = journalled()

    outcome = FIRST.states("Legacy")

    assert isinstance(outcome, Problem)
    assert outcome.detail == "It was stated otherwise later, at 2026-11-23T12:00:00.000000Z, and that counts."
    assert (known().town, journalled()) == ("Staff", before)


@pytest.mark.parametrize("by_staff", [True, False])
def test_what_is_stated_again_is_newer_than_all_that_lies_between(noon: Api, by_staff: bool) -> None:
    FIRST.states("Right")
    before = journalled()
    if by_staff:
        registered(noon, town="Right")
    else:
        assert NEWER_FILE.states("Right") is Taken.DUPLICATE
    answer = noon.as_staff("auditor").get(f"/v1/buildings/{BUILDING}")

    assert (journalled(), answer.body["revision"]) == (before, 1)
    assert isinstance(LATER_LINE.states("Wrong"), Superseded)
    assert known().town == "Right"


@pytest.mark.parametrize("stated", ["Right", "Changed"])
def test_a_line_that_is_overtaken_by_a_newer_statement_is_superseded(noon: Api, stated: str) -> None:
    FIRST.states("Right")

    with overtaken(by=lambda: registered(noon, town=stated)):
        assert isinstance(NEWER_FILE.states("Wrong"), Superseded)

    assert known().town == stated
