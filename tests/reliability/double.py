"""A fast double of what the alerts use of AWS, at the level of the botocore calls that the product makes.

moto's transactions slow down with the table, and a simulation of 10,000 alerts makes two million calls. This keeps
items in dictionaries and sorted lists instead; `test_double` holds it against moto. It knows what the product uses and
refuses everything else with `Unsupported`. Time is the product's clock.

What is more than moto does: a transaction is under way from `begin` to `finish`, and whoever touches one of its items
meanwhile meets a conflict, as DynamoDB has it; an index may lag behind its table.
"""

from __future__ import annotations

import base64
import bisect
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from chalicelib.core import clock
from tests.reliability import expressions
from tests.reliability.expressions import Item, KeyRange, Names, Unsupported, plain

REMEMBERED_FOR = timedelta(minutes=10)
"""How long DynamoDB knows the token of a transaction."""
MAX_ITEM_BYTES = 400 * 1024
MAX_ANSWER_BYTES = 1024 * 1024
MAX_TRANSACTION_ITEMS = 100
MAX_KEYS_READ = 100
MAX_ITEMS_WRITTEN = 25
MAX_DELAY_SECONDS = 900
_REPEATED = "Provided list of item keys contains duplicates"

Request = Mapping[str, Any]
Answer = dict[str, Any]
Key = tuple[Any, ...]
Place = tuple[str, Key]
"""A table and the key of an item in it."""


def error(operation: str, code: str, message: str, **more: Any) -> ClientError:
    """An error that the service answers with."""
    return ClientError({"Error": {"Code": code, "Message": message}, **more}, operation)


def _require_known(operation: str, request: Request, *known: str) -> None:
    if not request.keys() <= set(known):
        raise Unsupported(f"{operation} with {sorted(set(request) - set(known))}")


# --- tables -------------------------------------------------------------------------------------------------


class _Kept(dict[str, expressions.Value]):
    """An item in a table, which knows its size (bytes, nearly)."""

    def __init__(self, item: Item) -> None:
        super().__init__(item)
        self.size = sum(len(name) + len(next(iter(value.values())) or "") for name, value in item.items())


class _Ordered:
    """Items of one hash key, in the order of their range keys."""

    def __init__(self) -> None:
        self.order: list[Any] = []
        self.items: dict[Any, _Kept] = {}

    def put(self, place: Any, item: _Kept) -> None:
        if place not in self.items:
            bisect.insort(self.order, place)
        self.items[place] = item

    def drop(self, place: Any) -> None:
        if self.items.pop(place, None) is not None:
            del self.order[bisect.bisect_left(self.order, place)]


class _Index:
    """A sparse global index. A change is seen in it after `lag`."""

    def __init__(self, told: Mapping[str, Any], keys: Sequence[str]) -> None:
        self.keys = [each["AttributeName"] for each in _by_kind(told["KeySchema"])]
        self.projected = {*self.keys, *keys} if told["Projection"]["ProjectionType"] == "KEYS_ONLY" else None
        if told["Projection"]["ProjectionType"] not in {"KEYS_ONLY", "ALL"}:
            raise Unsupported(f"the projection {told['Projection']}")
        self.partitions: dict[Any, _Ordered] = {}
        self._waiting: deque[tuple[datetime, Key, Item | None, _Kept | None]] = deque()

    def change(self, key: Key, before: Item | None, after: _Kept | None, seen_at: datetime) -> None:
        self._waiting.append((seen_at, key, before, after))

    def at(self, now: datetime) -> dict[Any, _Ordered]:
        while self._waiting and self._waiting[0][0] <= now:
            _, key, before, after = self._waiting.popleft()
            if (place := self._place(before, key)) is not None:
                self.partitions[place[0]].drop(place[1])
            if (place := self._place(after, key)) is not None and after is not None:
                self.partitions.setdefault(place[0], _Ordered()).put(place[1], self._shown(after))
        return self.partitions

    def _place(self, item: Item | None, key: Key) -> tuple[Any, Key] | None:
        if item is None or any(name not in item for name in self.keys):
            return None
        hash_value, *rest = (plain(item[name])[1] for name in self.keys)
        return hash_value, (*rest, *key)

    def _shown(self, item: _Kept) -> _Kept:
        if self.projected is None:
            return item
        return _Kept({name: item[name] for name in self.projected if name in item})


class _Table:
    """Items by their key, and the indexes over them."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.name = request["TableName"]
        self.keys = [each["AttributeName"] for each in _by_kind(request["KeySchema"])]
        self.types = {each["AttributeName"]: each["AttributeType"] for each in request["AttributeDefinitions"]}
        told = request.get("GlobalSecondaryIndexes", [])
        self.indexes = {each["IndexName"]: _Index(each, self.keys) for each in told}
        self.partitions: dict[Any, _Ordered] = {}
        if request.get("LocalSecondaryIndexes"):
            raise Unsupported("local indexes")

    def key_of(self, operation: str, told: Item) -> Key:
        """The key in an item, as Python compares it."""
        found = []
        for name in self.keys:
            if name not in told or self.types[name] not in told[name] or told[name][self.types[name]] in {"", b""}:
                raise error(operation, "ValidationException", f"One or more parameter values were invalid: {name}")
            found.append(plain(told[name])[1])
        return tuple(found)

    def get(self, key: Key) -> Item | None:
        partition = self.partitions.get(key[0])
        return partition.items.get(key[1:]) if partition else None

    def all(self) -> Iterator[Item]:
        for partition in self.partitions.values():
            yield from (partition.items[place] for place in partition.order)

    def write(self, key: Key, item: _Kept | None, seen_at: datetime) -> Item | None:
        """Put or delete an item; what was there."""
        partition = self.partitions.setdefault(key[0], _Ordered())
        before = partition.items.get(key[1:])
        if item is None:
            partition.drop(key[1:])
        else:
            partition.put(key[1:], item)
        for index in self.indexes.values():
            index.change(key, before, item, seen_at)
        return before


def _by_kind(schema: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    return sorted(schema, key=lambda each: each["KeyType"])


# --- DynamoDB -----------------------------------------------------------------------------------------------


class _Write(NamedTuple):
    """One write that is to be made: what becomes of an item, if the condition holds."""

    place: Place
    condition: expressions.Condition | None
    becomes: Callable[[Item | None], Item | None] | None
    """None: nothing is written, only the condition is checked."""

    def fails(self, before: Item | None) -> bool:
        return self.condition is not None and not self.condition(before or {})


@dataclass(eq=False)
class Transaction:
    """A transaction under way."""

    request: Request
    token: str
    writes: list[_Write]
    answered: bool = False


@dataclass
class Dynamo:
    """DynamoDB: `call` answers at a stroke; `begin` and `finish` keep a transaction open in between.

    `on_write` is told of every change, as a stream is: the table, the item before and the item after.
    """

    index_lag: timedelta = timedelta(0)
    on_write: Callable[[str, Item | None, Item | None], None] = lambda _table, _before, _after: None
    tables: dict[str, _Table] = field(default_factory=dict)
    under_way: list[Transaction] = field(default_factory=list)
    _answered: dict[str, tuple[datetime, Request]] = field(default_factory=dict)

    def call(self, operation: str, request: Request) -> Answer:
        """Answer a call. Raises ClientError as DynamoDB does."""
        handler = _OPERATIONS.get(operation)
        if handler is None:
            raise Unsupported(f"dynamodb:{operation}")
        return handler(self, {name: value for name, value in request.items() if name != "ReturnConsumedCapacity"})

    # --- transactions

    def begin(self, request: Request) -> Transaction:
        """Take a transaction. Raises ClientError for a wrong one, or one that touches another under way."""
        request = {name: value for name, value in request.items() if name != "ReturnConsumedCapacity"}
        _require_known("TransactWriteItems", request, "TransactItems", "ClientRequestToken")
        token = request.get("ClientRequestToken", "")
        if token and self._is_known(token, request):
            return Transaction(request, token, [], answered=True)
        writes = [self._write_of("TransactWriteItems", *next(iter(each.items()))) for each in request["TransactItems"]]
        places = [write.place for write in writes]
        if not 1 <= len(places) <= MAX_TRANSACTION_ITEMS:
            raise error("TransactWriteItems", "ValidationException", f"{len(places)} items in a transaction")
        if len(set(places)) < len(places):
            told = "Transaction request cannot include multiple operations on one item"
            raise error("TransactWriteItems", "ValidationException", told)
        busy = {write.place for other in self.under_way for write in other.writes}
        if busy.intersection(places):
            raise _cancelled(["TransactionConflict" if place in busy else "None" for place in places])
        opened = Transaction(request, token, writes)
        self.under_way.append(opened)
        return opened

    def finish(self, opened: Transaction) -> Answer:
        """Let it take effect. Raises ClientError with a reason for each item if a condition fails."""
        if opened.answered:
            return {}
        self.under_way.remove(opened)
        now = [self._at(write.place) for write in opened.writes]
        failed = [write.fails(item) for write, item in zip(opened.writes, now, strict=True)]
        if any(failed):
            raise _cancelled(["ConditionalCheckFailed" if fails else "None" for fails in failed])
        for write, item in zip(opened.writes, now, strict=True):
            if write.becomes is not None:
                self._put("TransactWriteItems", write.place, write.becomes(item))
        if opened.token:
            self._answered[opened.token] = (clock.now(), opened.request)
        return {}

    def abandon(self, opened: Transaction) -> None:
        """Forget one that never took effect."""
        if opened in self.under_way:
            self.under_way.remove(opened)

    def _is_known(self, token: str, request: Request) -> bool:
        if any(other.token == token for other in self.under_way):
            raise error("TransactWriteItems", "TransactionInProgressException", "The token's request is under way")
        at, known = self._answered.get(token, (None, None))
        if at is None or clock.now() > at + REMEMBERED_FOR:
            return False
        if known != request:
            raise error("TransactWriteItems", "IdempotentParameterMismatchException", "Another request, same token")
        return True

    def _transact(self, request: Request) -> Answer:
        return self.finish(self.begin(request))

    # --- single items

    def _write_of(self, operation: str, kind: str, told: Request) -> _Write:
        known = ["TableName", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"]
        _require_known(kind, told, *known, *_PARTS_OF_WRITES[kind])
        names, table = Names.of(told), self._table(operation, told["TableName"])
        key = table.key_of(operation, told["Item" if kind == "Put" else "Key"])
        text = told.get("ConditionExpression")
        condition = expressions.condition(text, names) if text else None
        becomes: Callable[[Item | None], Item | None] | None = None
        if kind == "Put":
            becomes = lambda _: dict(told["Item"])  # noqa: E731
        elif kind == "Delete":
            becomes = lambda _: None  # noqa: E731
        elif kind == "Update":
            becomes = lambda item: self._updated(operation, table, told, names, item)  # noqa: E731
        elif not text:
            raise error(operation, "ValidationException", "A ConditionCheck needs a condition")
        return _Write((table.name, key), condition, becomes)

    def _updated(self, operation: str, table: _Table, told: Request, names: Names, item: Item | None) -> Item:
        after = expressions.updated(told["UpdateExpression"], names, item or told["Key"])
        if any(after.get(name) != told["Key"][name] for name in table.keys):
            raise error(operation, "ValidationException", "Cannot update attribute. It is part of the key")
        return after

    def _single(self, operation: str, kind: str, request: Request) -> tuple[Item | None, Item | None]:
        returned = request.get("ReturnValues", "NONE")
        told = {name: value for name, value in request.items() if name != "ReturnValues"}
        if returned not in {"NONE", "ALL_NEW"} or (returned == "ALL_NEW" and kind != "Update"):
            raise Unsupported(f"{operation} with ReturnValues={returned}")
        write = self._write_of(operation, kind, told)
        if any(write.place == each.place for other in self.under_way for each in other.writes):
            raise error(operation, "TransactionConflictException", "Transaction is ongoing for the item")
        before = self._at(write.place)
        if write.fails(before):
            raise error(operation, "ConditionalCheckFailedException", "The conditional request failed")
        assert write.becomes is not None
        after = write.becomes(before)
        self._put(operation, write.place, after)
        return before, after

    def _put_item(self, request: Request) -> Answer:
        self._single("PutItem", "Put", request)
        return {}

    def _delete_item(self, request: Request) -> Answer:
        self._single("DeleteItem", "Delete", request)
        return {}

    def _update_item(self, request: Request) -> Answer:
        _, after = self._single("UpdateItem", "Update", request)
        return {"Attributes": after} if request.get("ReturnValues") == "ALL_NEW" else {}

    def _get_item(self, request: Request) -> Answer:
        _require_known("GetItem", request, "TableName", "Key", "ConsistentRead")
        table = self._table("GetItem", request["TableName"])
        found = table.get(table.key_of("GetItem", request["Key"]))
        return {"Item": dict(found)} if found is not None else {}

    # --- several

    def _batch_get(self, request: Request) -> Answer:
        _require_known("BatchGetItem", request, "RequestItems")
        answer: dict[str, list[Item]] = {}
        count = 0
        for name, wanted in request["RequestItems"].items():
            _require_known("BatchGetItem", wanted, "Keys", "ConsistentRead")
            table = self._table("BatchGetItem", name)
            keys = [table.key_of("BatchGetItem", key) for key in wanted["Keys"]]
            if len(set(keys)) < len(keys):
                raise error("BatchGetItem", "ValidationException", _REPEATED)
            count += len(keys)
            answer[name] = [dict(item) for key in keys if (item := table.get(key)) is not None]
        if not 1 <= count <= MAX_KEYS_READ:
            raise error("BatchGetItem", "ValidationException", f"{count} keys in a call")
        return {"Responses": answer, "UnprocessedKeys": {}}

    def _batch_write(self, request: Request) -> Answer:
        _require_known("BatchWriteItem", request, "RequestItems")
        changes: dict[Place, Item | None] = {}
        for name, wanted in request["RequestItems"].items():
            table = self._table("BatchWriteItem", name)
            for kind, told in (next(iter(each.items())) for each in wanted):
                item = told["Item"] if kind == "PutRequest" else None
                place = (name, table.key_of("BatchWriteItem", told["Key"] if item is None else item))
                if place in changes:
                    raise error("BatchWriteItem", "ValidationException", _REPEATED)
                changes[place] = item
        if not 1 <= len(changes) <= MAX_ITEMS_WRITTEN:
            raise error("BatchWriteItem", "ValidationException", f"{len(changes)} items in a call")
        for place, item in changes.items():
            self._put("BatchWriteItem", place, item)
        return {"UnprocessedItems": {}}

    def _query(self, request: Request) -> Answer:
        _require_known("Query", request, *_PARTS_OF_QUERIES)
        table, names = self._table("Query", request["TableName"]), Names.of(request)
        wanted = expressions.key_condition(request["KeyConditionExpression"], names)
        index = self._index(table, request)
        keys, partitions = (index.keys, index.at(clock.now())) if index else (table.keys, table.partitions)
        if wanted.hash_name != keys[0]:
            raise error("Query", "ValidationException", f"Query condition missed key schema element: {keys[0]}")
        if wanted.range_name and [wanted.range_name] != keys[1:2]:
            raise error("Query", "ValidationException", f"Query condition missed key schema element: {keys[1:2]}")
        partition = partitions.get(plain(wanted.hash_value)[1], _Ordered())
        order = _within(partition.order, wanted)
        order = order if request.get("ScanIndexForward", True) else order[::-1]
        found = _after([partition.items[place] for place in order], request.get("ExclusiveStartKey"))
        return _paged(found, {*keys, *table.keys}, request.get("Limit", len(found) + 1))

    def _index(self, table: _Table, request: Request) -> _Index | None:
        name = request.get("IndexName")
        if name is None:
            return None
        if request.get("ConsistentRead"):
            raise error("Query", "ValidationException", "Consistent reads are not supported on global indexes")
        if name not in table.indexes:
            raise error("Query", "ValidationException", f"The table does not have the specified index: {name}")
        return table.indexes[name]

    # --- tables

    def _create_table(self, request: Request) -> Answer:
        self.tables[request["TableName"]] = _Table(request)
        return {"TableDescription": self._described(request["TableName"])}

    def _describe_table(self, request: Request) -> Answer:
        self._table("DescribeTable", request["TableName"])
        return {"Table": self._described(request["TableName"])}

    def _described(self, name: str) -> Answer:
        return {**self.tables[name].request, "TableStatus": "ACTIVE"}

    def _nothing(self, _: Request) -> Answer:
        return {}

    def _table(self, operation: str, name: str) -> _Table:
        if name not in self.tables:
            raise error(operation, "ResourceNotFoundException", f"Requested resource not found: {name}")
        return self.tables[name]

    def _at(self, place: Place) -> Item | None:
        return self.tables[place[0]].get(place[1])

    def _put(self, operation: str, place: Place, item: Item | None) -> None:
        kept = _Kept(item) if item is not None else None
        if kept is not None and kept.size > MAX_ITEM_BYTES:
            raise error(operation, "ValidationException", "Item size has exceeded the maximum allowed size")
        before = self.tables[place[0]].write(place[1], kept, clock.now() + self.index_lag)
        self.on_write(place[0], before, item)


_OPERATIONS: dict[str, Callable[[Dynamo, Request], Answer]] = {
    "BatchGetItem": Dynamo._batch_get,
    "BatchWriteItem": Dynamo._batch_write,
    "CreateTable": Dynamo._create_table,
    "DeleteItem": Dynamo._delete_item,
    "DescribeTable": Dynamo._describe_table,
    "GetItem": Dynamo._get_item,
    "PutItem": Dynamo._put_item,
    "Query": Dynamo._query,
    "TransactWriteItems": Dynamo._transact,
    "UpdateItem": Dynamo._update_item,
    "UpdateTimeToLive": Dynamo._nothing,
}
_PARTS_OF_WRITES = {
    "Put": ["Item"],
    "Delete": ["Key"],
    "ConditionCheck": ["Key"],
    "Update": ["Key", "UpdateExpression"],
}
_PARTS_OF_QUERIES = (
    "TableName",
    "IndexName",
    "KeyConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ConsistentRead",
    "ScanIndexForward",
    "Limit",
    "ExclusiveStartKey",
)


def _within(order: list[Any], wanted: KeyRange) -> list[Any]:
    """The places of a partition that a key condition asks for."""
    if not wanted.comparison:
        return order
    low, *more = (plain(value)[1] for value in wanted.range_values)

    def left(value: Any) -> int:
        return bisect.bisect_left(order, value, key=lambda place: place[0])

    def right(value: Any) -> int:
        return bisect.bisect_right(order, value, key=lambda place: place[0])

    start, end = {
        "=": lambda: (left(low), right(low)),
        "<": lambda: (0, left(low)),
        "<=": lambda: (0, right(low)),
        ">": lambda: (right(low), len(order)),
        ">=": lambda: (left(low), len(order)),
        "BETWEEN": lambda: (left(low), right(more[0])),
        "begins_with": lambda: (left(low), left(low + chr(0x10FFFF))),
    }[wanted.comparison]()
    return order[start:end]


def _after(found: list[_Kept], start: Item | None) -> list[_Kept]:
    if start is None:
        return found
    at = next((n for n, item in enumerate(found) if all(item.get(k) == v for k, v in start.items())), None)
    if at is None:
        raise Unsupported("going on after an item that is no longer there")
    return found[at + 1 :]


def _paged(found: list[_Kept], keys: set[str], limit: int) -> Answer:
    """At most so many items, and at most 1 MiB of them."""
    taken: list[Item] = []
    size = 0
    for item in found:
        if len(taken) == limit or (taken and size + item.size > MAX_ANSWER_BYTES):
            break
        taken.append(dict(item))
        size += item.size
    answer: Answer = {"Items": taken, "Count": len(taken), "ScannedCount": len(taken)}
    if len(taken) < len(found) or len(taken) == limit:
        answer["LastEvaluatedKey"] = {name: taken[-1][name] for name in keys}
    return answer


def _cancelled(codes: Sequence[str]) -> ClientError:
    told = {
        "None": None,
        "ConditionalCheckFailed": "The conditional request failed",
        "TransactionConflict": "Transaction is ongoing for the item",
    }
    reasons = [{"Code": code, **({"Message": told[code]} if told[code] else {})} for code in codes]
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
    return error("TransactWriteItems", "TransactionCanceledException", message, CancellationReasons=reasons)


# --- the others ---------------------------------------------------------------------------------------------


class Sent(NamedTuple):
    """A message that was put into a queue."""

    queue: str
    body: str
    attributes: Mapping[str, str]
    delay: int


@dataclass
class Queues:
    """SQS, as far as the product puts messages in: what becomes of them is `on_sent`'s."""

    on_sent: Callable[[Sent], None]
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def call(self, operation: str, request: Request) -> Answer:
        """Answer a call."""
        if operation != "SendMessageBatch":
            raise Unsupported(f"sqs:{operation}")
        _require_known(operation, request, "QueueUrl", "Entries")
        entries = request["Entries"]
        names = [entry["Id"] for entry in entries]
        if not 1 <= len(entries) <= 10:
            raise error(operation, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", f"{len(entries)} entries")
        if len(set(names)) < len(names):
            raise error(operation, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id repeated")
        answer: Answer = {"Successful": [], "ResponseMetadata": {"HTTPStatusCode": 200}}
        for entry in entries:
            _require_known(operation, entry, "Id", "MessageBody", "MessageAttributes", "DelaySeconds")
            if fault := _fault_of(entry):
                told = {"Id": entry["Id"], "SenderFault": True, "Code": "InvalidParameterValue", "Message": fault}
                answer.setdefault("Failed", []).append(told)
                continue
            given = entry.get("MessageAttributes", {})
            attributes = {name: value["StringValue"] for name, value in given.items()}
            self.on_sent(Sent(request["QueueUrl"], entry["MessageBody"], attributes, entry.get("DelaySeconds", 0)))
            answer["Successful"].append({"Id": entry["Id"], "MessageId": f"m-{next(self._ids)}"})
        return answer


def _fault_of(entry: Request) -> str:
    delay = entry.get("DelaySeconds", 0)
    if not isinstance(delay, int) or not 0 <= delay <= MAX_DELAY_SECONDS:
        return f"Value {delay} for parameter DelaySeconds is invalid"
    return "" if entry["MessageBody"] else "The request must contain the parameter MessageBody."


class Keys:
    """KMS: what it encrypts is only readable with the same key and context."""

    def call(self, operation: str, request: Request) -> Answer:
        """Answer a call."""
        _require_known(operation, request, "KeyId", "Plaintext", "CiphertextBlob", "EncryptionContext")
        context = json.dumps(request.get("EncryptionContext", {}), sort_keys=True)
        seal = f"{request['KeyId']}|{context}|".encode()
        if operation == "Encrypt":
            return {"CiphertextBlob": base64.b85encode(seal + request["Plaintext"]), "KeyId": request["KeyId"]}
        if operation != "Decrypt":
            raise Unsupported(f"kms:{operation}")
        opened = base64.b85decode(request["CiphertextBlob"])
        if not opened.startswith(seal):
            raise error(operation, "InvalidCiphertextException", "")
        return {"Plaintext": opened.removeprefix(seal), "KeyId": request["KeyId"]}


class Answering(Protocol):
    """A service of the double."""

    def call(self, operation: str, request: Request) -> Answer:
        """Answer a call of botocore."""


@contextmanager
def standing_in(services: Mapping[str, Answering]) -> Iterator[None]:
    """Let these answer every botocore call until the block ends; a call of another service is refused."""

    def call(client: BaseClient, operation: str, request: Request) -> Answer:
        service = client.meta.service_model.service_name
        if service not in services:
            raise Unsupported(f"{service}:{operation}")
        return services[service].call(operation, request)

    with patch.object(BaseClient, "_make_api_call", call):
        yield
