"""One declaration for an endpoint: from it come the route, validation, access rule, errors and OpenAPI."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar, get_type_hints

import msgspec
from chalice.app import Blueprint, Response

from chalicelib.core import call as calls
from chalicelib.core import settings as settings_of
from chalicelib.core import telemetry
from chalicelib.core.access import Rule, handset
from chalicelib.core.call import Call
from chalicelib.core.callers import Principal
from chalicelib.core.errors import (
    BodyTooLarge,
    ClockSkewed,
    InternalError,
    MediaTypeUnsupported,
    NotFound,
    Problem,
    RequestInvalid,
    Unavailable,
)
from chalicelib.core.salvage import require_salvageable, salvaged
from chalicelib.core.schemas import Schema
from chalicelib.core.settings import Settings

DEFAULT_BODY_LIMIT = 64 * 1024
MIB = 1024 * 1024
JSON = "application/json"

NO_STORE = "no-store"

_BASE_HEADERS = {
    "Cache-Control": NO_STORE,
    "X-Content-Type-Options": "nosniff",
}

ANYWHERE = (InternalError, Unavailable)
"""What any endpoint may answer with."""

ViewT = TypeVar("ViewT", bound=Callable[..., Any])


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that says more than its body: another status, headers such as an ETag, or another form than JSON.

    The body is sent as JSON, or, where `media` names another media type, is the text that is sent.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = {}
    media: str = JSON


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A declared endpoint. `arguments` are the view's parameters: `request`, `query`, `who`, `call`, path names."""

    method: str
    path: str
    view: Callable[..., Any]
    allow: Rule
    problems: tuple[type[Problem], ...]
    status: int
    body_limit: int
    settings: type[Settings]
    arguments: dict[str, Any]
    returns: Any
    answers: Mapping[int, str]
    media: tuple[str, ...]
    cache: str
    salvages: bool

    @property
    def request(self) -> type[Schema] | None:
        """The struct of the body, if the endpoint takes one."""
        return self.arguments.get("request")

    @property
    def query(self) -> type[Schema] | None:
        """The struct of the query parameters, if the endpoint takes any."""
        return self.arguments.get("query")

    @property
    def path_names(self) -> tuple[str, ...]:
        """The names in the path, in its order."""
        return tuple(part.strip("{}") for part in self.path.split("/") if part.startswith("{"))

    @property
    def signed(self) -> bool:
        """Whether its requests carry a signature: those of handsets, and what else has a clock."""
        return self.allow.scheme == handset.scheme or ClockSkewed in self.problems

    @property
    def tagged(self) -> bool:
        """Whether its answers carry an ETag, which `If-None-Match` may name."""
        return HTTPStatus.NOT_MODIFIED in self.answers

    @property
    def shared(self) -> bool:
        """Whether others than the caller may be given its answers, by a cache in between."""
        return self.cache.startswith("public")

    @property
    def all_problems(self) -> tuple[type[Problem], ...]:
        """Every problem that this endpoint may answer with."""
        judged = self.request and not self.salvages
        own = (RequestInvalid, BodyTooLarge, MediaTypeUnsupported) if judged else (RequestInvalid,)
        of_path = (NotFound,) if self.path_names else ()
        return tuple(dict.fromkeys((*own, *of_path, *self.allow.problems, *self.problems, *ANYWHERE)))


REGISTRY: dict[tuple[str, str], Endpoint] = {}
"""Every endpoint that was declared, by method and path."""

SERVED_ELSEWHERE: list[str] = []
"""Modules that declare endpoints which another function serves: see `every_endpoint`."""


def endpoint(
    blueprint: Blueprint,
    route: str,
    *,
    allow: Rule,
    problems: Sequence[type[Problem]] = (),
    status: int = 200,
    body_limit: int = DEFAULT_BODY_LIMIT,
    settings: type[Settings] = Settings,
    returns: Any = None,
    answers: Mapping[int, str] | None = None,
    media: Sequence[str] = (JSON,),
    cache: str = NO_STORE,
    salvages: bool = False,
) -> Callable[[ViewT], ViewT]:
    """Declare a view as the endpoint `route` (`"POST /v1/events"`).

    The view's parameters say what it takes: `request` (a struct: the JSON body), `query` (a struct), `who` (the
    caller as `allow` knows it), `call` (the whole call), and the names in the path. It returns a struct, an
    Answer, or None for 204, and raises Problems, those in `problems` among others. Of an Answer, `returns` names the
    body's struct, `answers` the other statuses that it may have, each with what it means (304: it has an ETag), and
    `media` the media types. `cache` is the Cache-Control of what is no problem. `settings` are those that it needs
    besides its rule's; all are checked before the first answer. With `salvages` no body is a reason to refuse: what can
    be read of it is taken, whatever its Content-Type and length, and its struct's field `incomplete` says so.
    """
    method, path = route.split(" ")

    def declare(view: ViewT) -> ViewT:
        hints = get_type_hints(view, include_extras=True)
        returned = hints.pop("return", None)
        declared = Endpoint(
            method=method,
            path=path,
            view=view,
            allow=allow,
            problems=tuple(problems),
            status=204 if returned is type(None) else status,
            body_limit=body_limit,
            settings=settings,
            arguments={name: hints[name] for name in inspect.signature(view).parameters},
            returns=returns or returned,
            answers=answers or {},
            media=tuple(media),
            cache=cache,
            salvages=salvages,
        )
        if salvages:
            require_salvageable(hints["request"])
        REGISTRY[method, path] = declared

        @functools.wraps(view)
        def handle(**path_parameters: str) -> Response:
            return _respond(declared, blueprint.current_request, path_parameters)

        handle.__name__ = f"{method.lower()}_{view.__name__}"
        blueprint.route(path, methods=[method], content_types=["*/*"])(handle)
        return view

    return declare


def every_endpoint() -> Collection[Endpoint]:
    """The endpoints of the whole API. Those that another function serves are loaded for that, and not served here."""
    for module in SERVED_ELSEWHERE:
        importlib.import_module(module)
    return REGISTRY.values()


def _respond(declared: Endpoint, request: Any, path_parameters: dict[str, str]) -> Response:
    correlation_id = calls.correlation_id_of(request)
    headers = {**_BASE_HEADERS, calls.CORRELATION_HEADER: correlation_id}
    with telemetry.correlated(correlation_id, route=f"{declared.method} {declared.path}"):
        try:
            _check_settings()
            return _answer(declared, calls.from_request(request, path_parameters, correlation_id), headers)
        except Problem as problem:  # expected: it goes to the log as information, without a trace
            telemetry.logger.info("refused", extra={"problem": problem.slug(), "status": problem.status})
            return _problem_response(problem, headers)
        except Exception:  # the one place where a bug becomes an answer
            telemetry.logger.exception("unhandled")
            return _problem_response(InternalError("We have been told; try again in a moment."), headers)


@functools.cache
def _check_settings() -> None:
    """Read the settings of every endpoint once: a function whose environment is wrong answers nobody."""
    for declared in REGISTRY.values():
        settings_of.load(declared.allow.settings)
        settings_of.load(declared.settings)


def _answer(declared: Endpoint, call: Call, headers: dict[str, str]) -> Response:
    who = declared.allow.admit(call)
    headers.update(who.answer_headers() if who else {})
    answer = _as_answer(declared, declared.view(**_arguments(declared, call, who)))
    content_type, body = _encoded(answer)
    telemetry.logger.info("answered", extra={"status": answer.status, "actor": who.actor if who else "anybody"})
    told: dict[str, Any] = {**headers, "Cache-Control": declared.cache, "Content-Type": content_type, **answer.headers}
    if declared.shared:  # the name of one caller's request would be given to others
        del told[calls.CORRELATION_HEADER]
    return Response(body=body, status_code=answer.status, headers=told)


def _encoded(answer: Answer) -> tuple[str, str]:
    """The Content-Type and the text of a body."""
    if answer.media != JSON:
        return f"{answer.media}; charset=utf-8", answer.body
    return JSON, msgspec.json.encode(answer.body).decode() if answer.body is not None else ""


def _as_answer(declared: Endpoint, result: Any) -> Answer:
    if isinstance(result, Answer):
        return result
    return Answer(status=204) if result is None else Answer(body=result, status=declared.status)


def _arguments(declared: Endpoint, call: Call, who: Principal | None) -> dict[str, Any]:
    given: dict[str, Any] = {"who": who, "call": call}
    if declared.request:
        given["request"] = _body(declared, call)
    if declared.query:
        given["query"] = _converted(call.query, declared.query)
    elif call.query:
        raise RequestInvalid(f"There is no query parameter '{next(iter(call.query))}' here.")
    for name, value in call.path_parameters.items():
        given[name] = _converted(value, declared.arguments[name], missing=NotFound)
    return {name: given[name] for name in declared.arguments}


def _body(declared: Endpoint, call: Call) -> Any:
    if declared.salvages and declared.request:
        return salvaged(call.body, declared.request)
    if len(call.body) > declared.body_limit:
        raise BodyTooLarge(f"Send at most {declared.body_limit} bytes.", limit=declared.body_limit)
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise MediaTypeUnsupported("Send the body as application/json, with that Content-Type.")
    try:
        return msgspec.json.decode(call.body, type=declared.request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestInvalid(f"The body cannot be read: {error}.") from error


def _converted(value: Any, kind: Any, missing: type[Problem] = RequestInvalid) -> Any:
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise missing(f"The request's address does not fit: {error}.") from error


def _problem_response(problem: Problem, headers: dict[str, str]) -> Response:
    return Response(
        body=msgspec.json.encode(problem.to_dict()).decode(),
        status_code=problem.status,
        headers={**headers, **problem.headers, "Content-Type": "application/problem+json"},
    )
