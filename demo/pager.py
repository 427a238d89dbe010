"""A pager on this machine: it takes the alerts' webhooks as the service of another company does, and checks the sender.

A service must tell repeats by `dedup_key`; this one keeps all that comes, so that a repeat is seen.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

HEADER = "Facteo-Signature"
TOLERANCE_SECONDS = 300
"""How old a signature may be: what is older may have been caught and sent again."""

_SIGNATURE = re.compile(r"t=([0-9]+),v1=([0-9a-f]{64})")


class Page(NamedTuple):
    """A page: `trigger`, `acknowledge` or `resolve`, which alert, which step (from 1), one line of text, and when."""

    action: str
    alert: str
    step: int
    summary: str
    at: float


class Pager:
    """What came: the pages, and how many requests were not from who has the secret."""

    def __init__(self, port: int, told: Callable[[Page], None] | None = None) -> None:
        self.url, self.secret = f"http://127.0.0.1:{port}/v2/enqueue", secrets.token_urlsafe(24)
        self.pages: list[Page] = []
        self.refused = 0
        self._told = told

    def take(self, body: bytes, signature: str) -> int:
        """Take a request: the status of the answer."""
        if not is_signed(body, signature, self.secret, int(time.time())):
            self.refused += 1
            return 401
        page = _page(json.loads(body))
        self.pages.append(page)
        if self._told:
            self._told(page)
        return 202

    def of(self, alert: str, action: str = "trigger") -> list[Page]:
        """The pages of an alert, the first first."""
        return [page for page in self.pages if (page.alert, page.action) == (alert, action)]


def is_signed(body: bytes, signature: str, secret: str, now: int) -> bool:
    """Whether the header is one that who has the secret made for this body, not long ago."""
    said = _SIGNATURE.fullmatch(signature)
    if said is None or abs(now - int(said[1])) > TOLERANCE_SECONDS:
        return False
    expected = hmac.new(secret.encode(), f"{said[1]}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, said[2])


@contextmanager
def serving(told: Callable[[Page], None] | None = None, port: int = 0) -> Iterator[Pager]:
    """A pager on that port, or a free one, until the block ends. `told` hears of each page."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(pager.take(body, self.headers.get(HEADER, "")))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Door)
    pager = Pager(server.server_port, told)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield pager
    finally:
        server.shutdown()
        server.server_close()


def _page(event: dict[str, Any]) -> Page:
    payload = event["payload"]
    step = payload["custom_details"]["step"] + 1
    return Page(event["event_action"], event["dedup_key"], step, payload["summary"], time.time())
