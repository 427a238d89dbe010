"""The API as OpenAPI 3.1 says it, from the declarations of the endpoints alone.

The shapes are JSON Schema 2020-12 (msgspec makes it), problems are RFC 9457.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec

from chalicelib.core.access import COMMANDS_WAITING_HEADER, handset
from chalicelib.core.call import CORRELATION_HEADER
from chalicelib.core.endpoint import Endpoint
from chalicelib.core.errors import PROBLEM_BASE, Problem

VERSION: Final = "1"

_WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

_REF: Final = "#/components/schemas/{name}"
_UNREAD: Final[Sequence[Mapping[str, Any]]] = ({}, {"type": "object"})
"""What msgspec says of a field of which it is told nothing."""

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

HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    CORRELATION_HEADER: {
        "required": True,
        "description": "The name that the request gave what it does, or one that was made for it.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    },
    "Cache-Control": {
        "required": True,
        "description": "Who may keep the answer, and how long (RFC 9111).",
        "schema": {"type": "string"},
    },
    "ETag": {
        "required": True,
        "description": "Names this content. Send it as `If-None-Match`, as it is.",
        "schema": {"type": "string", "pattern": '^(W/)?"[!#-~]*"$'},
    },
    COMMANDS_WAITING_HEADER: {
        "required": True,
        "description": "How many commands wait for the handset.",
        "schema": {"type": "integer", "minimum": 0},
    },
    f"{COMMANDS_WAITING_HEADER}-if-known": {
        "description": "How many commands wait for the handset, if it was known who calls and it is not retired.",
        "schema": {"type": "integer", "minimum": 0},
    },
}
"""Headers of answers, as components."""

_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of what the caller has.",
    "schema": {"type": "string"},
}

_SIGNED: Final = (
    ("Signature-Input", "What the signature covers, and its parameters (RFC 9421). Exactly one signature."),
    ("Signature", "The signature (RFC 9421)."),
)
_DIGEST: Final = ("Content-Digest", "SHA-256 of the body as it is sent (RFC 9530). The signature covers it.")
_SALVAGED: Final = (
    "No body is a reason to refuse it: what can be read of it is taken, and the rest left out. It may be left away."
)
_SIGNED_BY_NEWCOMER: Final = (
    "The request is signed all the same, by the key that it brings: `keyid` is the key's thumbprint (RFC 7638)."
)


class OneOf(NamedTuple):
    """What a field holds that is read later: the `envelope`, whose `content` has the shape that its `tag` names."""

    envelope: type
    tag: str
    content: str
    kinds: Mapping[str, type]


def document(endpoints: Iterable[Endpoint], behind: Mapping[tuple[type, str], Any] | None = None) -> dict[str, Any]:
    """The OpenAPI document of these endpoints.

    `behind` says what the fields hold that the declarations leave open (`msgspec.Raw`, a bare object), by struct and
    name: a OneOf, or Problem.
    """
    declared = sorted(endpoints, key=lambda each: (each.path, each.method))
    told = behind or {}
    read_later = [each for each in told.values() if isinstance(each, OneOf)]
    kinds = [kind for each in declared for kind in _kinds(each)]
    kinds += [kind for each in read_later for kind in (each.envelope, *each.kinds.values())]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    shapes = dict(zip(map(repr, kinds), schemas, strict=True))
    for (owner, field), held in told.items():
        properties = components[owner.__name__]["properties"]
        properties[field] = _filled(properties[field], _held(held))
    for each in read_later:
        components |= {tag: _tagged(each, tag, shapes) for tag in each.kinds}
    paths: dict[str, dict[str, Any]] = {}
    for operation in declared:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, shapes, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Facteo back office",
            "version": VERSION,
            "description": "The back office of a postal operator's handsets.",
        },
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "headers": HEADERS,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _filled(schema: Any, shape: Mapping[str, Any]) -> Any:
    """The schema with the shape in place of what it leaves open."""
    if schema in _UNREAD:
        return shape
    if isinstance(schema, list):
        return [_filled(each, shape) for each in schema]
    if isinstance(schema, dict):
        return {name: _filled(each, shape) for name, each in schema.items()}
    return schema


def _held(held: Any) -> dict[str, Any]:
    if not isinstance(held, OneOf):
        return {"$ref": _REF.format(name=held.__name__)}
    references = {tag: _REF.format(name=tag) for tag in held.kinds}
    return {
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": held.tag, "mapping": references},
    }


def _tagged(held: OneOf, tag: str, shapes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "allOf": [
            shapes[repr(held.envelope)],
            {"properties": {held.tag: {"const": tag}, held.content: shapes[repr(held.kinds[tag])]}},
        ]
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
        "description": "\n\n".join(part for part in (description, *_notes(declared)) if part),
        "security": [{declared.allow.scheme: []}] if declared.allow.scheme else [],
        "parameters": [
            *_path_parameters(declared, shapes),
            *_query_parameters(declared, shapes, components),
            *_header_parameters(declared),
        ],
        "responses": _responses(declared, shapes),
    }
    if declared.request:
        content = {"application/json": {"schema": shapes[repr(declared.request)]}}
        operation["requestBody"] = {"required": not declared.salvages, "content": content}
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


def _header_parameters(declared: Endpoint) -> list[dict[str, Any]]:
    names = [*_SIGNED, *([_DIGEST] if declared.request else [])] if declared.signed else []
    signature = [
        {"name": name, "in": "header", "required": True, "description": told, "schema": {"type": "string"}}
        for name, told in names
    ]
    return [*signature, *([_IF_NONE_MATCH] if declared.tagged else [])]


def _notes(declared: Endpoint) -> Iterator[str]:
    """What the declaration says beyond the view's own words."""
    yield declared.allow.told
    yield _SIGNED_BY_NEWCOMER if declared.signed and not declared.allow.scheme else ""
    yield _SALVAGED if declared.salvages else ""


def _responses(declared: Endpoint, shapes: Mapping[str, Any]) -> dict[str, Any]:
    answers = {declared.status: HTTPStatus(declared.status).phrase, **declared.answers}
    shape = shapes[repr(declared.returns)]
    found = {str(status): _response(status, told, declared.media, shape) for status, told in answers.items()}
    for response in found.values():
        response["headers"] = _headers(declared, good=True)
    for problem in declared.all_problems:
        _add_problem(found, problem)
        found[str(int(problem.status))].setdefault("headers", _headers(declared, good=False))
    return dict(sorted(found.items()))


def _response(status: int, told: str, media: Sequence[str], shape: Any) -> dict[str, Any]:
    if status in _WITHOUT_BODY:
        return {"description": told}
    return {"description": told, "content": {each: {"schema": shape} for each in media}}


def _headers(declared: Endpoint, *, good: bool) -> dict[str, Any]:
    """The headers of an answer. What a cache may give to others names nobody's request; problems are never kept."""
    told = {"Cache-Control": "Cache-Control"}
    if not (good and declared.shared):
        told[CORRELATION_HEADER] = CORRELATION_HEADER
    if declared.allow.scheme == handset.scheme:
        told[COMMANDS_WAITING_HEADER] = COMMANDS_WAITING_HEADER if good else f"{COMMANDS_WAITING_HEADER}-if-known"
    if good and declared.tagged:
        told["ETag"] = "ETag"
    return {name: {"$ref": f"#/components/headers/{component}"} for name, component in sorted(told.items())}


def _add_problem(responses: dict[str, Any], problem: type[Problem]) -> None:
    """Problems of one status share its response, which names them all."""
    address = PROBLEM_BASE + problem.slug()
    told = f"[`{address}`]({address}): {problem.title}."
    response = responses.setdefault(str(int(problem.status)), {"description": ""})
    response["description"] = "\n".join(part for part in (response["description"], told) if part)
    content = response.setdefault("content", {})
    content["application/problem+json"] = {"schema": {"$ref": _REF.format(name="Problem")}}
