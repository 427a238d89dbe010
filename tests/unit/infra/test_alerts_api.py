"""The second API function: the alerts' paths lead to it and no others, and it shares with nobody what runs out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app import app
from infra import alerts_api, grants
from infra.build import ROOT

ACCOUNT = alerts_api.Limits(rate=10_000, burst=5_000)
"""What AWS grants an account, to be shared by all."""
SOS_IN_A_SECOND = 5_000 / 60
ON_LAMBDA = {**os.environ, "AWS_LAMBDA_FUNCTION_NAME": "facteo-test", "FACTEO_STAGE": "test"}


def operations(template: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Path, method, and integration."""
    for path, methods in template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation["x-amazon-apigateway-integration"]


def leading_to(template: Mapping[str, Any], function: str) -> set[tuple[str, str]]:
    """Path and method of what a function serves."""
    uri = f":lambda:path/2015-03-31/functions/${{{function}.Arn}}/invocations"
    return {(path, method) for path, method, told in operations(template) if told["uri"]["Fn::Sub"].endswith(uri)}


@pytest.fixture(scope="module")
def served() -> set[tuple[str, str]]:
    """Path and method of what the entry serves: in a process of its own, as on Lambda.

    Chalice cannot register a blueprint with two applications in one process.
    """
    routes = "{path: [*methods] for path, methods in app.routes.items()}"
    script = f"import json; from chalicelib.alerts.entry import app; print(json.dumps({routes}))"
    return {(path, method) for path, methods in json.loads(on_lambda(script)).items() for method in methods}


def properties(template: Mapping[str, Any], name: str) -> dict[str, Any]:
    return dict(template["Resources"][name]["Properties"])


def on_lambda(script: str) -> str:
    """What a script prints in a fresh process as on Lambda."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=ON_LAMBDA, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


class TestPaths:
    def test_its_paths_are_those_that_its_entry_serves(self, template: dict[str, Any], served: Any) -> None:
        assert ("/v1/alerts/{alert}", "PUT") in served
        assert leading_to(template, "AlertsAPI") == served

    def test_all_others_lead_to_the_other_one(self, template: dict[str, Any], served: Any) -> None:
        routes = {(path, method) for path, methods in app.routes.items() for method in methods}
        assert ("/v1/events", "POST") in routes - served
        assert leading_to(template, "APIHandler") == routes - served

    def test_the_other_function_neither_loads_nor_serves_them(self) -> None:
        script = "import sys, app; print(*app.app.routes, *(name for name in sys.modules if 'alerts' in name))"
        found = on_lambda(script).split()
        assert "/v1/events" in found
        assert [name for name in found if "alert" in name] == []

    def test_the_other_function_describes_the_whole_api_all_the_same(self) -> None:
        script = "import app; from chalicelib.reference import service; print(*service.description()['paths'])"
        assert set(on_lambda(script).split()) == set(json.loads((ROOT / "openapi.json").read_text())["paths"])

    def test_nobody_sees_a_stack_trace(self) -> None:
        assert on_lambda("from chalicelib.alerts.entry import app; print(app.debug)").strip() == "False"


class TestFunction:
    def test_it_is_of_the_same_zip_and_has_what_the_other_has(self, template: dict[str, Any]) -> None:
        own, other = properties(template, "AlertsAPI"), properties(template, "APIHandler")
        differ = {"FunctionName", "Handler", "Role", "Environment"}
        assert {name: own[name] for name in own.keys() - differ} == {
            name: other[name] for name in other.keys() - differ
        }
        assert own["Handler"] == alerts_api.HANDLER
        assert other["Handler"] == "app.app"
        ours, theirs = (each["Environment"]["Variables"] for each in (own, other))
        assert {**ours, **theirs} == ours
        own_settings = {"FACTEO_ALERT_TOPIC", "FACTEO_MAIL_FROM", "FACTEO_PUSH_APPLICATION"}
        assert ours.keys() - theirs.keys() == own_settings

    def test_it_has_its_own_rights(self, template: dict[str, Any]) -> None:
        role = properties(template, "AlertsAPI")["Role"]["Fn::GetAtt"][0]
        [policy] = properties(template, role)["Policies"]
        [other] = properties(template, "ApiHandlerRole")["Policies"]
        assert policy["PolicyDocument"] == grants.policy(alerts_api.NAME)
        assert other["PolicyDocument"] == grants.policy("api_handler")

    def test_its_log_is_forgotten_as_others(self, template: dict[str, Any]) -> None:
        assert properties(template, "AlertsApiLogGroup") == {
            "LogGroupName": {"Fn::Sub": "/aws/lambda/${AlertsAPI}"},
            "RetentionInDays": 30,
        }

    def test_api_gateway_may_call_it_for_its_paths_only(self, template: dict[str, Any]) -> None:
        permission = properties(template, "AlertsAPIInvokePermission")
        assert permission["FunctionName"] == {"Ref": "AlertsAPI"}
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"]["Fn::Sub"][0].endswith("${RestAPIId}/*/*/v1/alert*")
        assert properties(template, "APIHandlerInvokePermission")["FunctionName"] == {"Ref": "APIHandler"}


class TestThrottling:
    @pytest.fixture
    def limits(self, template: dict[str, Any]) -> dict[tuple[str, str], alerts_api.Limits]:
        """Limits by path and method."""
        return {
            (setting["ResourcePath"], setting["HttpMethod"]): alerts_api.Limits(
                setting["ThrottlingRateLimit"], setting["ThrottlingBurstLimit"]
            )
            for setting in properties(template, "RestAPI")["MethodSettings"]
        }

    def test_each_method_of_the_alerts_has_limits_of_its_own(self, limits: Any, served: Any) -> None:
        """API Gateway wants the slashes of a path escaped, all but the first."""
        expected = {("/" + path.replace("/", "~1"), method) for path, method in served}
        assert ("/~1v1~1alerts~1{alert}", "PUT") in expected
        assert limits.keys() == {("/*", "*")} | expected

    def test_what_all_others_may_ask_leaves_room_for_an_sos(self, limits: Any) -> None:
        others, theirs = limits["/*", "*"], limits["/~1v1~1alerts~1{alert}", "PUT"]
        assert theirs.rate > 10 * SOS_IN_A_SECOND
        assert theirs.burst > 10 * SOS_IN_A_SECOND
        assert others.rate + theirs.rate < ACCOUNT.rate
        assert others.burst + theirs.burst < ACCOUNT.burst
