"""What a function does is held against its own policy, as IAM will on AWS: neither moto nor the local cloud does."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from botocore.client import BaseClient

POLICIES = Path(__file__).parents[2] / ".chalice"

KEYS = {
    "alias/facteo-test-personal-data": "PersonalDataKey",
    "alias/facteo-test-signing": "SigningKey",
    "alias/facteo-test-pass-keys": "PassKeysKey",
    "alias/facteo-test-pass-root-a": "PassRootA",
    "alias/facteo-test-pass-root-b": "PassRootB",
}

A_PHONE = "a phone number"

Use = tuple[str, str]
"""An action, and the resource that it is used on: the last part of its ARN."""


class Right(NamedTuple):
    """What a function's policy grants it: an action, on the resources of a pattern."""

    function: str
    action: str
    resource: str


USED: set[Right] = set()
"""The rights that were used in this process."""

_CHECKED: list[dict[Use, None]] = []
"""What the functions have used that are checked now, the innermost last."""


@contextmanager
def checked(function: str) -> Iterator[None]:
    """Fail unless the function's policy allows every call of AWS that is made within the block.

    What is made within a block in this one, by another function in between, is that one's.
    """
    used: dict[Use, None] = {}
    _CHECKED.append(used)
    call = BaseClient._make_api_call

    def recorded(client: Any, operation: str, parameters: Mapping[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        if _CHECKED[-1] is used:
            used.update(dict.fromkeys(_USES[service](f"{service}:{operation}", parameters)))
        return call(client, operation, parameters)

    try:
        with patch.object(BaseClient, "_make_api_call", recorded):
            yield
    finally:
        _CHECKED.pop()
    allowing = {use: _allowing(function, use) for use in used}
    denied = [use for use, found in allowing.items() if not found]
    assert not denied, f"the policy of {function} does not allow {denied}"
    USED.update(right for found in allowing.values() for right in found)


def granted() -> Iterator[Right]:
    """Every right of every function."""
    for path in POLICIES.glob("policy-*.json"):
        yield from _granted(path.stem.removeprefix("policy-"))


def _allowing(function: str, use: Use) -> list[Right]:
    action, resource = use
    return [right for right in _granted(function) if right.action == action and fnmatchcase(resource, right.resource)]


@functools.cache
def _granted(function: str) -> Sequence[Right]:
    return [
        Right(function, action, named)
        for statement in json.loads((POLICIES / f"policy-{function}.json").read_text())["Statement"]
        for named in _resources(statement)
        for action in statement["Action"]
    ]


def _resources(statement: Mapping[str, Any]) -> list[str]:
    """What a statement is about. All but what SNS has names for, that is a phone number."""
    if "NotResource" in statement:
        assert statement["NotResource"] == [{"Fn::Sub": "arn:${AWS::Partition}:sns:*:*:*"}]
        return [A_PHONE]
    return [_named(arn) for arn in statement["Resource"]]


def _named(arn: Mapping[str, Any]) -> str:
    """`table/facteo-test-journal` of `arn:…:table/facteo-${Stage}-journal`; the logical name of a key."""
    if "Fn::GetAtt" in arn:
        return str(arn["Fn::GetAtt"][0])
    text = arn["Fn::Sub"].replace("${Stage}", "test").replace("-${AWS::AccountId}", "")
    return re.sub(r"^(?:[^:]*:){5}", "", text.replace("${AWS::", "").replace("}", ""))


def _dynamodb(action: str, parameters: Mapping[str, Any]) -> list[Use]:
    match action.removeprefix("dynamodb:"):
        case "TransactWriteItems":
            items = [next(iter(item.items())) for item in parameters["TransactItems"]]
            return [(f"dynamodb:{_ITEM_ACTIONS[kind]}", _table(each["TableName"])) for kind, each in items]
        case "BatchGetItem" | "BatchWriteItem":
            return [(action, _table(name)) for name in parameters["RequestItems"]]
        case _:
            index = f"/index/{parameters['IndexName']}" if parameters.get("IndexName") else ""
            return [(action, _table(parameters["TableName"]) + index)]


def _table(name: str) -> str:
    return f"table/{name}"


_ITEM_ACTIONS = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}


def _sqs(action: str, parameters: Mapping[str, Any]) -> list[Use]:
    return [(action.replace("MessageBatch", "Message"), parameters["QueueUrl"].rpartition("/")[2])]


def _s3(action: str, parameters: Mapping[str, Any]) -> list[Use]:
    versioned = action.replace("GetObject", "GetObjectVersion") if "VersionId" in parameters else action
    return [(versioned, f"{parameters['Bucket']}/{parameters['Key']}")]


def _kms(action: str, parameters: Mapping[str, Any]) -> list[Use]:
    return [(action, KEYS[parameters["KeyId"]])]


def _secretsmanager(action: str, parameters: Mapping[str, Any]) -> list[Use]:
    return [(action, f"secret:{parameters['SecretId']}-AbCdEf")]


def _sns(action: str, parameters: Mapping[str, Any]) -> list[Use]:
    arns = [parameters[name] for name in _ARNS if name in parameters]
    return [(action, arns[0].split(":", 5)[5] if arns else A_PHONE)]


_ARNS = ("TopicArn", "TargetArn", "EndpointArn", "PlatformApplicationArn")


def _sesv2(action: str, parameters: Mapping[str, Any]) -> list[Use]:
    """Whoever may send does so in the name of the stack's sender: the policy has that as a condition."""
    assert parameters["FromEmailAddress"] == os.environ["FACTEO_MAIL_FROM"]
    return [(action.replace("sesv2:", "ses:"), f"identity/{parameters['FromEmailAddress']}")]


_USES: Mapping[str, Callable[[str, Mapping[str, Any]], list[Use]]] = {
    "dynamodb": _dynamodb,
    "kms": _kms,
    "s3": _s3,
    "secretsmanager": _secretsmanager,
    "sesv2": _sesv2,
    "sns": _sns,
    "sqs": _sqs,
}
