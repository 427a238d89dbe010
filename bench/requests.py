"""What a handset sends, as API Gateway hands it over: signed, with any body."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.core import ids
from chalicelib.items.identifiers import from_edi
from handset.signing import HandsetKey, Request, sign

BOOT = "boot-1"

CHECK_IN: Mapping[str, Any] = {
    "battery": {"percent": 81, "charging": False, "health": "good"},
    "storage_free_mb": 20480,
    "os_patch": "2026-10-05",
    "app_version": "1.4.0",
    "network": "4g",
    "outbox": 3,
    "policy": 12,
}
"""What a handset says of itself, but for its personal use, whose month is that of the clock."""


def a_scan(device: str, sequence: int, item: str, now: datetime, step: str = "out-for-delivery") -> dict[str, Any]:
    """A scan of an item, as the reference handset writes it."""
    return {
        "specversion": "1.0",
        "id": ids.new(now),
        "source": f"/handsets/{device}/1",
        "type": "facteo.item.scanned",
        "subject": f"item/{item}",
        "time": now.isoformat(),
        "datacontenttype": "application/json",
        "data": {"barcode": {"raw": item, "symbology": "code128"}, "step": step},
        "sequence": sequence,
        "devicemonotonic": 3_000_000,
        "deviceboot": BOOT,
        "snapshot": 3,
    }


def parcel(number: int) -> str:
    """A parcel's number, with its check digit, made of ten digits."""
    return from_edi("9V", f"{number:010}")


def batch(events: Sequence[Mapping[str, Any]], now: datetime) -> bytes:
    """The body of `POST /v1/events`."""
    clock = {"time": now.isoformat(), "monotonic": 3_600_000, "boot": BOOT}
    return json.dumps({"clock": clock, "events": events}).encode()


def signed(
    method: str,
    path: str,
    body: bytes,
    *,
    key: HandsetKey,
    device: str,
    authority: str,
    now: datetime,
    headers: Mapping[str, str] | None = None,
    scheme: str = "https",
) -> Request:
    """The request with a handset's signature."""
    told = {"Host": authority, **({"Content-Type": "application/json"} if body else {}), **(headers or {})}
    request = Request(method, f"{scheme}://{authority}{path}", told, body)
    sign(request, key, key_id=device, created=now)
    return request


def gateway_event(request: Request, path: str, resource: str = "", **parameters: str) -> dict[str, Any]:
    """The request as the function of the API gets it; `parameters` are those in the path of `resource`."""
    return {
        "resource": resource or path,
        "path": path,
        "httpMethod": request.method,
        "headers": dict(request.headers),
        "multiValueHeaders": {name: [value] for name, value in request.headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {
            "httpMethod": request.method,
            "resourcePath": resource or path,
            "path": path,
            "stage": "api",
        },
        "body": request.body.decode() or None,
        "isBase64Encoded": False,
    }
