"""What is sent to DynamoDB, and refusals that moto does not give: conflicts, throttling, a broken request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from chalicelib.core.table import shared_connection


@contextmanager
def sent(operation: str) -> Iterator[list[dict[str, Any]]]:
    """The parameters of every call of this operation within the block."""
    calls: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        calls.append(json.loads(params["body"]))

    with _before(operation, note):
        yield calls


@contextmanager
def refusing(operation: str, *errors: dict[str, Any]) -> Iterator[None]:
    """The block's first calls of this operation are refused with these errors, one after the other."""
    waiting = list(errors)

    def refuse(**_: Any) -> Any:
        return (SimpleNamespace(status_code=400), waiting.pop(0)) if waiting else None

    with _before(operation, refuse):
        yield
    assert not waiting, f"{len(waiting)} refusals were not met"


def error(code: str) -> dict[str, Any]:
    """An error of the whole request."""
    return {"Error": {"Code": code, "Message": "refused by the test"}, "ResponseMetadata": {}}


def cancelled(*reasons: str) -> dict[str, Any]:
    """A transaction cancelled with a reason for each of its items; `None` for those that would have succeeded."""
    return error("TransactionCanceledException") | {"CancellationReasons": [{"Code": reason} for reason in reasons]}


@contextmanager
def _before(operation: str, handler: Any) -> Iterator[None]:
    hooks, name = shared_connection().client.meta.events, f"before-call.dynamodb.{operation}"
    hooks.register_last(name, handler)
    try:
        yield
    finally:
        hooks.unregister(name, handler)
