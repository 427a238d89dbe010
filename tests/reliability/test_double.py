"""The double of AWS held against moto: the same operations, the same answers, so that it hides nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.alerts.tables import AlertsRow, LinesRow
from chalicelib.core import aws as real
from chalicelib.core.errors import Conflict
from chalicelib.core.journal import EventIdRow, JournalRow
from chalicelib.core.keyring import KeyRow
from chalicelib.core.table import Table, shared_connection
from chalicelib.core.transaction import transaction
from tests.reliability.double import Dynamo, Keys, Queues, Sent, standing_in
from tests.reliability.expressions import Unsupported
from tests.reliability.faults import chance
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.transactions import under_way

MODELS: tuple[type[Table], ...] = (AlertsRow, LinesRow, JournalRow, EventIdRow, KeyRow)
ROUNDS = 400
SEEDS = (1, 2, 3)
NOT_COMPARED = {"ConsumedCapacity", "ItemCollectionMetrics", "ResponseMetadata"}

Request = dict[str, Any]
Call = tuple[str, Request]


@pytest.fixture
def moto(aws: Cloud) -> Callable[[str, Request], Any]:
    """moto's DynamoDB, with the tables of these models."""
    for model in MODELS:
        model.create_table(read_capacity_units=1, write_capacity_units=1)
    return shared_connection().client._make_api_call  # type: ignore[no-any-return]


@pytest.fixture
def dynamo(moto: object) -> Dynamo:
    """The double, with the same tables."""
    made = Dynamo()
    with standing_in({"dynamodb": made}):
        for model in MODELS:
            model.create_table(read_capacity_units=1, write_capacity_units=1)
    return made


# --- random operations --------------------------------------------------------------------------------------


class Chance:
    """Operations drawn by a seed, of a few keys so that they meet each other."""

    def __init__(self, seed: int) -> None:
        self.random = chance(seed)

    def call(self) -> Call:
        draw = self.random.choice(
            [self.put, self.put, self.update, self.delete, self.get, self.batch_get, self.query, self.query]
            + [self.transaction] * 4
            + [self.batch_write, self.by_index]
        )
        operation, request = draw()
        return operation, request

    def table(self) -> str:
        return self.random.choice(["facteo-test-alerts", "facteo-test-alert-lines"])

    def key(self, table: str) -> Request:
        key = {"pk": {"S": self.random.choice(["alert/1", "alert/2", "feed/PARIS", "feed/é"])}}
        if table.endswith("lines"):
            key["sk"] = {"S": self.random.choice(["000001", "000002", "000010", "page/1", "page/2", "page/é"])}
        return key

    def item(self, table: str) -> Request:
        item = self.key(table) | {"content": {"S": self.random.choice(["a", "b", "{}"])}}
        if table.endswith("lines"):
            item |= {"state": {"S": self.random.choice(["", "planned", "sent"])}}
            return item
        item |= {"revision": {"N": self.random.choice(["1", "2", "10"])}}
        if self.random.random() < 0.6:
            due = self.random.choice(["2026-01-01", "2026-01-02", "2026-01-03"])
            item |= {"due_shard": {"S": self.random.choice("01")}, "due_at": {"S": due}}
        return item

    def condition(self) -> Request:
        text, names, values = self.random.choice(
            [
                ("attribute_not_exists (#0)", ["pk"], {}),
                ("attribute_exists (#0)", ["pk"], {}),
                ("#0 = :0", ["revision"], {":0": {"N": "1"}}),
                ("#0 < :0", ["revision"], {":0": {"N": "10"}}),
                ("#0 >= :0", ["revision"], {":0": {"N": "2"}}),
                ("#0 = :0", ["state"], {":0": {"S": "planned"}}),
                ("(attribute_not_exists (#0) OR #1 = :0)", ["pk", "content"], {":0": {"S": "a"}}),
                ("(attribute_exists (#0) AND (NOT #1 = :0))", ["pk", "content"], {":0": {"S": "b"}}),
                ("#0 BETWEEN :0 AND :1", ["content"], {":0": {"S": "a"}, ":1": {"S": "b"}}),
                ("#0 IN (:0, :1)", ["content"], {":0": {"S": "a"}, ":1": {"S": "x"}}),
                ("begins_with (#0, :0)", ["content"], {":0": {"S": "{"}}),
                (
                    "((#0 = :0 OR #0 = :1) AND attribute_exists (#1))",
                    ["content", "pk"],
                    {":0": {"S": "a"}, ":1": {"S": "b"}},
                ),
            ]
        )
        told: Request = {
            "ConditionExpression": text,
            "ExpressionAttributeNames": {f"#{number}": name for number, name in enumerate(names)},
        }
        return told | ({"ExpressionAttributeValues": values} if values else {})

    def maybe(self) -> Request:
        return self.condition() if self.random.random() < 0.6 else {}

    def put(self) -> Call:
        table = self.table()
        return "PutItem", {"TableName": table, "Item": self.item(table), **self.maybe()}

    def delete(self) -> Call:
        table = self.table()
        return "DeleteItem", {"TableName": table, "Key": self.key(table), **self.maybe()}

    def change(self, table: str) -> Request:
        told = self.maybe()
        names, values = told.get("ExpressionAttributeNames", {}), told.get("ExpressionAttributeValues", {})
        text, more, given = self.random.choice(
            [
                ("SET #c = :c", {"#c": "content"}, {":c": {"S": "c"}}),
                ("SET #c = :c, #d = :d", {"#c": "content", "#d": "state"}, {":c": {"S": "c"}, ":d": {"S": "sent"}}),
                ("SET #c = :c REMOVE #d, #e", {"#c": "content", "#d": "due_at", "#e": "due_shard"}, {":c": {"S": "e"}}),
                ("ADD #c :c", {"#c": "count"}, {":c": {"N": "3"}}),
                ("SET #c = if_not_exists (#c, :c)", {"#c": "first"}, {":c": {"S": "x"}}),
                ("SET #c = if_not_exists (#c, :z) + :c", {"#c": "sum"}, {":c": {"N": "2"}, ":z": {"N": "0"}}),
            ]
        )
        changed = {"ExpressionAttributeNames": names | more, "ExpressionAttributeValues": values | given}
        return {"TableName": table, "Key": self.key(table), **told, **changed, "UpdateExpression": text}

    def update(self) -> Call:
        returned = {"ReturnValues": "ALL_NEW"} if self.random.random() < 0.5 else {}
        return "UpdateItem", self.change(self.table()) | returned

    def get(self) -> Call:
        table = self.table()
        return "GetItem", {"TableName": table, "Key": self.key(table), "ConsistentRead": True}

    def batch_get(self) -> Call:
        wanted = {}
        for table in ["facteo-test-alerts", "facteo-test-alert-lines"][: self.random.randint(1, 2)]:
            keys = [self.key(table) for _ in range(self.random.randint(1, 3))]
            wanted[table] = {"Keys": keys, "ConsistentRead": True}
        return "BatchGetItem", {"RequestItems": wanted}

    def batch_write(self) -> Call:
        table, changes = self.table(), {}
        for _ in range(self.random.randint(1, 3)):  # each item once: repeats DynamoDB refuses, and moto does not
            item = self.item(table)
            key = {name: item[name] for name in ("pk", "sk") if name in item}
            delete = self.random.random() < 0.4
            changes[repr(key)] = {"DeleteRequest": {"Key": key}} if delete else {"PutRequest": {"Item": item}}
        return "BatchWriteItem", {"RequestItems": {table: [*changes.values()]}}

    def query(self) -> Call:
        text, values = self.random.choice(
            [
                ("#0 = :0", {}),
                ("(#0 = :0 AND begins_with (#1, :1))", {":1": {"S": "page/"}}),
                ("(#0 = :0 AND #1 > :1)", {":1": {"S": "000002"}}),
                ("(#0 = :0 AND #1 >= :1)", {":1": {"S": "000002"}}),
                ("(#0 = :0 AND #1 < :1)", {":1": {"S": "page/1"}}),
                ("(#0 = :0 AND #1 <= :1)", {":1": {"S": "page/1"}}),
                ("(#0 = :0 AND #1 = :1)", {":1": {"S": "page/1"}}),
                ("(#0 = :0 AND #1 BETWEEN :1 AND :2)", {":1": {"S": "000001"}, ":2": {"S": "page/1"}}),
            ]
        )
        names = {"#0": "pk"} | ({"#1": "sk"} if "#1" in text else {})
        key = self.key("facteo-test-alert-lines")["pk"]
        limit = {"Limit": self.random.randint(1, 4)} if self.random.random() < 0.5 else {}
        return "Query", {
            "TableName": "facteo-test-alert-lines",
            "KeyConditionExpression": text,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {":0": key, **values},
            "ScanIndexForward": self.random.random() < 0.7,
            **limit,
        }

    def by_index(self) -> Call:
        return "Query", {
            "TableName": "facteo-test-alerts",
            "IndexName": "by-due",
            "KeyConditionExpression": "(#0 = :0 AND #1 <= :1)",
            "ExpressionAttributeNames": {"#0": "due_shard", "#1": "due_at"},
            "ExpressionAttributeValues": {":0": {"S": self.random.choice("01")}, ":1": {"S": "2026-01-02"}},
        }

    def transaction(self) -> Call:
        writes = []
        for _ in range(self.random.randint(1, 4)):
            table, kind = self.table(), self.random.choice(["Put", "Put", "Update", "Delete", "ConditionCheck"])
            if kind == "Put":
                told = {"TableName": table, "Item": self.item(table), **self.maybe()}
            elif kind == "Update":
                told = self.change(table)
            else:
                condition = self.condition() if kind == "ConditionCheck" else self.maybe()
                told = {"TableName": table, "Key": self.key(table), **condition}
            writes.append({kind: told})
        return "TransactWriteItems", {"TransactItems": writes}


def answer_of(call: Callable[[str, Request], Any], operation: str, request: Request) -> Any:
    """What comes of an operation: its answer without what describes the call, or the codes of its error."""
    try:
        answer = call(operation, copy.deepcopy(request))  # botocore adds a token
    except ClientError as error:
        reasons = [reason["Code"] for reason in error.response.get("CancellationReasons", [])]
        return error.response["Error"]["Code"], reasons
    told = {name: value for name, value in answer.items() if name not in NOT_COMPARED}
    if "Responses" in told:
        told["Responses"] = {table: sorted(items, key=_in_order) for table, items in told["Responses"].items() if items}
    if told.get("Count") == request.get("Limit", ""):  # DynamoDB says where it stopped even if nothing follows
        told.pop("LastEvaluatedKey", None)
    if "IndexName" in request:
        told["Items"] = sorted(told["Items"], key=_in_order)
    return told


def _in_order(item: Request) -> str:
    return repr(sorted(item.items()))


def everything(call: Callable[[str, Request], Any], tables: Sequence[str]) -> dict[str, Any]:
    """What is in the tables of moto."""
    return {table: sorted(call("Scan", {"TableName": table})["Items"], key=_in_order) for table in tables}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_operations_have_the_same_answers(moto: Any, dynamo: Dynamo, seed: int) -> None:
    drawn, met = Chance(seed), set()
    for number in range(ROUNDS):
        operation, request = drawn.call()
        expected = answer_of(moto, operation, request)
        assert answer_of(dynamo.call, operation, request) == expected, f"operation {number}: {operation} {request}"
        met.add((operation, expected[0] if isinstance(expected, tuple) else ""))
    tables = ["facteo-test-alerts", "facteo-test-alert-lines"]
    found = {table: sorted(map(dict, dynamo.tables[table].all()), key=_in_order) for table in tables}
    assert found == everything(moto, tables)
    assert ("TransactWriteItems", "TransactionCanceledException") in met
    assert ("TransactWriteItems", "ValidationException") in met
    assert ("TransactWriteItems", "") in met
    assert ("UpdateItem", "ConditionalCheckFailedException") in met


def test_pages_of_a_query_follow_each_other(moto: Any, dynamo: Dynamo) -> None:
    for number in range(7):
        item = {"pk": {"S": "feed/P"}, "sk": {"S": f"{number:03}"}, "content": {"S": "x"}, "state": {"S": ""}}
        for call in (moto, dynamo.call):
            call("PutItem", {"TableName": "facteo-test-alert-lines", "Item": item})
    pages = [_pages(call) for call in (moto, dynamo.call)]
    assert pages[0] == pages[1] == [["000", "001", "002"], ["003", "004", "005"], ["006"]]


def _pages(call: Callable[[str, Request], Any]) -> list[list[str]]:
    request: Request = {
        "TableName": "facteo-test-alert-lines",
        "KeyConditionExpression": "#0 = :0",
        "ExpressionAttributeNames": {"#0": "pk"},
        "ExpressionAttributeValues": {":0": {"S": "feed/P"}},
        "Limit": 3,
    }
    pages = []
    while True:
        answer = call("Query", request)
        pages.append([item["sk"]["S"] for item in answer["Items"]])
        if "LastEvaluatedKey" not in answer:
            return pages
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


# --- what moto does not do ----------------------------------------------------------------------------------


def a_put(name: str, content: str = "a", **told: Any) -> Request:
    item = {"pk": {"S": name}, "content": {"S": content}, "revision": {"N": "1"}}
    return {"Put": {"TableName": "facteo-test-alerts", "Item": item, **told}}


NEW = {"ConditionExpression": "attribute_not_exists (#0)", "ExpressionAttributeNames": {"#0": "pk"}}


def test_a_token_is_answered_again_as_the_shim_over_moto_does(moto: Any, dynamo: Dynamo, clock: FakeClock) -> None:
    first = {"TransactItems": [a_put("alert/1", **NEW)], "ClientRequestToken": "t-1"}
    other = {"TransactItems": [a_put("alert/2", **NEW)], "ClientRequestToken": "t-1"}
    answers = []
    for call in (moto, dynamo.call):
        told = [answer_of(call, "TransactWriteItems", request) for request in (first, first, other)]
        clock.advance(minutes=11)
        answers.append([*told, answer_of(call, "TransactWriteItems", first)])
        clock.advance(minutes=-11)
    assert answers[0] == answers[1]
    assert answers[1] == [
        {},
        {},
        ("IdempotentParameterMismatchException", []),
        ("TransactionCanceledException", ["ConditionalCheckFailed"]),
    ]


def test_transactions_conflict_as_under_the_shim_over_moto(moto: Any, dynamo: Dynamo) -> None:
    shared, alone = a_put("alert/shared"), a_put("alert/alone")
    late: list[Any] = []

    def meanwhile() -> None:
        late.append(answer_of(moto, "TransactWriteItems", {"TransactItems": [alone, shared]}))

    with under_way(meanwhile, gives_way=False):
        moto("TransactWriteItems", {"TransactItems": [shared]})
    opened = dynamo.begin({"TransactItems": [shared]})
    late.append(answer_of(dynamo.call, "TransactWriteItems", {"TransactItems": [alone, shared]}))
    single = answer_of(dynamo.call, "PutItem", {name: shared["Put"][name] for name in ("TableName", "Item")})
    dynamo.finish(opened)

    assert late == [("TransactionCanceledException", ["None", "TransactionConflict"])] * 2
    assert single == ("TransactionConflictException", [])
    assert answer_of(dynamo.call, "TransactWriteItems", {"TransactItems": [alone, shared]}) == {}


def test_an_index_lags_behind(dynamo: Dynamo, clock: FakeClock) -> None:
    dynamo.index_lag = timedelta(seconds=1)
    item = {"pk": {"S": "alert/1"}, "due_shard": {"S": "0"}, "due_at": {"S": "2026-01-01"}}
    request = {
        "TableName": "facteo-test-alerts",
        "IndexName": "by-due",
        "KeyConditionExpression": "#0 = :0",
        "ExpressionAttributeNames": {"#0": "due_shard"},
        "ExpressionAttributeValues": {":0": {"S": "0"}},
    }
    dynamo.call("PutItem", {"TableName": "facteo-test-alerts", "Item": item})
    assert dynamo.call("Query", request)["Items"] == []
    clock.advance(seconds=1)
    assert dynamo.call("Query", request)["Items"] == [item]


def test_what_it_does_not_know_it_refuses(dynamo: Dynamo) -> None:
    item = {"pk": {"S": "alert/1"}}
    wrong = {
        "Scan": {"TableName": "facteo-test-alerts"},
        "PutItem": {"TableName": "facteo-test-alerts", "Item": item, "ConditionExpression": "size (#0) > :0"},
        "GetItem": {"TableName": "facteo-test-alerts", "Key": item, "ProjectionExpression": "pk"},
    }
    for operation, request in wrong.items():
        with pytest.raises(Unsupported):
            dynamo.call(operation, request)


# --- through the product's own layers -----------------------------------------------------------------------


def test_the_product_does_the_same_on_both(moto: Any, dynamo: Dynamo, clock: FakeClock) -> None:
    def use() -> list[Any]:
        AlertsRow("alert/1", content="{}", due_shard="0", due_at="2026").save()
        with transaction() as work:
            work.put(AlertsRow("alert/2", content="é"), unless_exists=Conflict("there"))
            work.put(LinesRow("feed/P", "0001", content="x", expires_at=clock.at))
        told: list[Any] = []
        try:
            with transaction() as work:
                unchanged = AlertsRow.revision == 7
                work.check(AlertsRow("alert/1"), unchanged, otherwise=Conflict("changed"))
                work.put(LinesRow("feed/P", "0002", content="y"))
        except Conflict as problem:
            told.append(problem.detail)
        rows = AlertsRow.find_many(["alert/1", "alert/2", "alert/3"])
        told.append(sorted((row.pk, row.content, int(row.revision)) for row in rows))
        told.append([(row.sk, row.expires_at) for row in LinesRow.query("feed/P", LinesRow.sk > "0000")])
        told.append([row.pk for row in AlertsRow.by_due.query("0", AlertsRow.due_at <= "2027")])
        told.append(AlertsRow.find("alert/9"))
        return told

    on_moto = use()
    with standing_in({"dynamodb": dynamo}):
        assert use() == on_moto


def test_queues_and_keys_answer_as_moto_does(aws: Cloud) -> None:
    import os  # noqa: PLC0415

    entries = [
        {"Id": "0", "MessageBody": "a", "DelaySeconds": 3},
        {"Id": "1", "MessageBody": "b", "MessageAttributes": {"k": {"DataType": "String", "StringValue": "v"}}},
    ]
    sent: list[Sent] = []
    url = os.environ["FACTEO_SORTING_QUEUE"]
    expected = real.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
    answer = Queues(sent.append).call("SendMessageBatch", {"QueueUrl": url, "Entries": entries})
    assert [one["Id"] for one in answer["Successful"]] == [one["Id"] for one in expected["Successful"]]
    assert sent == [Sent(url, "a", {}, 3), Sent(url, "b", {"k": "v"}, 0)]

    kms, told = Keys(), {"KeyId": "alias/facteo-test-personal-data", "EncryptionContext": {"month": "2026-11"}}
    for call in (real.client("kms")._make_api_call, kms.call):
        wrapped = call("Encrypt", {**told, "Plaintext": b"secret"})["CiphertextBlob"]
        assert call("Decrypt", {**told, "CiphertextBlob": wrapped})["Plaintext"] == b"secret"
        with pytest.raises(ClientError) as refused:
            call("Decrypt", {**told, "EncryptionContext": {"month": "2026-12"}, "CiphertextBlob": wrapped})
        assert refused.value.response["Error"]["Code"] == "InvalidCiphertextException"
