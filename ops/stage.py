"""A deployed stage, as the commands reach it: settings of its functions, and where its services answer."""

from __future__ import annotations

import os

import boto3

from infra.local_cloud import CREDENTIALS
from infra.running import Run

LOCAL = "local"


def enter(stage: str) -> None:
    """Make this process talk to a stage: to what `make run` started, or to AWS with the operator's own credentials."""
    if stage == LOCAL:
        running = Run.load()
        os.environ |= {**CREDENTIALS, "AWS_DEFAULT_REGION": running.region, "AWS_ENDPOINT_URL": running.endpoint}
    os.environ |= {"FACTEO_STAGE": stage, "POWERTOOLS_METRICS_DISABLED": "true"}


def take_settings_of(function: str) -> None:
    """Take the settings of one of the stage's functions, for what the command does in its place."""
    name = f"facteo-{os.environ['FACTEO_STAGE']}-{function}"
    found = boto3.client("lambda").get_function_configuration(FunctionName=name)
    variables = found["Environment"]["Variables"]
    os.environ |= {key: value for key, value in variables.items() if key.startswith("FACTEO_")}
