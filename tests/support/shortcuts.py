"""Shortcuts through moto, which spends most of the suite's time on what comes out the same for us.

*Answers of DynamoDB* are made in the form in which they are sent; moto then looks for every attribute of every value
under each name that it might have. *A transaction* copies each of its tables, once for each item, to put them back if
it is cancelled; here only the rows are kept that it touches. *The methods of a service* are looked up for each call.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.core import responses
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.models.utilities import dynamo_json_dump
from moto.dynamodb.responses import DynamoResult

Row = tuple[dict[DynamoType, Item], DynamoType]
"""Where a row is, and by which key."""


@contextmanager
def taken() -> Iterator[None]:
    """Take them until the block ends."""
    transact = DynamoDBBackend.transact_write_items

    def transacted(backend: DynamoDBBackend, writes: list[dict[str, Any]]) -> None:
        kept = [(rows, key, copy.deepcopy(rows.get(key))) for rows, key in (_row(backend, write) for write in writes)]
        try:
            transact(backend, writes)
        except Exception:
            for rows, key, row in kept:
                if row is None:
                    rows.pop(key, None)
                else:
                    rows[key] = row
            raise

    with (
        patch.object(DynamoResult, "execute_result", _answer),
        patch.object(DynamoDBBackend, "transact_write_items", transacted),
        patch.object(Table, "__deepcopy__", lambda table, _: table, create=True),
        patch.object(responses, "method_names_from_class", functools.cache(responses.method_names_from_class)),
    ):
        yield


def _answer(result: DynamoResult, _context: Any) -> tuple[int, dict[str, str], str]:
    return 200, {"Content-Type": "application/x-amz-json-1.0"}, dynamo_json_dump(result.result)


def _row(backend: DynamoDBBackend, write: dict[str, Any]) -> Row:
    kind, what = next(iter(write.items()))
    table, given = backend.get_table(what["TableName"]), what["Item"] if kind == "Put" else what["Key"]
    key = DynamoType(given[table.hash_key_attr])
    return (table.items[key], DynamoType(given[table.range_key_attr])) if table.range_key_attr else (table.items, key)
