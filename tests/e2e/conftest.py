"""The deployed stack: the package on a local cloud of its own, on free ports, with its SFTP server and demo data.

`make e2e` runs two files at a time, in two processes with a back office each. They mostly wait: for the minute at which
files are sent, or for the next step of an alert.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import staff
from handset.client import Handset
from infra.run import back_office
from infra.running import Run

FIRST = ("test_restart", "test_day", "test_gateway", "test_sos")
"""The first two take minutes: each process begins with one of them, and goes on with one of the next two."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those files first, then the others in the order of their names: they fill what is left of the time.

    The option `--no-loadscope-reorder` keeps that order when files are dealt out.
    """
    items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The back office, until the last test has ended."""
    with back_office(tmp_path_factory.mktemp("back-office"), port=0, sftp_port=0) as run:
        yield run


@pytest.fixture
def handset(running: Run, tmp_path: Path) -> Handset:
    """A newly enrolled handset of the carrier C1002."""
    return staff.enrol(running, "C1002", tmp_path / tmp_path.name)
