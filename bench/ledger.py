"""What a piece of work asks of AWS: calls by operation, and the DynamoDB units that they consume, table by table.

The rules of DynamoDB that are applied here:

- a write costs a unit for each KiB of the larger of the row before and after, rounded up; in a transaction two;
- an index row costs the same once (never twice: index writes are not part of the transaction); a row whose index key
  changes costs a delete and a put, one that has none of the index's keys nothing;
- a consistent read costs a unit for each 4 KiB, rounded up for each row, or for the sum of a query's rows; any other
  read half; a row that is not there costs as much as a small one.
"""

from __future__ import annotations

import base64
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from chalicelib.core import aws
from chalicelib.core.table import shared_connection

Item = Mapping[str, Mapping[str, Any]]

WRITE_BYTES, READ_BYTES = 1024, 4096
SERVICES = ("kms", "s3", "sqs")


class Shape(NamedTuple):
    """The key of a table and those of its indexes."""

    key: tuple[str, ...]
    indexes: Mapping[str, tuple[str, ...]]


def write_units(size: int) -> int:
    """The units of writing that many bytes outside of a transaction."""
    return max(1, math.ceil(size / WRITE_BYTES))


def read_units(size: int, *, consistent: bool) -> float:
    """The units of reading that many bytes."""
    return max(1, math.ceil(size / READ_BYTES)) * (1.0 if consistent else 0.5)


def size_of(item: Item) -> int:
    """The bytes of a row as DynamoDB counts them: names and values."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return (len(content.strip("-.")) + 1) // 2 + 1
    if kind == "B":
        return len(base64.b64decode(content)) if isinstance(content, str) else len(content)
    return 1


class Ledger:
    """Calls by `service.Operation`; units by table, and by `table/index`; the bytes sent to DynamoDB."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.written: dict[str, float] = defaultdict(float)
        self.read: dict[str, float] = defaultdict(float)
        self.dynamodb_bytes = 0

    @property
    def dynamodb(self) -> Counter[str]:
        """The DynamoDB calls alone, by operation."""
        return Counter(
            {name.partition(".")[2]: times for name, times in self.calls.items() if name.startswith("dynamodb.")}
        )


class Clerk:
    """Keeps the ledger: listens to the clients' calls, and remembers the rows that were written.

    It must have heard the writes of the rows that are replaced later, so it is there from the start.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._rows: dict[tuple[str, ...], Item] = {}
        self._asked: dict[str, Any] = {}
        self._shapes: dict[str, Shape] = {}

    @contextmanager
    def listening(self) -> Iterator[Clerk]:
        """Listen until the block ends."""
        clients = [shared_connection().client, *(aws.client(name) for name in SERVICES)]
        for client in clients:
            client.meta.events.register("before-call.*", self._before)
            client.meta.events.register("after-call.*", self._after)
        try:
            yield self
        finally:
            for client in clients:
                client.meta.events.unregister("before-call.*", self._before)
                client.meta.events.unregister("after-call.*", self._after)

    def fresh(self) -> Ledger:
        """A new ledger, which is kept from now on."""
        self.ledger = Ledger()
        return self.ledger

    def _before(self, model: Any, params: Mapping[str, Any], **_: Any) -> None:
        service = model.service_model.service_name
        if model.name == "DescribeTable":
            return
        self.ledger.calls[f"{service}.{model.name}"] += 1
        if service == "dynamodb":
            self._asked = json.loads(params["body"])
            self.ledger.dynamodb_bytes += len(params["body"])

    def _after(self, model: Any, parsed: Mapping[str, Any], **_: Any) -> None:
        if model.service_model.service_name == "dynamodb" and "Error" not in parsed:
            getattr(self, f"_{model.name}", lambda _: None)(parsed)

    # --- reads ----------------------------------------------------------------------------------------------

    def _GetItem(self, parsed: Mapping[str, Any]) -> None:  # noqa: N802
        size = size_of(parsed["Item"]) if "Item" in parsed else 0
        self.ledger.read[_short(self._asked["TableName"])] += read_units(size, consistent=self._is_consistent())

    def _BatchGetItem(self, parsed: Mapping[str, Any]) -> None:  # noqa: N802
        for table, asked in self._asked["RequestItems"].items():
            found = parsed["Responses"].get(table, [])
            consistent = asked.get("ConsistentRead", False)
            missing = (len(asked["Keys"]) - len(found)) * read_units(0, consistent=consistent)
            there = sum(read_units(size_of(item), consistent=consistent) for item in found)
            self.ledger.read[_short(table)] += missing + there

    def _Query(self, parsed: Mapping[str, Any]) -> None:  # noqa: N802
        size = sum(size_of(item) for item in parsed["Items"])
        name = "/".join([_short(self._asked["TableName"]), *filter(None, [self._asked.get("IndexName")])])
        self.ledger.read[name] += read_units(size, consistent=self._is_consistent())

    def _is_consistent(self) -> bool:
        return bool(self._asked.get("ConsistentRead", False))

    # --- writes ---------------------------------------------------------------------------------------------

    def _TransactWriteItems(self, _: Mapping[str, Any]) -> None:  # noqa: N802
        for action in self._asked["TransactItems"]:
            [(kind, asked)] = action.items()
            self._write(kind, asked, factor=2)

    def _BatchWriteItem(self, _: Mapping[str, Any]) -> None:  # noqa: N802
        for table, actions in self._asked["RequestItems"].items():
            for action in actions:
                [(kind, asked)] = action.items()
                self._write(kind.removesuffix("Request"), {**asked, "TableName": table}, factor=1)

    def _PutItem(self, _: Mapping[str, Any]) -> None:  # noqa: N802
        self._write("Put", self._asked, factor=1)

    def _UpdateItem(self, _: Mapping[str, Any]) -> None:  # noqa: N802
        self._write("Update", self._asked, factor=1)

    def _DeleteItem(self, _: Mapping[str, Any]) -> None:  # noqa: N802
        self._write("Delete", self._asked, factor=1)

    def _write(self, kind: str, asked: Mapping[str, Any], *, factor: int) -> None:
        """An update's row is taken to stay as large as it was: ours change numbers and states."""
        table = asked["TableName"]
        shape = self._shape(table)
        keys = asked["Item"] if kind == "Put" else asked["Key"]
        address = (table, *(json.dumps(keys[name]) for name in shape.key))
        before = self._rows.get(address, {})
        after: Item = {} if kind == "Delete" else asked.get("Item", before or keys)
        size = max(size_of(before), size_of(after))
        self.ledger.written[_short(table)] += factor * write_units(size)
        for index, names in shape.indexes.items():
            was, now = (_key_in(row, names) for row in (before, after))
            rows = 2 if was and now and was != now else bool(was or now)
            self.ledger.written[f"{_short(table)}/{index}"] += rows * write_units(size)
        if after:
            self._rows[address] = after
        else:
            self._rows.pop(address, None)

    def _shape(self, table: str) -> Shape:
        if table not in self._shapes:
            told = shared_connection().client.describe_table(TableName=table)["Table"]
            indexes = {one["IndexName"]: _names(one) for one in told.get("GlobalSecondaryIndexes", [])}
            self._shapes[table] = Shape(_names(told), indexes)
        return self._shapes[table]


def _names(told: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(part["AttributeName"] for part in told["KeySchema"])


def _key_in(row: Item, names: tuple[str, ...]) -> tuple[str, ...] | None:
    return tuple(json.dumps(row[name]) for name in names) if all(name in row for name in names) else None


def _short(table: str) -> str:
    """The table's name without product and stage."""
    return table.split("-", 2)[2]
