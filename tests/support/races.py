"""Two at once, in an order that is always the same.

Both transactions are under way at the same time, so that one is cancelled where they touch the same item, as
DynamoDB does (`transactions`); it is sent again, and meets what the other has written.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tests.support.transactions import under_way


def overtaken(*, by: Callable[[], Any]) -> AbstractContextManager[None]:
    """While the block's first transaction is under way, somebody else's use case runs from start to end and wins."""
    return under_way(by, gives_way=True)


def contended(*, by: Callable[[], Any]) -> AbstractContextManager[None]:
    """The same, but the block's transaction wins: it takes effect as soon as the other touches one of its items."""
    return under_way(by, gives_way=False)
