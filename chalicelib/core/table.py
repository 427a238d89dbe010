"""The base of every PynamoDB model: one client for the process and names that carry the stage.

PynamoDB would make a client for each model class (50 ms of CPU and a TLS pool each); here they share one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar, cast

from pynamodb.connection import Connection
from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import DoesNotExist, PynamoDBException
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model

from chalicelib.core import aws
from chalicelib.core.settings import physical_name

CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 3
RETRIES = 2

RowT = TypeVar("RowT", bound="Table")


@functools.cache
def shared_connection() -> Connection:
    """The connection that all models and transactions use. At worst 3 x (1 + 3) s, below the gateway's 29 s."""
    connection = Connection(
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=READ_TIMEOUT_SECONDS,
        max_retry_attempts=RETRIES,
    )
    connection._local.session = aws.session()
    return connection


def code_of(error: PynamoDBException) -> str:
    """DynamoDB's code for an error, empty if no answer came: PynamoDB's own property breaks then."""
    return str((getattr(error.cause, "response", None) or {}).get("Error", {}).get("Code", ""))


class Table(Model):
    """A row of one of our tables. `table` is the short name; the deployed one carries the stage."""

    table: ClassVar[str]

    class Meta:
        pass

    @classmethod
    def _get_connection(cls) -> TableConnection:
        cls.Meta.table_name = physical_name(cls.table)  # type: ignore[attr-defined]
        connection = super()._get_connection()
        connection.connection._client = shared_connection().client
        return connection

    @classmethod
    def find(cls: type[RowT], hash_key: Any, range_key: Any = None, *, consistent: bool = True) -> RowT | None:
        """The row with that key, or None. One read, strongly consistent unless said otherwise."""
        try:
            return cls.get(hash_key, range_key, consistent_read=consistent)
        except DoesNotExist:
            return None

    def as_put(self, when: Condition | None) -> dict[str, Any]:
        """What a transaction needs to write this row, always or only `when` a condition holds.

        PynamoDB's own way takes each item apart by its schema, key by key: half the cost of a row.
        """
        put = {"TableName": self._get_connection().table_name, "Item": self.serialize()}
        return put | _if(when) if when is not None else put

    @classmethod
    @functools.cache
    def is_none(cls) -> Condition:
        """That there is no row with that key yet."""
        return cast("Condition", getattr(cls, str(cls._hash_keyname)).does_not_exist())

    @classmethod
    def among(cls: type[RowT], rows: Rows, hash_key: str) -> RowT | None:
        """The row of this table with that key, of rows that were read together. Raises KeyError if it was not asked."""
        return cast("RowT | None", rows[cls, hash_key])

    @classmethod
    def find_many(cls: type[RowT], keys: Iterable[Any]) -> Iterable[RowT]:
        """The rows with those keys that exist, each once, in no order: a consistent call for each 100 keys."""
        return cls.batch_get(keys, consistent_read=True)


def _if(condition: Condition) -> dict[str, Any]:
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    told: dict[str, Any] = {"ConditionExpression": condition.serialize(names, values)}
    told["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in names.items()}
    return told | ({"ExpressionAttributeValues": values} if values else {})


Place = tuple[type[Table], str]
"""Where a row stands: its table, which has a hash key only, and that key."""
Rows = Mapping[Place, Table | None]
"""What stands at the places that were asked for."""


def find_together(places: Iterable[Place]) -> Rows:
    """The rows at places of different tables: one consistent call for at most 100 of them."""
    found: dict[Place, Table | None] = dict.fromkeys(places)
    models = {model._get_connection().table_name: model for model, _ in found}
    wanted: dict[str, Any] = {table: {"Keys": [], "ConsistentRead": True} for table in models}
    for model, key in found:
        wanted[model._get_connection().table_name]["Keys"].append({str(model._hash_keyname): {"S": key}})
    while wanted:
        answer = shared_connection().dispatch("BatchGetItem", {"RequestItems": wanted})
        for table, items in answer["Responses"].items():
            rows = [models[table].from_raw_data(item) for item in items]
            found.update(((models[table], getattr(row, str(row._hash_keyname))), row) for row in rows)
        wanted = answer.get("UnprocessedKeys", {})
    return found
