"""What happens right after a step: the process dies there, or somebody else acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient


class Killed(BaseException):
    """The process is no more: no `except Exception` runs any more."""


class Steps:
    """The steps of a block: how many there were, and their names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __len__(self) -> int:
        return len(self.names)


@contextmanager
def after_step(number: int, then: Callable[[], Any], *methods: tuple[type, str], only: str = "") -> Iterator[Steps]:
    """Do `then` once, right after the n-th step of the block: a call of AWS, or of one of these methods.

    Only steps of the name `only` count if one is given. What `then` does itself is no step.
    """
    steps = Steps()
    acting = False

    def stepped(name: str) -> None:
        nonlocal acting
        if acting or only not in ("", name):
            return
        steps.names.append(name)
        if len(steps) == number:
            acting = True
            then()
            acting = False

    with ExitStack() as stack:
        stack.enter_context(patch.object(BaseClient, "_make_api_call", _aws_call(stepped)))
        for owner, name in methods:
            stack.enter_context(patch.object(owner, name, _method(getattr(owner, name), name, stepped)))
        yield steps


def die() -> None:
    """For `after_step`: the process dies."""
    raise Killed


def _aws_call(stepped: Callable[[str], None]) -> Callable[..., Any]:
    call = BaseClient._make_api_call

    def called(client: Any, operation: str, parameters: Any) -> Any:
        answer = call(client, operation, parameters)
        stepped(operation)
        return answer

    return called


def _method(method: Callable[..., Any], name: str, stepped: Callable[[str], None]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        answer = method(*args, **kwargs)
        stepped(name)
        return answer

    return called
