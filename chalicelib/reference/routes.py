"""Reference over HTTP: public, as the sources are."""

from __future__ import annotations

from typing import Annotated, Any, Final

from chalice.app import Blueprint
from msgspec import Meta

from chalicelib.core.access import public
from chalicelib.core.call import Call
from chalicelib.core.endpoint import Answer, endpoint
from chalicelib.core.errors import NotFound
from chalicelib.core.schemas import END
from chalicelib.reference import service
from chalicelib.reference.service import File

routes = Blueprint(__name__)

ANYBODY: Final = public("it explains the API and says nothing of anybody; who builds against it has no account yet")

Slug = Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*" + END, max_length=60)]

MINUTES: Final = "public, max-age=300"
A_DAY: Final = "public, max-age=86400"
_PAGE: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}


@endpoint(routes, "GET /v1/openapi.json", allow=ANYBODY, returns=dict[str, Any], cache=MINUTES)
def description() -> Answer:
    """This description (OpenAPI 3.1)."""
    return Answer(body=service.description())


@endpoint(routes, "GET /v1/docs", allow=ANYBODY, returns=str, media=["text/html"], cache=MINUTES)
def readable() -> Answer:
    """This description as a page to read."""
    return Answer(body=service.readable(), media="text/html", headers=_PAGE)


@endpoint(
    routes,
    "GET /v1/docs/{name}",
    allow=ANYBODY,
    problems=[NotFound],
    returns=str,
    answers={304: "It is the one that If-None-Match names."},
    media=service.MEDIA,
    cache=A_DAY,
)
def file(name: File, call: Call) -> Answer:
    """A script or style that the pages need. 304 if `If-None-Match` names what would come."""
    etag = service.etag_of(name)
    headers = {"ETag": etag}
    if call.has(etag):
        return Answer(status=304, headers=headers)
    text, media = service.file(name)
    return Answer(body=text, media=media, headers=headers)


@endpoint(
    routes, "GET /problems/{slug}", allow=ANYBODY, problems=[NotFound], returns=str, media=["text/html"], cache=MINUTES
)
def problem(slug: Slug) -> Answer:
    """What a problem type means, when it comes, and what to do: the page to which a problem's `type` leads."""
    return Answer(body=service.problem_page(slug), media="text/html", headers=_PAGE)
