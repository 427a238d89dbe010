"""How tests call the API: in process, as staff, as a handset, as another system or as nobody."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from chalice.test import Client

from handset.signing import HandsetKey, Request, sign
from infra import apart
from tests.support import rights
from tests.support.clock import FakeClock
from tests.support.tokens import TokenIssuer

AUTHORITY = "api.facteo.test"


@dataclass
class Answered:
    """An answer of the API."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def problem(self) -> str:
        """The slug of the problem type, or nothing."""
        if self.headers.get("Content-Type") != "application/problem+json":
            return ""
        return str(self.body["type"]).removeprefix("/problems/")


@dataclass
class Caller:
    """Somebody who calls. `dress` adds what says who they are to a request."""

    client: Client
    dress: Callable[[Request], None] = lambda _: None
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **query: str) -> Answered:
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any = None) -> Answered:
        return self.request("POST", path, body)

    def put(self, path: str, body: Any = None) -> Answered:
        return self.request("PUT", path, body)

    def request(
        self, method: str, path: str, body: Any = None, *, query: dict[str, str] | None = None, **headers: str
    ) -> Answered:
        """Send a request. `body` is encoded as JSON unless it is bytes."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        address = path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = Request(
            method=method,
            url=f"https://{AUTHORITY}{address}",
            headers={"Host": AUTHORITY, **({"Content-Type": "application/json"} if raw else {}), **self.headers},
            body=raw,
            query_names=tuple(urllib.parse.parse_qs(urllib.parse.urlsplit(address).query, keep_blank_values=True)),
        )
        self.dress(request)
        request.headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        with rights.checked(apart.function_of(path)):
            response = self.client.http.request(method, address, headers=request.headers, body=raw)
        return Answered(response.status_code, dict(response.headers), response.body.decode())


class Api:
    """The whole API in this process."""

    def __init__(self, issuer: TokenIssuer, clock: FakeClock) -> None:
        import app  # noqa: PLC0415 - after moto and the settings

        self._client = Client(app.app, stage_name="test")
        self._issuer = issuer
        self.clock = clock

    def as_nobody(self) -> Caller:
        return Caller(self._client)

    def as_staff(self, *roles: str, scope: str = "*", **claims: Any) -> Caller:
        return self.with_token(self._issuer.staff(*roles, scope=scope, **claims))

    def as_client(self, *scopes: str) -> Caller:
        return self.with_token(self._issuer.client(*scopes))

    def with_token(self, token: str) -> Caller:
        return Caller(self._client, headers={"Authorization": f"Bearer {token}"})

    def dressed(self, dress: Callable[[Request], None]) -> Caller:
        """Somebody whose requests are changed by `dress` before they are sent."""
        return Caller(self._client, dress)

    def as_handset(self, key: HandsetKey, device: str, *, clock_off_by: float = 0) -> Caller:
        """A handset that signs as `device` with `key`; its clock may be off by some seconds."""

        def dress(request: Request) -> None:
            sign(request, key, key_id=device, created=self.clock() + timedelta(seconds=clock_off_by))

        return Caller(self._client, dress)
