"""The clients that the process shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from chalicelib.core import aws as clients
from chalicelib.core.table import shared_connection
from tests.support.cloud import Cloud


def test_no_call_works_out_a_user_agent(own_clients: None) -> None:
    told: list[str] = []

    def note(request: Any, **_: Any) -> None:
        told.append(str(request.headers["User-Agent"]).partition(" ")[0])

    for client in (shared_connection().client, clients.client("sqs")):
        client.meta.events.register("before-sign", note)
    shared_connection().client.list_tables()
    clients.client("sqs").list_queues()

    assert told == ["facteo", "facteo"]


@pytest.mark.parametrize(("client", "tries"), [(clients.call_once, 1), (clients.client, 3)])
def test_what_must_not_be_doubled_is_never_tried_again(
    own_clients: None, monkeypatch: pytest.MonkeyPatch, client: Callable[[str], Any], tries: int
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    sent: list[str] = []

    def broken(request: Any, **_: Any) -> AWSResponse:
        sent.append(request.url)
        return AWSResponse(request.url, 500, {}, None)

    monkeypatch.setattr(AWSResponse, "content", b"<Error/>")
    client("sqs").meta.events.register_first("before-send", broken)

    with pytest.raises(ClientError):
        client("sqs").list_queues()
    assert len(sent) == tries


def test_each_service_has_one_client_of_each_kind(aws: Cloud) -> None:
    assert clients.call_once("sqs") is clients.call_once("sqs")
    assert clients.call_once("sqs") is not clients.client("sqs")
