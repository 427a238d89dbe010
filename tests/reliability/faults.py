"""What goes wrong, drawn by a seed: of calls of AWS, of messages, of channels and of the network before the API."""

from __future__ import annotations

import enum
import random
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


def chance(*seeds: object) -> random.Random:
    """What is drawn by these seeds: always the same."""
    return random.Random("/".join(str(seed) for seed in seeds))  # noqa: S311 - drawn again by whoever has the seed


class Fault(enum.StrEnum):
    """What becomes of a call or a message.

    REFUSED: an error, nothing has happened. CUT: it had its effect, and nobody answers. HUNG: nobody answers either,
    and nothing has happened. DOUBLED: it had its effect, the answer got lost and it was sent again. DELAYED: it comes
    later than others. PARTIAL: a part of it was not taken. KILLED: who called is no more, before or after the effect.
    LOST: it never comes. NEVER: refused for ever. BROKEN: a server's error, which says nothing of the effect.
    """

    NONE = "none"
    REFUSED = "refused"
    CUT = "cut"
    HUNG = "hung"
    DOUBLED = "doubled"
    DELAYED = "delayed"
    PARTIAL = "partial"
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    LOST = "lost"
    NEVER = "never"
    BROKEN = "broken"


Shares = Mapping[Fault, int]
"""How often each fault comes, of all faults."""

OF_CALLS: Shares = {
    Fault.REFUSED: 14,
    Fault.PARTIAL: 6,
    Fault.CUT: 16,
    Fault.DOUBLED: 12,
    Fault.DELAYED: 10,
    Fault.KILLED_BEFORE: 1,
    Fault.KILLED_AFTER: 1,
}
OF_CHANNELS: Shares = {
    Fault.REFUSED: 5,
    Fault.NEVER: 5,
    Fault.HUNG: 5,
    Fault.CUT: 6,
    Fault.BROKEN: 3,
    Fault.DOUBLED: 1,
    Fault.DELAYED: 3,
    Fault.KILLED_BEFORE: 1,
    Fault.KILLED_AFTER: 1,
}
OF_TIMERS: Shares = {Fault.LOST: 15, Fault.DOUBLED: 8, Fault.DELAYED: 7}
OF_MESSAGES: Shares = {Fault.DOUBLED: 15, Fault.DELAYED: 15}
"""Queues and streams lose nothing, but may bring it late or twice."""
OF_REQUESTS: Shares = {Fault.REFUSED: 10, Fault.CUT: 10, Fault.DOUBLED: 5, Fault.DELAYED: 5}
OF_RUNS: Shares = {Fault.LOST: 20, Fault.DOUBLED: 5, Fault.DELAYED: 5}
"""Of the sweeper."""


@dataclass(frozen=True)
class Plan:
    """How much goes wrong: the share of faults among calls, channels, messages, and so on, from 0 to 1."""

    calls: float = 0.0
    channels: float = 0.0
    timers: float = 0.0
    messages: float = 0.0
    requests: float = 0.0
    runs: float = 0.0
    timers_all_lost: bool = False
    lost_run_every: int = 0
    """Of so many runs of the sweeper one is lost; 0: none."""


NOTHING = Plan()
THIRTY_PER_CENT = Plan(calls=0.3, channels=0.3, timers=0.3, messages=0.3, requests=0.3, runs=0.3)
NO_TIMERS = Plan(timers_all_lost=True)
NO_TIMERS_AND_LOST_RUNS = Plan(timers_all_lost=True, lost_run_every=4)


@dataclass
class Faults:
    """Draws what goes wrong, and counts it: `met` by what it befell and how."""

    plan: Plan
    random: random.Random
    met: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    drawn: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        plan = self.plan
        kinds: Mapping[str, tuple[float, Shares]] = {
            "call": (plan.calls, OF_CALLS),
            "channel": (plan.channels, OF_CHANNELS),
            "timer": (plan.timers, OF_TIMERS),
            "message": (plan.messages, OF_MESSAGES),
            "request": (plan.requests, OF_REQUESTS),
            "run": (plan.runs, OF_RUNS),
        }
        self._kinds = {name: (often, [*shares], [*shares.values()]) for name, (often, shares) in kinds.items()}

    def draw(self, kind: str, possible: Collection[Fault] = ()) -> Fault:
        """What befalls this one. A fault that is not possible here counts as REFUSED."""
        self.drawn[kind] += 1
        often, faults, shares = self._kinds[kind]
        if self.random.random() >= often:
            return Fault.NONE
        fault = self.random.choices(faults, shares)[0]
        if possible and fault not in possible:
            fault = Fault.REFUSED
        self.met[kind, fault] += 1
        return fault

    def share(self, kind: str) -> float:
        """How many of a kind had a fault, in per cent."""
        met = sum(count for (name, _), count in self.met.items() if name == kind)
        return 100 * met / self.drawn[kind] if self.drawn[kind] else 0.0
