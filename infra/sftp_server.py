"""A small SFTP server on 127.0.0.1, in the place of the legacy system that takes the tracking files.

For the local run and tests only. `python -m infra.sftp_server --root FOLDER --port 2222` runs it alone.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh

USER, PASSWORD = "facteo", "facteo"

_START_SECONDS = 10


class Receiver:
    """The server's address and key, and the folder that its visitors see as `/`."""

    def __init__(self, root: Path, host_key: Any) -> None:
        self.root, self._host_key = root, host_key
        self.port = 0

    @property
    def secret(self) -> dict[str, Any]:
        """What the secret with the connection's data holds."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "username": USER,
            "password": PASSWORD,
            "host_key": self._host_key.export_public_key("openssh").decode().strip(),
            "directory": "/",
        }


class _Login(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


@contextmanager
def serving(
    root: Path, port: int = 0, *, host_key: Path | None = None, session: Callable[[Any], Any] | None = None
) -> Iterator[Receiver]:
    """A server that runs in a thread until the block ends.

    The port 0 takes a free one; `host_key` is where its key is kept (default: a new one each time). `session` makes
    the SFTP session of a channel, for tests whose receiver misbehaves.
    """
    root.mkdir(parents=True, exist_ok=True)
    key = _host_key(host_key)
    receiver = Receiver(root, key)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> Any:
        return await asyncssh.listen(
            "127.0.0.1",
            port,
            server_factory=_Login,
            server_host_keys=[key],
            sftp_factory=session or (lambda channel: asyncssh.SFTPServer(channel, chroot=str(root).encode())),
        )

    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result(_START_SECONDS)
    receiver.port = listener.get_port()
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(listener.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_SECONDS)
        loop.close()


def _host_key(path: Path | None) -> Any:
    if path is None:
        return asyncssh.generate_private_key("ssh-ed25519")
    if not path.exists():
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(path))
        path.chmod(0o600)
    return asyncssh.read_private_key(str(path))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Run the SFTP server alone.")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with serving(arguments.root, arguments.port) as receiver:
        print(f"127.0.0.1:{receiver.port}, user {USER}, password {PASSWORD}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
