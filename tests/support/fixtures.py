"""The fixtures that every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from tests.support import cloud, crashes, figures
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.crashes import Everywhere, Scenario
from tests.support.tokens import TokenIssuer

settings.register_profile("facteo", deadline=None)
settings.load_profile("facteo")


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """A clock that stands at 2026-11-23 08:00 in Paris until a test moves it."""
    with FakeClock().running() as fake:
        yield fake


@pytest.fixture(scope="session")
def _moto() -> Iterator[None]:
    with cloud.mocked():
        yield


@pytest.fixture
def aws(_moto: None, clock: FakeClock) -> Iterator[cloud.Cloud]:
    """An empty back office in an in-process cloud: tables, queues, bucket and keys."""
    with cloud.emptied() as fresh:
        yield fresh


@pytest.fixture
def own_clients(aws: cloud.Cloud) -> Iterator[None]:
    """Clients that a test may change, because no other test gets them."""
    cloud.forget_clients()
    yield
    cloud.forget_clients()


@pytest.fixture(scope="session")
def issuer() -> Iterator[TokenIssuer]:
    """An identity provider whose key set is served on 127.0.0.1."""
    with TokenIssuer.serving() as running:
        yield running


@pytest.fixture
def api(aws: cloud.Cloud, issuer: TokenIssuer, clock: FakeClock) -> Api:
    """The API, called in process through Chalice's test client."""
    return Api(issuer, clock)


@pytest.fixture
def everywhere(aws: cloud.Cloud, clock: FakeClock, request: pytest.FixtureRequest) -> Everywhere:
    """Kills a scenario at each of its steps; fails if anything is lost or doubled. Its figures end the run's report."""

    def kill(scenario: Scenario[Any]) -> None:
        counted = crashes.everywhere(scenario, clock)
        figures.note(request.node, counted)
        if counted.faults:
            pytest.fail("\n".join(counted.faults[:10]), pytrace=False)

    return kill
