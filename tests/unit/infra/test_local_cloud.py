"""The local cloud's own decisions: its port, whether its state may be trusted, and what it leaves behind.

In its place runs a small program, which answers, saves and ends as it does.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra import local_cloud, memory
from infra.local_cloud import CloudError, end_what_was_left, free_port

Printed = pytest.CaptureFixture[str]

MINISTACK = """
import http.server, os, pathlib, signal, sys
def stop(*_):
    state = pathlib.Path(os.environ["STATE_DIR"])
    state.mkdir(exist_ok=True)
    (state / "lambda.json").write_text('{"payload": {"dynamodb_stream_positions": {"x": 7}, "functions": 1}}')
    sys.exit(int(pathlib.Path("status").read_text()))
signal.signal(signal.SIGTERM, stop)
pathlib.Path(os.environ["TMPDIR"], "worker").mkdir()
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")
http.server.HTTPServer(("127.0.0.1", int(os.environ["GATEWAY_PORT"])), Door).serve_forever()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a cloud that ends well when it is asked to."""
    (tmp_path / "ministack.py").write_text(MINISTACK)
    (tmp_path / "status").write_text("0")
    monkeypatch.setattr(local_cloud, "_environment", lambda: Path(sys.executable))
    return tmp_path


@pytest.fixture(params=[True, False], ids=["in memory", "on the disk"])
def scratch(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path | None:
    """The place in memory that this machine has for what is unpacked, or none."""
    place = tmp_path_factory.mktemp("memory") if request.param else None
    monkeypatch.setattr(memory, "place", lambda: place)
    return place


@pytest.fixture
def port() -> int:
    return free_port()


def run_once(folder: Path, port: int) -> bool:
    """Start and stop a cloud; whether it began empty."""
    with local_cloud.running(folder, port) as cloud:
        assert cloud.running
        return cloud.began_empty


@contextmanager
def a_process(where: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a group of its own, which is there until the block ends."""
    command = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()", *arguments]
    with subprocess.Popen(command, cwd=where, stdout=subprocess.PIPE, start_new_session=True) as process:  # noqa: S603
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


class TestEnvironment:
    def test_it_is_made_once_and_by_one_at_a_time(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        requirements, commands = tmp_path / "requirements.txt", []
        requirements.write_text("ministack")

        def made(*command: str) -> None:
            with requirements.open() as other, pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (tmp_path / "environment").mkdir(exist_ok=True)
            commands.append(command)

        monkeypatch.setattr(local_cloud, "_ENVIRONMENT", tmp_path / "environment")
        monkeypatch.setattr(local_cloud, "_REQUIREMENTS", requirements)
        monkeypatch.setattr(local_cloud, "_made", made)
        for _ in range(2):
            assert local_cloud._environment() == tmp_path / "environment" / "bin" / "python"
        assert len(commands) == 2, "one makes it, one installs"


class TestPort:
    def test_the_preferred_one_is_taken_if_it_is_free(self) -> None:
        port = free_port()
        assert free_port(port) == port

    def test_another_one_if_it_is_not(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            taken = server.getsockname()[1]
            assert free_port(taken) not in (taken, 0)


class TestState:
    def test_after_a_clean_stop_it_is_taken_up_again(self, folder: Path, port: int, capsys: Printed) -> None:
        assert run_once(folder, port)
        assert not run_once(folder, port)
        assert "starts empty" not in capsys.readouterr().out

    def test_streams_are_read_from_their_beginning_since_they_are_not_saved(self, folder: Path, port: int) -> None:
        run_once(folder, port)
        with local_cloud.running(folder, port):
            assert json.loads((folder / "state" / "lambda.json").read_text()) == {"payload": {"functions": 1}}

    def test_on_another_port_it_is_forgotten(self, folder: Path, port: int, capsys: Printed) -> None:
        run_once(folder, port)
        (folder / "objects").mkdir()
        assert run_once(folder, free_port())
        assert f"ran on port {port} last time" in capsys.readouterr().out
        assert not (folder / "objects").exists()

    @pytest.mark.parametrize("how", ["killed", "ended badly", "interrupted"])
    def test_after_anything_but_a_clean_stop_it_is_forgotten(
        self, folder: Path, port: int, how: str, capsys: Printed
    ) -> None:
        run_once(folder, port)
        (folder / "status").write_text("1" if how == "ended badly" else "0")
        try:
            with local_cloud.running(folder, port):
                if how == "killed":
                    os.killpg(int((folder / "running").read_text()), signal.SIGKILL)
                if how == "interrupted":
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        assert run_once(folder, port)
        assert "was not stopped cleanly last time: it starts empty" in capsys.readouterr().out

    def test_one_that_does_not_start_says_where_its_log_is(self, folder: Path, port: int) -> None:
        (folder / "ministack.py").write_text("1 / 0")
        with pytest.raises(CloudError, match=r"see .*cloud\.log"):
            run_once(folder, port)
        assert "ZeroDivisionError" in (folder / "cloud.log").read_text()


class TestWhatIsLeft:
    def test_nothing_of_what_its_workers_ran_from(self, folder: Path, port: int, scratch: Path | None) -> None:
        (folder / "tmp" / "of-one-that-was-killed").mkdir(parents=True)
        with local_cloud.running(folder, port):
            assert [path.name for path in (folder / "tmp").iterdir()] == ["worker"]
            assert (folder / "tmp").resolve().is_relative_to(scratch or folder)
        assert not (folder / "tmp").exists()

    def test_nor_of_what_one_that_was_killed_left_in_memory(
        self, folder: Path, port: int, scratch: Path | None
    ) -> None:
        left = (scratch or folder) / "left"
        (left / "of-one-that-was-killed").mkdir(parents=True)
        (folder / "tmp").symlink_to(left)
        run_once(folder, port)
        assert not left.exists()

    def test_a_machine_that_was_restarted_has_forgotten_what_was_in_memory(self, folder: Path, port: int) -> None:
        (folder / "tmp").symlink_to(folder / "gone")
        assert run_once(folder, port)

    def test_a_cloud_that_outlived_its_starter_is_ended(self, folder: Path) -> None:
        with a_process(folder, "ministack") as process:
            (folder / "running").write_text(str(process.pid))
            end_what_was_left(folder)
            assert process.wait(1) == -signal.SIGKILL

    @pytest.mark.parametrize(("inside", "arguments"), [(True, ["something else"]), (False, ["ministack"])])
    def test_another_process_that_got_its_number_is_left_alone(
        self, folder: Path, inside: bool, arguments: list[str]
    ) -> None:
        with a_process(folder if inside else folder.parent, *arguments) as process:
            (folder / "running").write_text(str(process.pid))
            end_what_was_left(folder)
            assert process.poll() is None

    @pytest.mark.parametrize("told", ["", "no number", "0"])
    def test_a_mark_without_a_process_ends_none(self, folder: Path, told: str) -> None:
        (folder / "running").write_text(told)
        end_what_was_left(folder)
