"""What DynamoDB does with transactions and moto does not; here the shims do it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import TransactWriteError

from chalicelib.core import aws as clients
from chalicelib.core.errors import Conflict
from chalicelib.core.journal import EventIdRow
from chalicelib.core.settings import physical_name
from chalicelib.core.transaction import transaction
from tests.support import dynamodb
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.crashes import losing_answer
from tests.support.races import contended, overtaken

Race = Callable[..., AbstractContextManager[None]]


def put(row_id: str, *, called: str = "t-1", fingerprint: str = "first") -> None:
    """A transaction that succeeds once: the row must be new."""
    texts = {"id": row_id, "subject": "item/1", "fingerprint": fingerprint, "refusal": ""}
    write = {
        "TableName": physical_name(EventIdRow.table),
        "Item": {name: {"S": text} for name, text in texts.items()},
        "ConditionExpression": "attribute_not_exists(id)",
    }
    clients.client("dynamodb").transact_write_items(TransactItems=[{"Put": write}], ClientRequestToken=called)


def code_of(call: Callable[[], None]) -> str:
    """The code of the error with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


def write(*row_ids: str, fingerprint: str = "ours") -> None:
    """A unit of work as the product sends it, of rows that must be new."""
    with transaction() as work:
        for row_id in row_ids:
            row = EventIdRow(id=row_id, subject="item/1", fingerprint=fingerprint)
            work.put(row, unless_exists=Conflict(f"{row_id} is taken"))


def fingerprints() -> dict[str, str]:
    return {row.id: row.fingerprint for row in EventIdRow.scan()}


class TestClientRequestToken:
    def test_the_same_again_within_ten_minutes_succeeds_and_does_nothing(self, aws: Cloud, clock: FakeClock) -> None:
        put("r-1")
        EventIdRow("r-1", subject="item/1", fingerprint="changed since").save()
        clock.advance(minutes=10)
        put("r-1")
        assert fingerprints() == {"r-1": "changed since"}

    def test_after_ten_minutes_it_is_another_transaction(self, aws: Cloud, clock: FakeClock) -> None:
        put("r-1")
        clock.advance(minutes=10, seconds=1)
        assert code_of(lambda: put("r-1")) == "TransactionCanceledException"

    def test_for_another_request_it_is_refused(self, aws: Cloud) -> None:
        put("r-1")
        assert code_of(lambda: put("r-1", fingerprint="second")) == "IdempotentParameterMismatchException"
        assert fingerprints() == {"r-1": "first"}

    def test_another_token_is_another_transaction(self, aws: Cloud) -> None:
        put("r-1")
        assert code_of(lambda: put("r-1", called="t-2")) == "TransactionCanceledException"

    def test_that_of_a_cancelled_transaction_is_free(self, aws: Cloud) -> None:
        put("r-1", called="t-1")
        assert code_of(lambda: put("r-1", called="t-2")) == "TransactionCanceledException"
        EventIdRow("r-1").delete()
        put("r-1", called="t-2")
        assert fingerprints() == {"r-1": "first"}

    def test_while_the_first_is_under_way_it_is_refused(self, aws: Cloud) -> None:
        codes: list[str] = []
        with overtaken(by=lambda: codes.append(code_of(lambda: put("r-1")))):
            put("r-1")
        assert codes == ["TransactionInProgressException"]


class TestLostAnswer:
    def test_the_sdk_sends_the_same_token_again_and_the_effect_is_there_once(self, aws: Cloud) -> None:
        with losing_answer(1) as requests, dynamodb.sent("TransactWriteItems") as calls:
            write("r-1")
        assert requests.names == ["TransactWriteItems"] * 2
        assert len(calls) == 1
        assert fingerprints() == {"r-1": "ours"}

    def test_an_answer_that_is_lost_each_time_is_an_error_of_the_call(self, aws: Cloud) -> None:
        with losing_answer(1), losing_answer(2), losing_answer(3), pytest.raises(TransactWriteError):
            write("r-1")
        assert fingerprints() == {"r-1": "ours"}


class TestTransactionConflict:
    def test_of_two_at_one_item_the_first_gives_way_and_comes_again(self, aws: Cloud) -> None:
        theirs = overtaken(by=lambda: write("shared", fingerprint="theirs"))
        with dynamodb.sent("TransactWriteItems") as calls, pytest.raises(Conflict, match="shared is taken"), theirs:
            write("mine", "shared")
        assert len(calls) == 3, "cancelled by the conflict, sent again, refused by its condition"
        assert fingerprints() == {"shared": "theirs"}

    def test_or_the_second_does(self, aws: Cloud) -> None:
        def other() -> None:
            with pytest.raises(Conflict, match="shared is taken"):
                write("shared", fingerprint="theirs")

        with dynamodb.sent("TransactWriteItems") as calls, contended(by=other):
            write("mine", "shared")
        assert len(calls) == 3
        assert fingerprints() == {"mine": "ours", "shared": "ours"}

    def test_the_reason_stands_at_the_items_that_are_shared(self, aws: Cloud) -> None:
        """As botocore tells it to who does not try again."""
        with pytest.raises(ClientError) as refused, overtaken(by=lambda: put("shared")):
            put_both("one", "shared")
        reasons = refused.value.response["CancellationReasons"]
        assert [reason["Code"] for reason in reasons] == ["None", "TransactionConflict"]
        assert fingerprints().keys() == {"shared"}

    @pytest.mark.parametrize("race", [overtaken, contended])
    def test_two_that_share_nothing_disturb_nobody(self, aws: Cloud, race: Race) -> None:
        with dynamodb.sent("TransactWriteItems") as calls, race(by=lambda: write("theirs")):
            write("mine")
        assert len(calls) == 2
        assert fingerprints().keys() == {"mine", "theirs"}

    def test_one_that_fails_cancels_nobody(self, aws: Cloud) -> None:
        write("old")

        def other() -> None:
            with pytest.raises(Conflict):
                write("shared", "old")

        with dynamodb.sent("TransactWriteItems") as calls, overtaken(by=other):
            write("shared")
        assert len(calls) == 2
        assert fingerprints().keys() == {"old", "shared"}

    @pytest.mark.parametrize("race", [overtaken, contended])
    def test_a_race_that_nobody_runs_is_an_error_of_the_test(self, aws: Cloud, race: Race) -> None:
        with pytest.raises(AssertionError, match="sent no transaction"), race(by=lambda: None):
            EventIdRow.count()


def put_both(*row_ids: str) -> None:
    table = physical_name(EventIdRow.table)
    writes = [{"Put": {"TableName": table, "Item": {"id": {"S": row_id}}}} for row_id in row_ids]
    clients.client("dynamodb").transact_write_items(TransactItems=writes)
