"""What happens at a step: the process dies there, its answer is lost, or somebody else acts.

`everywhere` kills a use case at each of its steps in turn, has it done again as production would, and compares what
there is then with what an undisturbed run leaves. A feature that is to be held against it is one `Scenario`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from unittest.mock import patch

import botocore.endpoint
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError
from moto.core.botocore_stubber import BotocoreStubber

from tests.support import cloud, stored
from tests.support.clock import FakeClock

GivenT = TypeVar("GivenT")

Method = tuple[type, str]

SECOND_DEATH_EVERY = 4
"""Of so many processes that do the work of a dead one, one is killed too."""

READING = ("BatchGet", "Decrypt", "Describe", "Encrypt", "Get", "List", "Query", "Scan", "Sign")
"""How calls are named that leave no trace: the SDK may repeat them, and nobody can tell."""


class Killed(BaseException):
    """The process is no more: no `except Exception` runs any more."""


class Steps:
    """The steps of a block: how many there were, and their names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __len__(self) -> int:
        return len(self.names)


# --- one step -----------------------------------------------------------------------------------------------


@contextmanager
def after_step(number: int, then: Callable[[], Any], *methods: Method, only: str = "") -> Iterator[Steps]:
    """Do `then` once, right after the n-th step of the block: a call of AWS, or of one of these methods.

    Only steps of the name `only` count if one is given. What `then` does itself is no step.
    """
    with _stepping(number, then, methods, only, before=False) as steps:
        yield steps


@contextmanager
def before_step(number: int, then: Callable[[], Any], *methods: Method, only: str = "") -> Iterator[Steps]:
    """The same, right before the n-th step: nothing of it has happened."""
    with _stepping(number, then, methods, only, before=True) as steps:
        yield steps


@contextmanager
def losing_answer(number: int) -> Iterator[Steps]:
    """The n-th request of the block to AWS takes effect and its answer is lost: the SDK sends the same once more."""
    steps, send = Steps(), BotocoreStubber.__call__

    def sent(network: BotocoreStubber, event_name: str, request: Any, **told: Any) -> Any:
        steps.names.append(event_name.rpartition(".")[2])
        lost = len(steps) == number
        answer = send(network, event_name, request, **told)
        if lost:
            raise ReadTimeoutError(endpoint_url=request.url)
        return answer

    with patch.object(BotocoreStubber, "__call__", sent), patch.object(botocore.endpoint, "time"):
        yield steps


def die() -> None:
    """For `after_step`: the process dies."""
    raise Killed


@contextmanager
def _stepping(
    number: int, then: Callable[[], Any], methods: Sequence[Method], only: str, *, before: bool
) -> Iterator[Steps]:
    steps = Steps()
    acting = dead = False

    def wrapped(step: Callable[..., Any], name_of: Callable[..., str]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            nonlocal acting, dead
            if dead and not acting:
                raise Killed  # from a `finally`: the dead run none
            name = name_of(*args)
            if acting or only not in ("", name):
                return step(*args, **kwargs)
            answer = None if before else step(*args, **kwargs)
            steps.names.append(name)
            if len(steps) == number:
                acting = dead = True
                try:
                    then()
                    dead = False
                finally:
                    acting = False
            return step(*args, **kwargs) if before else answer

        return called

    with ExitStack() as stack:
        call = wrapped(BaseClient._make_api_call, lambda _client, operation, _parameters: operation)
        stack.enter_context(patch.object(BaseClient, "_make_api_call", call))
        for owner, name in methods:
            method = wrapped(getattr(owner, name), lambda *_, name=name: name)
            stack.enter_context(patch.object(owner, name, method))
        yield steps


# --- every step ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario(Generic[GivenT]):
    """A use case or a worker that is killed everywhere.

    `arrange` makes what is there before; it runs once, and before each run the cloud and the clock are put back to
    what it left. What it returns is given to the other functions, and none of them changes it; what lies outside the
    cloud (a folder) is put back by `afresh`. `act` does the work, and fails if it was not accepted. `redrive` is what
    happens after a death: by default the same again, as a client, a queue, a stream and a schedule do. `facts` are
    counted, by default everything that there is; `methods` are steps besides the calls of AWS.
    """

    name: str
    arrange: Callable[[], GivenT]
    act: Callable[[GivenT], Any]
    redrive: Callable[[GivenT], Any] | None = None
    facts: Callable[[GivenT], Iterable[str]] = field(default=lambda _: stored.facts())
    afresh: Callable[[GivenT], Any] = field(default=lambda _: None)
    methods: Sequence[Method] = ()

    def again(self, given: GivenT) -> Any:
        """Do what happens after a death."""
        return (self.redrive or self.act)(given)


Everywhere = Callable[[Scenario[Any]], None]
"""The fixture `everywhere`: kills a scenario at each of its steps."""


@dataclass
class Figures:
    """How often a scenario was killed, and what that did: `faults` says where, and what was lost or doubled."""

    name: str
    paths: int = 0
    lost: int = 0
    doubled: int = 0
    faults: list[str] = field(default_factory=list)

    def count(self, path: str, expected: Counter[str], found: Counter[str]) -> None:
        """Count a path by what there is at its end."""
        self.paths += 1
        lost, doubled = expected - found, found - expected
        self.lost += lost.total()
        self.doubled += doubled.total()
        told = [f"  lost: {fact}" for fact in lost.elements()] + [f"  doubled: {fact}" for fact in doubled.elements()]
        self.faults += ["\n".join([path, *told])] if told else []


@dataclass(frozen=True)
class _Death:
    """The end of a run at a step: `how` it comes, and what brings it about."""

    how: str
    at: Callable[..., AbstractContextManager[Steps]]
    number: int

    def of(self, work: Callable[[], Any], methods: Sequence[Method]) -> str:
        """Do some work until it dies. What happened, or nothing if the work did not come so far."""
        outlives = self.at is losing_answer
        ending = self.at(self.number) if outlives else self.at(self.number, die, *methods)
        with suppress(Killed), ending as steps:
            try:
                work()
            except Exception:
                if not outlives:
                    raise
        return f"{self.how} {steps.names[self.number - 1]} (step {self.number})" if len(steps) >= self.number else ""


def everywhere(scenario: Scenario[Any], clock: FakeClock) -> Figures:
    """Kill the scenario before and after each of its steps, and lose the answer of each request that writes; have it
    done again each time, and count what is lost and doubled. Raises AssertionError if that cannot be done.
    """
    given, started = scenario.arrange(), clock.at
    saved, figures = stored.save(), Figures(scenario.name)

    def start() -> None:
        stored.restore(saved)
        clock.at = started
        scenario.afresh(given)
        cloud.start_cold()

    start()
    untouched = Counter(scenario.facts(given))
    steps = _watch(scenario, given, after_step(0, die, *scenario.methods))
    expected = Counter(scenario.facts(given))
    assert expected != untouched, f"{scenario.name}: a run changes nothing"
    start()
    requests = _watch(scenario, given, losing_answer(0))

    for deaths in _paths(len(steps), requests.names):
        start()
        path = _walk(scenario, given, deaths)
        figures.count(path, expected, Counter(scenario.facts(given)))
    return figures


def _watch(scenario: Scenario[Any], given: Any, watching: AbstractContextManager[Steps]) -> Steps:
    with watching as steps:
        scenario.act(given)
    return steps


def _paths(steps: int, requests: Sequence[str]) -> Iterator[Sequence[_Death]]:
    for number in range(1, steps + 1):
        yield [_Death("killed before", before_step, number)]
        again = [_Death("killed after", after_step, number // 2)] if number % SECOND_DEATH_EVERY == 0 else []
        yield [_Death("killed after", after_step, number), *again]
    for number, request in enumerate(requests, 1):
        if not request.startswith(READING):
            yield [_Death("answer lost of", losing_answer, number)]


def _walk(scenario: Scenario[Any], given: Any, deaths: Sequence[_Death]) -> str:
    """Die, and have the work done again until somebody lives; what happened, in words."""
    works = [scenario.act, *(scenario.again for _ in deaths)]
    happened = []
    for work, death in zip(works, deaths, strict=False):
        happened.append(death.of(lambda work=work: work(given), scenario.methods))  # type: ignore[misc]
        cloud.start_cold()
    path = f"{scenario.name}: " + ", then ".join(filter(None, happened))
    assert happened[0], f"{scenario.name}: a run came to other steps than the one before it"
    try:
        scenario.again(given)
    except Exception as error:
        raise AssertionError(f"{path}: the work could not be done again") from error
    return path
