"""What DynamoDB does with transactions and moto does not, so that tests meet it: two shims over moto.

*ClientRequestToken.* DynamoDB remembers the token of a transaction that succeeded for 10 minutes. The same token with
the same request is answered again, with success, and nothing is done; with another request it is refused with
IdempotentParameterMismatchException, and while the first is under way with TransactionInProgressException. A cancelled
transaction is not remembered. moto ignores the token: the identical second call fails on its own condition. The ten
minutes are those of the product's clock.

*TransactionConflict.* Of two transactions that are under way at once and touch the same item, DynamoDB cancels one,
with the reason TransactionConflict for each item that they share; nothing of it is written, and it may be sent again.
moto carries out each request at a stroke, so none is ever under way. `under_way` keeps one open while somebody else
acts. Single-item writes are left as moto does them: none of ours goes to an item that a transaction writes as well.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from unittest.mock import patch

from moto.dynamodb.exceptions import ERROR_TYPE_PREFIX, DynamodbException, TransactionCanceledException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.responses import DynamoHandler

from chalicelib.core import clock

REMEMBERED_FOR = timedelta(minutes=10)

Item = tuple[str, str]
"""A table and the key of an item, as text."""


@dataclass
class _Transaction:
    request: Mapping[str, Any]
    items: list[Item]
    carry_out: Callable[[], Any]
    gives_way: bool = True
    answer: Any = None
    lost: list[Item] = field(default_factory=list)

    @property
    def token(self) -> str:
        return str(self.request.get("ClientRequestToken", ""))

    def shared_with(self, other: _Transaction) -> list[Item]:
        return [item for item in self.items if item in other.items]


class _Answered(NamedTuple):
    at: datetime
    request: Mapping[str, Any]
    answer: Any


class _Server:
    """What DynamoDB knows of transactions: those under way, and the tokens of those that succeeded lately."""

    def __init__(self) -> None:
        self.under_way: list[_Transaction] = []
        self.answered: dict[str, _Answered] = {}
        self.next_is_kept_open: list[tuple[Callable[[], Any], bool]] = []

    def take(self, this: _Transaction) -> Any:
        """Answer a request."""
        if known := self._known(this):
            return known.answer
        for other in self.under_way:
            shared = this.shared_with(other)
            if shared and not other.gives_way:
                self._carry_out(other)
                raise _conflict(this, shared)
        if self.next_is_kept_open:
            then, this.gives_way = self.next_is_kept_open.pop()
            self.under_way.append(this)
            then()
        if this.lost:
            self.under_way.remove(this)
            raise _conflict(this, this.lost)
        if this.answer is None:
            self._carry_out(this)
        return this.answer

    def _carry_out(self, this: _Transaction) -> None:
        if this in self.under_way:
            self.under_way.remove(this)
        this.answer = this.carry_out()
        for other in self.under_way:
            other.lost += other.shared_with(this)
        if this.token:
            self.answered[this.token] = _Answered(clock.now(), this.request, this.answer)

    def _known(self, this: _Transaction) -> _Answered | None:
        if any(other.token == this.token for other in self.under_way if this.token):
            raise _error("TransactionInProgressException", "The transaction with the given request token is under way")
        known = self.answered.get(this.token)
        if known is None or clock.now() > known.at + REMEMBERED_FOR:
            return None
        if known.request != this.request:
            raise _error("IdempotentParameterMismatchException", "Same client token, but other parameters")
        return known


_server = _Server()


def forget() -> None:
    """Forget every token."""
    _server.answered.clear()


@contextmanager
def shimmed() -> Iterator[None]:
    """Put the shims over moto until the block ends."""
    carry_out = DynamoHandler.transact_write_items

    def take(handler: DynamoHandler) -> Any:
        request = copy.deepcopy(handler.body)
        items = [_item(handler.dynamodb_backend, write) for write in request["TransactItems"]]
        return _server.take(_Transaction(request, items, lambda: carry_out(handler)))

    with patch.object(DynamoHandler, "transact_write_items", take):
        yield


@contextmanager
def under_way(then: Callable[[], Any], *, gives_way: bool) -> Iterator[None]:
    """Keep the block's first transaction open while `then` is done, before it takes effect.

    If somebody touches the same items meanwhile, this one is cancelled if it `gives_way` to a transaction that
    succeeded; else it takes effect at that moment, and theirs is cancelled.
    """
    _server.next_is_kept_open.append((then, gives_way))
    try:
        yield
        assert not _server.next_is_kept_open, "the block sent no transaction: nothing was overtaken"
    finally:
        _server.next_is_kept_open.clear()
        _server.under_way.clear()


def _item(backend: DynamoDBBackend, write: Mapping[str, Any]) -> Item:
    kind, what = next(iter(write.items()))
    names = backend.get_table(what["TableName"]).table_key_attrs
    key = what["Item"] if kind == "Put" else what["Key"]
    return what["TableName"], repr([key[name] for name in names])


def _conflict(this: _Transaction, shared: list[Item]) -> TransactionCanceledException:
    told = "Transaction is ongoing for the item"
    reasons = [("TransactionConflict", told, None) if item in shared else (None, None, None) for item in this.items]
    return TransactionCanceledException(reasons)


def _error(code: str, message: str) -> DynamodbException:
    return DynamodbException(ERROR_TYPE_PREFIX + code, message=message)
