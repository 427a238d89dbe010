"""The API as OpenAPI 3.1 says it, from the declarations of the endpoints alone.

The shapes are JSON Schema 2020-12 (msgspec makes it), problems are RFC 9457.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from chalicelib.core.endpoint import Endpoint
from chalicelib.core.errors import PROBLEM_BASE, Problem

VERSION: Final = "1"

_WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

_REF: Final = "#/components/schemas/{name}"

SECURITY_SCHEMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "handsetSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "Signature",
        "description": (
            "HTTP Message Signatures (RFC 9421, ecdsa-p256-sha256) with Content-Digest (RFC 9530), by the key that the "
            "handset enrolled. Covered: @method, @authority, @path, each query parameter, content-digest if there is "
            "a body; with created, nonce and keyid (the device)."
        ),
    },
    "staffToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An OpenID Connect token of a member of staff. Its groups are the roles.",
    },
    "clientCredentials": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token by OAuth 2 client credentials (RFC 6749, section 4.4).",
    },
}

_PROBLEM: Final = {
    "type": "object",
    "description": "Problem details (RFC 9457). `detail` says what to do; other members are for programs.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Leads to its explanation."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The OpenAPI document of these endpoints."""
    declared = sorted(endpoints, key=lambda each: (each.path, each.method))
    kinds = [kind for each in declared for kind in _kinds(each)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    shapes = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in declared:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, shapes, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Facteo back office",
            "version": VERSION,
            "description": "The back office of a postal operator's handsets.",
        },
        "paths": paths,
        "components": {"schemas": {**components, "Problem": _PROBLEM}, "securitySchemes": SECURITY_SCHEMES},
    }


def _kinds(declared: Endpoint) -> list[Any]:
    path = [declared.arguments[name] for name in declared.path_names]
    return [*path, *(kind for kind in (declared.request, declared.query, declared.returns) if kind)]


def _operation(declared: Endpoint, shapes: Mapping[str, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    summary, _, description = (inspect.getdoc(declared.view) or "").partition("\n\n")
    feature = declared.view.__module__.split(".")[-2]
    operation = {
        "operationId": f"{feature}_{declared.view.__name__}",
        "tags": [feature],
        "summary": " ".join(summary.split()),
        "description": "\n\n".join(part for part in (description, declared.allow.told) if part),
        "security": [{declared.allow.scheme: []}] if declared.allow.scheme else [],
        "parameters": [*_path_parameters(declared, shapes), *_query_parameters(declared, shapes, components)],
        "responses": _responses(declared, shapes),
    }
    if declared.request:
        content = {"application/json": {"schema": shapes[repr(declared.request)]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _path_parameters(declared: Endpoint, shapes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": shapes[repr(declared.arguments[name])]}
        for name in declared.path_names
    ]


def _query_parameters(
    declared: Endpoint, shapes: Mapping[str, Any], components: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if declared.query is None:
        return []
    schema = components[shapes[repr(declared.query)]["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": shape}
        for name, shape in schema["properties"].items()
    ]


def _responses(declared: Endpoint, shapes: Mapping[str, Any]) -> dict[str, Any]:
    answers = {declared.status: HTTPStatus(declared.status).phrase, **declared.answers}
    shape = shapes[repr(declared.returns)]
    found = {str(status): _response(status, told, declared.media, shape) for status, told in answers.items()}
    for problem in declared.all_problems:
        _add_problem(found, problem)
    return dict(sorted(found.items()))


def _response(status: int, told: str, media: Sequence[str], shape: Any) -> dict[str, Any]:
    if status in _WITHOUT_BODY:
        return {"description": told}
    return {"description": told, "content": {each: {"schema": shape} for each in media}}


def _add_problem(responses: dict[str, Any], problem: type[Problem]) -> None:
    """Problems of one status share its response, which names them all."""
    address = PROBLEM_BASE + problem.slug()
    told = f"[`{address}`]({address}): {problem.title}."
    response = responses.setdefault(str(int(problem.status)), {"description": ""})
    response["description"] = "\n".join(part for part in (response["description"], told) if part)
    content = response.setdefault("content", {})
    content["application/problem+json"] = {"schema": {"$ref": _REF.format(name="Problem")}}
