"""The API functions apart from the one that chalice makes, so that nothing else can be in the way of what they serve.

Chalice makes one API function. For each row of `APART` the build makes another one in its likeness, from the same zip:
its own entry module, role, concurrency and log, and the paths of its prefixes lead to it. Their throttling is their
own: see `_throttling`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

API_HANDLER: Final = "api_handler"
"""The function that chalice makes. It serves all other paths."""

_OTHER, _OTHER_ROLE, _OTHER_LOG, _OTHER_PERMISSION = (
    "APIHandler",
    "ApiHandlerRole",
    "ApiHandlerLogGroup",
    "APIHandlerInvokePermission",
)
"""What chalice makes for it."""

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


class Apart(NamedTuple):
    """An API function of its own. `limits` are those of each of its methods.

    `logical` is its name in the template, which adds to it what the other one has not.
    """

    name: str
    logical: str
    handler: str
    prefixes: tuple[str, ...]
    limits: Limits

    @property
    def module(self) -> str:
        """What Lambda imports for it."""
        return self.handler.rpartition(".")[0]

    @property
    def role(self) -> str:
        """The logical name of its role."""
        return f"{self._words}Role"

    @property
    def log(self) -> str:
        """The logical name of its log group."""
        return f"{self._words}LogGroup"

    @property
    def permissions(self) -> dict[str, str]:
        """The logical name of a permission to call it → the prefix that it is for. From the second on they are
        numbered.
        """
        return {
            f"{self.logical}InvokePermission{number if number > 1 else ''}": prefix
            for number, prefix in enumerate(self.prefixes, start=1)
        }

    @property
    def _words(self) -> str:
        """Its name, as chalice writes those of roles and log groups."""
        return self.name.title().replace("_", "")


APART: Final[tuple[Apart, ...]] = (
    Apart(
        name="alerts_api",
        logical="AlertsAPI",
        handler="chalicelib.alerts.entry.app",
        prefixes=("/v1/alert",),
        limits=Limits(rate=1000, burst=1000),  # 5,000 SOS within a minute are 84 in a second
    ),
    Apart(
        name="passes_api",
        logical="PassesAPI",
        handler="chalicelib.passes.entry.app",
        prefixes=("/v1/pass", "/v1/status-lists", "/v1/buildings"),
        limits=Limits(rate=1000, burst=1000),  # 85,000 handsets begin within an hour, and all may ask for lists
    ),
    Apart(
        name="fleet_api",
        logical="FleetAPI",
        handler="chalicelib.fleet.entry.app",
        prefixes=(
            "/v1/enrolment",
            "/v1/devices",
            "/v1/commands",
            "/v1/warrants",
            "/v1/approver",
            "/v1/breaker",
            "/v1/loss",
            "/v1/check-ins",
            "/v1/lease",
            "/v1/polic",
            "/v1/fleet",
        ),
        limits=Limits(rate=1000, burst=1000),  # a check-in each 15 minutes is 94 in a second
    ),
)

OTHERS: Final = Limits(rate=2000, burst=1000)
"""Of each other method: far more than all handsets together need, and far less than the account's 10,000 and 5,000,
which all methods share."""


def function_of(path: str) -> str:
    """The name of the function that serves a path."""
    own = _serving(path)
    return own.name if own else API_HANDLER


def set_apart(template: Mapping[str, Any], configured: Mapping[str, Mapping[str, Any]], policies: Path) -> None:
    """Make the functions of `APART` in a packaged template. `configured` is what the stage says of each function.

    The policy of a function is the file that `configured` names, in the folder `policies`.
    """
    resources = template["Resources"]
    for own in APART:
        policy = json.loads((policies / configured[own.name]["iam_policy_file"]).read_text())
        resources[own.logical] = _function(own, resources[_OTHER], resources[own.logical], configured[own.name])
        resources[own.role] = _role(resources[_OTHER_ROLE], policy)
        resources[own.log] = _log(own, resources[_OTHER_LOG])
        for name, prefix in own.permissions.items():
            resources[name] = _permission(own, resources[_OTHER_PERMISSION], prefix)
    api = resources["RestAPI"]["Properties"]
    _lead(api["DefinitionBody"])
    api["MethodSettings"] = _throttling(api["DefinitionBody"])


def _serving(path: str) -> Apart | None:
    return next((own for own in APART if path.startswith(own.prefixes)), None)


def _function(
    own: Apart, other: Mapping[str, Any], added: Mapping[str, Any], configured: Mapping[str, Any]
) -> dict[str, Any]:
    """The other function with what the template adds to this one."""
    made = copy.deepcopy(dict(other))
    properties, more = made["Properties"], copy.deepcopy(added["Properties"])
    variables = properties["Environment"]["Variables"] | more.get("Environment", {}).get("Variables", {})
    more |= {"Handler": own.handler, "Role": {"Fn::GetAtt": [own.role, "Arn"]}, "Environment": {"Variables": variables}}
    more |= {told: configured[name] for name, told in _CONFIGURED.items() if name in configured}
    return {**made, "Properties": properties | more}


def _role(other: Mapping[str, Any], policy: Mapping[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(dict(other))
    [only] = made["Properties"]["Policies"]
    only["PolicyDocument"] = policy
    return made


def _log(own: Apart, other: Mapping[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(dict(other))
    made["Properties"]["LogGroupName"] = {"Fn::Sub": f"/aws/lambda/${{{own.logical}}}"}
    return made


def _permission(own: Apart, other: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """API Gateway may call it for the paths of a prefix, of every stage and method.

    One for each prefix, for one that covered several would cover paths that are not its own.
    """
    made = copy.deepcopy(dict(other))
    made["Properties"]["FunctionName"] = {"Ref": own.logical}
    made["Properties"]["SourceArn"]["Fn::Sub"][0] += f"/*{prefix}*"
    return made


def _lead(body: Mapping[str, Any]) -> None:
    """Let each path lead to the function that serves it; as chalice made them, all lead to its own."""
    for path, methods in body["paths"].items():
        if own := _serving(path):
            for operation in methods.values():
                uri = operation["x-amazon-apigateway-integration"]["uri"]
                uri["Fn::Sub"] = uri["Fn::Sub"].replace(f"${{{_OTHER}.Arn}}", f"${{{own.logical}.Arn}}")


def _throttling(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Limits for each method that is served apart, and for whatever else there is.

    A method without limits of its own may use up those of the account, and then all are refused.
    """
    settings = [_limits("/*", "*", OTHERS)]
    for path, methods in body["paths"].items():
        if own := _serving(path):
            settings += [_limits("/" + path.replace("/", "~1"), method.upper(), own.limits) for method in methods]
    return settings


def _limits(path: str, method: str, limits: Limits) -> dict[str, Any]:
    return {
        "ResourcePath": path,
        "HttpMethod": method,
        "ThrottlingRateLimit": limits.rate,
        "ThrottlingBurstLimit": limits.burst,
    }
