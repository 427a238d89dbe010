"""The side of the legacy applications: who puts files into the inbox, and reads what became of their lines."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

from chalicelib.connectors.importer import rules, workers
from chalicelib.core import aws as cloud_clients
from tests.support import events
from tests.support.cloud import BUCKET, Cloud


class Post:
    """The legacy side and the queues: puts files, delivers messages, fetches reports."""

    def __init__(self, aws: Cloud) -> None:
        self.aws = aws
        self.s3 = cloud_clients.client("s3")

    def put(self, key: str, content: str | bytes) -> dict[str, Any]:
        """Put a file; the record of the notification that S3 sends."""
        body = content.encode() if isinstance(content, str) else content
        version = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"]
        described = {"key": urllib.parse.quote_plus(key, safe="/"), "versionId": version}
        return {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": described}}

    def notify(self, *records: dict[str, Any]) -> bool:
        """Deliver one notification; whether it was dealt with."""
        return deliver(workers.take_file, json.dumps({"Records": list(records)}))

    def take_slices(self, *, times: int = 1) -> None:
        """Deliver every message of the queue of slices, each `times` times."""
        for message in self.aws.messages("slices"):
            for _ in range(times):
                assert deliver(workers.take_slice, message["Body"])

    def take(self, key: str, content: str | bytes) -> None:
        """Put a file and take it to the end."""
        assert self.notify(self.put(key, content))
        self.take_slices()

    def fetch(self, key: str) -> str:
        content: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content.decode()

    def report(self, key: str) -> list[str]:
        """The lines of a file's reject report after the first."""
        head, *lines = self.fetch(rules.report_key(key)).splitlines()
        assert head == "line;rank;reason"
        return lines

    def counts(self, key: str) -> tuple[int, int, int]:
        """Accepted, duplicates, rejected, as the sender's summary says."""
        summary = json.loads(self.fetch(rules.summary_key(key)))
        assert summary["state"] == "imported"
        return summary["accepted"], summary["duplicates"], summary["rejected"]


def deliver(worker: Any, body: str) -> bool:
    """Deliver a message as Lambda does; whether it was dealt with."""
    return not events.deliver(worker, [body])
