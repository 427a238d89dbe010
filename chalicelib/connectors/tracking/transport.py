"""How a file gets to the receiver: what the despatcher asks of any transport, and SFTP.

asyncssh and asyncio are imported when a connection is made: they are heavy, and most runs have nothing to send.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from chalicelib.core import aws, settings
from chalicelib.core.settings import Settings

if TYPE_CHECKING:
    import asyncio

CONNECT_SECONDS: Final = 10
OPERATION_SECONDS: Final = 15
"""Six operations at most for a file, so that all of them end within its lease."""

ResultT = TypeVar("ResultT")


class TransferFailed(Exception):  # noqa: N818 - reads as the fact it is
    """The receiver's server refused an operation, did not answer in time, or went away."""


class Unreachable(TransferFailed):
    """There is no connection to the receiver's server: no client's file can be sent now."""


class Transport(Protocol):
    """A folder of the receiver, in which names are plain. Every method raises TransferFailed."""

    def upload(self, name: str, content: bytes) -> None:
        """Write a whole file, over any of that name."""

    def size(self, name: str) -> int | None:
        """The file's size in bytes, or None if there is no such file."""

    def rename(self, name: str, to: str) -> None:
        """Rename a file, never over another one."""

    def remove(self, name: str) -> None:
        """Delete a file, if there is one."""


Connect = Callable[[], AbstractContextManager[Transport]]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """The secret `facteo/<stage>/sftp`. `host_key` is the server's only accepted key, as a line of OpenSSH."""

    host: str
    username: str
    password: str
    host_key: str
    port: int = 22
    directory: str = "."

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port})"  # never the password


def server() -> Server:
    """Where to connect. Read for each connection: the operator may change it within a day.

    Raises botocore's ClientError if there is no such secret, msgspec.ValidationError if it lacks a field.
    """
    name = f"facteo/{settings.load(Settings).stage}/sftp"
    secret = aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    return msgspec.json.decode(secret, type=Server)


@contextmanager
def sftp() -> Iterator[Transport]:
    """A connection to the server that the secret names. Raises Unreachable."""
    import asyncio  # noqa: PLC0415 - see the module's docstring

    with asyncio.Runner() as runner:
        session = SFTPSession(runner, server())
        try:
            session.open()
            yield session
        finally:
            session.close()


class Channel:
    """A run's connection: made when first asked for, and made anew after `drop`."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._stack = ExitStack()
        self._transport: Transport | None = None

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.drop()

    def open(self) -> Transport:
        """The connection. Raises Unreachable."""
        if self._transport is None:
            self._transport = self._stack.enter_context(self._connect())
        return self._transport

    def drop(self) -> None:
        """Close the connection: after an error nobody knows what it still does."""
        self._transport = None
        self._stack.close()


class SFTPSession:
    """Transport over SFTP (draft-ietf-secsh-filexfer-02, version 3, as OpenSSH speaks it)."""

    def __init__(self, runner: asyncio.Runner, known: Server) -> None:
        self._runner = runner
        self._server = known
        self._connection: Any = None
        self._client: Any = None

    def open(self) -> None:
        """Connect. Raises Unreachable."""
        try:
            self._run(self._open(), CONNECT_SECONDS)
        except TransferFailed as error:
            raise Unreachable(f"{self._server.host} cannot be reached: {error}") from error

    def close(self) -> None:
        """Hang up, without waiting for a server that may not answer."""
        if self._connection is not None:
            self._connection.abort()

    def upload(self, name: str, content: bytes) -> None:
        """Write, flush to the server's disk where it can do that, and close."""
        self._run(self._upload(self._path(name), content))

    def size(self, name: str) -> int | None:
        """The size that the server's directory gives."""
        return self._run(self._size(self._path(name)))

    def rename(self, name: str, to: str) -> None:
        """SFTP's own rename, which fails where the other name is taken (section 6.5)."""
        self._run(self._client.rename(self._path(name), self._path(to)))

    def remove(self, name: str) -> None:
        """Delete; that it is gone already is no error."""
        self._run(self._remove(self._path(name)))

    def _path(self, name: str) -> str:
        return posixpath.join(self._server.directory, name)

    def _run(self, work: Coroutine[Any, Any, ResultT], seconds: float = OPERATION_SECONDS) -> ResultT:
        import asyncio  # noqa: PLC0415 - see the module's docstring

        import asyncssh  # noqa: PLC0415

        try:
            return self._runner.run(asyncio.wait_for(work, seconds))
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise TransferFailed(f"{type(error).__name__}: {error}") from error

    async def _open(self) -> None:
        import asyncssh  # noqa: PLC0415

        known = self._server
        # Only the pinned key is trusted, and nothing of the machine's own ssh set-up is read.
        self._connection = await asyncssh.connect(
            known.host,
            known.port,
            username=known.username,
            password=known.password,
            known_hosts=([asyncssh.import_public_key(known.host_key)], [], []),
            config=None,
            client_keys=None,
            agent_path=None,
            preferred_auth="password",
        )
        self._client = await self._connection.start_sftp_client()

    async def _upload(self, path: str, content: bytes) -> None:
        import asyncssh  # noqa: PLC0415

        async with self._client.open(path, "wb") as file:
            await file.write(content)
            try:
                await file.fsync()
            except asyncssh.SFTPOpUnsupported:
                """Not every server offers it; the size is checked before the rename in any case."""

    async def _size(self, path: str) -> int | None:
        import asyncssh  # noqa: PLC0415

        try:
            found = await self._client.stat(path)
        except asyncssh.SFTPNoSuchFile:
            return None
        return int(found.size)

    async def _remove(self, path: str) -> None:
        import asyncssh  # noqa: PLC0415

        try:
            await self._client.remove(path)
        except asyncssh.SFTPNoSuchFile:
            """It is gone: that was wanted."""
