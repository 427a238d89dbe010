"""Every route is a declared endpoint that says who may call it, and what may go wrong."""

from __future__ import annotations

import inspect
import re
from itertools import combinations
from typing import Any

import pytest

from app import app
from chalicelib.core import access
from chalicelib.core.endpoint import REGISTRY, Endpoint
from chalicelib.core.errors import Problem

ENDPOINTS = [pytest.param(declared, id=f"{declared.method} {declared.path}") for declared in REGISTRY.values()]
RULES = (access.handset, access.staff, access.client, access.public)


def undeclared(routes: dict[str, dict[str, Any]]) -> set[tuple[str, str]]:
    """Method and path of the routes that chalice serves without a declaration."""
    return {(method, path) for path, methods in routes.items() for method in methods} - set(REGISTRY)


def colliding(paths: list[str]) -> list[tuple[str, str]]:
    """Pairs of paths with differently named variables in one place, which API Gateway refuses at deployment."""
    return [(one, other) for one, other in combinations(paths, 2) if _collide(one.split("/"), other.split("/"))]


def _collide(one: list[str], other: list[str]) -> bool:
    for mine, yours in zip(one, other, strict=False):
        if mine != yours:
            return mine.startswith("{") and yours.startswith("{")
    return False


def test_every_route_is_declared() -> None:
    assert undeclared(app.routes) == set()


def test_a_route_without_declaration_is_found() -> None:
    assert undeclared({**app.routes, "/v1/back-door": {"GET": object()}}) == {("GET", "/v1/back-door")}


@pytest.mark.parametrize("declared", ENDPOINTS)
def test_every_endpoint_names_who_may_call_it(declared: Endpoint) -> None:
    assert isinstance(declared.allow, RULES)
    if isinstance(declared.allow, access.public):
        assert len(declared.allow.reason) > 20


def test_staff_cannot_be_allowed_without_a_role() -> None:
    for roles in ((), ("king",)):
        with pytest.raises(ValueError, match="role"):
            access.staff(*roles)


@pytest.mark.parametrize("declared", ENDPOINTS)
def test_every_endpoint_explains_itself(declared: Endpoint) -> None:
    assert inspect.getdoc(declared.view)
    assert declared.returns is not None
    assert set(re.findall(r"{(\w+)}", declared.path)) <= set(declared.arguments)


def test_every_problem_has_a_type_and_a_title_of_its_own() -> None:
    problems = _subclasses(Problem)
    for told in ([problem.slug() for problem in problems], [problem.title for problem in problems]):
        assert sorted(told) == sorted(set(told))
    assert all(400 <= problem.status < 600 for problem in problems)


def test_no_paths_collide() -> None:
    assert colliding(list(app.routes)) == []


@pytest.mark.parametrize(
    ("path", "collides"), [("/v1/items/{number}/photo", True), ("/v1/items/search", False), ("/v2/{anything}", False)]
)
def test_a_collision_is_found(path: str, collides: bool) -> None:
    assert bool(colliding([*app.routes, path])) == collides


def test_nobody_sees_a_stack_trace() -> None:
    assert app.debug is False


def _subclasses(kind: type[Problem]) -> list[type[Problem]]:
    return [each for child in kind.__subclasses__() for each in (child, *_subclasses(child))]
