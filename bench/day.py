"""A day of 85,000 handsets as a table of assumptions, and what happens on it: how often each kind of request comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.kinds import ANNOUNCED, DELIVERED, SCANNED, Cost


class Day(NamedTuple):
    """A day, and how the cloud is taken to behave. Where each figure comes from stands in `SOURCES`."""

    handsets: float = 85_000
    rounds: float = 3
    items: float = 60
    facts: float = 2
    syncs: float = 40
    check_ins: float = 48
    check_in_hours: float = 12
    leases: float = 1
    policies: float = 1
    polls: float = 1
    announced: float = 0.7
    lookups: float = 0.7
    clients: float = 2_000
    biggest: float = 0.2
    unplanned: float = 0.02
    round_peak: float = 0.6
    sync_peak: float = 0.15
    lookup_peak: float = 0.1
    peak_factor: float = 2
    relay_batch: float = 20
    tracking_batch: float = 50
    sorting_batch: float = 20
    importers: float = 10
    call_cpu_ms: float = 0.3
    call_wait_ms: float = 8
    transfer_ms: float = 500
    log_bytes: float = 600
    processes: float = 12


SOURCES: Mapping[str, str] = {
    "handsets": "the field: one for each carrier",
    "rounds": "assumed: GET /v1/round at the start, and twice more",
    "items": "assumed: items on a round that are tracked one by one",
    "facts": "assumed: of each item, out for delivery and its outcome",
    "syncs": "assumed: every 10 minutes of 7 hours, with what was done since",
    "check_ins": "assumed: every 15 minutes of 12 hours; fewer with a battery below 30 %",
    "check_in_hours": "assumed: over which check-ins come evenly",
    "leases": "assumed: POST /v1/lease, when the handset is started",
    "policies": "assumed: GET /v1/policy, a new version for everybody on that day",
    "polls": "assumed: GET /v1/commands, one command a day for each",
    "announced": "assumed: part of the items whose sender announces them",
    "lookups": "assumed: of each item on that day, by whoever waits for it: GET /v1/suivi of one item",
    "clients": "assumed: senders that are sent return files",
    "biggest": "assumed: the biggest sender's part of the items",
    "unplanned": "assumed: part of the announcements whose postcode no sorting plan knows",
    "round_peak": "assumed: part of the rounds taken in the busiest hour of the morning",
    "sync_peak": "assumed: part of the syncs in the busiest hour (an even working day would be 0.14)",
    "lookup_peak": "assumed: part of the look-ups in the busiest hour, taken to be one of the handsets' morning",
    "peak_factor": "assumed: busiest second to the average of the busiest hour",
    "relay_batch": "assumed: the stream hands out up to 100, fewer when it is quiet",
    "tracking_batch": "assumed: up to 100 within 5 s",
    "sorting_batch": "assumed: up to 25 within 1 s",
    "importers": "infra/resources.yaml: slices taken at once",
    "call_cpu_ms": "assumed: what a socket adds to a call; one scan in `make bench` has it, one scan here not",
    "call_wait_ms": "assumed: waiting for one call of DynamoDB, SQS or S3; not measured",
    "transfer_ms": "assumed: upload and rename of a file by SFTP on an open connection; not measured",
    "log_bytes": "assumed: one line for each request or batch",
    "processes": "assumed: how often a day each concurrent process is replaced, which opens its keys by KMS again",
}

PRICES: Mapping[str, float] = {
    "DynamoDB, a million write units": 0.7423,
    "DynamoDB, a million read units": 0.1485,
    "Lambda, GB-second": 0.0000166667,
    "Lambda, a million requests": 0.20,
    "API Gateway REST, a million requests": 3.50,
    "SQS, a million requests": 0.40,
    "KMS, 10,000 requests": 0.03,
    "CloudWatch Logs, GB": 0.5985,
    "out to the internet, GB": 0.09,
}
"""US dollars, on demand, eu-west-3, x86: list prices written from memory; check each before you rely on it."""

LIMITS: Mapping[str, float] = {
    "write units of a partition": 1_000,
    "read units of a partition": 3_000,
    "write units of a new on-demand table": 4_000,
    "write units of a table (quota)": 40_000,
    "Lambda: functions at once (quota)": 1_000,
    "API Gateway: requests a second (quota)": 10_000,
    "shards of a new table's stream": 4,
}
"""Of AWS: as published, quotas can be raised; check."""

RELAY_MAX, SLICE, SWEEP, ERASE, FILE = 100, 200, 100, 100, 200
"""Sizes that are run here. Files and slices are run smaller than real ones: moto slows down with its tables."""

VCPU_MB = 1769
"""Lambda gives a whole processor at that memory, and a part of it below."""

MORNING, NIGHT, SPREAD = "morning", "night", "spread"
"""When a flow has its peak: with the handsets, with the import of the announcements, or evenly."""


class Flow(NamedTuple):
    """One kind of request or run: what one costs, how many a day, and how many a second at its peak."""

    name: str
    function: str
    cost: Cost
    runs: float
    peak: float
    when: str
    messages: float = 0
    """How many messages of a queue a run takes."""


# --- a day ------------------------------------------------------------------------------------------------------


def flows(day: Day, measured: Mapping[str, Cost], memory: Mapping[str, int]) -> list[Flow]:
    """What happens on that day."""
    facts, announcements = day.handsets * day.items * day.facts, day.handsets * day.items * day.announced
    hourly = day.sync_peak * day.peak_factor / 3600
    per_second = announced_per_second(day, measured["slice"], memory["take_slice"])
    of_facts = [(SCANNED, facts / 2), (DELIVERED, facts / 2)]
    found = [
        Flow("GET /v1/round, new", "api_handler", measured["round"], day.handsets, _rounds(day, 1), MORNING),
        Flow(
            "GET /v1/round, unchanged",
            "api_handler",
            measured["unchanged"],
            day.handsets * (day.rounds - 1),
            _rounds(day, day.rounds - 1),
            MORNING,
        ),
        Flow(
            "POST /v1/events",
            "api_handler",
            measured["sync"],
            day.handsets * day.syncs,
            day.handsets * day.syncs * hourly,
            MORNING,
        ),
        *_of_the_fleet(day, measured),
        Flow(
            "GET /v1/suivi, one item",
            "api_handler",
            measured["lookup"],
            day.handsets * day.items * day.lookups,
            day.handsets * day.items * day.lookups * day.lookup_peak * day.peak_factor / 3600,
            MORNING,
        ),
        Flow(
            f"{SLICE} lines of announcements",
            "take_slice",
            measured["slice"],
            announcements / SLICE,
            per_second / SLICE,
            NIGHT,
            messages=1,
        ),
        Flow("relay, facts", "relay", measured["relay"], *_batched(facts, hourly, day.relay_batch), MORNING),
        Flow(
            "relay, announcements",
            "relay",
            measured["relay, full"],
            announcements / RELAY_MAX,
            per_second / RELAY_MAX,
            NIGHT,
        ),
    ]
    for worker, size in (("tracking", day.tracking_batch), ("sorting", day.sorting_batch)):
        for of, number in of_facts:
            runs = _batched(number, hourly, size)
            found.append(Flow(f"{worker}, {_short(of)}", worker, measured[f"{worker} {of}"], *runs, MORNING, size))
        cost = measured[f"{worker} {ANNOUNCED}"]
        runs = (announcements / size, per_second / size)
        found.append(Flow(f"{worker}, announced", worker, cost, *runs, NIGHT, size))
    lines = announcements + day.announced * facts / 2
    return [
        *found,
        _even(f"despatch, {FILE} lines", "despatch", measured["despatch"], lines / FILE),
        _even(f"sweep, {SWEEP} events", "sweep", measured["sweep"], (facts + announcements) / SWEEP),
        _even(f"erase, {ERASE} keys", "erase", measured["erase"], announcements / ERASE),
    ]


def _of_the_fleet(day: Day, measured: Mapping[str, Cost]) -> list[Flow]:
    """What handsets ask besides their work: evenly while they are switched on."""
    asked = {
        "POST /v1/check-ins": ("check-in", day.check_ins),
        "POST /v1/lease": ("lease", day.leases),
        "GET /v1/policy": ("policy", day.policies),
        "GET /v1/commands": ("poll", day.polls),
    }
    a_second = day.handsets * day.peak_factor / (day.check_in_hours * 3600)
    return [
        Flow(name, "fleet_api", measured[kind], day.handsets * times, a_second * times, MORNING)
        for name, (kind, times) in asked.items()
    ]


def announced_per_second(day: Day, cost: Cost, megabytes: int) -> float:
    """How fast announcements are imported while files wait."""
    return day.importers * SLICE / seconds_of(cost, day, megabytes)


def seconds_of(cost: Cost, day: Day, megabytes: int) -> float:
    """How long a run takes on Lambda: our CPU, and that of its calls, on its part of a processor; and the waiting."""
    calls = cost.ledger.calls.total()
    cpu = (cost.cpu + calls * day.call_cpu_ms) * max(1.0, VCPU_MB / megabytes)
    return (cpu + calls * day.call_wait_ms) / 1000


def units(found: Sequence[Flow], kind: str, number: str = "runs") -> Counter[str]:
    """Units `written` or `read` by all of them, table by table: on the day (`runs`) or in a second (`peak`)."""
    total: Counter[str] = Counter()
    for flow in found:
        for table, cost in getattr(flow.cost.ledger, kind).items():
            total[table] += cost * getattr(flow, number)
    return total


def peak_of(found: Sequence[Flow], table: str, kind: str = "written") -> float:
    """The most units a second of a table: in the morning or in the night, each with what runs evenly."""
    return max(
        units([flow for flow in found if flow.when in {when, SPREAD}], kind, "peak")[table] for when in (MORNING, NIGHT)
    )


def _rounds(day: Day, each: float) -> float:
    return day.handsets * each * day.round_peak * day.peak_factor / 3600


def _batched(number: float, hourly: float, size: float) -> tuple[float, float]:
    return number / size, number * hourly / size


def _even(name: str, function: str, cost: Cost, runs: float) -> Flow:
    return Flow(name, function, cost, runs, runs / 86_400, SPREAD)


def _short(event_type: str) -> str:
    return event_type.rpartition(".")[2]
