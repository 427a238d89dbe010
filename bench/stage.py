"""Where the kinds are run: an empty cloud of moto in this process, and the raw events of workers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import moto
from moto.core.botocore_stubber import BotocoreStubber

from bench.logs import logging_to_nowhere
from chalicelib.core import aws, events
from chalicelib.core.events import Event
from chalicelib.core.table import Table

QUEUES = (
    "inbox",
    "slices",
    "tracking",
    "sorting",
    "judging",
    "passes",
    "entries",
    "readmissions",
    "pages",
    "alert-timers",
    "alert-texts",
)
BUCKET = "facteo-bench-inbox"

stubbed: list[float] = []
"""The CPU seconds that moto took for each call."""


# --- the cloud ------------------------------------------------------------------------------------------------


@contextmanager
def moto_cloud() -> Iterator[None]:
    """An empty cloud in this process, and the settings of all functions."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
        "FACTEO_STAGE": "bench",
        "FACTEO_BUCKET": BUCKET,
        "FACTEO_AUTHORITY": "api.facteo.bench",
        "FACTEO_PUBLIC_URL": "https://api.facteo.bench",
        "FACTEO_PROVIDER_NAME": "La Poste",
        "FACTEO_PROVIDER_ADDRESS": "9 rue du Colonel Pierre Avia, 75015 Paris",
        "FACTEO_PROVIDER_PHONE": "3631",
        "FACTEO_ATTESTATION_PACKAGE": "bench",
        "FACTEO_ATTESTATION_SIGNERS": "bench",
        "FACTEO_PASSKEY_RP_ID": "bench",
        "FACTEO_PASSKEY_ORIGINS": "bench",
        "FACTEO_OIDC_ISSUER": "bench",
        "FACTEO_OIDC_JWKS": "bench",
        "FACTEO_OIDC_AUDIENCE": "bench",
        "FACTEO_RECEIVER_OPENS": "00:00:00",
        "FACTEO_RECEIVER_CLOSES": "00:00:00",
    }
    with (
        logging_to_nowhere(),
        moto.mock_aws(),
        patch.object(BotocoreStubber, "__call__", _timed(BotocoreStubber.__call__)),
    ):
        for queue in QUEUES:
            url = aws.client("sqs").create_queue(QueueName=f"facteo-bench-{queue}")["QueueUrl"]
            os.environ[f"FACTEO_{queue.upper().replace('-', '_')}_QUEUE"] = url
        os.environ["FACTEO_ALERT_TOPIC"] = aws.client("sns").create_topic(Name="facteo-bench-alerts")["TopicArn"]
        aws.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]}
        )
        key = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
        aws.client("kms").create_alias(AliasName="alias/facteo-bench-personal-data", TargetKeyId=key)
        key = aws.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        aws.client("kms").create_alias(AliasName="alias/facteo-bench-signing", TargetKeyId=key)
        for model in {model.table: model for model in _models(Table)}.values():
            model.create_table(read_capacity_units=1, write_capacity_units=1)
        yield


def _models(base: type[Table]) -> Iterator[type[Table]]:
    for model in base.__subclasses__():
        if hasattr(model, "table"):
            yield model
        yield from _models(model)


def _timed(answer: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        begun = time.process_time()
        try:
            return answer(*args, **kwargs)
        finally:
            stubbed.append(time.process_time() - begun)

    return timed


# --- raw events of workers ------------------------------------------------------------------------------------

SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-11-23T07:00:00Z",
    "region": "eu-west-3",
    "resources": ["arn:aws:events:eu-west-3:123456789012:rule/bench"],
    "detail": {},
}


def bodies(found: Sequence[Event]) -> list[str]:
    return [events.encode(event) for event in found]


def messages(bodies: Sequence[str]) -> dict[str, Any]:
    told = [(f"m-{number}", body) for number, body in enumerate(bodies)]
    return {"Records": [{"messageId": name, "body": body, "messageAttributes": {}} for name, body in told]}


def records(found: Sequence[Event]) -> dict[str, Any]:
    rows = [
        {"SequenceNumber": str(n), "Keys": {"subject": {"S": event.subject}}, "NewImage": {"event": {"S": body}}}
        for n, (event, body) in enumerate(zip(found, bodies(found), strict=True))
    ]
    return {"Records": [{"eventName": "INSERT", "dynamodb": row} for row in rows]}


class _Memory:
    """A receiver that keeps what it gets."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def upload(self, name: str, content: bytes) -> None:
        self._files[name] = content

    def size(self, name: str) -> int | None:
        return len(self._files[name]) if name in self._files else None

    def rename(self, name: str, to: str) -> None:
        self._files[to] = self._files.pop(name)

    def remove(self, name: str) -> None:
        self._files.pop(name, None)


@contextmanager
def receiver() -> Iterator[_Memory]:
    yield _Memory()
