"""A discrete-event loop under a fake clock, in which the product's blocking code runs unchanged.

Each piece of work has a thread, and only one runs at a time: who sleeps hands over to whoever wakes first. So two
workers meet each other between any two calls of AWS as they would in the cloud, in an order that the seed decides, and
time is what the calls took.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chalicelib.core import clock
from tests.support.clock import MONDAY_MORNING

STACK_BYTES = 512 * 1024


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
    """A thread and what it does now."""

    go: threading.Lock = field(default_factory=threading.Lock)
    work: Callable[[], Any] | None = None
    processes: list[Process] = field(default_factory=list)
    thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.go.acquire()


class Loop:
    """The clock and what is to happen when. It is the time source of `clock.using`."""

    def __init__(self, start: datetime = MONDAY_MORNING) -> None:
        self.now = start
        self.switches = 0
        self._heap: list[tuple[datetime, int, Any]] = []
        self._count = itertools.count()
        self._main = _Task()
        self._current = self._main
        self._idle: list[_Task] = []
        self._tasks: list[_Task] = []
        self._failure: BaseException | None = None
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
        self.after(after, lambda: self._launch(work))

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
            heapq.heappush(self._heap, (wake, next(self._count), self._current))
            self._hand_over(self._current)
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
        heapq.heappush(self._heap, (self.now + timedelta(seconds=seconds), next(self._count), self._main))
        self._hand_over(self._main)
        if self._failure is not None:
            raise self._failure

    @contextmanager
    def running(self) -> Iterator[Loop]:
        """Be the product's clock until the block ends; then end all threads."""
        former = threading.stack_size(STACK_BYTES)
        pause, clock.pause = clock.pause, self.sleep
        try:
            with clock.using(self):
                yield self
        finally:
            clock.pause = pause
            self._end()
            threading.stack_size(former)

    # --- threads

    def _end(self) -> None:
        """End every thread, one after the other: whoever still waits is killed."""
        self._closed = True
        self._heap.clear()
        for task in self._tasks:
            if task.thread is not None and task.thread.is_alive():
                task.go.release()
                task.thread.join()

    def _launch(self, work: Callable[[], Any]) -> None:
        task = self._idle.pop() if self._idle else self._new_task()
        task.work = work
        heapq.heappush(self._heap, (self.now, next(self._count), task))

    def _new_task(self) -> _Task:
        task = _Task()
        task.thread = threading.Thread(target=self._live, args=[task], daemon=True)
        self._tasks.append(task)
        task.thread.start()
        return task

    def _live(self, task: _Task) -> None:
        while True:
            task.go.acquire()
            if self._closed:
                return
            self._current = task
            try:
                assert task.work is not None
                task.work()
            except Killed:
                pass
            except BaseException as failure:
                if not self._closed:
                    self._failure = failure
                    self._wake(self._main)
                return
            if self._closed:
                return
            task.work = None
            task.processes.clear()
            self._idle.append(task)
            self._hand_over(None)

    def _hand_over(self, me: _Task | None) -> None:
        """Let happen what comes next, until it is the turn of `me` again."""
        try:
            following = self._following()
        except BaseException as failure:
            self._failure, following = failure, self._main
        if following is not me:
            self._wake(following)
            if me is None:
                return
            me.go.acquire()
            if self._closed:
                raise Killed
        assert me is not None
        self._current = me

    def _following(self) -> _Task:
        """Whose turn it is, after everything that happens before it."""
        while True:
            moment, _, what = heapq.heappop(self._heap)
            self.now = max(self.now, moment)
            if isinstance(what, _Task):
                return what
            what()

    def _wake(self, task: _Task) -> None:
        self.switches += 1
        task.go.release()
