"""The local cloud's own decisions: its port, and whether its state may be trusted. The cloud itself is not started."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local_cloud import LocalCloud, forget_untrusted_state, free_port

OBEDIENT = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit({status})); print(); signal.pause()"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the state of a cloud that runs."""
    for name in ("state", "objects"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "table.json").write_text("{}")
    (tmp_path / "running").touch()
    return tmp_path


def cloud_in(folder: Path, status: int = 0) -> tuple[LocalCloud, subprocess.Popen[bytes]]:
    """A process in the cloud's place, which ends with this status when it is asked to."""
    command = [sys.executable, "-c", OBEDIENT.format(status=status)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603
    assert process.stdout
    process.stdout.readline()
    return LocalCloud(process, folder, 0), process


class TestPort:
    def test_the_preferred_one_is_taken_if_it_is_free(self) -> None:
        port = free_port()
        assert free_port(port) == port

    def test_another_one_if_it_is_not(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            taken = server.getsockname()[1]
            assert free_port(taken) not in (taken, 0)


class TestState:
    def test_after_a_clean_stop_it_is_taken_up_again(self, folder: Path) -> None:
        cloud, _ = cloud_in(folder)
        assert cloud.running
        cloud.stop()
        assert not cloud.running
        forget_untrusted_state(folder)
        assert (folder / "state" / "table.json").exists()

    @pytest.mark.parametrize("stop", [LocalCloud.stop, lambda _: None])
    def test_after_a_kill_it_is_forgotten(
        self, folder: Path, stop: Callable[[LocalCloud], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        cloud, process = cloud_in(folder)
        process.kill()
        process.wait()
        stop(cloud)
        forget_untrusted_state(folder)
        assert not (folder / "state").exists()
        assert not (folder / "objects").exists()
        assert "starts empty" in capsys.readouterr().out

    def test_after_a_stop_that_failed_it_is_forgotten(self, folder: Path) -> None:
        cloud, _ = cloud_in(folder, status=1)
        cloud.stop()
        forget_untrusted_state(folder)
        assert not (folder / "state").exists()
