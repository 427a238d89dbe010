"""The API behind a real HTTP server on 127.0.0.1, and the ways in which a network fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from handset.client import Handset
from tests.support.api import AUTHORITY, Answered, Api
from tests.support.clock import FakeClock
from tests.support.factories import CARRIER

NO_NETWORK = "127.0.0.1:9"
"""An address at which nothing answers."""

Change = Callable[[Answered], Answered | None]
"""What becomes of an answer on its way. Without one, the connection is closed."""


@dataclass
class Received:
    """A request that came, and the status with which it was answered: 0 if the answer was lost."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of a batch."""
        found: list[dict[str, Any]] = json.loads(self.body)["events"]
        return found


class Bridge:
    """What came through, and what goes wrong next: each change is made to one answer of the API.

    An answer that stands in `instead` is given without asking the API.
    """

    def __init__(self, api: Api, port: int) -> None:
        self.api, self.url, self.connect_to = api, f"http://{AUTHORITY}", f"127.0.0.1:{port}"
        self.received: list[Received] = []
        self.changes: list[Change] = []
        self.instead: list[Answered] = []
        self.broken: list[BaseException] = []

    def ticket(self, carrier: str = CARRIER) -> dict[str, str]:
        """What the QR code of a new ticket says, with the address of this server."""
        answer = self.api.as_staff("fleet-admin").post("/v1/enrolment-tickets", {"carrier": carrier})
        return {**answer.body["content"], "url": self.url}

    def enrol(self, folder: Path, now: FakeClock, serial: str = "S-1") -> Handset:
        """A handset enrolled with a ticket of its own."""
        return Handset.enrol(folder, self.ticket(), serial=serial, connect_to=self.connect_to, now=now)

    def batches(self) -> list[Received]:
        """The requests that brought events."""
        return [request for request in self.received if request.path == "/v1/events"]

    def answer(self, request: Received) -> Answered | None:
        """Answer a request as API Gateway does, which knows its domain by the Host header only."""
        self.received.append(request)
        answer: Answered | None
        if self.instead:
            answer = self.instead.pop(0)
        elif request.headers["Host"] != AUTHORITY:
            answer = Answered(403, {"Content-Type": "application/json"}, '{"message": "Forbidden"}')
        else:
            caller = self.api.as_nobody()
            answer = caller.request(request.method, request.path, request.body, **request.headers)
            answer = self.changes.pop(0)(answer) if self.changes else answer
        request.status = answer.status if answer else 0
        return answer


def lost(_: Answered) -> None:
    """The answer is lost on its way: the request was carried out."""


@contextmanager
def serving(api: Api) -> Iterator[Bridge]:
    """The API on a free port until the block ends; one request at a time."""

    class Door(BaseHTTPRequestHandler):
        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                answer = bridge.answer(Received(self.command, self.path, dict(self.headers), body))
            except BaseException as error:
                bridge.broken.append(error)
                raise
            if answer:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.text.encode())

        do_GET = do_POST = do_PUT = do_DELETE = handle_request  # noqa: N815 - the names that the server looks for

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Door)
    bridge = Bridge(api, server.server_port)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield bridge
    finally:
        server.shutdown()
        server.server_close()
    assert not bridge.broken, bridge.broken
