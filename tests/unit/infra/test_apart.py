"""The API functions apart: their paths lead to them and no others, and they share with nobody what runs out."""

from __future__ import annotations

import copy
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app import app
from infra import apart, grants
from infra.build import CONFIGURATION, ROOT

ACCOUNT = apart.Limits(rate=10_000, burst=5_000)
"""What AWS grants an account, to be shared by all."""
SOS_IN_A_SECOND = 5_000 / 60
ON_LAMBDA = {**os.environ, "AWS_LAMBDA_FUNCTION_NAME": "facteo-test", "FACTEO_STAGE": "test"}

every_row = pytest.mark.parametrize("own", apart.APART, ids=lambda own: own.name)

Methods = set[tuple[str, str]]
"""Each with its path."""


def operations(template: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Path, method, and integration."""
    for path, methods in template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation["x-amazon-apigateway-integration"]


def leading_to(template: Mapping[str, Any], function: str) -> Methods:
    """Path and method of what a function serves."""
    uri = f":lambda:path/2015-03-31/functions/${{{function}.Arn}}/invocations"
    return {(path, method) for path, method, told in operations(template) if told["uri"]["Fn::Sub"].endswith(uri)}


@functools.cache
def served_by(module: str) -> Methods:
    """Path and method of what the application of a module serves: in a process of its own, as on Lambda.

    Chalice cannot register a blueprint with two applications in one process.
    """
    routes = "{path: [*methods] for path, methods in app.routes.items()}"
    script = f"import json; from {module} import app; print(json.dumps({routes}))"
    return {(path, method) for path, methods in json.loads(on_lambda(script)).items() for method in methods}


def properties(template: Mapping[str, Any], name: str) -> dict[str, Any]:
    return dict(template["Resources"][name]["Properties"])


def limits_of(template: Mapping[str, Any]) -> dict[tuple[str, str], apart.Limits]:
    """Limits by path, whose slashes are escaped, and method."""
    return {
        (setting["ResourcePath"], setting["HttpMethod"]): apart.Limits(
            setting["ThrottlingRateLimit"], setting["ThrottlingBurstLimit"]
        )
        for setting in properties(template, "RestAPI")["MethodSettings"]
    }


def escaped(methods: Methods) -> Methods:
    """API Gateway wants the slashes of a path escaped, all but the first."""
    return {("/" + path.replace("/", "~1"), method) for path, method in methods}


def on_lambda(script: str) -> str:
    """What a script prints in a fresh process as on Lambda."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=ON_LAMBDA, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


class TestPaths:
    @every_row
    def test_its_paths_are_those_that_its_entry_serves(self, template: dict[str, Any], own: apart.Apart) -> None:
        assert served_by(own.module)
        assert leading_to(template, own.logical) == served_by(own.module)

    def test_an_sos_is_among_those_of_the_alerts(self) -> None:
        assert ("/v1/alerts/{alert}", "PUT") in served_by("chalicelib.alerts.entry")

    def test_all_others_lead_to_the_one_that_chalice_makes(self, template: dict[str, Any]) -> None:
        routes = {(path, method) for path, methods in app.routes.items() for method in methods}
        others = routes.difference(*(served_by(own.module) for own in apart.APART))
        assert ("/v1/events", "POST") in others
        assert leading_to(template, "APIHandler") == others == served_by("app")

    @pytest.mark.parametrize(
        ("path", "function"),
        [
            ("/v1/alerts/018f", "alerts_api"),
            ("/v1/alert-pins", "alerts_api"),
            ("/v1/events", "api_handler"),
            ("/v1/suivi/v1/alerts", "api_handler"),
        ],
    )
    def test_the_beginning_of_a_path_says_whose_it_is(self, path: str, function: str) -> None:
        assert apart.function_of(path) == function

    def test_the_other_function_loads_nothing_of_what_another_one_serves(self) -> None:
        script = """
import sys, app
from chalicelib.core.endpoint import SERVED_ELSEWHERE
print(*SERVED_ELSEWHERE, "loaded:", *sys.modules)
"""
        elsewhere, loaded = (part.split() for part in on_lambda(script).split("loaded:"))
        assert "chalicelib.sync.routes" in loaded
        assert "chalicelib.alerts.routes" in elsewhere
        assert set(elsewhere) & set(loaded) == set()
        assert [name for name in loaded if "alerts" in name] == []

    def test_the_other_function_describes_the_whole_api_all_the_same(self) -> None:
        script = "import app; from chalicelib.reference import service; print(*service.description()['paths'])"
        assert set(on_lambda(script).split()) == set(json.loads((ROOT / "openapi.json").read_text())["paths"])

    @every_row
    def test_nobody_sees_a_stack_trace(self, own: apart.Apart) -> None:
        assert on_lambda(f"from {own.module} import app; print(app.debug)").strip() == "False"


class TestFunction:
    @every_row
    def test_it_is_of_the_same_zip_and_has_what_the_other_has(self, template: dict[str, Any], own: apart.Apart) -> None:
        ours, others = properties(template, own.logical), properties(template, "APIHandler")
        differ = {"FunctionName", "Handler", "Role", "Environment"}
        assert {name: ours[name] for name in ours.keys() - differ} == {
            name: others[name] for name in others.keys() - differ
        }
        assert ours["FunctionName"] == {"Fn::Sub": f"facteo-${{Stage}}-{own.name}"}
        assert (ours["Handler"], others["Handler"]) == (own.handler, "app.app")
        variables, their_variables = (each["Environment"]["Variables"] for each in (ours, others))
        assert {**variables, **their_variables} == variables

    def test_that_of_the_alerts_has_settings_of_its_own(self, template: dict[str, Any]) -> None:
        ours, others = (properties(template, name)["Environment"]["Variables"] for name in ("AlertsAPI", "APIHandler"))
        assert ours.keys() - others.keys() == {"FACTEO_ALERT_TOPIC", "FACTEO_MAIL_FROM", "FACTEO_PUSH_APPLICATION"}

    @every_row
    def test_it_has_its_own_rights(self, template: dict[str, Any], own: apart.Apart) -> None:
        role = properties(template, own.logical)["Role"]["Fn::GetAtt"][0]
        [policy] = properties(template, role)["Policies"]
        [other] = properties(template, "ApiHandlerRole")["Policies"]
        assert policy["PolicyDocument"] == grants.policy(own.name)
        assert other["PolicyDocument"] == grants.policy("api_handler")

    @every_row
    def test_its_log_is_forgotten_as_others(self, template: dict[str, Any], own: apart.Apart) -> None:
        assert properties(template, own.log) == {
            "LogGroupName": {"Fn::Sub": f"/aws/lambda/${{{own.logical}}}"},
            "RetentionInDays": 30,
        }

    def test_what_is_deployed_already_keeps_its_names(self, template: dict[str, Any]) -> None:
        """CloudFormation would delete what is called otherwise, and make it anew."""
        names = {"AlertsAPI", "AlertsApiRole", "AlertsApiLogGroup", "AlertsAPIInvokePermission"}
        assert names <= template["Resources"].keys()

    def test_api_gateway_may_call_it_for_its_paths_only(self, template: dict[str, Any]) -> None:
        permission = properties(template, "AlertsAPIInvokePermission")
        assert permission["FunctionName"] == {"Ref": "AlertsAPI"}
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"]["Fn::Sub"][0].endswith("${RestAPIId}/*/*/v1/alert*")
        assert properties(template, "APIHandlerInvokePermission")["FunctionName"] == {"Ref": "APIHandler"}


class TestThrottling:
    def test_each_method_that_is_served_apart_has_limits_of_its_own(self, template: dict[str, Any]) -> None:
        expected = {method: own.limits for own in apart.APART for method in escaped(served_by(own.module))}
        assert ("/~1v1~1alerts~1{alert}", "PUT") in expected
        assert limits_of(template) == {("/*", "*"): apart.OTHERS, **expected}

    def test_what_all_others_may_ask_leaves_room_for_an_sos(self, template: dict[str, Any]) -> None:
        alerts = limits_of(template)["/~1v1~1alerts~1{alert}", "PUT"]
        assert alerts.rate > 10 * SOS_IN_A_SECOND
        assert alerts.burst > 10 * SOS_IN_A_SECOND
        together = [apart.OTHERS, *(own.limits for own in apart.APART)]
        assert sum(limits.rate for limits in together) < ACCOUNT.rate
        assert sum(limits.burst for limits in together) < ACCOUNT.burst


class TestAnotherRow:
    """Made up, for the paths of two features that chalice's function serves."""

    MADE_UP = apart.Apart(
        name="doors_api",
        logical="DoorsAPI",
        handler="chalicelib.doors.entry.app",
        prefixes=("/v1/proxies", "/v1/redirections"),
        limits=apart.Limits(rate=70, burst=30),
    )

    @pytest.fixture
    def made(self, template: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """The template with that function too."""
        monkeypatch.setattr(apart, "APART", (*apart.APART, self.MADE_UP))
        configured = {
            **json.loads(CONFIGURATION.read_text())["stages"]["local"]["lambda_functions"],
            "doors_api": {"lambda_memory_size": 384, "iam_policy_file": "policy-erase.json"},
        }
        made = copy.deepcopy(template)
        made["Resources"]["DoorsAPI"] = {"Properties": {"Timeout": 7}}
        apart.set_apart(made, configured, CONFIGURATION.parent)
        return made

    def test_all_of_its_prefixes_lead_to_it(self, template: dict[str, Any], made: dict[str, Any]) -> None:
        before, moved = leading_to(template, "APIHandler"), leading_to(made, "DoorsAPI")
        assert {path.split("/")[2] for path, _ in moved} == {"proxies", "redirections"}
        assert moved == {(path, method) for path, method in before if path.split("/")[2] in {"proxies", "redirections"}}
        assert leading_to(made, "APIHandler") == before - moved

    def test_its_paths_are_known_to_be_its_own(self, made: dict[str, Any]) -> None:
        found = {path: apart.function_of(path) for path, _, _ in operations(made)}
        for logical, name in {"DoorsAPI": "doors_api", "AlertsAPI": "alerts_api", "APIHandler": "api_handler"}.items():
            assert {path for path, function in found.items() if function == name} == {
                path for path, _ in leading_to(made, logical)
            }

    def test_api_gateway_may_call_it_for_each_of_its_prefixes_and_no_other(self, made: dict[str, Any]) -> None:
        granted = {
            name: resource["Properties"]["SourceArn"]["Fn::Sub"][0].partition("${RestAPIId}")[2]
            for name, resource in made["Resources"].items()
            if resource["Type"] == "AWS::Lambda::Permission"
            and resource["Properties"]["FunctionName"] == {"Ref": "DoorsAPI"}
        }
        assert granted == {
            "DoorsAPIInvokePermission": "/*/*/v1/proxies*",
            "DoorsAPIInvokePermission2": "/*/*/v1/redirections*",
        }

    def test_its_role_log_memory_and_timeout_are_its_own(self, made: dict[str, Any]) -> None:
        function, [policy] = properties(made, "DoorsAPI"), properties(made, "DoorsApiRole")["Policies"]
        assert function["Role"] == {"Fn::GetAtt": ["DoorsApiRole", "Arn"]}
        assert policy["PolicyDocument"] == grants.policy("erase")
        assert properties(made, "DoorsApiLogGroup")["LogGroupName"] == {"Fn::Sub": "/aws/lambda/${DoorsAPI}"}
        assert function["Handler"] == "chalicelib.doors.entry.app"
        assert (function["MemorySize"], function["Timeout"]) == (384, 7)

    def test_without_settings_of_its_own_it_has_those_of_the_other(self, made: dict[str, Any]) -> None:
        assert properties(made, "DoorsAPI")["Environment"] == properties(made, "APIHandler")["Environment"]

    def test_its_methods_have_its_limits(self, made: dict[str, Any]) -> None:
        limits = limits_of(made)
        assert {method for method, found in limits.items() if found == self.MADE_UP.limits} == escaped(
            leading_to(made, "DoorsAPI")
        )

    def test_the_alerts_are_as_they_were(self, template: dict[str, Any], made: dict[str, Any]) -> None:
        for name in ("AlertsAPI", "AlertsApiRole", "AlertsApiLogGroup", "AlertsAPIInvokePermission"):
            assert made["Resources"][name] == template["Resources"][name]
        assert leading_to(made, "AlertsAPI") == leading_to(template, "AlertsAPI")
        assert limits_of(template).items() <= limits_of(made).items()
