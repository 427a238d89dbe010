"""The policies: what is committed is what the table says, and nothing is allowed on everything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import grants
from infra.build import ROOT
from infra.grants import GRANTS, POLICIES, policy

OF_NO_STAGE: list[dict[str, Any]] = [
    {"Effect": "Allow", "Action": ["sns:Publish"], "NotResource": [{"Fn::Sub": "arn:${AWS::Partition}:sns:*:*:*"}]},
    {
        "Effect": "Allow",
        "Action": ["ses:SendEmail"],
        "Resource": [{"Fn::Sub": "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*"}],
        "Condition": {"StringEquals": {"ses:FromAddress": {"Ref": "MailFrom"}}},
    },
]


def check() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.grants", "--check"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603


def functions_of(stage: dict[str, Any]) -> dict[str, str]:
    return {name: function["iam_policy_file"] for name, function in stage["lambda_functions"].items()}


def rights_of(function: str) -> dict[str, set[str]]:
    """The actions on each table and index: `journal`, `journal/index/by-time`."""
    return {
        arn["Fn::Sub"].partition("table/facteo-${Stage}-")[2]: set(statement["Action"])
        for statement in policy(function)["Statement"]
        for arn in statement.get("Resource", [])
        if ":table/" in arn.get("Fn::Sub", "") and "/stream/" not in arn["Fn::Sub"]
    }


def test_the_committed_policies_are_what_the_table_says() -> None:
    done = check()
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in POLICIES.glob("policy-*.json")} == {f"policy-{name}.json" for name in GRANTS}


def test_every_function_of_every_stage_has_its_own_policy() -> None:
    stages = json.loads((POLICIES / "config.json").read_text())["stages"]
    expected = {name: f"policy-{name}.json" for name in GRANTS}
    assert {name: functions_of(stage) for name, stage in stages.items()} == dict.fromkeys(stages, expected)
    assert not any(stage["autogen_policy"] for stage in stages.values())


@pytest.mark.parametrize("function", GRANTS)
def test_nothing_is_allowed_on_everything(function: str) -> None:
    for statement in policy(function)["Statement"]:
        if statement in OF_NO_STAGE:
            continue
        arns = [arn.get("Fn::Sub", "") for arn in statement["Resource"] if "Fn::GetAtt" not in arn]
        assert statement["Effect"] == "Allow"
        assert not [action for action in statement["Action"] if "*" in action]
        assert statement["Resource"]
        assert all(arn.startswith("arn:") and "${Stage}" in arn for arn in arns), arns


def test_to_call_people_names_of_the_stage_are_not_enough() -> None:
    """A phone number has no name, and a sender of e-mails another one."""
    found = {function for function in GRANTS for statement in policy(function)["Statement"] if statement in OF_NO_STAGE}
    assert found == {"alert_pages"}


@pytest.mark.parametrize("function", GRANTS)
def test_an_index_is_granted_by_its_name_and_to_be_queried(function: str) -> None:
    for resource, actions in rights_of(function).items():
        if "/index/" in resource:
            assert "*" not in resource
            assert actions == {"dynamodb:Query"}


@pytest.mark.parametrize(
    ("function", "tables"),
    [
        ("erase", {"keyring": {"DeleteItem"}, "keyring/index/by-destruction": {"Query"}}),
        ("sweep", {"journal": {"BatchGetItem"}, "journal/index/by-time": {"Query"}}),
        ("alert_sweep", {"journal": {"PutItem"}}),
        ("alert_pages", {"journal": {"PutItem"}}),
        ("despatch", {"journal": {"PutItem"}, "event-ids": {"PutItem"}}),
        ("take_file", {"journal": {"PutItem"}, "event-ids": {"PutItem"}}),
        ("tracking", {"journal": {"Query"}, "despatches": {"BatchWriteItem", "PutItem"}}),
        ("sorting", {"journal": {"Query"}}),
    ],
)
def test_who_only_writes_reads_nothing_and_who_only_reads_writes_nothing(
    function: str, tables: dict[str, set[str]]
) -> None:
    """Of these tables and all that hangs on them, no more than this."""
    granted = {
        resource: {action.removeprefix("dynamodb:") for action in actions}
        for resource, actions in rights_of(function).items()
        if resource.partition("/")[0] in {name.partition("/")[0] for name in tables}
    }
    assert granted == tables


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("{}"), lambda path: path.unlink()])
def test_a_stale_or_missing_policy_is_named_and_written_anew(
    spoil: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "POLICIES", tmp_path)
    grants.write()
    assert grants.stale() == []
    spoil(tmp_path / "policy-relay.json")
    assert grants.stale() == ["relay"]
    grants.write()
    assert grants.stale() == []
