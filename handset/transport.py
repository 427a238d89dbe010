"""HTTP to the back office, signed. The public name may be served at another address, as on the local cloud."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from handset.signing import HandsetKey, Request, sign

TIMEOUT_SECONDS = 30
_WITHOUT_BODY = {http.HTTPStatus.NO_CONTENT, http.HTTPStatus.NOT_MODIFIED}


class NoNetwork(Exception):  # noqa: N818
    """The back office cannot be reached, or takes nothing now. Work goes on; the outbox waits.

    `retry_after` is how many seconds it asked to be left alone, 0 if it did not say.
    """

    def __init__(self, reason: str, retry_after: int = 0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Refused(Exception):  # noqa: N818
    """The back office refused a whole request. `problem` is its problem details."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}")
        self.status, self.problem = status, problem


@dataclass
class Answer:
    """An answer: status, headers in lower case, and the body if it was JSON."""

    status: int
    headers: dict[str, str]
    body: Any


class Transport:
    """Sends requests to `url`; `connect_to` is where that name is served (`127.0.0.1:4566`), if elsewhere."""

    def __init__(self, url: str, connect_to: str = "", now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        parts = urllib.parse.urlsplit(url)
        self._url, self._secure, self._authority = url.rstrip("/"), parts.scheme == "https", parts.netloc
        self._connect_to = connect_to or parts.netloc
        self._now = now
        self.clock_error = timedelta(0)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: HandsetKey,
        key_id: str,
        headers: dict[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Answer:
        """Sign and send, and wait for the answer for `timeout` seconds. A clock that is too far off is corrected by the
        server's word, once.

        Raises NoNetwork, also for 5xx, for a 429 without a problem and for what the back office does not say (a captive
        portal's page), or Refused for any other answer of 400 and more.
        """

        def send() -> Answer:
            return self._send_once(method, path, body, key=key, key_id=key_id, headers=headers or {}, timeout=timeout)

        answer = send()
        server_time = answer.body.get("server_time") if isinstance(answer.body, dict) else None
        if answer.status == http.HTTPStatus.UNAUTHORIZED and server_time:
            self.clock_error = datetime.fromisoformat(server_time) - self._now()
            answer = send()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise Refused(answer.status, answer.body if isinstance(answer.body, dict) else {})
        return answer

    def _send_once(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        key: HandsetKey,
        key_id: str,
        headers: dict[str, str],
        timeout: float,
    ) -> Answer:
        raw = json.dumps(body).encode() if body is not None else b""
        request = Request(
            method=method,
            url=self._url + path,
            headers={"Host": self._authority, **({"Content-Type": "application/json"} if raw else {}), **headers},
            body=raw,
            query_names=tuple(urllib.parse.parse_qs(urllib.parse.urlsplit(path).query, keep_blank_values=True)),
        )
        sign(request, key, key_id=key_id, created=self._now() + self.clock_error)
        return self._exchange(request, path, timeout)

    def _exchange(self, request: Request, path: str, timeout: float) -> Answer:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        try:
            with closing(kind(self._connect_to, timeout=timeout)) as connection:
                connection.request(request.method, path, body=request.body or None, headers=request.headers)
                response = connection.getresponse()
                text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoNetwork(str(error) or type(error).__name__) from error
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, _json(text))
        _check(answer)
        return answer


def _check(answer: Answer) -> None:
    """Raise NoNetwork unless the back office answered, and can take requests."""
    explained = isinstance(answer.body, dict) and "type" in answer.body
    too_many = answer.status == http.HTTPStatus.TOO_MANY_REQUESTS and not explained
    if too_many or answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        asked = answer.headers.get("retry-after", "")
        raise NoNetwork(f"the back office answered {answer.status}", int(asked) if asked.isdecimal() else 0)
    told = isinstance(answer.body, dict) or answer.status in _WITHOUT_BODY
    if answer.status < http.HTTPStatus.BAD_REQUEST and not told:
        raise NoNetwork(f"something that is not the back office answered {answer.status}")


def monotonic_milliseconds() -> int:
    """The uptime counter: it does not jump when the wall clock is set."""
    return time.monotonic_ns() // 1_000_000


def _json(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
