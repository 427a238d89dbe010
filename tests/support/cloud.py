"""The in-process cloud of the tests: moto with our tables, queues, bucket and keys.

Tables are made from the models; an architecture test holds the models against the deployed template.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import moto
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.kms.utils import ECDSAPrivateKey

from bench.stage import QUEUES
from chalicelib.alerts import zones
from chalicelib.core import aws, keyring, oidc, settings, signing, table
from chalicelib.core.table import Table
from chalicelib.fleet.policies import documents, standing
from chalicelib.passes import keys as pass_keys
from tests.support import shortcuts, stored, transactions

BUCKET = "facteo-test-inbox"


class Cloud:
    """What tests ask of the cloud besides what the product does."""

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take everything that waits in a queue."""
        sqs, url, taken = aws.client("sqs"), os.environ[queue_variable(queue)], []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages"
        ):
            for message in batch:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken += batch
        return taken

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Count the DynamoDB calls made within the block, by operation."""
        calls: Counter[str] = Counter()

        def count(model: Any, **_: Any) -> None:
            calls[model.name] += 1

        hooks = table.shared_connection().client.meta.events
        hooks.register("before-call.dynamodb", count)
        try:
            yield calls
        finally:
            hooks.unregister("before-call.dynamodb", count)


@contextmanager
def mocked() -> Iterator[None]:
    """moto for the whole session, with what never changes."""
    with (
        moto.mock_aws(),
        shortcuts.taken(),
        transactions.shimmed(),
        patch.object(ECDSAPrivateKey, "sign", _sign_digest),
    ):
        sqs, s3, kms = (_client(name) for name in ("sqs", "s3", "kms"))
        for name in QUEUES:
            os.environ[queue_variable(name)] = sqs.create_queue(QueueName=f"facteo-test-{name}")["QueueUrl"]
        _channels()
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        os.environ["FACTEO_BUCKET"] = BUCKET
        _key(kms, "personal-data")
        _key(kms, "pass-keys")
        for name in ("signing", "pass-root-a", "pass-root-b"):
            _key(kms, name, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
        for model in _one_model_per_table():
            model.create_table(read_capacity_units=1, write_capacity_units=1)
        yield


@contextmanager
def emptied() -> Iterator[Cloud]:
    """A cloud of which nothing is left of the test before, and a process that knows nothing of it.

    Tables and clients stay, without what was in them: making them takes longer than most tests.
    """
    _forget_everything()
    transactions.forget()
    stored.forget_rows()
    stored.forget_messages()
    yield Cloud()
    _forget_everything()


def queue_variable(queue: str) -> str:
    """The setting that names a queue."""
    return f"FACTEO_{queue.upper().replace('-', '_')}_QUEUE"


def _channels() -> None:
    """By which people are called: a topic, a sender of e-mails, an application for pushes."""
    sns = _client("sns")
    os.environ["FACTEO_ALERT_TOPIC"] = sns.create_topic(Name="facteo-test-alerts")["TopicArn"]
    application = sns.create_platform_application(
        Name="facteo-test", Platform="GCM", Attributes={"PlatformCredential": "test"}
    )
    os.environ["FACTEO_PUSH_APPLICATION"] = application["PlatformApplicationArn"]
    _client("sesv2").create_email_identity(EmailIdentity=os.environ["FACTEO_MAIL_FROM"])


def all_models() -> list[type[Table]]:
    """Every model of the product, those that share a table too."""
    import app  # noqa: F401, PLC0415 - importing it declares them

    return _subclasses(Table)


def _subclasses(model: type[Table]) -> list[type[Table]]:
    direct = [child for child in model.__subclasses__() if "table" in child.__dict__ or hasattr(child, "table")]
    return [leaf for child in direct for leaf in (_subclasses(child) or [child])]


def _one_model_per_table() -> list[type[Table]]:
    return list({model.table: model for model in all_models()}.values())


def _sign_digest(key: ECDSAPrivateKey, digest: bytes, algorithm: str) -> bytes:
    """KMS with `MessageType=DIGEST`, which moto would hash a second time. We sign nothing else."""
    assert (algorithm, len(digest)) == ("ECDSA_SHA_256", hashes.SHA256.digest_size)
    return key.private_key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))


def _key(kms: Any, name: str, **kwargs: Any) -> None:
    key_id = kms.create_key(**kwargs)["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=f"alias/facteo-test-{name}", TargetKeyId=key_id)


def _client(service: str) -> Any:
    return aws.client(service)


def start_cold() -> None:
    """Forget what a process keeps to itself, of which the next one knows nothing. Clients stay: they are slow."""
    keyring.forget()
    oidc.forget()
    signing.public_keys.cache_clear()
    signing.public_key.cache_clear()
    pass_keys.forget()
    zones.forget()
    standing.forget()
    documents.forget()


def _forget_everything() -> None:
    start_cold()
    settings.load.cache_clear()
    for model in _subclasses(Table):
        model._connection = None


def forget_clients() -> None:
    """Have the process make its clients anew."""
    aws.reset()
    table.shared_connection.cache_clear()
