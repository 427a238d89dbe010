"""The frame of every route: what comes in is checked, what goes out is told, and a bug is not shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from chalice.app import Blueprint, Chalice
from chalice.test import Client
from msgspec import Meta

from chalicelib.core import endpoint as frame
from chalicelib.core import ids
from chalicelib.core.access import public
from chalicelib.core.endpoint import Answer, endpoint
from chalicelib.core.errors import Conflict
from chalicelib.core.schemas import Schema
from handset.signing import Request
from tests.support.api import Answered, Caller
from tests.support.clock import FakeClock

LIMIT = 1000
ANYBODY = public("a test")


class Note(Schema):
    text: Annotated[str, Meta(max_length=300)]
    stars: int = 0


class Filter(Schema):
    word: str = ""
    limit: Annotated[int, Meta(ge=1)] = 10


class Shout(Schema):
    text: Annotated[str, Meta(max_length=300)] = ""
    stars: int = 0
    incomplete: bool = False


Name = Annotated[str, Meta(pattern=r"^[a-zé/+ %]+$")]


@pytest.fixture(scope="module")
def app() -> Iterator[Chalice]:
    """A small application of the tests' own, apart from the product's routes."""
    routes = Blueprint(__name__)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(frame, "REGISTRY", {})

        @endpoint(routes, "POST /v1/notes", allow=ANYBODY, status=201, body_limit=LIMIT)
        def write(request: Note) -> Note:
            return request

        @endpoint(routes, "GET /v1/notes", allow=ANYBODY)
        def search(query: Filter) -> Note:
            return Note(text=query.word, stars=query.limit)

        @endpoint(routes, "GET /v1/notes/{name}", allow=ANYBODY)
        def read(name: Name) -> Note:
            return Note(text=name)

        @endpoint(routes, "GET /v1/notes/{name}/stars/{number}", allow=ANYBODY)
        def star(number: int, name: str) -> Note:
            return Note(text=name, stars=number)

        @endpoint(routes, "DELETE /v1/notes/{name}", allow=ANYBODY)
        def remove(name: str) -> None:
            """Nothing is left."""

        @endpoint(routes, "GET /v1/unchanged", allow=ANYBODY, returns=Note)
        def unchanged() -> Answer:
            return Answer(status=304, headers={"ETag": '"7"', "Cache-Control": "private, no-cache"})

        @endpoint(routes, "GET /v1/refused", allow=ANYBODY, problems=[Conflict])
        def refuse() -> Note:
            raise Conflict("It is taken; choose another.", headers={"Retry-After": "7"}, taken_by="note/é")

        @endpoint(routes, "GET /v1/broken", allow=ANYBODY)
        def fail() -> Note:
            raise RuntimeError("the password is swordfish")

        @endpoint(routes, "GET /v1/unspeakable", allow=ANYBODY, returns=Note)
        def confuse() -> Answer:
            return Answer(body={"swordfish": object()})

        declare_shout(routes)
        declare_page(routes)
        app = Chalice("test")
        app.register_blueprint(routes)
        yield app


def declare_shout(routes: Blueprint) -> None:
    @endpoint(routes, "PUT /v1/shouts/{name}", allow=ANYBODY, body_limit=LIMIT, salvages=True)
    def shout(name: str, request: Shout) -> Shout:
        return request


def declare_page(routes: Blueprint) -> None:
    @endpoint(routes, "GET /v1/page", allow=ANYBODY, returns=str, media=["text/html"])
    def page() -> Answer:
        return Answer(body="<p>été</p>", media="text/html", headers={"Cache-Control": "public"})


@pytest.fixture
def anybody(app: Chalice, clock: FakeClock) -> Caller:
    return Caller(Client(app))


def posted(
    anybody: Caller,
    body: Any,
    content_type: str | None = "application/json",
    *,
    method: str = "POST",
    path: str = "/v1/notes",
) -> Answered:
    """Send a body with this content type, or none."""

    def dress(request: Request) -> None:
        request.headers.pop("Content-Type", None)
        request.headers |= {"Content-Type": content_type} if content_type is not None else {}

    return Caller(anybody.client, dress).request(method, path, body)


def shouted(anybody: Caller, body: Any, content_type: str | None = "application/json") -> Answered:
    return posted(anybody, body, content_type, method="PUT", path="/v1/shouts/a")


class TestBody:
    def test_a_good_body_is_answered(self, anybody: Caller) -> None:
        answer = anybody.post("/v1/notes", {"text": "été", "stars": 2})

        assert (answer.status, answer.body) == (201, {"text": "été", "stars": 2})

    @pytest.mark.parametrize(
        ("body", "named"),
        [
            ({"text": "a", "colour": "red"}, "colour"),
            ({"text": 7}, "text"),
            ({"text": "a", "stars": "2"}, "stars"),
            ({"text": "a", "stars": 1.5}, "stars"),
            ({"text": None}, "text"),
            ({"text": "a" * 301}, "300"),
            ({}, "text"),
            ([], "object"),
            (b"", "body"),
            (b"{", "body"),
            (b"null", "object"),
            (b'{"text": "a"} {}', "body"),
            (b'{"text": "\xff"}', "body"),
            (b"\xff\xfe{\x00}\x00", "body"),
            (b'{"text": NaN}', "body"),
            (b'{"text":' + b"[" * 900, "body"),
        ],
    )
    def test_a_body_of_the_wrong_shape_is_refused_and_the_fault_named(
        self, anybody: Caller, body: Any, named: str
    ) -> None:
        answer = posted(anybody, body)

        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert named in answer.body["detail"]

    @pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/xml", "application/json-patch+json"])
    def test_another_content_type_or_none_is_refused(self, anybody: Caller, content_type: str | None) -> None:
        answer = posted(anybody, {"text": "a"}, content_type)

        assert (answer.status, answer.problem) == (415, "media-type-unsupported")

    @pytest.mark.parametrize(
        "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json ;x"]
    )
    def test_json_may_be_spelled_in_several_ways(self, anybody: Caller, content_type: str) -> None:
        assert posted(anybody, {"text": "a"}, content_type).status == 201

    def test_the_limit_is_in_bytes_and_told(self, anybody: Caller) -> None:
        body = json.dumps({"text": "é"}, ensure_ascii=False).encode()

        assert anybody.post("/v1/notes", body.ljust(LIMIT)).status == 201
        answer = anybody.post("/v1/notes", body.ljust(LIMIT + 1))
        assert (answer.status, answer.problem, answer.body["limit"]) == (413, "body-too-large", LIMIT)


class TestSalvage:
    """Where no body is a reason to refuse."""

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ({"text": "a", "stars": 2}, {"text": "a", "stars": 2, "incomplete": False}),
            ({"text": "a", "stars": "many"}, {"text": "a", "stars": 0, "incomplete": True}),
            ({"text": "a", "colour": "red"}, {"text": "a", "stars": 0, "incomplete": True}),
            (b"", {"text": "", "stars": 0, "incomplete": True}),
            (b"\xff{", {"text": "", "stars": 0, "incomplete": True}),
            (b'{"stars": 2}'.ljust(10 * LIMIT), {"text": "", "stars": 2, "incomplete": False}),
        ],
    )
    @pytest.mark.parametrize("content_type", ["application/json", "text/plain", "image/png", "", None])
    def test_what_can_be_read_is_taken(
        self, anybody: Caller, body: Any, told: dict[str, Any], content_type: str | None
    ) -> None:
        answer = shouted(anybody, body, content_type)

        assert (answer.status, answer.body) == (200, told)

    def test_other_things_than_the_body_are_still_judged(self, anybody: Caller) -> None:
        assert anybody.request("PUT", "/v1/shouts/a?loud=yes", {"text": "a"}).problem == "request-invalid"

    def test_a_struct_that_cannot_say_what_it_lacks_cannot_be_declared(self) -> None:
        def write(request: Note) -> Note:
            return request

        with pytest.raises(TypeError, match="text must be given"):
            endpoint(Blueprint(__name__), "POST /v1/elsewhere", allow=ANYBODY, salvages=True)(write)


class TestAddress:
    def test_query_parameters_are_converted(self, anybody: Caller) -> None:
        assert anybody.get("/v1/notes", word="à l'été & 1+1", limit="3").body == {"text": "à l'été & 1+1", "stars": 3}
        assert anybody.get("/v1/notes").body == {"text": "", "stars": 10}

    @pytest.mark.parametrize(
        ("path", "named"),
        [
            ("/v1/notes?colour=red", "colour"),
            ("/v1/notes?limit=many", "limit"),
            ("/v1/notes?limit=0", "limit"),
            ("/v1/notes?word=a&word=b", "word"),
            ("/v1/notes?word=a&word=a", "word"),
            ("/v1/notes/a?word=a", "word"),
        ],
    )
    def test_a_wrong_unknown_or_repeated_query_parameter_is_refused(
        self, anybody: Caller, path: str, named: str
    ) -> None:
        answer = anybody.get(path)

        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert named in answer.body["detail"]

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("caf%C3%A9", "café"),
            ("a%2Fb", "a/b"),
            ("a%20b", "a b"),
            ("a+b", "a+b"),
            ("a%2Bb", "a+b"),
            ("a%252Fb", "a%2Fb"),
        ],
    )
    def test_a_path_parameter_is_decoded_once(self, anybody: Caller, path: str, name: str) -> None:
        answer = anybody.get(f"/v1/notes/{path}/stars/1")

        assert answer.body == {"text": name, "stars": 1}

    @pytest.mark.parametrize("path", ["/v1/notes/UPPER", "/v1/notes/%FF", "/v1/notes/a/stars/many", "/v1/notes/a%00"])
    def test_a_path_that_cannot_name_anything_is_not_found(self, anybody: Caller, path: str) -> None:
        answer = anybody.get(path)

        assert (answer.status, answer.problem) == (404, "not-found")


class TestAnswers:
    def test_every_answer_is_typed_and_kept_by_nobody(self, anybody: Caller) -> None:
        answer = anybody.get("/v1/notes")

        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

    def test_nothing_to_say_is_a_204_without_a_body(self, anybody: Caller) -> None:
        answer = anybody.request("DELETE", "/v1/notes/a")

        assert (answer.status, answer.text) == (204, "")

    def test_a_text_is_sent_as_it_is_and_as_what_it_is(self, anybody: Caller) -> None:
        answer = anybody.get("/v1/page")

        assert (answer.status, answer.text) == (200, "<p>été</p>")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cache-Control"] == "public"

    def test_an_unchanged_thing_is_a_304_without_a_body_and_with_its_headers(self, anybody: Caller) -> None:
        answer = anybody.get("/v1/unchanged")

        assert (answer.status, answer.text) == (304, "")
        assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == ('"7"', "private, no-cache")

    def test_a_problem_is_told_as_rfc_9457_says(self, anybody: Caller) -> None:
        answer = anybody.get("/v1/refused")

        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Retry-After"] == "7"
        assert answer.body == {
            "type": "/problems/conflict",
            "title": Conflict.title,
            "status": 409,
            "detail": "It is taken; choose another.",
            "taken_by": "note/é",
        }

    @pytest.mark.parametrize("path", ["/v1/broken", "/v1/unspeakable"])
    def test_a_bug_is_a_500_that_says_nothing_of_itself(self, anybody: Caller, path: str) -> None:
        answer = anybody.get(path)

        assert (answer.status, answer.problem) == (500, "internal-error")
        assert not [word for word in ("swordfish", "RuntimeError", "Traceback", "object") if word in answer.text]


PATHS = ["/v1/notes", "/v1/unchanged", "/v1/refused", "/v1/broken", "/v1/notes?colour=red", "/v1/notes?word=a&word=b"]


class TestCorrelation:
    @pytest.mark.parametrize("path", PATHS)
    def test_the_callers_id_comes_back_on_every_answer(self, anybody: Caller, path: str) -> None:
        answer = anybody.request("GET", path, Facteo_Correlation_Id="tour-42")

        assert answer.headers["Facteo-Correlation-Id"] == "tour-42"

    @pytest.mark.parametrize("given", [None, "", "x" * 65, "é", "a\tb", "a\nb", "a\x7f"])
    def test_a_missing_or_malformed_id_is_replaced(self, anybody: Caller, given: str | None) -> None:
        headers = {} if given is None else {"Facteo_Correlation_Id": given}

        made = anybody.request("GET", "/v1/notes", **headers).headers["Facteo-Correlation-Id"]

        assert ids.is_uuid7(made)

    def test_an_id_of_64_characters_is_kept(self, anybody: Caller) -> None:
        answer = anybody.request("GET", "/v1/notes", Facteo_Correlation_Id="x" * 64)

        assert answer.headers["Facteo-Correlation-Id"] == "x" * 64
