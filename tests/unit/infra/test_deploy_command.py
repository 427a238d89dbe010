"""`python -m infra.deploy`: what is missing is said at once, before anything is built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REGION = {"AWS_DEFAULT_REGION": "eu-west-3"}
FILLED = ["--parameter", "CertificateArn=arn", "--parameter", "AttestationSigners=00"]


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["--stage", "nowhere"], REGION, "There is no stage 'nowhere' among: dev, staging, prod."),
        (["--stage", "staging"], REGION, "Fill in CertificateArn, AttestationSigners of the stage 'staging'"),
        (["--stage", "staging", *FILLED], {}, "You must specify a region."),
        (["--stage", "staging", *FILLED], REGION, "Unable to locate credentials"),
    ],
)
def test_what_is_missing_is_said_before_the_build(
    arguments: list[str], environment: dict[str, str], told: str, tmp_path: Path
) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    clean |= {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", **environment}
    command = [sys.executable, "-m", "infra.deploy", "--preview", *arguments]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
