"""Two at once, in an order that is always the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from pynamodb.connection import Connection


@contextmanager
def overtaken(*, by: Callable[[], Any]) -> Iterator[None]:
    """Just before the block's first transaction is sent, somebody else's use case runs from start to end."""
    send = Connection.transact_write_items
    waiting = [by]

    def send_after_the_other(self: Connection, **kwargs: Any) -> Any:
        while waiting:
            waiting.pop()()
        return send(self, **kwargs)

    with patch.object(Connection, "transact_write_items", send_after_the_other):
        yield
    assert not waiting, "the block sent no transaction: nothing was overtaken"
