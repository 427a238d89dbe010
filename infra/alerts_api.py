"""The API function of the alerts: apart from the other one, so that nothing else can be in the way of an SOS.

Chalice makes one API function. The build makes a second one in its likeness, from the same zip: its own entry module,
role, concurrency and log, and the paths of the alerts lead to it. Their throttling is their own: see `_throttling`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

NAME: Final = "alerts_api"
LOGICAL: Final = "AlertsAPI"
HANDLER: Final = "chalicelib.alerts.entry.app"
PREFIX: Final = "/v1/alert"
"""How the paths begin that it serves."""

_OTHER, _OTHER_ROLE, _OTHER_LOG, _OTHER_PERMISSION = (
    "APIHandler",
    "ApiHandlerRole",
    "ApiHandlerLogGroup",
    "APIHandlerInvokePermission",
)
"""What chalice makes."""
_ROLE, _LOG, _PERMISSION = "AlertsApiRole", "AlertsApiLogGroup", "AlertsAPIInvokePermission"

_CONFIGURED: Final = {
    "lambda_memory_size": "MemorySize",
    "lambda_timeout": "Timeout",
    "reserved_concurrency": "ReservedConcurrentExecutions",
}
"""Chalice's words for what a stage may say of a function → CloudFormation's."""


class Limits(NamedTuple):
    """What one method may be asked: so often in a second on average, and so often at once."""

    rate: int
    burst: int


THEIRS: Final = Limits(rate=1000, burst=1000)
"""Of each method of the alerts: 5,000 SOS within a minute are 84 in a second."""
OTHERS: Final = Limits(rate=2000, burst=1000)
"""Of each other method: far more than all handsets together need, and far less than the account's 10,000 and 5,000,
which all methods share."""


def serves(path: str) -> bool:
    """Whether the alerts' function serves a path, and not the other one."""
    return path.startswith(PREFIX)


def set_apart(template: Mapping[str, Any], configured: Mapping[str, Any], policies: Path) -> None:
    """Give the alerts of a packaged template a function of their own. `configured` is what the stage says of it.

    Its policy is the file that `configured` names, in the folder `policies`.
    """
    resources = template["Resources"]
    policy = json.loads((policies / configured["iam_policy_file"]).read_text())
    resources[LOGICAL] = _function(resources[_OTHER], resources[LOGICAL], configured)
    resources[_ROLE] = _role(resources[_OTHER_ROLE], policy)
    resources[_LOG] = _log(resources[_OTHER_LOG])
    resources[_PERMISSION] = _permission(resources[_OTHER_PERMISSION])
    api = resources["RestAPI"]["Properties"]
    for operation in _operations(api["DefinitionBody"]):
        uri = operation["x-amazon-apigateway-integration"]["uri"]
        uri["Fn::Sub"] = uri["Fn::Sub"].replace(f"${{{_OTHER}.Arn}}", f"${{{LOGICAL}.Arn}}")
    api["MethodSettings"] = _throttling(api["DefinitionBody"])


def _operations(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (operation for path, methods in body["paths"].items() if serves(path) for operation in methods.values())


def _function(other: Mapping[str, Any], added: Mapping[str, Any], configured: Mapping[str, Any]) -> dict[str, Any]:
    """The other function with what the template adds to this one."""
    made = copy.deepcopy(dict(other))
    properties, own = made["Properties"], copy.deepcopy(added["Properties"])
    variables = properties["Environment"]["Variables"] | own["Environment"]["Variables"]
    own |= {"Handler": HANDLER, "Role": {"Fn::GetAtt": [_ROLE, "Arn"]}, "Environment": {"Variables": variables}}
    own |= {told: configured[name] for name, told in _CONFIGURED.items() if name in configured}
    return {**made, "Properties": properties | own}


def _role(other: Mapping[str, Any], policy: Mapping[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(dict(other))
    [only] = made["Properties"]["Policies"]
    only["PolicyDocument"] = policy
    return made


def _log(other: Mapping[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(dict(other))
    made["Properties"]["LogGroupName"] = {"Fn::Sub": f"/aws/lambda/${{{LOGICAL}}}"}
    return made


def _permission(other: Mapping[str, Any]) -> dict[str, Any]:
    """API Gateway may call it for its paths, of every stage and method."""
    made = copy.deepcopy(dict(other))
    made["Properties"]["FunctionName"] = {"Ref": LOGICAL}
    made["Properties"]["SourceArn"]["Fn::Sub"][0] += f"/*{PREFIX}*"
    return made


def _throttling(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Limits for each method of the alerts, and for whatever else there is.

    A method without limits of its own may use up those of the account, and then all are refused.
    """
    settings = [_limits("/*", "*", OTHERS)]
    for path, methods in body["paths"].items():
        if serves(path):
            settings += [_limits("/" + path.replace("/", "~1"), method.upper(), THEIRS) for method in methods]
    return settings


def _limits(path: str, method: str, limits: Limits) -> dict[str, Any]:
    return {
        "ResourcePath": path,
        "HttpMethod": method,
        "ThrottlingRateLimit": limits.rate,
        "ThrottlingBurstLimit": limits.burst,
    }
