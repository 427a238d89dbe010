"""Legacy files, killed everywhere, from the notification to the report; a message comes until it is dealt with."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import msgspec
import pytest

from chalicelib.connectors.importer import rules, workers
from chalicelib.core import aws as clients
from chalicelib.core import clock
from chalicelib.core.schemas import Schema
from chalicelib.passes import legacy as of_buildings
from chalicelib.passes.registry_schemas import BuildingEntry
from chalicelib.people import legacy
from chalicelib.people.schemas import Address, CarrierEntry, Depot, Zone
from chalicelib.rounds import plan
from tests.support.buildings import BUILDING, a_building
from tests.support.cloud import BUCKET
from tests.support.crashes import Everywhere, Scenario
from tests.support.events import work_off
from tests.support.factories import a_plan_line

QUEUES = {"inbox": workers.take_file, "slices": workers.take_slice}
ZONES = "zone;name\n" + "".join(f"Z{number};Zone {number}\n" for number in range(1, 6)) + "Z6;\n"


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines a slice and two records a transaction, so that little has several."""
    monkeypatch.setattr(rules.cut, "__defaults__", (2,))
    monkeypatch.setattr(legacy, "_RECORDS_PER_TRANSACTION", 2)
    monkeypatch.setattr(of_buildings, "_BUILDINGS_PER_TRANSACTION", 2)
    monkeypatch.setattr(plan, "_LINES_PER_TRANSACTION", 2)


def put(content: str, *, notified: int = 1) -> None:
    """A file of zones lies in the inbox, and S3 says so, once or more often."""
    key = "inbox/zones/zones.csv"
    version = clients.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content.encode())["VersionId"]
    described = {"bucket": {"name": BUCKET}, "object": {"key": key, "versionId": version}}
    body = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": described}]})
    for _ in range(notified):
        clients.client("sqs").send_message(QueueUrl=os.environ["FACTEO_INBOX_QUEUE"], MessageBody=body)


def take(_: None) -> None:
    for queue, worker in QUEUES.items():
        work_off(queue, worker)


def test_a_file_of_three_slices(everywhere: Everywhere) -> None:
    everywhere(Scenario("importer", lambda: put(ZONES), take))


def test_a_file_that_is_notified_twice(everywhere: Everywhere) -> None:
    everywhere(Scenario("importer, the file twice", lambda: put(ZONES[: ZONES.index("Z3")], notified=2), take))


def test_a_file_that_is_refused(everywhere: Everywhere) -> None:
    everywhere(Scenario("importer, a refused file", lambda: put("what;is;this\n"), take))


def test_people(everywhere: Everywhere) -> None:
    """Carriers of a known and of an unknown depot: names are sealed under keys that are made with them."""
    carriers = [
        CarrierEntry(id=f"C{number}", first_name="Zoé", last_name="Martin", depot="75015A" if number < 4 else "99999X")
        for number in range(1, 5)
    ]

    def arrange() -> None:
        address = Address(postcode="75015", town="Paris")
        state([Zone(id="SUD", name="Paris Sud")], "setup/1")
        state([Depot(id="75015A", name="Paris 15", zone="SUD", address=address)], "setup/2")

    def state(entries: Sequence[Schema], delivery: str = "import/1/1") -> None:
        lines = range(2, len(entries) + 2)
        legacy.import_records(entries, lines=lines, at=clock.now(), actor="legacy/carriers", correlation_id=delivery)

    everywhere(Scenario("people import", arrange, lambda _: state(carriers)))


def test_buildings(everywhere: Everywhere) -> None:
    """Buildings whose secrets are made with them: killed and taken again, each has one and is registered once."""
    entries = [
        msgspec.convert(a_building(id=f"{BUILDING[:-1]}{number}", sector=f"751150{number}"), BuildingEntry)
        for number in range(4)
    ]

    def state(_: None) -> None:
        told = {"lines": range(2, 6), "at": clock.now(), "actor": "legacy/buildings"}
        of_buildings.import_buildings(entries, correlation_id="import/1/1", **told)

    everywhere(Scenario("buildings import", lambda: None, state))


def test_a_sorting_plan(everywhere: Everywhere) -> None:
    lines = [a_plan_line(street=f"RUE {number}") for number in range(4)]

    def state(_: None) -> None:
        plan.import_plan(lines, actor="legacy/sorting-plan", correlation_id="import/1/1")

    everywhere(Scenario("sorting plan", lambda: None, state))
