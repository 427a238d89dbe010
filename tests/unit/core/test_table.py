"""Tables: every model on one client, with timeouts that fit a request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest

from chalicelib.core import table
from chalicelib.core.inbox import InboxRow
from chalicelib.core.journal import EventIdRow
from chalicelib.core.settings import physical_name
from chalicelib.core.table import shared_connection
from tests.support import dynamodb
from tests.support.cloud import Cloud, all_models

META = frozenset(
    {
        "table_name",
        "region",
        "host",
        "connect_timeout_seconds",
        "read_timeout_seconds",
        "max_retry_attempts",
        "max_pool_connections",
        "extra_headers",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "read_capacity_units",
        "write_capacity_units",
        "stream_view_type",
        "billing_mode",
    }
)
"""What PynamoDB knows; it passes over any other name in silence."""
INDEX_META = META | {"index_name", "projection", "attributes"}

GATEWAY_SECONDS = 29


def own_names(meta: type) -> set[str]:
    return {name for name in vars(meta) if not name.startswith("__")}


def test_all_models_share_one_client(aws: Cloud) -> None:
    models = all_models()

    assert len(models) > 5
    assert {id(model._get_connection().connection.client) for model in models} == {id(shared_connection().client)}


def test_every_model_has_the_name_of_its_own_table(aws: Cloud) -> None:
    names = {model: model._get_connection().table_name for model in all_models()}

    assert names == {model: physical_name(model.table) for model in names}
    assert {model.Meta.table_name for model in names} == set(names.values())


def test_every_setting_of_a_model_or_index_is_one_that_pynamodb_knows(aws: Cloud) -> None:
    models = all_models()

    assert not {name for model in models for name in own_names(model.Meta)} - META
    indexes = [index for model in models for index in model._indexes.values()]
    assert not {name for index in indexes for name in own_names(index.Meta)} - INDEX_META


def test_the_longest_wait_fits_into_the_gateways(aws: Cloud) -> None:
    config = shared_connection().client.meta.config

    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (1, 3, 3)
    assert config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout) < GATEWAY_SECONDS


def test_one_row_is_found_consistently_unless_said_otherwise(aws: Cloud) -> None:
    EventIdRow(id="e", subject="item/1", fingerprint="f").save()

    with dynamodb.sent("GetItem") as calls:
        found = [EventIdRow.find("e"), EventIdRow.find("nowhere"), EventIdRow.find("e", consistent=False)]

    assert [row and row.id for row in found] == ["e", None, "e"]
    assert [call["ConsistentRead"] for call in calls] == [True, True, False]


def test_many_rows_are_found_a_hundred_at_a_time_and_each_once(aws: Cloud) -> None:
    EventIdRow(id="e0", subject="item/1", fingerprint="f").save()
    keys = [f"e{number}" for number in range(101)]

    with dynamodb.sent("BatchGetItem") as calls:
        found = list(EventIdRow.find_many([*keys, *keys]))

    assert [row.id for row in found] == ["e0"]
    asked = [call["RequestItems"]["facteo-test-event-ids"] for call in calls]
    assert [len(request["Keys"]) for request in asked] == [100, 1]
    assert {request["ConsistentRead"] for request in asked} == {True}


def test_no_keys_cost_no_call(aws: Cloud) -> None:
    with aws.counting() as calls:
        assert list(InboxRow.find_many([])) == []
    assert calls == {}


class TestFoundTogether:
    def test_rows_of_several_tables_are_one_call_and_what_is_not_there_is_none(self, aws: Cloud) -> None:
        EventIdRow(id="e1", subject="item/1", fingerprint="f").save()
        EventIdRow(id="e2", subject="item/2", fingerprint="f").save()
        InboxRow(id="i", expires_at=datetime(2027, 1, 1, tzinfo=UTC)).save()
        places = [(EventIdRow, "e1"), (EventIdRow, "e2"), (EventIdRow, "none"), (InboxRow, "i"), (InboxRow, "i")]

        with dynamodb.sent("BatchGetItem") as calls:
            rows = table.find_together(places)

        assert len(calls) == 1
        assert {request["ConsistentRead"] for request in calls[0]["RequestItems"].values()} == {True}
        found = [EventIdRow.among(rows, key) for key in ("e1", "e2", "none")]
        assert [row and row.subject for row in found] == ["item/1", "item/2", None]
        assert InboxRow.among(rows, "i") is not None

    def test_what_was_not_asked_for_is_no_row_that_is_not_there(self, aws: Cloud) -> None:
        rows = table.find_together([(EventIdRow, "e1")])
        with pytest.raises(KeyError):
            EventIdRow.among(rows, "e2")

    def test_what_dynamodb_leaves_over_is_asked_again(self, aws: Cloud) -> None:
        for key in ("e1", "e2"):
            EventIdRow(id=key, subject=key, fingerprint="f").save()
        dispatch, name = shared_connection().dispatch, "facteo-test-event-ids"

        def one_at_a_time(operation: str, asked: dict[str, Any]) -> Any:
            first, *others = asked["RequestItems"][name]["Keys"]
            answer = dispatch(operation, {"RequestItems": {name: asked["RequestItems"][name] | {"Keys": [first]}}})
            left = {name: asked["RequestItems"][name] | {"Keys": others}}
            return answer | {"UnprocessedKeys": left if others else {}}

        with patch.object(shared_connection(), "dispatch", one_at_a_time):
            rows = table.find_together([(EventIdRow, "e1"), (EventIdRow, "e2")])

        assert [row and row.id for row in rows.values()] == ["e1", "e2"]
