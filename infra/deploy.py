"""Build a stage and deploy it: upload the zip under its hash, make a change set, show it, carry it out.

`python -m infra.deploy --stage staging --preview` only shows what would change. The parameters of each stage stand in
`infra/stages.json`. The same code deploys to AWS and, with `--endpoint-url`, to the local cloud.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import build
from infra.build import ROOT, BuildError

_POLL_SECONDS = 1
_DEADLINE_SECONDS = 1800
_NOTHING_TO_DO = ("didn't contain changes", "No updates are to be performed")
_UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
_REPLACED = {"True": ", REPLACED by a new one", "Conditional": ", perhaps REPLACED by a new one"}
_STARTED = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}
_NAMES = {"BucketName", "TableName"}
_PLACEHOLDER = "replace-me"
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


ResultT = TypeVar("ResultT")


class DeployError(Exception):
    """The stack could not be brought to what was built."""


class Deployment:
    """One stage on one cloud."""

    def __init__(self, stage: str, session: boto3.Session, endpoint: str | None = None) -> None:
        self.stack = f"facteo-{stage}"
        self._stage, self._endpoint = stage, endpoint
        self._cloudformation = session.client("cloudformation", endpoint_url=endpoint)
        self._s3 = session.client("s3", endpoint_url=endpoint)
        self._account = session.client("sts", endpoint_url=endpoint).get_caller_identity()["Account"]
        self._artifacts = f"{self.stack}-artifacts-{self._account}"
        self._region = session.region_name

    def run(
        self, built: Path, parameters: Mapping[str, str], *, preview: bool = False, quiet: bool = False
    ) -> dict[str, str]:
        """Show what would change (unless `quiet`), do it unless it is a preview, and give the stack's outputs.

        A preview of the first deployment leaves an empty stack in review. Raises DeployError.
        """
        change_set = self._change_set(self._uploaded(built), parameters)
        if change_set is None:
            print("Nothing changes.", flush=True)
            return self.outputs()
        if not quiet:
            pages = self._cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
            _show(change for page in pages for change in page["Changes"])
        if preview:
            self._cloudformation.delete_change_set(ChangeSetName=change_set)
        else:
            self._cloudformation.execute_change_set(ChangeSetName=change_set)
            _wait_for(self._is_ready, f"{self.stack} to be ready")
        return self.outputs()

    def outputs(self) -> dict[str, str]:
        """The stack's outputs; none if there is no stack."""
        stack = self._described()
        return {output["OutputKey"]: output["OutputValue"] for output in (stack or {}).get("Outputs", [])}

    def _uploaded(self, built: Path) -> str:
        """The address of the template, whose functions name the zip by its hash."""
        self._make_bucket()
        code = (built / "deployment.zip").read_bytes()
        key = f"{hashlib.sha256(code).hexdigest()}.zip"
        self._s3.put_object(Bucket=self._artifacts, Key=key, Body=code)
        template = json.loads((built / "template.json").read_text())
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                resource["Properties"]["CodeUri"] = {"Bucket": self._artifacts, "Key": key}
            if "DeletionPolicy" in resource:
                self._write_name_out(resource["Properties"])
        text = json.dumps(template, sort_keys=True).encode()
        name = f"{hashlib.sha256(text).hexdigest()}.json"
        self._s3.put_object(Bucket=self._artifacts, Key=name, Body=text)
        base = self._endpoint or f"https://s3.{self._region}.amazonaws.com"
        return f"{base}/{self._artifacts}/{name}"

    def _write_name_out(self, properties: dict[str, Any]) -> None:
        """Name what is kept without a function: only under such a name does CloudFormation find what exists."""
        for name in _NAMES & properties.keys():
            written = properties[name]["Fn::Sub"]
            properties[name] = written.replace("${Stage}", self._stage).replace("${AWS::AccountId}", self._account)

    def _make_bucket(self) -> None:
        """The bucket of the artifacts, which stands beside the stack: it must be there before."""
        try:
            self._s3.head_bucket(Bucket=self._artifacts)
        except ClientError:
            self._s3.create_bucket(
                Bucket=self._artifacts, CreateBucketConfiguration={"LocationConstraint": self._region}
            )
            self._s3.put_public_access_block(
                Bucket=self._artifacts,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
            )

    def _change_set(self, template: str, parameters: Mapping[str, str]) -> str | None:
        """The change set from what is deployed to the template, or None if nothing changes."""
        change_set: str = self._cloudformation.create_change_set(
            StackName=self.stack,
            ChangeSetName=f"deploy-{int(time.time())}",
            ChangeSetType=self._kind_of_change(),
            TemplateURL=template,
            Capabilities=_CAPABILITIES,
            # After a roll back, tables that only the newer release knows are still there: it takes them up again.
            ImportExistingResources=True,
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in {"Stage": self._stage, **parameters}.items()
            ],
        )["Id"]
        described = _wait_for(lambda: self._made(change_set), "the change set")
        if described["Status"] == "FAILED":
            self._cloudformation.delete_change_set(ChangeSetName=change_set)
            reason = described.get("StatusReason", "")
            if any(phrase in reason for phrase in _NOTHING_TO_DO):
                return None
            raise DeployError(f"the change set failed: {reason}")
        return change_set

    def _kind_of_change(self) -> str:
        """CREATE for a stack that is not there or only in review, else UPDATE. Raises DeployError if neither can be."""
        status = (self._described() or {}).get("StackStatus", "REVIEW_IN_PROGRESS")
        if status == "REVIEW_IN_PROGRESS":
            return "CREATE"
        if status in _UPDATABLE:
            return "UPDATE"
        if status.endswith("IN_PROGRESS"):
            raise DeployError(f"{self.stack} is {status}: a deployment is under way, wait for its end.")
        raise DeployError(
            f"{self.stack} is {status}: CloudFormation cannot update it. Look at its events. If its first deployment "
            "failed, delete the stack; if its rollback did, continue the rollback. Then deploy again."
        )

    def _made(self, change_set: str) -> dict[str, Any] | None:
        described: dict[str, Any] = self._cloudformation.describe_change_set(ChangeSetName=change_set)
        return described if described["Status"] in {"CREATE_COMPLETE", "FAILED"} else None

    def _is_ready(self) -> bool:
        status = (self._described() or {}).get("StackStatus", "")
        if status.endswith(("FAILED", "ROLLBACK_COMPLETE")):
            raise DeployError(f"{self.stack} is {status}:\n" + "\n".join(self._failures()))
        return status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}

    def _failures(self) -> list[str]:
        """What failed in the present deployment, the newest first."""
        failures = []
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=self.stack)
        for event in (event for page in pages for event in page["StackEvents"]):
            if event["ResourceStatus"].endswith("FAILED"):
                failures.append(f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}")
            if event["PhysicalResourceId"] == event["StackId"] and event["ResourceStatus"] in _STARTED:
                break
        return failures

    def _described(self) -> dict[str, Any] | None:
        try:
            stack: dict[str, Any] = self._cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return stack


def _wait_for(look: Callable[[], ResultT | None], what: str) -> ResultT:
    """What `look` finds, asked again and again. Raises DeployError after half an hour."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(_POLL_SECONDS)
    raise DeployError(f"waited {_DEADLINE_SECONDS} s for {what}, in vain")


def _show(changes: Iterable[Mapping[str, Any]]) -> None:
    for change in changes:
        resource = change["ResourceChange"]
        replaced = _REPLACED.get(resource.get("Replacement", ""), "")
        print(f"  {resource['Action']:<8} {resource['LogicalResourceId']} ({resource['ResourceType']}){replaced}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Build a stage and deploy it.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--endpoint-url", help="a local cloud instead of AWS")
    parser.add_argument("--preview", action="store_true", help="show the change set, do not carry it out")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    stages = json.loads((ROOT / "infra" / "stages.json").read_text())
    if arguments.stage not in stages and not arguments.endpoint_url:
        sys.exit(f"There is no stage '{arguments.stage}' among: {', '.join(stages)}.")
    parameters = stages.get(arguments.stage, {}) | dict(given.split("=", 1) for given in arguments.parameter)
    if unfilled := [name for name, value in parameters.items() if _PLACEHOLDER in value]:
        sys.exit(f"Fill in {', '.join(unfilled)} of the stage '{arguments.stage}' in infra/stages.json first.")
    try:
        deployment = Deployment(arguments.stage, boto3.Session(), arguments.endpoint_url)
        built = build.build(arguments.stage, ROOT / "build" / arguments.stage)
        outputs = deployment.run(built, parameters, preview=arguments.preview)
    except (BuildError, DeployError) as error:
        sys.exit(str(error))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"{error}\nRegion and credentials are those of AWS_DEFAULT_REGION, AWS_PROFILE and ~/.aws.")
    for name, value in outputs.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
