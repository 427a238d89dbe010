"""The local cloud: MiniStack in an environment of its own, as a child process on 127.0.0.1.

Its state is saved at a clean stop and taken up again. After a kill the state cannot be trusted: the next start begins
empty and says so.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from infra.build import ROOT

PORT = 4566
REGION = "eu-west-3"
ACCOUNT = "000000000000"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": REGION}

_ENVIRONMENT = ROOT / ".venv-cloud"
_REQUIREMENTS = ROOT / "requirements-cloud.txt"
_START_SECONDS = 60
_STOP_SECONDS = 30


class CloudError(Exception):
    """The local cloud did not start."""


class LocalCloud:
    """A running local cloud."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, port: int) -> None:
        self._process, self._folder, self.port = process, folder, port

    @property
    def endpoint(self) -> str:
        """Where every service answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Stop it and whatever it started; its state is saved. If it ended badly, the mark of that stays."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        try:
            if self._process.wait(_STOP_SECONDS) == 0:
                (self._folder / "running").unlink(missing_ok=True)
        finally:
            _end_group(self._process.pid)


@contextmanager
def running(folder: Path, port: int) -> Iterator[LocalCloud]:
    """A local cloud with its state in `folder`, until the block ends. Raises CloudError."""
    cloud = start(folder, port)
    try:
        yield cloud
    finally:
        cloud.stop()


def start(folder: Path, port: int) -> LocalCloud:
    """Start a local cloud and wait until it answers. Raises CloudError."""
    python = _environment()
    folder.mkdir(parents=True, exist_ok=True)
    forget_untrusted_state(folder)
    (folder / "running").touch()
    with (folder / "cloud.log").open("ab") as log:
        process = _launch(python, folder, port, log)
    (folder / "running").write_text(str(process.pid))
    _wait_until_healthy(process, port, folder)
    return LocalCloud(process, folder, port)


def free_port(preferred: int = 0) -> int:
    """The preferred port if it is free, else some port that is."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> Path:
    """The Python of MiniStack's environment, made at the first start. The same minor version runs the functions."""
    python = _ENVIRONMENT / "bin" / "python"
    done = _ENVIRONMENT / "requirements.txt"
    wanted = _REQUIREMENTS.read_text()
    if not done.exists() or done.read_text() != wanted:
        print("Making the local cloud's environment (once) ...", flush=True)
        shutil.rmtree(_ENVIRONMENT, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(_ENVIRONMENT)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", "-r", str(_REQUIREMENTS)], check=True)
        done.write_text(wanted)
    return python


def forget_untrusted_state(folder: Path) -> None:
    """Empty the state of a cloud that was killed."""
    if (folder / "running").exists():
        print("The local cloud was not stopped cleanly last time: it starts empty and is deployed anew.", flush=True)
        shutil.rmtree(folder / "state", ignore_errors=True)
        shutil.rmtree(folder / "objects", ignore_errors=True)


def _launch(python: Path, folder: Path, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    settings = {
        **CREDENTIALS,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "objects"),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "INFO",
    }
    return subprocess.Popen(
        [str(python), "-m", "ministack"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": _temporary(folder), **settings},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _temporary(folder: Path) -> str:
    (folder / "tmp").mkdir(exist_ok=True)
    return str(folder / "tmp")


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=2) as answer:
                json.load(answer)
                return
        except (urllib.error.URLError, OSError, ValueError):
            time.sleep(0.1)
    _end_group(process.pid)
    raise CloudError(f"the local cloud did not start; see {folder / 'cloud.log'}")


def _end_group(group: int) -> None:
    """End what is left of the processes that the cloud started: its functions' workers."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
