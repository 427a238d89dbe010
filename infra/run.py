"""`make run`: the whole back office on this machine, until Ctrl-C.

It starts the local cloud and an SFTP server, builds and deploys the stack `local`, loads the demo data once, and says
what to try. `.local/run.json` tells the demo and the handset where everything is.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from demo import seed
from infra import build, local_cloud, running, sftp_server
from infra.build import ROOT, BuildError
from infra.deploy import DeployError, Deployment
from infra.local_cloud import REGION, CloudError, LocalCloud
from infra.running import FOLDER, AlreadyRunning, Run, session

STAGE = "local"
DOMAIN = "api.facteo.localhost"
_SFTP_PORT = 2222
_LOOK_EVERY_SECONDS = 1.0


@contextmanager
def back_office(folder: Path = FOLDER, port: int = local_cloud.PORT, sftp_port: int = _SFTP_PORT) -> Iterator[Run]:
    """The back office, deployed and with its demo data, until the block ends.

    Raises AlreadyRunning, BuildError, CloudError, DeployError, or TimeoutError if the demo data did not arrive.
    """
    with running.alone(folder):
        local_cloud.end_what_was_left(folder / "cloud")
        print("Building the package ...", flush=True)
        built = build.build(STAGE, folder / "build")
        port, sftp_port = _port(port), _port(sftp_port)
        sftp = sftp_server.serving(folder / "sftp", sftp_port, host_key=folder / "sftp_host_key")
        with sftp as receiver, local_cloud.running(folder / "cloud", port) as cloud:
            if cloud.began_empty:
                _forget_what_knew_the_former(folder)
            _put_secret(cloud, receiver.secret)
            deployed = _deployed(cloud, built, receiver.root)
            seed.seed(deployed)
            deployed.save(folder)
            yield deployed


def _forget_what_knew_the_former(folder: Path) -> None:
    """Handsets that were enrolled at, readers that believe the keys of, and passkeys for a back office that is gone."""
    for name in ("handsets", "doors", "passkeys"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _port(preferred: int) -> int:
    """A free port: the preferred one, or it says which other one."""
    free = local_cloud.free_port(preferred)
    if preferred and free != preferred:
        print(f"Port {preferred} is taken; using {free}.", flush=True)
    return free


def _deployed(cloud: LocalCloud, built: Path, sftp_root: Path) -> Run:
    print("Deploying the stack ...", flush=True)
    parameters = {
        "Domain": DOMAIN,
        "CertificateArn": f"arn:aws:acm:{REGION}:{local_cloud.ACCOUNT}:certificate/local",
        "AttestationSigners": "0" * 64,
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
        texts_topic=outputs["TextsTopic"],
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


def welcome(deployed: Run) -> str:
    """What to try first: the commands that stand in the README, with the address of this run."""
    _, _, section = (ROOT / "README.md").read_text().partition("## The first five minutes")
    commands = section.split("```")[1].strip().replace(f"http://{DOMAIN}:{local_cloud.PORT}", deployed.url)
    return f"""
The back office is running at {deployed.url} (served on {deployed.connect_to}). In another terminal:

{commands}

Files for the importer go into the bucket {deployed.bucket} under inbox/<kind>/; 'bin/facteo drop KIND FILE' puts one.
Return files appear in {deployed.sftp_root}. Logs: {FOLDER}/cloud/cloud.log. Ctrl-C stops everything.
"""


def main() -> None:
    """Run until a signal comes. During the start-up it ends the start, later it stops everything cleanly."""
    parser = argparse.ArgumentParser(description="Run the whole back office on this machine.")
    parser.add_argument("--asked-at", type=float, default=time.time(), help="when it was asked for, in seconds of Unix")
    asked_at = parser.parse_args().asked_at
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    stopping = threading.Event()
    _on_stop(_interrupt)
    try:
        with back_office() as deployed:
            _on_stop(lambda *_: stopping.set())
            print(f"Ready after {time.time() - asked_at:.0f} s.\n{welcome(deployed)}", flush=True)
            while not stopping.wait(_LOOK_EVERY_SECONDS):
                """Nothing to do until somebody stops it."""
            print("Stopping ...", flush=True)
    except KeyboardInterrupt:
        sys.exit("Stopped before it was ready.")
    except (AlreadyRunning, BuildError, CloudError, DeployError, TimeoutError) as error:
        sys.exit(str(error))


def _on_stop(act: Any) -> None:
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, act)


def _interrupt(*_: Any) -> None:
    """Once: what is cleaned up after it is not to be interrupted again."""
    _on_stop(signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
