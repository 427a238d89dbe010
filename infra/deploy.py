"""Deploy what `infra.build` made: upload the zip under its hash, make a change set, show it, carry it out.

`python -m infra.deploy --stage staging --preview` only shows what would change. The parameters of each stage stand in
`infra/stages.json`. The same code deploys to AWS and, with `--endpoint-url`, to the local cloud.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from infra.build import ROOT

_POLL_SECONDS = 1
_DEADLINE_SECONDS = 1800
_NOTHING_TO_DO = ("didn't contain changes", "No updates are to be performed")
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


class DeployError(Exception):
    """The stack could not be brought to what was built."""


class Deployment:
    """One stage on one cloud."""

    def __init__(self, stage: str, session: boto3.Session, endpoint: str | None = None) -> None:
        self.stack = f"facteo-{stage}"
        self._stage, self._endpoint = stage, endpoint
        self._cloudformation = session.client("cloudformation", endpoint_url=endpoint)
        self._s3 = session.client("s3", endpoint_url=endpoint)
        account = session.client("sts", endpoint_url=endpoint).get_caller_identity()["Account"]
        self._artifacts = f"{self.stack}-artifacts-{account}"
        self._region = session.region_name

    def run(
        self, built: Path, parameters: Mapping[str, str], *, preview: bool = False, quiet: bool = False
    ) -> dict[str, str]:
        """Show what would change (unless `quiet`), do it unless it is a preview, and give the stack's outputs.

        Raises DeployError.
        """
        change_set = self._change_set(self._uploaded(built), parameters)
        if change_set is None:
            print("Nothing changes.", flush=True)
            return self.outputs()
        if not quiet:
            _show(change_set["Changes"])
        if not preview:
            self._cloudformation.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
            self._wait_for_stack()
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
        text = json.dumps(template, sort_keys=True).encode()
        name = f"{hashlib.sha256(text).hexdigest()}.json"
        self._s3.put_object(Bucket=self._artifacts, Key=name, Body=text)
        base = self._endpoint or f"https://s3.{self._region}.amazonaws.com"
        return f"{base}/{self._artifacts}/{name}"

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

    def _change_set(self, template: str, parameters: Mapping[str, str]) -> dict[str, Any] | None:
        """The change set from what is deployed to the template, or None if nothing changes."""
        kind = "UPDATE" if self._exists() else "CREATE"
        change_set: str = self._cloudformation.create_change_set(
            StackName=self.stack,
            ChangeSetName=f"deploy-{int(time.time())}",
            ChangeSetType=kind,
            TemplateURL=template,
            Capabilities=_CAPABILITIES,
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in {"Stage": self._stage, **parameters}.items()
            ],
        )["Id"]
        described = self._wait_for_change_set(change_set)
        if described["Status"] == "FAILED":
            reason = described.get("StatusReason", "")
            if any(phrase in reason for phrase in _NOTHING_TO_DO):
                return None
            raise DeployError(f"the change set failed: {reason}")
        return described

    def _wait_for_change_set(self, change_set: str) -> dict[str, Any]:
        for _ in range(_DEADLINE_SECONDS):
            described: dict[str, Any] = self._cloudformation.describe_change_set(ChangeSetName=change_set)
            if described["Status"] in {"CREATE_COMPLETE", "FAILED"}:
                return described
            time.sleep(_POLL_SECONDS)
        raise DeployError("the change set was not made in time")

    def _wait_for_stack(self) -> None:
        for _ in range(_DEADLINE_SECONDS):
            status = (self._described() or {}).get("StackStatus", "")
            if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
                return
            if status.endswith(("FAILED", "ROLLBACK_COMPLETE")):
                raise DeployError(f"{self.stack} is {status}:\n" + "\n".join(self._failures()))
            time.sleep(_POLL_SECONDS)
        raise DeployError(f"{self.stack} was not ready in time")

    def _failures(self) -> list[str]:
        events = self._cloudformation.describe_stack_events(StackName=self.stack)["StackEvents"]
        return [
            f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        ]

    def _exists(self) -> bool:
        stack = self._described()
        return stack is not None and stack["StackStatus"] != "REVIEW_IN_PROGRESS"

    def _described(self) -> dict[str, Any] | None:
        try:
            stack: dict[str, Any] = self._cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return stack


def _show(changes: Sequence[Mapping[str, Any]]) -> None:
    for change in changes:
        resource = change["ResourceChange"]
        print(f"  {resource['Action']:<8} {resource['LogicalResourceId']} ({resource['ResourceType']})")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Deploy a stage that was built.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--endpoint-url", help="a local cloud instead of AWS")
    parser.add_argument("--preview", action="store_true", help="show the change set, do not carry it out")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    stages = json.loads((ROOT / "infra" / "stages.json").read_text())
    parameters = stages.get(arguments.stage, {}) | dict(given.split("=", 1) for given in arguments.parameter)
    deployment = Deployment(arguments.stage, boto3.Session(), arguments.endpoint_url)
    outputs = deployment.run(ROOT / "build" / arguments.stage, parameters, preview=arguments.preview)
    for name, value in outputs.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
