"""The receiver of tracking files: the local SFTP server, with a folder for each test and ways to misbehave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh

from chalicelib.core import aws
from infra import sftp_server

SECRET = "facteo/test/sftp"


class Receiver:
    """The receiver's folder, what it picked up from it, and how its server misbehaves.

    `secret` holds what the secret with the connection's data does. `breaks_after` that many bytes of a file the
    server hangs up; it refuses to open files whose name contains `refuses`.
    """

    def __init__(self) -> None:
        self.secret: dict[str, Any] = {}
        self.folder = Path()
        self.picked_up: list[tuple[str, bytes]] = []
        self.breaks_after: int | None = None
        self.refuses = ""

    def starts_afresh(self, folder: Path) -> None:
        """An empty folder and a server that behaves."""
        self.folder, self.picked_up, self.breaks_after, self.refuses = folder, [], None, ""

    def emptied(self) -> None:
        """The same folder, with nothing in it, and nothing that was picked up."""
        for path in self.folder.iterdir():
            path.unlink()
        self.starts_afresh(self.folder)

    def names(self) -> list[str]:
        """What is in the folder."""
        return sorted(path.name for path in self.folder.iterdir())

    def pick_up(self) -> None:
        """Take every complete file out of the folder, as the receiver does within the hour."""
        for path in sorted(self.folder.glob("*.ok")):
            self.picked_up.append((path.name, path.read_bytes()))
            path.unlink()

    def files(self) -> list[tuple[str, bytes]]:
        """Every complete file that was ever handed over, those picked up first."""
        return [*self.picked_up, *((path.name, path.read_bytes()) for path in sorted(self.folder.glob("*.ok")))]

    def lines(self) -> list[str]:
        """Every line of those files."""
        return [line for _, content in self.files() for line in content.decode("iso-8859-1").splitlines()]


class _Folder(asyncssh.SFTPServer):
    def __init__(self, channel: Any, receiver: Receiver) -> None:
        super().__init__(channel, chroot=str(receiver.folder).encode())
        self._receiver = receiver

    def open(self, path: bytes, pflags: int, attrs: Any) -> Any:
        if self._receiver.refuses and self._receiver.refuses.encode() in path:
            raise asyncssh.SFTPPermissionDenied("the folder is full")
        return super().open(path, pflags, attrs)

    def write(self, file_obj: Any, offset: int, data: bytes) -> Any:
        """Hang up once the given number of bytes has come."""
        limit = self._receiver.breaks_after
        if limit is None or offset + len(data) <= limit:
            return super().write(file_obj, offset, data)
        self.channel.get_connection().abort()
        return super().write(file_obj, offset, data[: limit - offset])


def keep_secret(content: dict[str, Any]) -> None:
    """Keep this as the secret with the connection's data."""
    manager = aws.client("secretsmanager")
    try:
        manager.create_secret(Name=SECRET, SecretString=json.dumps(content))
    except manager.exceptions.ResourceExistsException:
        manager.put_secret_value(SecretId=SECRET, SecretString=json.dumps(content))


@contextmanager
def serving(root: Path) -> Iterator[Receiver]:
    """A receiver whose server runs until the block ends."""
    receiver = Receiver()
    with sftp_server.serving(root, session=lambda channel: _Folder(channel, receiver)) as running:
        receiver.secret = running.secret
        yield receiver
