"""What days came to, in figures: added up over days and processes, and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.reliability.days import Day

SHOWN_FAULTS = 20


@dataclass
class Figures:
    """Of one day or of several: how often each check looked, what was wrong, and seconds by what they measure."""

    alerts: int = 0
    days: int = 0
    machine_seconds: float = 0.0
    looked_at: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    drawn: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    """Answers to a press that were neither 200 nor 201, without those that got lost on the way."""
    conflicts: int = 0
    """Transactions of the API that met another one on the same item."""

    def add(self, other: Figures) -> None:
        """Add those of other days."""
        self.alerts += other.alerts
        self.days += other.days
        self.machine_seconds += other.machine_seconds
        self.looked_at.update(other.looked_at)
        self.wrong.update(other.wrong)
        self.faults += other.faults
        for name, found in other.seconds.items():
            self.seconds.setdefault(name, []).extend(found)
        self.drawn.update(other.drawn)
        self.met.update(other.met)
        self.refused += other.refused
        self.conflicts += other.conflicts

    @property
    def latest(self) -> float:
        """How late the latest step, end of a pre-alarm or of a lease was, in seconds."""
        return max((max(found) for name, found in self.seconds.items() if name.endswith("late by")), default=0.0)


def of_day(day: Day) -> Figures:
    """The figures of a day."""
    checks, faults = day.verdict.checks, day.world.faults
    met: Counter[str] = Counter()
    for (kind, _), count in faults.met.items():
        met[kind] += count
    return Figures(
        alerts=len(day.presses),
        days=1,
        machine_seconds=day.took,
        looked_at=Counter({check.name: check.looked_at for check in checks}),
        wrong=Counter({check.name: len(check.faults) for check in checks}),
        faults=[f"seed {day.world.seed}: {fault}" for fault in day.verdict.faults[:SHOWN_FAULTS]],
        seconds=day.verdict.seconds,
        drawn=Counter(faults.drawn),
        met=met,
        refused=sum(status not in {0, 200, 201} for press in day.presses for status in press.statuses),
        conflicts=day.world.conflicts["alerts_api"],
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def checks_of(figures: Figures) -> str:
    """What was looked at, and what was wrong."""
    rows = [[name, f"{count:,}", f"{figures.wrong[name]:,}"] for name, count in figures.looked_at.items()]
    return table(["check", "looked at", "wrong"], rows)


def seconds_of(figures: Figures) -> str:
    """How long things took."""
    rows = []
    for name, found in sorted(figures.seconds.items()):
        in_order = sorted(found)
        picked = [in_order[min(int(len(in_order) * part), len(in_order) - 1)] for part in (0.5, 0.95, 0.99, 1)]
        rows.append([name, f"{len(found):,}", *(f"{value:.1f}" for value in picked)])
    return table(["seconds", "times", "half", "95 %", "99 %", "longest"], rows)


def faults_of(figures: Figures) -> str:
    """What share of everything went wrong."""
    names: Mapping[str, str] = {
        "call": "calls of AWS",
        "channel": "calls of channels",
        "timer": "timers",
        "message": "other messages and stream records",
        "request": "requests to the API",
        "run": "runs of the sweeper",
    }
    rows = [
        [told, f"{figures.drawn[kind]:,}", f"{100 * figures.met[kind] / figures.drawn[kind]:.1f} %"]
        for kind, told in names.items()
        if figures.met[kind]
    ]
    return table(["of", "there were", "with a fault"], rows)
