"""What a function does is held against its own policy, as IAM will on AWS: neither moto nor the local cloud does."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient

POLICIES = Path(__file__).parents[2] / ".chalice"

KEYS = {"alias/facteo-test-personal-data": "PersonalDataKey", "alias/facteo-test-signing": "SigningKey"}

Use = tuple[str, str]
"""An action, and the resource that it is used on: the last part of its ARN."""


@contextmanager
def checked(function: str) -> Iterator[None]:
    """Fail unless the function's policy allows every call of AWS that is made within the block."""
    used: dict[Use, None] = {}
    call = BaseClient._make_api_call

    def recorded(client: Any, operation: str, parameters: Mapping[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        used.update(dict.fromkeys(_USES[service](f"{service}:{operation}", parameters)))
        return call(client, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", recorded):
        yield
    denied = [use for use in used if not _is_allowed(function, use)]
    assert not denied, f"the policy of {function} does not allow {denied}"


def _is_allowed(function: str, use: Use) -> bool:
    action, resource = use
    return any(action in actions and fnmatchcase(resource, pattern) for actions, pattern in _allowed(function))


@functools.cache
def _allowed(function: str) -> Sequence[tuple[Sequence[str], str]]:
    statements = json.loads((POLICIES / f"policy-{function}.json").read_text())["Statement"]
    return [(statement["Action"], _named(arn)) for statement in statements for arn in statement["Resource"]]


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


_USES: Mapping[str, Callable[[str, Mapping[str, Any]], list[Use]]] = {
    "dynamodb": _dynamodb,
    "kms": _kms,
    "s3": _s3,
    "secretsmanager": _secretsmanager,
    "sqs": _sqs,
}
