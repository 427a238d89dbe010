"""The deployment by change set, against moto's CloudFormation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import moto
import pytest
from botocore.exceptions import ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID

from infra import deploy
from infra.deploy import DeployError, Deployment
from tests.support import template

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS..Serverless..Function")

REGION = "eu-west-3"
STACK = "facteo-dev"
BUCKET = f"facteo-dev-artifacts-{DEFAULT_ACCOUNT_ID}"
CODE = b"what infra.build made"
HALF_AN_HOUR = deploy._DEADLINE_SECONDS
Printed = pytest.CaptureFixture[str]

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": "facteo-${Stage}-tracking"}}}
OTHER_QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Domain"}}}


def a_build(folder: Path, **resources: Any) -> Path:
    """A small package: a function, and these resources."""
    function = {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "./deployment.zip"}}
    template = {
        "Parameters": {"Stage": {"Type": "String"}, "Domain": {"Type": "String", "Default": "none"}},
        "Resources": {"Relay": function, **resources},
    }
    folder.mkdir(exist_ok=True)
    (folder / "template.json").write_text(json.dumps(template))
    (folder / "deployment.zip").write_bytes(CODE)
    return folder


@pytest.fixture
def session(_moto: None) -> Iterator[boto3.Session]:
    """Within the moto of the whole run: another one would empty it. What is made here is taken away."""
    session = boto3.Session(region_name=REGION)
    session.events.register("before-call.cloudformation.CreateChangeSet", one_stack_in_review)
    before = all_queues(session)
    yield session
    backend().reset()
    for url in all_queues(session) - before:
        session.client("sqs").delete_queue(QueueUrl=url)
    bucket = boto3.resource("s3", region_name=REGION).Bucket(BUCKET)
    if bucket.creation_date:
        bucket.objects.delete()
        bucket.delete()


def backend() -> Any:
    return moto.backends.get_backend("cloudformation")[DEFAULT_ACCOUNT_ID][REGION]


def one_stack_in_review(**_: Any) -> None:
    """CloudFormation takes up a stack that is in review; moto makes a second one of that name."""
    stacks = backend().stacks
    for found in [one for one in stacks.values() if one.status == "REVIEW_IN_PROGRESS"]:
        del stacks[found.stack_id]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that waits in vain fails at once."""
    monkeypatch.setattr(deploy, "_DEADLINE_SECONDS", 2)


@pytest.fixture
def deployment(session: boto3.Session) -> Deployment:
    return Deployment("dev", session)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    return a_build(tmp_path / "build", TrackingQueue=QUEUE)


def all_queues(session: boto3.Session) -> set[str]:
    return set(session.client("sqs").list_queues().get("QueueUrls", []))


def queues(session: boto3.Session) -> set[str]:
    """The names of the queues that the stack may have made."""
    return {url.rpartition("/")[2] for url in all_queues(session)} & {"facteo-dev-tracking", "other"}


def change_sets(session: boto3.Session) -> list[Any]:
    found: list[Any] = session.client("cloudformation").list_change_sets(StackName=STACK)["Summaries"]
    return found


def stack() -> Any:
    """Moto's stack, to be put into states that moto does not reach."""
    return backend().get_stack(STACK)


def test_the_first_deployment_is_shown_and_made(
    deployment: Deployment, session: boto3.Session, built: Path, capsys: Printed
) -> None:
    deployment.run(built, {"Domain": "api.dev.facteo.example"})
    assert queues(session) == {"facteo-dev-tracking"}
    assert "Add      TrackingQueue (AWS::SQS::Queue)" in capsys.readouterr().out


def test_the_code_lies_in_a_bucket_of_the_account_under_its_hash(
    deployment: Deployment, session: boto3.Session, built: Path
) -> None:
    deployment.run(built, {})
    s3 = session.client("s3")
    key = f"{hashlib.sha256(CODE).hexdigest()}.zip"
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == CODE
    template = session.client("cloudformation").get_template(StackName=STACK)["TemplateBody"]
    assert template["Resources"]["Relay"]["Properties"]["CodeUri"] == {"Bucket": BUCKET, "Key": key}
    closed = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert set(closed.values()) == {True}


def test_a_preview_shows_and_changes_nothing(
    deployment: Deployment, session: boto3.Session, built: Path, capsys: Printed
) -> None:
    assert deployment.run(built, {}, preview=True) == {}
    assert "Add      TrackingQueue" in capsys.readouterr().out
    assert (queues(session), change_sets(session)) == (set(), [])
    deployment.run(built, {})
    assert queues(session) == {"facteo-dev-tracking"}


def test_a_change_is_shown_and_made(
    deployment: Deployment, session: boto3.Session, built: Path, tmp_path: Path, capsys: Printed
) -> None:
    deployment.run(built, {"Domain": "other"}, quiet=True)
    assert "TrackingQueue" not in capsys.readouterr().out
    more = a_build(tmp_path / "more", TrackingQueue=QUEUE, OtherQueue=OTHER_QUEUE)

    deployment.run(more, {"Domain": "other"}, preview=True)
    assert "Add      OtherQueue" in capsys.readouterr().out
    assert queues(session) == {"facteo-dev-tracking"}

    deployment.run(more, {"Domain": "other"})
    assert queues(session) == {"facteo-dev-tracking", "other"}


def test_what_an_earlier_release_left_behind_is_taken_up_again(session: boto3.Session, tmp_path: Path) -> None:
    """What is kept is still there after a roll back, and in the way of the release that brought it.

    CloudFormation looks for it if it is asked to, and only under a name that is written out. Keys have none.
    """
    asked: list[dict[str, Any]] = []
    session.events.register(
        "provide-client-params.cloudformation.CreateChangeSet", lambda params, **_: asked.append(params)
    )
    kept = {name: each for name, each in template.template()["Resources"].items() if "DeletionPolicy" in each}
    Deployment("dev", session).run(a_build(tmp_path / "kept", **kept, TrackingQueue=QUEUE), {}, preview=True)
    assert [each["ImportExistingResources"] for each in asked] == [True]

    key = asked[0]["TemplateURL"].rpartition("/")[2]
    deployed = json.loads(session.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())["Resources"]
    names = {
        deployed[name]["Properties"].get("TableName") or deployed[name]["Properties"]["BucketName"]
        for name, each in kept.items()
        if each["Type"] != "AWS::KMS::Key"
    }
    assert names >= {"facteo-dev-journal", f"facteo-dev-inbox-{DEFAULT_ACCOUNT_ID}"}
    assert all(isinstance(name, str) and "$" not in name for name in names)
    assert deployed["TrackingQueue"] == QUEUE, "what is not kept may go by its function"


def test_the_outputs_of_the_stack_are_given(deployment: Deployment, session: boto3.Session) -> None:
    """Moto has none for what a change set made, so this stack is made without one."""
    assert deployment.outputs() == {}
    resources = {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "some"}}}
    body = {"Resources": resources, "Outputs": {"Name": {"Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}}}
    session.client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(body))
    assert deployment.outputs() == {"Name": "some"}


def test_when_nothing_changes_it_says_so(
    deployment: Deployment, session: boto3.Session, built: Path, capsys: Printed
) -> None:
    deployment.run(built, {})
    left = len(change_sets(session))
    deployment.run(built, {})
    assert capsys.readouterr().out.endswith("Nothing changes.\n")
    assert len(change_sets(session)) == left, "the change set without changes is not left behind"


def test_a_change_set_that_fails_is_a_reason(session: boto3.Session, built: Path) -> None:
    def fail(parsed: dict[str, Any], **_: Any) -> None:
        parsed |= {"Status": "FAILED", "StatusReason": "Template error: no such thing"}

    session.events.register("after-call.cloudformation.DescribeChangeSet", fail)
    with pytest.raises(DeployError, match="no such thing"):
        Deployment("dev", session).run(built, {})
    assert queues(session) == set()


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("ROLLBACK_COMPLETE", "delete the stack"),
        ("ROLLBACK_FAILED", "delete the stack"),
        ("UPDATE_ROLLBACK_FAILED", "continue the rollback"),
        ("UPDATE_IN_PROGRESS", "wait for its end"),
    ],
)
def test_a_stack_that_cannot_be_updated_says_what_to_do(
    deployment: Deployment, built: Path, status: str, advice: str
) -> None:
    deployment.run(built, {})
    stack().status = status
    with pytest.raises(DeployError, match=f"facteo-dev is {status}: .*{advice}"):
        deployment.run(built, {"Domain": "changed"})


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"])
def test_a_deployment_that_is_rolled_back_says_what_failed_this_time(
    session: boto3.Session, built: Path, tmp_path: Path, status: str
) -> None:
    Deployment("dev", session).run(built, {})
    old = stack()
    event(old, "CREATE_FAILED", "OldQueue", "of a deployment before")

    def roll_back(**_: Any) -> None:
        for number in range(120):
            event(old, "DELETE_COMPLETE", f"Queue{number}", "")
        event(old, "CREATE_FAILED", "OtherQueue", "a queue of that name exists")
        for number in range(120):
            event(old, "DELETE_COMPLETE", f"Queue{number}", "")
        old.status = status

    session.events.register("after-call.cloudformation.ExecuteChangeSet", roll_back)
    more = a_build(tmp_path / "more", TrackingQueue=QUEUE, OtherQueue=OTHER_QUEUE)
    with pytest.raises(DeployError) as failed:
        Deployment("dev", session).run(more, {})
    assert str(failed.value) == f"facteo-dev is {status}:\n  OtherQueue: a queue of that name exists"


def event(of: Any, status: str, name: str, reason: str) -> None:
    """What CloudFormation notes of a resource."""
    of._add_stack_event(status, resource_status_reason=reason)
    of.events[-1].logical_resource_id, of.events[-1].physical_resource_id = name, f"{name}-id"


def test_half_an_hour_is_measured_by_the_clock(
    session: boto3.Session, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look may take long by itself."""
    seconds, looks = [0.0], []

    def pending(parsed: dict[str, Any], **_: Any) -> None:
        seconds[0] += 59
        looks.append(parsed.update(Status="CREATE_IN_PROGRESS"))

    def sleep(pause: float) -> None:
        seconds[0] += pause

    session.events.register("after-call.cloudformation.DescribeChangeSet", pending)
    fake = SimpleNamespace(monotonic=lambda: seconds[0], sleep=sleep, time=lambda: 0)
    monkeypatch.setattr(deploy, "time", fake)
    monkeypatch.setattr(deploy, "_DEADLINE_SECONDS", HALF_AN_HOUR)
    with pytest.raises(DeployError, match="waited 1800 s for the change set"):
        Deployment("dev", session).run(built, {})
    assert len(looks) == 30


def test_other_errors_of_the_cloud_are_not_taken_for_a_stack_that_is_missing(session: boto3.Session) -> None:
    def throttle(**_: Any) -> Any:
        error = {"Error": {"Code": "AccessDenied", "Message": "not allowed"}, "ResponseMetadata": {}}
        return SimpleNamespace(status_code=403), error

    session.events.register("before-call.cloudformation.DescribeStacks", throttle)
    with pytest.raises(ClientError, match="not allowed"):
        Deployment("dev", session).outputs()
