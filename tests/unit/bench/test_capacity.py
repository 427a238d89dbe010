"""The arithmetic of a day, on small numbers; and that what it counts is what the product does."""

from __future__ import annotations

from collections import Counter
from itertools import repeat
from typing import Any, ClassVar

import pytest

from bench import capacity
from bench.day import LIMITS, MORNING, NIGHT, PRICES, SOURCES, SPREAD, Day, Flow, flows, peak_of, seconds_of, units
from bench.kinds import ANNOUNCED, DELIVERED, SCANNED, Cost, Measured
from bench.ledger import Clerk, Ledger, read_units, size_of, write_units
from bench.load import percentile
from chalicelib.core.progress import ProgressRow
from tests.support.api import Api

MEMORY = dict.fromkeys(
    ["api_handler", "fleet_api", "take_slice", "relay", "tracking", "sorting", "despatch", "sweep", "erase"], 1769
)


def a_cost(*, cpu: float = 10, **written: float) -> Cost:
    """A run of two calls that writes and reads these units."""
    ledger = Ledger()
    ledger.calls = Counter({"dynamodb.GetItem": 2})
    ledger.written, ledger.read = Counter(written), Counter(written)
    return Cost(ledger, cpu)


def a_flow(**changes: Any) -> Flow:
    told = {"name": "one", "function": "relay", "cost": a_cost(journal=2), "runs": 10, "peak": 3, "when": MORNING}
    return Flow(**(told | changes))


def a_day(**changes: float) -> list[Flow]:
    """The flows of a day of which each run costs one unit of the journal."""
    kinds = [f"{worker} {of}" for worker in ("tracking", "sorting") for of in (ANNOUNCED, SCANNED, DELIVERED)]
    names = [
        *kinds,
        "sync",
        "round",
        "unchanged",
        "lookup",
        "check-in",
        "lease",
        "policy",
        "poll",
        "slice",
        "relay",
        "relay, full",
        "sweep",
        "erase",
        "despatch",
    ]
    return flows(Day(**changes), dict(zip(names, repeat(a_cost(journal=1)))), MEMORY)


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (4097, 5)])
def test_a_write_costs_a_unit_for_each_begun_kib(size: int, units: int) -> None:
    assert write_units(size) == units


@pytest.mark.parametrize(("size", "units"), [(0, 1), (4096, 1), (4097, 2)])
def test_a_read_costs_a_unit_for_each_begun_four_kib_and_half_if_it_may_lag(size: int, units: int) -> None:
    assert read_units(size, consistent=True) == units
    assert read_units(size, consistent=False) == units / 2


@pytest.mark.parametrize(
    ("value", "size"), [({"S": "été"}, 5), ({"N": "12345"}, 4), ({"B": "AAAA"}, 3), ({"BOOL": True}, 1)]
)
def test_a_row_is_as_large_as_its_names_and_values(value: dict[str, Any], size: int) -> None:
    assert size_of({"name": value}) == len("name") + size


def test_units_of_a_day_are_those_of_a_run_times_the_runs() -> None:
    assert units([a_flow(), a_flow(runs=5)], "written") == {"journal": 30}


def test_the_busiest_second_is_in_the_morning_or_in_the_night_and_never_both() -> None:
    found = [a_flow(), a_flow(when=NIGHT, peak=4), a_flow(when=SPREAD, peak=1)]
    assert peak_of(found, "journal") == 2 * (4 + 1)


def test_a_run_takes_its_cpu_on_a_part_of_a_processor_and_waits_for_its_calls() -> None:
    day = Day(call_cpu_ms=1, call_wait_ms=5)
    assert seconds_of(a_cost(cpu=10), day, 1769) == pytest.approx(0.022)
    assert seconds_of(a_cost(cpu=10), day, 1769 // 2) == pytest.approx(0.034, rel=0.01)


def test_every_handset_syncs_and_every_fact_is_relayed() -> None:
    runs = {flow.name: flow.runs for flow in a_day(handsets=10, items=6, facts=2, syncs=4, rounds=3, relay_batch=10)}
    assert runs["POST /v1/events"] == 40
    assert (runs["GET /v1/round, new"], runs["GET /v1/round, unchanged"]) == (10, 20)
    assert runs["relay, facts"] == 12


def test_every_handset_checks_in_evenly_while_it_is_switched_on() -> None:
    found = {flow.name: flow for flow in a_day(handsets=3600, check_ins=48, check_in_hours=12, leases=2)}
    check_ins, leases = found["POST /v1/check-ins"], found["POST /v1/lease"]
    assert (check_ins.runs, check_ins.function) == (3600 * 48, "fleet_api")
    assert check_ins.peak == pytest.approx(3600 * 48 * Day().peak_factor / (12 * 3600))
    assert leases.runs == 7200


def test_every_api_function_is_asked_by_api_gateway() -> None:
    found = [a_flow(function=function) for function in ("api_handler", "fleet_api", "relay")]
    assert capacity.amounts(Day(), found, MEMORY)["API Gateway REST, a million requests"] == pytest.approx(20 / 1e6)


def test_every_item_is_looked_up_as_often_as_assumed() -> None:
    [flow] = [flow for flow in a_day(handsets=10, items=6, lookups=0.5, lookup_peak=0.2) if "suivi" in flow.name]
    assert (flow.runs, flow.function, flow.when) == (30, "api_handler", MORNING)
    assert flow.peak == pytest.approx(30 * 0.2 * Day().peak_factor / 3600)


@pytest.mark.parametrize(("messages", "requests"), [(0, 0), (1, 2), (10, 2), (11, 4), (50, 10)])
def test_a_run_takes_ten_messages_with_each_request_to_its_queue(messages: int, requests: int) -> None:
    assert capacity.polls_of(a_flow(messages=messages)) == requests


def test_every_run_behind_a_queue_pays_for_its_messages() -> None:
    queues = {flow.name: flow.messages for flow in a_day(tracking_batch=50, sorting_batch=20) if flow.messages}
    assert queues.pop("200 lines of announcements") == 1
    assert {name.partition(",")[0]: messages for name, messages in queues.items()} == {"tracking": 50, "sorting": 20}
    one, other = (capacity.amounts(Day(), [a_flow(messages=size)], MEMORY) for size in (10, 20))
    assert other["SQS, a million requests"] == 2 * one["SQS, a million requests"] > 0


def test_every_limit_is_compared_with_a_load(monkeypatch: pytest.MonkeyPatch) -> None:
    class Noted(dict[str, float]):
        read: ClassVar[set[str]] = set()

        def __getitem__(self, name: str) -> float:
            self.read.add(name)
            return super().__getitem__(name)

    monkeypatch.setattr(capacity, "LIMITS", Noted(LIMITS))
    capacity.limits(Day(), a_day(), MEMORY)
    assert set(LIMITS) == Noted.read


def test_twice_the_handsets_cost_twice_as_much() -> None:
    one, two = (capacity.amounts(Day(), a_day(handsets=number), MEMORY) for number in (100, 200))
    assert two["DynamoDB, a million write units"] == pytest.approx(2 * one["DynamoDB, a million write units"])
    assert one.keys() == PRICES.keys()


def test_limits_come_with_the_tightest_first() -> None:
    parts = [limit.part for limit in capacity.limits(Day(), a_day(), MEMORY)]
    assert parts == sorted(parts, reverse=True)
    assert LIMITS["write units of a partition"] == 1_000


def test_every_assumption_says_where_it_comes_from() -> None:
    assert SOURCES.keys() == set(Day._fields)


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile(range(100), part) for part in (0.5, 0.95, 0.99)] == [50, 95, 99]
    assert percentile([7], 0.99) == 7


@pytest.mark.parametrize(
    ("scans", "calls"),
    [
        (1, {"GetItem": 1, "BatchGetItem": 1, "TransactWriteItems": 1}),
        (100, {"GetItem": 1, "BatchGetItem": 1, "TransactWriteItems": 3}),
    ],
)
def test_the_calls_of_a_sync_are_those_that_its_own_tests_pin(api: Api, scans: int, calls: dict[str, int]) -> None:
    with Clerk().listening() as clerk:
        ledger = Measured(clerk).sync(scans).ledger
    assert ledger.dynamodb == calls
    assert ledger.written["journal"] == 2 * scans, "two units for a row of less than a KiB in a transaction"
    assert ledger.written["journal/by-time"] == scans


def test_an_index_row_costs_once_and_a_row_outside_of_a_transaction_too(api: Api) -> None:
    with Clerk().listening() as clerk:
        relayed = Measured(clerk).relay(3).ledger
        moved = Measured(clerk).sorting(DELIVERED, 1).ledger
    assert relayed.written == {"inbox": 3}
    assert moved.written == {"rounds": 2, "rounds/by-route": 1}


def test_a_lookup_is_one_query(api: Api) -> None:
    with Clerk().listening() as clerk:
        cost = Measured(clerk).lookup()
    assert cost.ledger.dynamodb == {"Query": 1}
    assert cost.bytes_out > 500


def test_a_check_in_costs_a_unit_of_each_kind(api: Api) -> None:
    with Clerk().listening() as clerk:
        cost = Measured(clerk).check_in()
    assert cost.ledger.dynamodb == {"GetItem": 1, "UpdateItem": 1}
    assert (cost.ledger.written, cost.ledger.read) == ({"check-ins": 1}, {"access": 1})
    assert cost.bytes_in + cost.bytes_out < 512


def test_a_row_that_is_not_there_costs_a_read(api: Api) -> None:
    with Clerk().listening() as clerk:
        ledger = clerk.fresh()
        ProgressRow.find("nobody")
    assert ledger.read == {"progress": 1}
