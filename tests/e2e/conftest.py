"""The deployed stack: the package on a local cloud of its own, on free ports, with its SFTP server and demo data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import staff
from handset.client import Handset
from infra.run import back_office
from infra.running import Run


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The back office, until the last test has ended."""
    with back_office(tmp_path_factory.mktemp("back-office"), port=0, sftp_port=0) as run:
        yield run


@pytest.fixture
def handset(running: Run, tmp_path: Path) -> Handset:
    """A newly enrolled handset of the carrier C1002."""
    return staff.enrol(running, "C1002", tmp_path / tmp_path.name)
