"""The local cloud: MiniStack in an environment of its own, as a child process on 127.0.0.1.

Its state is saved at a clean stop and taken up again on the same port. After a kill, or a start that did not come to
its end, the state cannot be trusted: the next start begins empty and says so.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from infra import memory
from infra.build import ROOT

PORT = 4566
REGION = "eu-west-3"
ACCOUNT = "000000000000"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": REGION}

_ENVIRONMENT = ROOT / ".venv-cloud"
_REQUIREMENTS = ROOT / "requirements-cloud.txt"
_START_SECONDS = 60
_STOP_SECONDS = 90
_LOOK_EVERY_SECONDS = 0.1
_REMOVERS = 16


class CloudError(Exception):
    """The local cloud did not start."""


class LocalCloud:
    """A running local cloud. `began_empty` says whether it took up no state."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, port: int, *, began_empty: bool) -> None:
        self._process, self._folder, self.port, self.began_empty = process, folder, port, began_empty

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
        with suppress(subprocess.TimeoutExpired):
            if self._process.wait(_STOP_SECONDS) == 0:
                (self._folder / "running").unlink(missing_ok=True)
        self.kill()

    def kill(self) -> None:
        """End it and whatever it started at once; the mark of that stays."""
        _end_group(self._process.pid)
        self._process.wait()
        _remove_temporary(self._folder)


@contextmanager
def running(folder: Path, port: int) -> Iterator[LocalCloud]:
    """A local cloud with its state in `folder`, until the block ends. Raises CloudError.

    If the block ends by an exception, what it was about is half done: the next start begins empty.
    """
    python = _environment()
    folder.mkdir(parents=True, exist_ok=True)
    forget_untrusted_state(folder, port)
    began_empty = not (folder / "state").exists()
    _remove_temporary(folder)
    (folder / "running").touch()
    with (folder / "cloud.log").open("ab") as log:
        process = _launch(python, folder, port, log)
    cloud = LocalCloud(process, folder, port, began_empty=began_empty)
    try:
        (folder / "running").write_text(str(process.pid))
        _wait_until_healthy(cloud, folder)
        yield cloud
    except BaseException:
        cloud.kill()
        raise
    cloud.stop()


def end_what_was_left(folder: Path) -> None:
    """End the local cloud of this folder that outlived who started it: it holds the port and the folder."""
    mark = folder / "running"
    told = mark.read_text() if mark.exists() else ""
    if told.isdecimal() and _is_cloud_of(folder, int(told)):
        print("Ending the local cloud that was left running ...", flush=True)
        _end_group(int(told))
        while _is_cloud_of(folder, int(told)):
            time.sleep(_LOOK_EVERY_SECONDS)


def _is_cloud_of(folder: Path, pid: int) -> bool:
    """Whether this process is a local cloud that was started in the folder, and not another that got its number."""
    process = Path("/proc") / str(pid)
    try:
        command, where = (process / "cmdline").read_bytes(), (process / "cwd").readlink()
    except OSError:
        return False
    return b"ministack" in command.split(b"\0") and where == folder.resolve()


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
    """The Python of MiniStack's environment, made at the first start. The same minor version runs the functions.

    Two that start at once make it once: the other one waits.
    """
    python = _ENVIRONMENT / "bin" / "python"
    done = _ENVIRONMENT / "requirements.txt"
    with _REQUIREMENTS.open() as requirements:
        fcntl.flock(requirements, fcntl.LOCK_EX)
        wanted = requirements.read()
        if not done.exists() or done.read_text() != wanted:
            print("Making the local cloud's environment (once) ...", flush=True)
            _remove(_ENVIRONMENT)
            _made(sys.executable, "-m", "venv", str(_ENVIRONMENT))
            _made(str(python), "-m", "pip", "install", "-qq", "-r", str(_REQUIREMENTS))
            done.write_text(wanted)
    return python


def _made(*command: str) -> None:
    """Run a command whose output matters only if it fails. Raises CloudError."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CloudError(f"'{' '.join(command)}' failed:\n{done.stdout}{done.stderr}")


def forget_untrusted_state(folder: Path, port: int) -> None:
    """Empty the state of a cloud that was killed or ran on another port, which is in the addresses that it saved."""
    reason = ""
    if (folder / "running").exists():
        reason = "was not stopped cleanly last time"
    elif (folder / "state").exists() and _saved_port(folder) != str(port):
        reason = f"ran on port {_saved_port(folder) or 'unknown'} last time and its state is of no use on {port}"
    if reason:
        print(f"The local cloud {reason}: it starts empty and is deployed anew.", flush=True)
        _remove(folder / "state")
        _remove(folder / "objects")
    (folder / "port").write_text(str(port))
    _forget_stream_positions(folder / "state" / "lambda.json")


def _saved_port(folder: Path) -> str:
    path = folder / "port"
    return path.read_text() if path.exists() else ""


def _forget_stream_positions(path: Path) -> None:
    """MiniStack saves how far each stream was read, but not the streams: what comes next would be skipped."""
    if path.exists():
        saved = json.loads(path.read_text())
        saved["payload"].pop("dynamodb_stream_positions", None)
        path.write_text(json.dumps(saved))


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
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": _make_temporary(folder), **settings},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _make_temporary(folder: Path) -> str:
    """Where the workers unpack the package: `tmp`, which leads to a folder in memory if there is a place for it."""
    temporary = folder / "tmp"
    if place := memory.place():
        temporary.symlink_to(tempfile.mkdtemp(prefix="facteo-", dir=place))
    else:
        temporary.mkdir(exist_ok=True)
    return str(temporary)


def _wait_until_healthy(cloud: LocalCloud, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and cloud.running:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{cloud.port}/_ministack/health", timeout=2) as answer:
                json.load(answer)
                return
        except (urllib.error.URLError, OSError, ValueError):
            time.sleep(_LOOK_EVERY_SECONDS)
    raise CloudError(f"The local cloud did not start; see {folder / 'cloud.log'}")


def _end_group(group: int) -> None:
    """End what is left of the processes that the cloud started: its functions' workers."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _remove_temporary(folder: Path) -> None:
    """Remove the copies of the package that the workers ran from: many small files, which one thread removes slowly."""
    temporary = folder / "tmp"
    with ThreadPoolExecutor(_REMOVERS) as pool:
        pool.map(_remove, temporary.glob("*"))
    _remove(temporary.resolve())
    if temporary.is_symlink():
        temporary.unlink()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
