"""A right that no test needs is named; what AWS itself does with a function's rights is never asked for."""

from __future__ import annotations

import os

import pytest

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


def test_whoever_calls_people_must_be_allowed_to_by_each_way(aws: Cloud) -> None:
    sns, ses = clients.call_once("sns"), clients.call_once("sesv2")
    application = os.environ["FACTEO_PUSH_APPLICATION"]
    with rights.checked("alerts_api"):
        endpoint = sns.create_platform_endpoint(PlatformApplicationArn=application, Token="t")["EndpointArn"]
    text = {"Subject": {"Data": "SOS"}, "Body": {"Text": {"Data": "SOS"}}}
    calls = [
        (sns.publish, {"PhoneNumber": "+33612345678", "Message": "SOS"}),
        (sns.publish, {"TopicArn": os.environ["FACTEO_ALERT_TOPIC"], "Message": "SOS"}),
        (sns.publish, {"TargetArn": endpoint, "Message": "SOS"}),
        (
            ses.send_email,
            {
                "FromEmailAddress": os.environ["FACTEO_MAIL_FROM"],
                "Destination": {"ToAddresses": ["desk@facteo.test"]},
                "Content": {"Simple": text},
            },
        ),
    ]
    for call, parameters in calls:
        with rights.checked("alert_pages"):
            call(**parameters)
        with pytest.raises(AssertionError, match="does not allow"), rights.checked("alert_events"):
            call(**parameters)
    pages = {(right.action, right.resource) for right in rights.USED if right.function == "alert_pages"}
    assert pages >= {
        ("sns:Publish", rights.A_PHONE),
        ("sns:Publish", "facteo-test-alerts"),
        ("sns:Publish", "endpoint/GCM/facteo-test/*"),
        ("ses:SendEmail", "identity/*"),
    }


def test_what_lambda_does_with_the_rights_of_a_function_is_never_asked_for() -> None:
    asked = {right.action for right in rights_used.unused([])}
    assert asked.isdisjoint({"logs:PutLogEvents", "sqs:ReceiveMessage", "dynamodb:GetRecords"})
    assert "dynamodb:PutItem" in asked
