"""One HTTP call as the rest of the code sees it: made from Chalice's request, and free of Chalice."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Any

import msgspec

from chalicelib.core import ids
from chalicelib.core.errors import RequestInvalid

CORRELATION_HEADER = "Facteo-Correlation-Id"
_MAX_CORRELATION = 64


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Header names are in lower case, path parameters decoded, each query parameter given at most once."""

    method: str
    path: str
    headers: dict[str, str]
    query: dict[str, str]
    path_parameters: dict[str, str]
    body: bytes
    correlation_id: str

    def has(self, etag: str) -> bool:
        """Whether the caller has that answer already: `If-None-Match` names it (RFC 9110, section 13.1.2)."""
        return etag in map(str.strip, self.headers.get("if-none-match", "").split(","))


def from_request(request: Any, path_parameters: Mapping[str, str], correlation_id: str) -> Call:
    """The call that Chalice's request describes. Raises RequestInvalid for a repeated query parameter."""
    context: Mapping[str, Any] = request.context
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(
        method=request.method,
        path=_public_path(context),
        headers=headers,
        query=_single_values(request.query_params),
        path_parameters={name: urllib.parse.unquote(value) for name, value in path_parameters.items()},
        body=request.raw_body,
        correlation_id=correlation_id,
    )


def correlation_id_of(request: Any) -> str:
    """The id that the caller gave what it does, if it is well-formed, else a new one."""
    given = next((value for name, value in request.headers.items() if name.lower() == CORRELATION_HEADER.lower()), "")
    wellformed = 0 < len(given) <= _MAX_CORRELATION and given.isascii() and given.isprintable()
    return given if wellformed else ids.new()


def _public_path(context: Mapping[str, Any]) -> str:
    """The path under the public name: without the stage, which some gateways leave in front."""
    path, stage = str(context.get("path", "")), str(context.get("stage", ""))
    return path.removeprefix(f"/{stage}") if stage and path.startswith(f"/{stage}/") else path


def _single_values(query: Any) -> dict[str, str]:
    names = list(query or ())
    repeated = [name for name in names if len(query.getlist(name)) > 1]
    if repeated:
        raise RequestInvalid(f"Give the query parameter '{repeated[0]}' once.")
    return {name: query[name] for name in names}
