"""A discrete-event loop under a fake clock, in which the product's blocking code runs unchanged.

Each piece of work is a greenlet: who sleeps hands over to whoever wakes first. So two workers meet each other between
any two calls of AWS as they would in the cloud, in an order that the seed decides, and time is what the calls took.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from greenlet import getcurrent, greenlet

from chalicelib.core import clock
from tests.support.clock import MONDAY_MORNING


class Killed(BaseException):
    """The process is no more: no `except Exception` runs any more."""


@dataclass
class Process:
    """A running function of Lambda: when it is ended, whether it is dead, and the message that it works on."""

    name: str = ""
    deadline: datetime | None = None
    message: str = ""
    dead: bool = False


@dataclass(eq=False)
class _Task:
    """A greenlet, and the functions of Lambda that it is in."""

    greenlet: greenlet
    processes: list[Process] = field(default_factory=list)


class Loop:
    """The clock and what is to happen when. It is the time source of `clock.using`."""

    def __init__(self, start: datetime = MONDAY_MORNING) -> None:
        self.now = start
        self.switches = 0
        self._heap: list[tuple[datetime, int, Any]] = []
        self._count = itertools.count()
        self._main = _Task(getcurrent())
        self._current = self._main
        self._sleeping: set[_Task] = set()
        self._closed = False

    def __call__(self) -> datetime:
        return self.now

    @property
    def process(self) -> Process | None:
        """The function that runs, if one does: people and the loop itself are none."""
        return self._current.processes[-1] if self._current.processes else None

    @property
    def in_task(self) -> bool:
        """Whether the caller is something that the loop runs."""
        return self._current is not self._main

    def at(self, moment: datetime, act: Callable[[], Any]) -> None:
        """Let something happen at a moment. It must not sleep."""
        heapq.heappush(self._heap, (max(moment, self.now), next(self._count), act))

    def after(self, seconds: float, act: Callable[[], Any]) -> None:
        """The same, in some seconds."""
        self.at(self.now + timedelta(seconds=seconds), act)

    def start(self, work: Callable[[], Any], *, after: float = 0) -> None:
        """Begin a piece of work that may sleep, in some seconds."""
        self.after(after, lambda: self._begin(work))

    def sleep(self, seconds: float) -> None:
        """Let time pass for whoever calls. Raises Killed at the deadline of its process, or if that is dead."""
        if self._closed:
            raise Killed
        process, wake = self.process, self.now + timedelta(seconds=seconds)
        if process is not None:
            if process.dead:
                raise Killed
            if process.deadline is not None and wake > process.deadline:
                wake, process.dead = max(process.deadline, self.now), True
        if self._heap and self._heap[0][0] <= wake:
            self._yield_until(wake)
        else:
            self.now = wake
        if process is not None and process.dead:
            raise Killed

    @contextmanager
    def function(self, name: str, timeout: float, message: str = "") -> Iterator[Process]:
        """Run the block as a function that is ended after so many seconds. Raises Killed if it died."""
        process = Process(name, self.now + timedelta(seconds=timeout), message)
        self._current.processes.append(process)
        try:
            yield process
        finally:
            self._current.processes.pop()

    def run(self, seconds: float) -> None:
        """Let so much time pass. Raises what any piece of work raised."""
        heapq.heappush(self._heap, (self.now + timedelta(seconds=seconds), next(self._count), None))
        while True:
            moment, _, what = heapq.heappop(self._heap)
            self.now = max(self.now, moment)
            if what is None:
                return
            if isinstance(what, _Task):
                self._resume(what)
            else:
                what()

    @contextmanager
    def running(self) -> Iterator[Loop]:
        """Be the product's clock until the block ends; whoever sleeps then is killed."""
        pause, clock.pause = clock.pause, self.sleep
        try:
            with clock.using(self):
                yield self
        finally:
            clock.pause = pause
            self._end()

    # --- greenlets

    def _begin(self, work: Callable[[], Any]) -> None:
        heapq.heappush(self._heap, (self.now, next(self._count), _Task(greenlet(partial(_until_killed, work)))))

    def _resume(self, task: _Task) -> None:
        """Let a task go on until it sleeps or ends."""
        self._current = task
        try:
            task.greenlet.switch()
        finally:
            self._current = self._main

    def _yield_until(self, wake: datetime) -> None:
        task = self._current
        heapq.heappush(self._heap, (wake, next(self._count), task))
        self._sleeping.add(task)
        self.switches += 1
        self._main.greenlet.switch()
        self._sleeping.remove(task)
        if self._closed:
            raise Killed

    def _end(self) -> None:
        self._closed = True
        self._heap.clear()
        for task in list(self._sleeping):
            self._resume(task)


def _until_killed(work: Callable[[], Any]) -> None:
    with suppress(Killed):
        work()
