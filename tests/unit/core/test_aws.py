"""The clients that the process shares."""

from __future__ import annotations

from typing import Any

from chalicelib.core import aws as clients
from chalicelib.core.table import shared_connection
from tests.support.cloud import Cloud


def test_no_call_works_out_a_user_agent(aws: Cloud) -> None:
    told: list[str] = []

    def note(request: Any, **_: Any) -> None:
        told.append(str(request.headers["User-Agent"]).partition(" ")[0])

    for client in (shared_connection().client, clients.client("sqs")):
        client.meta.events.register("before-sign", note)
    shared_connection().client.list_tables()
    clients.client("sqs").list_queues()

    assert told == ["facteo", "facteo"]
