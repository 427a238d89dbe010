"""A right that no test needs is named; what AWS itself does with a function's rights is never asked for."""

from __future__ import annotations

from chalicelib.core import aws as clients
from tests.support import rights, rights_used
from tests.support.cloud import BUCKET, Cloud
from tests.support.rights import Right

NEEDED = Right("erase", "dynamodb:DeleteItem", "table/facteo-test-keyring")


def test_a_right_that_no_test_needs_is_named() -> None:
    granted = set(rights.granted())
    assert NEEDED in granted
    assert rights_used.unused(granted) == []
    assert rights_used.unused(granted - {NEEDED}) == [NEEDED]


def test_what_a_worker_does_is_noted_by_the_pattern_that_allows_it(aws: Cloud) -> None:
    with rights.checked("take_slice"):
        clients.client("s3").put_object(Bucket=BUCKET, Key="rejects/zones/a.csv.rejects.csv", Body=b"")
    assert Right("take_slice", "s3:PutObject", "facteo-test-inbox/rejects/*") in rights.USED


def test_what_lambda_does_with_the_rights_of_a_function_is_never_asked_for() -> None:
    asked = {right.action for right in rights_used.unused([])}
    assert asked.isdisjoint({"logs:PutLogEvents", "sqs:ReceiveMessage", "dynamodb:GetRecords"})
    assert "dynamodb:PutItem" in asked
