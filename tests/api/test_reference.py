"""What those who build against the API can read without an account: its description, and its problems explained."""

from __future__ import annotations

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from chalice.config import Config

import app  # noqa: F401 - it declares the endpoints and the problems
from chalicelib.core.errors import Problem
from chalicelib.reference import service
from infra import openapi
from infra.build import CONFIGURATION
from tests.support import template
from tests.support.api import Api

PAGES = Path(service.__file__).parent / "problems"
SECTIONS = ["## What it means", "## When it comes", "## What to do"]


def problems(kind: type[Problem] = Problem) -> list[type[Problem]]:
    """Every problem of the product, by its slug. Tests declare problems of their own, which need no page."""
    found = [each for child in kind.__subclasses__() for each in (child, *problems(child))]
    return sorted((each for each in found if each.__module__.startswith("chalicelib.")), key=lambda each: each.slug())


class Addresses(HTMLParser):
    """What a page makes a browser ask for, or lets a reader follow."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "style" not in dict(attrs), "the policy lets no style in the page pass"
        self.found += [value for name, value in attrs if name in {"src", "href"} and value]


def test_the_description_that_is_served_is_the_committed_one(api: Api) -> None:
    answer = api.as_nobody().get("/v1/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.body == json.loads(openapi.PATH.read_text())


@pytest.mark.parametrize("path", ["/v1/docs", "/problems/clock-skewed"])
def test_a_page_is_for_readers_and_loads_nothing_from_elsewhere(api: Api, path: str) -> None:
    answer = api.as_nobody().get(path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy.pop("default-src") == "'none'"
    assert set(" ".join(policy.values()).split()) == {"'self'", "'none'", "data:"}
    assert "data:" not in policy["script-src"]
    assert "<script>" not in answer.text
    for address in Addresses(answer.text).found:
        assert not re.match(r"\w+:|//", address) or address == "data:,", "it leads elsewhere"


def test_what_the_pages_need_is_served(api: Api) -> None:
    wanted = {"docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js"}
    assert wanted <= set(Addresses(api.as_nobody().get("/v1/docs").text).found)
    assert "../v1/docs/page.css" in Addresses(api.as_nobody().get("/problems/conflict").text).found
    for name in service.File:
        answer = api.as_nobody().get(f"/v1/docs/{name}")
        expected = "text/css" if name.endswith(".css") else "text/javascript"
        assert (answer.status, answer.headers["Content-Type"]) == (200, f"{expected}; charset=utf-8")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", service.File)
def test_a_file_is_sent_once_and_then_not_modified(api: Api, name: str) -> None:
    first = api.as_nobody().get(f"/v1/docs/{name}")
    etag = first.headers["ETag"]
    ask = api.as_nobody().request
    for known in (etag, f'"other", {etag}'):
        again = ask("GET", f"/v1/docs/{name}", If_None_Match=known)
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", etag)
    assert ask("GET", f"/v1/docs/{name}", If_None_Match='W/"other"').text == first.text
    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "public, max-age=86400"


def test_files_have_etags_of_their_own() -> None:
    assert len({service.etag_of(name) for name in service.File}) == len(service.File)


@pytest.mark.parametrize("path", ["/v1/openapi.json", "/v1/docs", "/v1/docs/page.css", "/problems/clock-skewed"])
def test_what_a_cache_gives_to_others_does_not_name_who_asked_first(api: Api, path: str) -> None:
    answer = api.as_nobody().request("GET", path, Facteo_Correlation_Id="somebody")
    assert answer.headers["Cache-Control"].startswith("public")
    assert "somebody" not in str(answer.headers)


def test_a_problem_is_never_kept_and_names_the_request(api: Api) -> None:
    answer = api.as_nobody().request("GET", "/v1/docs/none", Facteo_Correlation_Id="somebody")
    assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store")
    assert answer.headers["Facteo-Correlation-Id"] == "somebody"


@pytest.mark.parametrize("stage", template.stages())
def test_the_gateway_compresses_answers(stage: str) -> None:
    config = Config(stage, config_from_disk=json.loads(CONFIGURATION.read_text()))
    assert config.minimum_compression_size == 1024


@pytest.mark.parametrize("name", ["docs.html", "..%2Fservice.py", "LICENSE", "%2Fetc%2Fpasswd"])
def test_no_other_file_is_served(api: Api, name: str) -> None:
    assert api.as_nobody().get(f"/v1/docs/{name}").problem == "not-found"


@pytest.mark.parametrize("slug", ["teapot", "CONFLICT", "..%2Fproblems%2Fconflict", "conflict.md", "%00"])
def test_there_is_no_page_for_what_is_no_problem_type(api: Api, slug: str) -> None:
    answer = api.as_nobody().get(f"/problems/{slug}")
    assert (answer.status, answer.problem) == (404, "not-found")


def test_every_problem_type_has_its_page_and_every_page_its_problem_type() -> None:
    assert sorted(path.name for path in PAGES.iterdir()) == [f"{problem.slug()}.md" for problem in problems()]


@pytest.mark.parametrize("problem", problems(), ids=lambda problem: problem.slug())
def test_a_page_says_what_its_problem_is_when_it_comes_and_what_to_do(problem: type[Problem]) -> None:
    blocks = (PAGES / f"{problem.slug()}.md").read_text().strip().split("\n\n")
    assert blocks[:2] == [f"# {problem.title}", f"`/problems/{problem.slug()}`, status {int(problem.status)}"]
    assert [block for block in blocks if block.startswith("## ")] == SECTIONS
    assert not any(one[0] == other[0] == "#" for one, other in itertools.pairwise(blocks)), "an empty section"


def test_a_problem_leads_to_its_page(api: Api) -> None:
    answer = api.as_nobody().get(api.as_nobody().get("/v1/round").body["type"])
    assert "<h1>Say who you are</h1>" in answer.text
    assert "<code>/problems/identity-required</code>, status 401" in answer.text
    assert answer.text.count("<ul>") == answer.text.count("</ul>") == 1
    assert not re.search(r"[`#]|\n- ", answer.text.partition("<body>")[2]), "marks are left"
