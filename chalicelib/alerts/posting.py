"""One HTTP POST to somebody else's server: within three seconds, once, and never to where nobody may lead us."""

from __future__ import annotations

import functools
import http.client
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import SplitResult, urlsplit

CONNECT_SECONDS: Final = 1.0
SECONDS: Final = 3.0
"""How long all of it may take after the name was resolved, even if the server sends a byte each second."""

_METADATA: Final = ipaddress.ip_network("fd00:ec2::/32")
"""Where AWS serves the credentials of a machine by IPv6; by IPv4 it does so on a link-local address."""


class NeverSent(Exception):  # noqa: N818
    """There was no connection: the server knows nothing of it."""


class Impossible(NeverSent):
    """It can never be sent: the address is none, or leads to where nobody may lead us."""


class Cut(Exception):  # noqa: N818
    """Nobody answered. The server may have taken it."""


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Post the body and give the status of the answer. No redirection is followed, nothing is tried again.

    Raises NeverSent, Impossible, Cut. What they say has nothing of the URL, which may hold a secret.
    """
    try:
        parts = urlsplit(url)
        connection = _connection(parts)
    except (ValueError, HTTPException):
        raise Impossible("this is no URL") from None
    with _within(SECONDS, connection):
        _connect(connection)
        return _status(connection, _target(parts), body, headers)


def is_forbidden(address: str) -> bool:
    """Whether an IP address is one that serves a machine's own secrets, or no server's: false for any other text."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in _METADATA


def host_of(url: str) -> str:
    """The host that a URL names; empty if it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _connection(parts: SplitResult) -> HTTPConnection:
    if not parts.hostname:
        raise ValueError("no host")
    if parts.scheme == "https":
        return HTTPSConnection(parts.hostname, parts.port, timeout=CONNECT_SECONDS, context=_tls())
    if parts.scheme == "http":
        return HTTPConnection(parts.hostname, parts.port, timeout=CONNECT_SECONDS)
    raise ValueError("neither http nor https")


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _target(parts: SplitResult) -> str:
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


@contextmanager
def _within(seconds: float, connection: HTTPConnection) -> Iterator[None]:
    """Cut the connection when the time is up: the timeout of a socket begins anew with each byte."""
    timer = threading.Timer(seconds, _cut, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()


def _cut(connection: HTTPConnection) -> None:
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _connect(connection: HTTPConnection) -> None:
    """Connect, and look at where that led: a name may mean another address each time it is asked."""
    try:
        connection.connect()
        peer, port = connection.sock.getpeername()[:2]
    except OSError as error:
        raise NeverSent(f"no connection: {type(error).__name__}") from None
    except ValueError:
        raise Impossible("the host has no possible name") from None
    if is_forbidden(peer) or f"{peer}:{port}" == os.environ.get("AWS_LAMBDA_RUNTIME_API"):
        raise Impossible("the address is forbidden")
    connection.sock.settimeout(SECONDS)


def _status(connection: HTTPConnection, target: str, body: bytes, headers: Mapping[str, str]) -> int:
    try:
        connection.request("POST", target, body, dict(headers))
        return connection.getresponse().status
    except (ValueError, http.client.InvalidURL):
        raise Impossible("the URL has characters that none can have") from None
    except (OSError, HTTPException) as error:
        raise Cut(f"no answer: {type(error).__name__}") from None
