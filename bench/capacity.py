"""`python -m bench.capacity`: what a day of 85,000 handsets asks of AWS, what it costs, and where limits would bite.

Calls, units and bytes are counted by running each kind of request with the product's own code (`bench.kinds`); the
day is what stands in `bench.day`. Change any of it: `python -m bench.capacity handsets=1000 items=90`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bench.day import (
    ERASE,
    FILE,
    LIMITS,
    MORNING,
    NIGHT,
    PRICES,
    RELAY_MAX,
    SLICE,
    SOURCES,
    SWEEP,
    Day,
    Flow,
    flows,
    peak_of,
    seconds_of,
    units,
)
from bench.kinds import ANNOUNCED, DELIVERED, SCANNED, Cost, Measured
from bench.ledger import Clerk
from bench.stage import moto_cloud
from chalicelib.connectors.importer.rules import LINES_PER_SLICE
from chalicelib.connectors.tracking.rules import DUE_SHARDS, LINE_SHARDS, MAX_LINES, RUN_FOR
from chalicelib.core.journal import TIME_SHARDS
from chalicelib.core.keyring import DESTRUCTION_SHARDS
from infra.apart import APART, API_HANDLER
from infra.build import ROOT

API_FUNCTIONS = frozenset({API_HANDLER, *(own.name for own in APART)})
"""Whom API Gateway asks."""

MESSAGES_OF_A_REQUEST = 10
"""Of SQS, at most."""


class Limit(NamedTuple):
    """A load at its peak beside what bounds it."""

    name: str
    load: float
    bound: float
    arithmetic: str

    @property
    def part(self) -> float:
        """How much of the bound is used."""
        return self.load / self.bound


# --- limits -----------------------------------------------------------------------------------------------------


def limits(day: Day, found: Sequence[Flow], memory: Mapping[str, int]) -> list[Limit]:
    """What would bite first, first."""
    by_name = {flow.name: flow for flow in found}
    slices, relayed = by_name[f"{SLICE} lines of announcements"], by_name["relay, announcements"]
    lines, announcing = slices.peak * SLICE, by_name["tracking, announced"]
    facts = by_name["tracking, delivered"].peak * day.tracking_batch
    a_second = {flow.name: flow.peak * seconds_of(flow.cost, day, memory[flow.function]) for flow in found}
    morning = sum(a_second[flow.name] for flow in found if flow.when != NIGHT)
    api = sum(flow.peak for flow in found if flow.function in API_FUNCTIONS)
    shard = RELAY_MAX / seconds_of(relayed.cost, day, memory["relay"])
    shards, event_rate = LIMITS["shards of a new table's stream"], max(lines, 2 * facts)
    despatch = by_name[f"despatch, {FILE} lines"]
    file_seconds = seconds_of(despatch.cost, day, memory["despatch"]) + day.transfer_ms / 1000
    partition = LIMITS["write units of a partition"]
    heats = [
        Limit(
            "key journal/by-time: an hour's shard",
            peak_of(found, "journal/by-time") / TIME_SHARDS,
            partition,
            f"{peak_of(found, 'journal/by-time'):.0f} units a second / {TIME_SHARDS} shards",
        ),
        Limit(
            "key keyring/by-destruction: a day's shard",
            peak_of(found, "keyring/by-destruction") / DESTRUCTION_SHARDS,
            partition,
            f"{lines:.0f} keys a second, one day for all / {DESTRUCTION_SHARDS} shards",
        ),
        Limit(
            "key access: a device's row",
            by_name["POST /v1/events"].cost.ledger.written["access"],
            partition,
            "one sync a second, far more than a handset makes",
        ),
        Limit(
            "key rounds/by-route: a route, read",
            by_name["GET /v1/round, unchanged"].cost.ledger.read["rounds/by-route"],
            LIMITS["read units of a partition"],
            "its round taken once a second",
        ),
        Limit(
            "key rounds/by-route: items of no depot",
            lines * day.unplanned,
            partition,
            f"{lines:.0f} announcements a second x {day.unplanned}, on one key",
        ),
        Limit(
            "key despatches: the biggest sender's lines",
            lines * day.biggest * 2 / LINE_SHARDS,
            partition,
            f"{lines:.0f} lines a second x {day.biggest} x 2 units / {LINE_SHARDS} shards",
        ),
        Limit(
            "key despatches: markers of a shard",
            announcing.peak * min(day.clients, day.tracking_batch) / DUE_SHARDS,
            partition,
            f"{announcing.peak:.0f} batches a second x {min(day.clients, day.tracking_batch):.0f} senders / "
            f"{DUE_SHARDS} shards",
        ),
    ]
    tables = [
        Limit(
            f"table {table}: writes, if it is new",
            peak_of(found, table),
            LIMITS["write units of a new on-demand table"],
            "a table on demand begins there and grows with its traffic",
        )
        for table in ("journal", "event-ids", "items", "keyring", "rounds", "inbox", "despatches")
    ]
    others = [
        Limit(
            "table journal: writes (quota)",
            peak_of(found, "journal"),
            LIMITS["write units of a table (quota)"],
            "an account's default for each table",
        ),
        Limit(
            "Lambda: functions at once",
            max(morning, sum(a_second[flow.name] for flow in found if flow.when != MORNING)),
            LIMITS["Lambda: functions at once (quota)"],
            "runs a second x seconds of each, with the busiest of morning and night",
        ),
        Limit(
            "API Gateway: requests a second",
            api,
            LIMITS["API Gateway: requests a second (quota)"],
            "what handsets and look-ups ask at their peaks together; staff and enrolments are not counted",
        ),
        Limit(
            "relay: events a second of a new table's stream",
            event_rate,
            shards * shard,
            f"{shards:.0f} shards x {shard:.0f} events a second; more shards come with the table's partitions",
        ),
        Limit(
            "import: seconds for the day's announcements, of 6 h",
            slices.runs * SLICE / lines,
            6 * 3600,
            f"{slices.runs * SLICE:,.0f} announcements at {lines:.0f} a second",
        ),
        Limit(
            "despatch: minutes for a file of every sender, of 60",
            day.clients * file_seconds / RUN_FOR.total_seconds(),
            60,
            f"{day.clients:.0f} files of {FILE} lines x {file_seconds:.2f} s, one at a time, "
            f"{RUN_FOR.total_seconds():.0f} s of a minute",
        ),
    ]
    return sorted([*heats, *tables, *others], key=lambda limit: -limit.part)


# --- costs ------------------------------------------------------------------------------------------------------


def amounts(day: Day, found: Sequence[Flow], memory: Mapping[str, int]) -> dict[str, float]:
    """What is used of each that has a price, on the day."""
    runs = sum(flow.runs for flow in found)
    api = sum(flow.runs for flow in found if flow.function in API_FUNCTIONS)
    sends = sum(flow.cost.ledger.calls["sqs.SendMessageBatch"] * flow.runs for flow in found)
    polls = sum(polls_of(flow) * flow.runs for flow in found)
    seconds = {flow.name: flow.runs * seconds_of(flow.cost, day, memory[flow.function]) for flow in found}
    at_once = sum(flow.peak * seconds_of(flow.cost, day, memory[flow.function]) for flow in found)
    return {
        "DynamoDB, a million write units": units(found, "written").total() / 1e6,
        "DynamoDB, a million read units": units(found, "read").total() / 1e6,
        "Lambda, GB-second": sum(seconds[flow.name] * memory[flow.function] / 1024 for flow in found),
        "Lambda, a million requests": runs / 1e6,
        "API Gateway REST, a million requests": api / 1e6,
        "SQS, a million requests": (sends + polls) / 1e6,
        "KMS, 10,000 requests": 2 * at_once * day.processes / 1e4,
        "CloudWatch Logs, GB": runs * day.log_bytes / 1e9,
        "out to the internet, GB": sum(flow.cost.bytes_out * flow.runs for flow in found) / 1e9,
    }


def polls_of(flow: Flow) -> int:
    """What a run asks of its queue: ReceiveMessage and DeleteMessageBatch carry at most ten messages each."""
    return 2 * math.ceil(flow.messages / MESSAGES_OF_A_REQUEST)


# --- measuring and printing ---------------------------------------------------------------------------------------


def measure(day: Day) -> dict[str, Cost]:
    """What one of each kind costs, in the sizes of that day."""
    tracked, sorted_, scans = int(day.tracking_batch), int(day.sorting_batch), round(day.items * day.facts / day.syncs)
    with moto_cloud(), Clerk().listening() as clerk:
        of = Measured(clerk)
        of.sync(1), of.relay(1)
        return {
            "sync": of.sync(max(1, scans)),
            "round": of.new_round(int(day.items)),
            "unchanged": of.unchanged_round(),
            "lookup": of.lookup(),
            "check-in": of.check_in(),
            "lease": of.lease(),
            "policy": of.policy(),
            "poll": of.poll(),
            "relay": of.relay(int(day.relay_batch)),
            "relay, full": of.relay(RELAY_MAX),
            **{f"tracking {kind}": of.tracking(kind, tracked) for kind in (ANNOUNCED, SCANNED, DELIVERED)},
            **{f"sorting {kind}": of.sorting(kind, sorted_) for kind in (ANNOUNCED, SCANNED, DELIVERED)},
            "slice": of.slice(SLICE),
            "sweep": of.sweep(SWEEP),
            "erase": of.erase(ERASE),
            "despatch": of.despatch(FILE),
        }


def memory_of_functions(stage: str = "prod") -> dict[str, int]:
    """Megabytes, from `.chalice/config.json`."""
    told = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"][stage]
    return {
        name: function.get("lambda_memory_size", told["lambda_memory_size"])
        for name, function in told["lambda_functions"].items()
    }


def report(day: Day, found: Sequence[Flow], memory: Mapping[str, int]) -> Iterator[str]:
    """The whole of it, as text."""
    yield "1. Assumptions"
    for name, value in day._asdict().items():
        yield f"  {name:16}{value:>10,g}  {SOURCES[name]}"
    yield f"\n2. One of each, counted ({LINES_PER_SLICE} lines are a real slice, {MAX_LINES} a full file)"
    yield "  Bytes are those of a request's body and of its answer's."
    yield f"  {'':30}{'calls':>6}{'written':>9}{'read':>7}{'CPU ms':>8}{'ms':>7}{'a day':>13}{'a second':>10}  peak"
    for flow in found:
        ledger = flow.cost.ledger
        took = seconds_of(flow.cost, day, memory[flow.function]) * 1000
        yield (
            f"  {flow.name:30}{ledger.calls.total():6}{sum(ledger.written.values()):9g}{sum(ledger.read.values()):7g}"
            f"{flow.cost.cpu:8.1f}{took:7.0f}{flow.runs:13,.0f}{flow.peak:10.1f}  {flow.when}"
        )
    for flow in found:
        calls = ", ".join(f"{n} x {call}" for call, n in sorted(flow.cost.ledger.calls.items()))
        cost = flow.cost
        yield f"  {flow.name}: {calls}" + (f"; {cost.bytes_in}+{cost.bytes_out} bytes" if cost.bytes_out else "")
    yield "\n3. DynamoDB, million units a day, and units in the busiest second"
    yield f"  {'':24}{'written':>10}{'read':>10}{'written/s':>12}{'read/s':>10}"
    written, read = units(found, "written"), units(found, "read")
    for table in sorted({*written, *read}):
        peaks = [peak_of(found, table, kind) for kind in ("written", "read")]
        yield f"  {table:24}{written[table] / 1e6:10.2f}{read[table] / 1e6:10.2f}{peaks[0]:12,.0f}{peaks[1]:10,.0f}"
    yield f"  {'together':24}{written.total() / 1e6:10.2f}{read.total() / 1e6:10.2f}"
    yield "\n4. What would bite first"
    for limit in limits(day, found, memory):
        yield f"  {limit.part:7.1%}  {limit.name}: {limit.load:,.0f} of {limit.bound:,.0f} ({limit.arithmetic})"
    yield "\n5. A day in dollars (list prices, check)"
    total = 0.0
    for name, amount in amounts(day, found, memory).items():
        total += amount * PRICES[name]
        yield f"  {name:38}{amount:14,.2f} x {PRICES[name]:<13g}{amount * PRICES[name]:10,.2f}"
    yield f"  {'together':38}{'':30}{total:10,.2f}, {100 * total / day.handsets:.2f} cents for each handset"


def main(arguments: Sequence[str]) -> None:
    """The command: `name=value` changes an assumption."""
    changes: dict[str, Any] = {name: float(value) for name, _, value in (one.partition("=") for one in arguments)}
    if unknown := changes.keys() - Day._fields:
        raise SystemExit(f"There is no assumption {', '.join(sorted(unknown))} among: {', '.join(Day._fields)}.")
    day, memory = Day(**changes), memory_of_functions()
    print(*report(day, flows(day, measure(day), memory), memory), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
