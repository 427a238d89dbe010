"""`make run`: the whole back office on this machine, until Ctrl-C.

It starts the local cloud and an SFTP server, builds and deploys the stack `local`, loads the demo data once, and says
what to try. `.local/run.json` tells the demo and the handset where everything is.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from demo import seed
from infra import build, local_cloud, sftp_server
from infra.build import ROOT
from infra.deploy import Deployment
from infra.local_cloud import REGION, LocalCloud
from infra.running import FOLDER, Run, session

STAGE = "local"
DOMAIN = "api.facteo.localhost"
_SFTP_PORT = 2222
_LOOK_EVERY_SECONDS = 1.0


@contextmanager
def back_office(folder: Path = FOLDER, port: int = local_cloud.PORT, sftp_port: int = _SFTP_PORT) -> Iterator[Run]:
    """The back office, deployed and with its demo data, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    port = local_cloud.free_port(port)
    sftp = sftp_server.serving(folder / "sftp", local_cloud.free_port(sftp_port), host_key=folder / "sftp_host_key")
    with sftp as receiver, local_cloud.running(folder / "cloud", port) as cloud:
        _put_secret(cloud, receiver.secret)
        running = _deployed(cloud, receiver.root)
        (folder / "run.json").write_bytes(msgspec.json.format(msgspec.json.encode(running)))
        try:
            seed.seed(running)
            yield running
        finally:
            (folder / "run.json").unlink()


def _deployed(cloud: LocalCloud, sftp_root: Path) -> Run:
    print("Building the package ...", flush=True)
    built = build.build(STAGE, ROOT / "build" / STAGE)
    print("Deploying the stack ...", flush=True)
    parameters = {
        "Domain": DOMAIN,
        "CertificateArn": f"arn:aws:acm:{REGION}:{local_cloud.ACCOUNT}:certificate/local",
        "LocalPort": str(cloud.port),
    }
    outputs = Deployment(STAGE, session(), cloud.endpoint).run(built, parameters, quiet=True)
    return Run(
        url=f"http://{DOMAIN}:{cloud.port}",
        connect_to=f"127.0.0.1:{cloud.port}",
        endpoint=cloud.endpoint,
        region=REGION,
        bucket=outputs["Bucket"],
        user_pool=outputs["UserPool"],
        staff_client=outputs["StaffClient"],
        tracking_client=outputs["TrackingClient"],
        sftp_root=str(sftp_root),
    )


def _put_secret(cloud: LocalCloud, secret: Mapping[str, Any]) -> None:
    client = session().client("secretsmanager", endpoint_url=cloud.endpoint)
    name, value = f"facteo/{STAGE}/sftp", json.dumps(secret)
    try:
        client.create_secret(Name=name, SecretString=value)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceExistsException":
            raise
        client.put_secret_value(SecretId=name, SecretString=value)


def welcome(running: Run) -> str:
    """What to try first."""
    return f"""
The back office is running at {running.url} (served on {running.connect_to}). In another terminal:

  make demo                              a day of the post: legacy file, round, offline scans, return files

  bin/facteo token ops                   a staff token; any role is a user, and 'bin/facteo roles' lists them
  curl -s -H "Authorization: Bearer $(bin/facteo token ops)" {running.url}/v1/zones

  bin/facteo ticket C1001                a ticket for the carrier's handset
  bin/facteo handset enrol C1001         enrol a handset in .local/handsets/C1001
  bin/facteo handset round C1001         take today's round
  bin/facteo handset scan C1001 9V00000100014 out-for-delivery
  bin/facteo handset sync C1001          send what waits
  bin/facteo item 9V00000100014          the item's history

Files for the importer go into the bucket {running.bucket} under inbox/<kind>/; 'bin/facteo drop KIND FILE' puts one.
Return files appear in {running.sftp_root}. Logs: {FOLDER}/cloud/cloud.log. Ctrl-C stops everything.
"""


def main() -> None:
    """Run until a signal comes."""
    stopping = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: stopping.set())
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    started = time.monotonic()
    with back_office() as running:
        print(f"Ready after {time.monotonic() - started:.0f} s.\n{welcome(running)}", flush=True)
        while not stopping.wait(_LOOK_EVERY_SECONDS):
            """Nothing to do until somebody stops it."""
        print("Stopping ...", flush=True)


if __name__ == "__main__":
    main()
