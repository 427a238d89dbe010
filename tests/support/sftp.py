"""The receiver of tracking files: a real SFTP server in a thread, on 127.0.0.1 and a free port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh

USER, PASSWORD = "facteo", "correct horse"


class Receiver:
    """The receiver's folder, what it picked up from it, and how its server misbehaves."""

    def __init__(self) -> None:
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0
        self.folder = Path()
        self.picked_up: list[tuple[str, bytes]] = []
        self.breaks_after: int | None = None
        self.refuses = ""

    def starts_afresh(self, folder: Path) -> None:
        """An empty folder and a server that behaves."""
        self.folder, self.picked_up, self.breaks_after, self.refuses = folder, [], None, ""

    @property
    def public_key(self) -> str:
        """The server's host key as a line of OpenSSH."""
        return self.host_key.export_public_key("openssh").decode().strip()

    @property
    def secret(self) -> dict[str, Any]:
        """What the secret with the connection's data holds."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "username": USER,
            "password": PASSWORD,
            "host_key": self.public_key,
            "directory": "/",
        }

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


class _Login(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


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


@contextmanager
def serving() -> Iterator[Receiver]:
    """A receiver whose server runs until the block ends."""
    receiver = Receiver()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> Any:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=_Login,
            server_host_keys=[receiver.host_key],
            sftp_factory=lambda channel: _Folder(channel, receiver),
        )

    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    receiver.port = listener.get_port()
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(listener.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
