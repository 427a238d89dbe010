"""The unit of work: everything a use case writes, in one DynamoDB transaction.

Each item may name the domain error that its failed condition means. DynamoDB answers with one reason per item in
the order in which they were sent, so items are kept by kind in the order PynamoDB sends them.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.core import clock
from chalicelib.core.errors import ChangedMeanwhile, EventIdReused, Problem, Unavailable
from chalicelib.core.events import Event, fingerprint
from chalicelib.core.journal import EventIdRow, JournalRow
from chalicelib.core.table import Table, code_of, shared_connection

MAX_ITEMS = 100
TRIES = 5
ROWS_PER_EVENT = 2

ResultT = TypeVar("ResultT")

_NOTHING_WAS_WRITTEN = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
"""Reasons of an item for which the transaction may be sent again."""
_TRY_AGAIN = frozenset(
    {
        "TransactionInProgressException",
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
)
"""Errors of the whole request for which it may be sent again."""
_LOST_RACES = (ChangedMeanwhile, EventIdReused)


class UnitOfWork:
    """Collects writes; `commit` makes all of them or none."""

    def __init__(self) -> None:
        self._items: dict[str, list[tuple[dict[str, Any], Problem | None]]] = {
            "condition_check": [],
            "delete": [],
            "put": [],
            "update": [],
        }
        self._claimed: set[tuple[str, str]] = set()

    def check(self, row: Table, condition: Condition, *, otherwise: Problem) -> None:
        """Require the condition of a row that is not written."""
        hash_key, *range_key = (getattr(row, name) for name in _key_names(row))
        kwargs = type(row).get_operation_kwargs_from_class(hash_key, next(iter(range_key), None), condition=condition)
        self._items["condition_check"].append((kwargs, otherwise))

    def put(
        self,
        row: Table,
        *,
        unless_exists: Problem | None = None,
        when: Condition | None = None,
        otherwise: Problem | None = None,
    ) -> None:
        """Write a whole row: only if there is none (`unless_exists`), or only `when` a condition holds."""
        if unless_exists is not None:
            when, otherwise = type(row).is_none(), unless_exists
        self._items["put"].append((row.as_put(when), otherwise))

    def update(
        self, row: Table, actions: Sequence[Action], *, when: Condition, otherwise: Problem | None = None
    ) -> None:
        """Change attributes of a row `when` a condition holds."""
        kwargs = row.get_update_kwargs_from_instance(actions=list(actions), condition=when)
        self._items["update"].append((kwargs, otherwise))

    def delete(self, row: Table, *, when: Condition | None = None, otherwise: Problem | None = None) -> None:
        """Delete a row."""
        self._items["delete"].append((row.get_delete_kwargs_from_instance(condition=when), otherwise))

    def claim(self, name: str, *, by: str = "", otherwise: Problem) -> None:
        """Let something happen once, for ever: whoever claims the same name later gets `otherwise`.

        With an owner (`by`), the same owner may claim it again. Names stand beside the ids of events and contain a
        slash, so that none is a handset's id.
        """
        if (name, by) in self._claimed:
            return
        self._claimed.add((name, by))
        row = EventIdRow(id=name, subject=by or name, fingerprint="")
        free = EventIdRow.id.does_not_exist()
        self.put(row, when=free | (EventIdRow.subject == by) if by else free, otherwise=otherwise)

    def append(self, event: Event, *, content: str = "", refusal: str = "") -> None:
        """Append an event to the journal. Raises EventIdReused at commit if its id is known already.

        `content` is the fingerprint of what was sent (default: of the data), by which a repeat is recognised.
        """
        guard = EventIdRow(
            id=event.id,
            subject=event.subject,
            fingerprint=content or fingerprint(event.data),
            refusal=refusal,
        )
        reused = EventIdReused("Give each event an id of its own; this one is taken.", event=event.id)
        self.put(guard, unless_exists=reused)
        self.put(JournalRow.of(event))

    def commit(self) -> None:
        """Send everything as one transaction.

        Raises the domain error of the first item whose condition failed. A clash with another transaction, where
        DynamoDB has written nothing, is tried again with the same token, a few times.
        """
        if not any(self._items.values()):
            return
        token = str(uuid.uuid4())
        for attempt in range(1, TRIES + 1):
            try:
                self._send(token)
            except TransactWriteError as error:
                self._explain(error)
                if attempt == TRIES:
                    raise Unavailable("Too many changes at once; send the same request again.") from error
                clock.pause(random.uniform(0.02, 0.05) * 2**attempt)  # noqa: S311 - jitter, not a secret
            else:
                return

    def _send(self, token: str) -> None:
        kwargs: dict[str, Any] = {f"{kind}_items": [item for item, _ in items] for kind, items in self._items.items()}
        shared_connection().transact_write_items(client_request_token=token, **kwargs)

    def _explain(self, error: TransactWriteError) -> None:
        """Raise what the failure means, unless it means that the same can be sent again."""
        if code_of(error) in _TRY_AGAIN:
            return
        problems = [problem for items in self._items.values() for _, problem in items]
        reasons = list(error.cancellation_reasons)
        for reason, problem in zip(reasons, problems, strict=False):
            if reason is not None and reason.code == "ConditionalCheckFailed":
                raise problem or ChangedMeanwhile("Read it again and repeat.") from error
        codes = {reason.code for reason in reasons if reason is not None}
        if not codes or not codes <= _NOTHING_WAS_WRITTEN:
            raise error


@contextmanager
def transaction() -> Iterator[UnitOfWork]:
    """A unit of work that commits when the block ends without an error."""
    work = UnitOfWork()
    yield work
    work.commit()


def retried(use_case: Callable[[], ResultT]) -> ResultT:
    """Run a load-decide-write use case again when somebody else's write came between its load and its write."""
    for attempt in range(1, TRIES):
        try:
            return use_case()
        except _LOST_RACES:
            clock.pause(random.uniform(0.01, 0.03) * attempt)  # noqa: S311 - jitter, not a secret
    return use_case()


def _key_names(row: Table) -> list[str]:
    return [name for name in (type(row)._hash_keyname, type(row)._range_keyname) if name]
