"""Where a running back office is: what `make run` writes for the demo, the commands and the tests."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import msgspec

from infra.build import ROOT
from infra.local_cloud import CREDENTIALS, REGION

FOLDER = ROOT / ".local"


class AlreadyRunning(Exception):  # noqa: N818
    """Another process runs a back office in this folder."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Where a running back office is: what `.local/run.json` holds."""

    url: str
    connect_to: str
    endpoint: str
    region: str
    bucket: str
    user_pool: str
    staff_client: str
    tracking_client: str
    texts_topic: str
    sftp_root: str

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Run:
        """The one that `make run` started. Raises SystemExit if there is none, or not yet."""
        if not _is_held(folder):
            raise SystemExit("Nothing is running: start it with 'make run' in another terminal.")
        try:
            return msgspec.json.decode((folder / "run.json").read_bytes(), type=cls)
        except FileNotFoundError:
            raise SystemExit("It is still starting: wait until 'make run' says that it is ready.") from None

    def save(self, folder: Path) -> None:
        """Tell the commands where it is."""
        (folder / "run.json").write_bytes(msgspec.json.format(msgspec.json.encode(self)))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else runs a back office in this folder until the block ends. Raises AlreadyRunning.

    What a killed one told the commands is forgotten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(_where(folder)) from None
        (folder / "run.json").unlink(missing_ok=True)
        try:
            yield
        finally:
            (folder / "run.json").unlink(missing_ok=True)


def _where(folder: Path) -> str:
    try:
        return f"It is already running at {Run.load(folder).url}"
    except SystemExit:
        return "It is already being started"


def _is_held(folder: Path) -> bool:
    """Whether somebody holds the folder's lock, which dies with its holder."""
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def session() -> boto3.Session:
    """A session with the local cloud's credentials."""
    return boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
