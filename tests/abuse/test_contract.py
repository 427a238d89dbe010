"""schemathesis holds every operation to what openapi.json says of it, with good input and bad."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis import Response as Answer
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from urllib3 import HTTPHeaderDict, HTTPResponse

import app  # noqa: F401 - it declares the endpoints
from chalicelib.core.access import ROLES
from chalicelib.core.endpoint import REGISTRY
from tests.support import passes
from tests.support.api import AUTHORITY, Answered, Api, Caller
from tests.support.fuzzing import bounded
from tests.support.populated import BODIES, Populated, populated

SIGNATURE = {"Signature-Input", "Signature", "Content-Digest"}
"""Whoever calls adds them to what is generated: another signature than a good one is a stranger's."""


def bad_input_is_refused(context: CheckContext, response: Answer, case: Case) -> bool | None:
    """With 4xx; one bad event of a batch by its own result, since it harms no other. An SOS never for its body."""
    if _only_the_body_is_bad(case) and _salvages(case):
        assert response.status_code < 300 or response.status_code == 401
        return None
    if case.operation.path == "/v1/events" and response.status_code == 200 and case.meta.generation.mode.is_negative:
        assert {"refused", "postponed"} & {result["result"] for result in response.json()["results"]}
        return None
    return negative_data_rejection(context, response, case)


def _salvages(case: Case) -> bool:
    return REGISTRY[case.operation.method.upper(), case.operation.path].salvages


def _only_the_body_is_bad(case: Case) -> bool:
    parts = case.meta.components.items()
    return {where for where, part in parts if part.mode.is_negative} == {ParameterLocation.BODY}


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    bad_input_is_refused,
]


def described() -> dict[str, Any]:
    """openapi.json without the headers that sign a request."""
    told: dict[str, Any] = json.loads((Path(__file__).parents[2] / "openapi.json").read_text())
    for operation in (each for path in told["paths"].values() for each in path.values()):
        operation["parameters"] = [each for each in operation["parameters"] if each["name"] not in SIGNATURE]
    return told


DESCRIPTION = schemathesis.openapi.from_dict(
    described(),
    config=SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}}),
)
OPERATIONS = [found.ok() for found in DESCRIPTION.get_all_operations()]
EVERY_OPERATION = pytest.mark.parametrize(
    "operation", [pytest.param(each, id=f"{each.method.upper()} {each.path}") for each in OPERATIONS]
)


class InProcess(HTTPAdapter):
    """Carries the requests of a session to the API in this process, as somebody. `answers` are its answers."""

    def __init__(self, caller: Caller) -> None:
        super().__init__()
        self.caller = caller
        self.answers: list[Answered] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        answer = self.caller.request(request.method, request.path_url, body or b"", **_sent(request.headers))
        self.answers.append(answer)
        headers = HTTPHeaderDict(answer.headers)
        raw = HTTPResponse(io.BytesIO(answer.text.encode()), headers, answer.status, preload_content=False)
        return self.build_response(request, raw)


def _sent(headers: Mapping[str, Any]) -> dict[str, str]:
    told = {name: value.decode("latin-1") if isinstance(value, bytes) else value for name, value in headers.items()}
    return {name: value for name, value in told.items() if name in {"Content-Type", "Accept", "If-None-Match"}}


def holds(operation: APIOperation, caller: Caller, names: Mapping[str, str]) -> list[Answered]:
    """Ask the operation whatever its description gives rise to; the answers."""
    door, session = InProcess(caller), requests.Session()
    session.mount("http://", door)

    @bounded
    @given(cases(operation, names))
    def ask(case: Case) -> None:
        case.call_and_validate(base_url=f"http://{AUTHORITY}", session=session, checks=CHECKS)

    ask()
    return door.answers


def cases(operation: APIOperation, names: Mapping[str, str]) -> st.SearchStrategy[Case]:
    """Good requests, for things that exist too, and bad ones."""

    whole = BODIES.get(f"{operation.method.upper()} {operation.path}")

    def of_this_post(case: Case) -> Case:
        if whole is not None:
            case.body = whole
        for told in (case.query,) if whole is not None else (case.body, case.query):
            if isinstance(told, dict):
                told |= {name: value for name, value in names.items() if name in told}
        return case

    in_path = {name: value for name, value in names.items() if f"{{{name}}}" in operation.path}
    good = operation.as_strategy(GenerationMode.POSITIVE)
    known = operation.as_strategy(GenerationMode.POSITIVE, path_parameters=in_path).map(of_this_post)
    takes_input = bool(in_path or operation.body or operation.query)
    bad = operation.as_strategy(GenerationMode.NEGATIVE) if takes_input else good
    if scheme_of(operation) == "handsetSignature":
        bad = bad.filter(_can_be_signed)
    return st.one_of(known, good, bad)


def _can_be_signed(case: Case) -> bool:
    """Whether a handset can cover the query: a parameter of another name, or given twice, is refused as unsigned."""
    query = case.query or {}
    return all(name.isidentifier() and isinstance(value, str) for name, value in query.items())


@pytest.fixture
def post(api: Api) -> Populated:
    return populated(api)


def rightful(post: Populated, operation: APIOperation) -> Caller:
    """Somebody who may call the operation."""
    if operation.path == "/v1/enrolments":
        return post.newcomer.calls()
    return {
        "": post.api.as_nobody(),
        "handsetSignature": post.handset.calls(),
        "staffToken": post.api.as_staff(*ROLES),
        "clientCredentials": post.api.as_client("tracking.read"),
    }[scheme_of(operation)]


def scheme_of(operation: APIOperation) -> str:
    """By what its callers show who they are; empty if by nothing."""
    [scheme] = [name for each in operation.definition.raw["security"] for name in each] or [""]
    return scheme


@EVERY_OPERATION
def test_it_answers_as_described_whoever_may_ask(post: Populated, operation: APIOperation) -> None:
    answers = holds(operation, rightful(post, operation), post.names_for(operation.path))

    assert not {answer.problem for answer in answers if answer.status in {401, 403}} - {"pin-wrong"}
    assert min(answer.status for answer in answers) < 300, "no request was good enough to be carried out"


@EVERY_OPERATION
def test_it_answers_a_stranger_as_described(api: Api, operation: APIOperation) -> None:
    passes.publish()  # what each minute publishes is there for everybody
    answers = holds(operation, api.as_nobody(), {})

    assert {answer.status for answer in answers} <= {400, 401} or not operation.definition.raw["security"]
