"""A day in the world: so many alerts at once, until each has come to its end, and a quarter of an hour of silence."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from tests.reliability import people
from tests.reliability.faults import NOTHING, Plan
from tests.reliability.judge import CHECKS, Check, Judge, Verdict
from tests.reliability.people import Carrier, Press
from tests.reliability.world import World

LONGEST = timedelta(hours=3)
SILENCE = timedelta(minutes=15)
FIRST_PRESS = 65.0
"""Seconds after which the first one presses: the sweeper has been there before."""
LOOK_EVERY = 20.0
UNKNOWN_DEPOT = "X9D"
STATES = ("enrolled",) * 8 + ("quarantined", "wiping")


@dataclass
class Day:
    """What came of a day."""

    world: World
    verdict: Verdict
    presses: Sequence[Press]
    took: float
    """Seconds of the machine."""


def lived(
    seed: int,
    plan: Plan,
    carriers: int,
    *,
    within: float,
    longest: timedelta = LONGEST,
    silence: timedelta = SILENCE,
    answers: bool = True,
) -> Day:
    """A day on which so many carriers press within so many seconds, and dispatchers answer or do not."""
    with _dawn(seed, plan) as (world, began):
        consoles = people.consoles(world, answers=answers)
        crowd = [_carrier(world, number) for number in range(carriers)]
        for carrier in crowd:
            carrier.busy = True
            world.loop.start(carrier.lives, after=FIRST_PRESS + world.random.uniform(0, within))
        until = world.now + longest
        while world.now < until and not (_all_done(world) and not any(carrier.busy for carrier in crowd)):
            world.loop.run(LOOK_EVERY)
        world.loop.run(silence.total_seconds())
        presses = [press for carrier in crowd for press in carrier.presses]
        verdict = Judge(world, presses, consoles).verdict()
        return Day(world, verdict, presses, time.perf_counter() - began)


def burst(seed: int, carriers: int, *, within: float, after: float) -> Day:
    """So many carriers press once within so many seconds; what was accepted is judged some seconds after the last."""
    with _dawn(seed, NOTHING) as (world, began):
        crowd = [_carrier(world, number) for number in range(carriers)]
        for carrier in crowd:
            world.loop.start(carrier.press, after=world.random.uniform(0, within))
        world.loop.run(within + after)
        presses = [press for carrier in crowd for press in carrier.presses]
        judge = Judge(world, presses, [])
        checks = [Check(name) for name in ("every press is accepted", "no alert is lost")]
        for check in checks:
            CHECKS[check.name](judge, check)
        return Day(world, Verdict(checks, {}), presses, time.perf_counter() - began)


@contextmanager
def _dawn(seed: int, plan: Plan) -> Iterator[tuple[World, float]]:
    began = time.perf_counter()
    gc.collect()  # what is left of the day before
    gc.disable()  # a world holds a million things that stay
    try:
        world = World(seed, plan)
        with world.running():
            people.set_up(world)
            yield world, began
    finally:
        gc.enable()


def _carrier(world: World, number: int) -> Carrier:
    depot = world.random.choice([*people.DEPOTS, UNKNOWN_DEPOT])
    return Carrier(world, number, depot, world.random.choice(STATES))


def _all_done(world: World) -> bool:
    return set(Counter(alert["state"] for alert in world.alerts().values())) <= {"closed", "joined"}
