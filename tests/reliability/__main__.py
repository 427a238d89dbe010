"""`make reliability`: the proof at its full size, in processes beside each other, with its figures as tables."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tests.conftest  # noqa: F401 - what the product is told by its environment
from tests.reliability import days, figures
from tests.reliability.faults import NO_TIMERS, NO_TIMERS_AND_LOST_RUNS, NOTHING, THIRTY_PER_CENT, Plan
from tests.reliability.figures import Figures

CARRIERS = 435
"""Of a day: some press more than once, which makes 500 alerts."""
ALERTS_OF_A_DAY = 500
FEW = 100
"""Carriers of a day on which nothing but timers fails."""
BURST, BURST_SECONDS = 5000, 60
LATE, LATE_WITH_A_LOST_RUN = 15.0, 75.0
TOLD_FAULTS = 25


@dataclass(frozen=True)
class Part:
    """A part of the proof: days of the same kind, and what is required of them besides the judge's checks."""

    name: str
    days: int
    live: Callable[[int], Figures]
    requires: Callable[[Figures], str]


@dataclass(frozen=True)
class _Day:
    """A day that another process can be asked for."""

    plan: Plan
    carriers: int
    within: float

    def __call__(self, seed: int) -> Figures:
        return figures.of_day(days.lived(seed, self.plan, self.carriers, within=self.within))


def _burst(seed: int) -> Figures:
    return figures.of_day(days.burst(seed, BURST, within=BURST_SECONDS, after=1))


def _parts(alerts: int) -> Sequence[Part]:
    return (
        Part(
            f"{BURST:,} alerts in {BURST_SECONDS} s",
            1,
            _burst,
            lambda found: f"{found.refused} refused" if found.refused else "",
        ),
        Part(
            f"{alerts:,} alerts, 30 % of everything fails",
            -(-alerts // ALERTS_OF_A_DAY),
            _Day(THIRTY_PER_CENT, CARRIERS, 600),
            lambda found: "" if found.alerts >= alerts else f"only {found.alerts} alerts",
        ),
        Part("nothing fails", 1, _Day(NOTHING, FEW, 600), lambda found: _no_later(found, LATE)),
        Part("every timer is lost", 3, _Day(NO_TIMERS, FEW, 900), lambda found: _no_later(found, LATE)),
        Part(
            "every timer and each fourth run of the sweeper is lost",
            3,
            _Day(NO_TIMERS_AND_LOST_RUNS, FEW, 900),
            lambda found: _no_later(found, LATE_WITH_A_LOST_RUN),
        ),
    )


def _no_later(found: Figures, bound: float) -> str:
    return "" if found.latest <= bound else f"{found.latest:.2f} s late, more than {bound:.0f} s"


def _prove(part: Part, seed: int, lived: Iterable[Figures]) -> bool:
    found = Figures()
    for one in lived:
        found.add(one)
    missing = part.requires(found)
    _tell(f"\n## {part.name}\n")
    _tell(f"{found.alerts:,} alerts in {found.days} days; seeds {seed} to {seed + part.days - 1}\n")
    _tell(figures.checks_of(found))
    if found.seconds:
        _tell("\n" + figures.seconds_of(found))
    if found.met:
        _tell("\n" + figures.faults_of(found))
    if part.live is _burst:
        _tell(f"\nrefused: {found.refused}; transactions of the API that met another: {found.conflicts}")
    if missing:
        _tell(f"\nWRONG: {missing}")
    for fault in found.faults[:TOLD_FAULTS]:
        _tell(f"WRONG: {fault}")
    return not missing and not found.wrong.total()


_told: list[str] = []


def _tell(text: str) -> None:
    _told.append(text)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Prove it; 1 if anything is wrong."""
    arguments = argparse.ArgumentParser(prog="make reliability")
    arguments.add_argument("--alerts", type=int, default=10_000)
    arguments.add_argument("--processes", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000) * 1000)
    arguments.add_argument("--write", type=Path, help="a file for the figures too")
    told = arguments.parse_args()
    _tell(f"# Figures\n\nSeed {told.seed}, {told.processes} processes, {os.cpu_count()} cores.")
    began, parts = time.monotonic(), _parts(told.alerts)
    with ProcessPoolExecutor(told.processes) as pool:
        asked = [pool.map(part.live, range(told.seed, told.seed + part.days)) for part in parts]
        right = [_prove(part, told.seed, lived) for part, lived in zip(parts, asked, strict=True)]
    _tell(f"\n{'Right' if all(right) else 'WRONG'}, after {time.monotonic() - began:.0f} s.")
    if told.write:
        told.write.write_text("\n".join(_told) + "\n")
    return 0 if all(right) else 1


if __name__ == "__main__":
    raise SystemExit(main())
