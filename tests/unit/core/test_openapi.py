"""The description of the API is valid, complete, and the committed one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_spec_validator import validate

import app  # noqa: F401 - it declares the endpoints
from chalicelib.core.endpoint import REGISTRY, Endpoint
from infra import openapi

COMMITTED: dict[str, Any] = json.loads(openapi.PATH.read_text())


def test_the_committed_description_is_what_the_declarations_give() -> None:
    assert openapi.PATH.read_text() == openapi.text(), "run 'make openapi'"


def test_it_is_valid_openapi_3_1() -> None:
    validate(COMMITTED)


@pytest.mark.parametrize("declared", [pytest.param(each, id=" ".join(key)) for key, each in REGISTRY.items()])
def test_every_endpoint_is_described_with_its_access_its_answer_and_its_problems(declared: Endpoint) -> None:
    operation = COMMITTED["paths"][declared.path][declared.method.lower()]
    assert operation["security"] == ([{declared.allow.scheme: []}] if declared.allow.scheme else [])
    assert declared.allow.told in operation["description"]
    assert str(declared.status) in operation["responses"]
    for problem in declared.all_problems:
        response = operation["responses"][str(int(problem.status))]
        assert f"/problems/{problem.slug()}`" in response["description"]
        assert "application/problem+json" in response["content"]
    assert {parameter["name"] for parameter in operation["parameters"]} >= set(declared.path_names)
    assert ("requestBody" in operation) == (declared.request is not None)


def test_an_answer_of_one_status_says_nothing_of_another() -> None:
    responses = COMMITTED["paths"]["/v1/suivi/{items}"]["get"]["responses"]
    assert set(responses["207"]["content"]) == {"application/json"}
    assert set(responses["404"]["content"]) == {"application/json", "application/problem+json"}
    assert "content" not in COMMITTED["paths"]["/v1/round"]["get"]["responses"]["304"]


def test_an_answer_of_another_form_than_json_is_described_as_such() -> None:
    page = COMMITTED["paths"]["/problems/{slug}"]["get"]["responses"]
    assert page["200"]["content"] == {"text/html": {"schema": {"type": "string"}}}
    assert set(page["404"]["content"]) == {"application/problem+json"}
    files = COMMITTED["paths"]["/v1/docs/{name}"]["get"]["responses"]["200"]["content"]
    assert set(files) == {"text/css", "text/javascript"}
