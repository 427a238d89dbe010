"""The description of the API is valid, complete, and the committed one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

import app  # noqa: F401 - it declares the endpoints
from chalicelib.core.endpoint import REGISTRY, Endpoint
from chalicelib.sync.drafts import ACCEPTED
from infra import openapi, vectors_events

COMMITTED: dict[str, Any] = json.loads(openapi.PATH.read_text())
EVERY_OPERATION = pytest.mark.parametrize(
    "declared", [pytest.param(each, id=" ".join(key)) for key, each in REGISTRY.items()]
)


def described(declared: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = COMMITTED["paths"][declared.path][declared.method.lower()]
    return found


def shape(name: str) -> Draft202012Validator:
    """What holds something to a component."""
    return Draft202012Validator({**COMMITTED, "$ref": f"#/components/schemas/{name}"})


def headers_taken(declared: Endpoint) -> dict[str, bool]:
    """The headers that a request is described with, and whether it must have them."""
    return {each["name"]: each["required"] for each in described(declared)["parameters"] if each["in"] == "header"}


def test_the_committed_description_is_what_the_declarations_give() -> None:
    assert openapi.PATH.read_text() == openapi.text(), "run 'make openapi'"


def test_it_is_valid_openapi_3_1() -> None:
    validate(COMMITTED)


@EVERY_OPERATION
def test_every_endpoint_is_described_with_its_access_its_answer_and_its_problems(declared: Endpoint) -> None:
    operation = described(declared)
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


@EVERY_OPERATION
def test_every_answer_is_described_with_its_headers(declared: Endpoint) -> None:
    for status, response in described(declared)["responses"].items():
        expected = {"Cache-Control", "Facteo-Correlation-Id"}
        good = "application/problem+json" not in response.get("content", {})
        if good and declared.shared:
            expected -= {"Facteo-Correlation-Id"}
        if good and declared.tagged:
            expected |= {"ETag"}
        if declared.allow.scheme == "handsetSignature":
            expected |= {"Facteo-Commands-Waiting"}
        assert set(response["headers"]) == expected, status


@EVERY_OPERATION
def test_a_request_that_is_signed_is_described_so_and_no_other(declared: Endpoint) -> None:
    signed = declared.allow.scheme == "handsetSignature" or declared.path == "/v1/enrolments"
    taken = headers_taken(declared)
    assert [taken.get(name) for name in ("Signature-Input", "Signature")] == [signed or None] * 2
    assert taken.get("Content-Digest") == ((signed and declared.request is not None) or None)
    assert taken.get("If-None-Match") == (False if "304" in described(declared)["responses"] else None)


def test_an_enrolment_is_signed_though_nobody_is_known_yet() -> None:
    operation = COMMITTED["paths"]["/v1/enrolments"]["post"]
    assert operation["security"] == []
    assert "The request is signed all the same" in operation["description"]


def test_an_event_is_described_by_its_type() -> None:
    events = COMMITTED["components"]["schemas"]["Batch"]["properties"]["events"]
    assert set(events["items"]["discriminator"]["mapping"]) == set(ACCEPTED)
    assert [each["$ref"].rpartition("/")[2] for each in events["items"]["oneOf"]] == list(ACCEPTED)


@pytest.mark.parametrize("vector", [pytest.param(each, id=each["name"]) for each in vectors_events.single()])
def test_the_description_of_an_event_lets_pass_what_is_recorded(vector: dict[str, Any]) -> None:
    """What only the whole of the back office knows (whose it is, whether the barcode is a number) it cannot say."""
    batch = vectors_events.batch([vector["event"]])
    fits = shape("Batch").is_valid(batch)
    unsaid = {"receipt-malformed", "source-mismatch", "subject-mismatch", "unknown-identifier"}
    assert fits == (vector["problem"] is None or vector["problem"] in unsaid or vector["name"] in UNCHECKED)


UNCHECKED = {"a time without an offset"}
"""JSON Schema's formats are notes for readers."""


def test_the_problem_of_an_event_is_problem_details() -> None:
    problem = {"type": "/problems/event-malformed", "title": "…", "status": 422, "detail": "…"}
    result = {"id": None, "sequence": None, "result": "refused", "problem": problem}
    assert shape("EventResult").is_valid(result)
    assert not shape("EventResult").is_valid(result | {"problem": {"title": "…"}})
