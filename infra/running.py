"""Where a running back office is: what `make run` writes for the demo, the commands and the tests."""

from __future__ import annotations

from pathlib import Path

import boto3
import msgspec

from infra.build import ROOT
from infra.local_cloud import CREDENTIALS, REGION

FOLDER = ROOT / ".local"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Where a running back office is: what `.local/run.json` holds."""

    url: str
    connect_to: str
    endpoint: str
    region: str
    bucket: str
    user_pool: str
    staff_client: str
    tracking_client: str
    sftp_root: str

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Run:
        """The one that `make run` started. Raises SystemExit if there is none."""
        try:
            return msgspec.json.decode((folder / "run.json").read_bytes(), type=cls)
        except FileNotFoundError:
            raise SystemExit("Nothing is running: start it with 'make run' in another terminal.") from None


def session() -> boto3.Session:
    """A session with the local cloud's credentials."""
    return boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
