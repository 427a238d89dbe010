"""Ours and the bare one by turns: what slows the machine down for a while meets both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

Work = Callable[[], None]
"""What a turn is made of."""


class Compared(NamedTuple):
    """CPU of the bare one and of ours in milliseconds for a turn: medians of the turns.

    `quartiles` are those of the ratios of the turns: the middle one is the figure, the others say how much it varies.
    """

    bare: float
    ours: float
    quartiles: tuple[float, float, float]

    @property
    def ratio(self) -> float:
        """Ours to the bare one."""
        return self.quartiles[1]


def compared(turns: Sequence[tuple[float, float]]) -> Compared:
    """Seconds of the bare one and of ours in each turn, put together."""
    bare, ours = (statistics.median(times) * 1000 for times in zip(*turns, strict=True))
    low, middle, high = statistics.quantiles((mine / other for other, mine in turns), n=4)
    return Compared(bare, ours, (low, middle, high))


def cpu(work: Work) -> float:
    """The CPU that it takes in this process, in seconds."""
    begun = time.process_time()
    work()
    return time.process_time() - begun
