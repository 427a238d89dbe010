"""The outbox: every event is on the disk before the screen says done, and stays until it is acknowledged.

One SQLite file holds the events in the order of their numbers and the last number given. SQLite is asked to sync each
write to the disk, so that a handset which is switched off or killed at any moment loses nothing that it has shown as
done, and never gives a number twice.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

Event = dict[str, Any]

_PATIENCE_SECONDS = 30

_TABLES = """
PRAGMA synchronous = EXTRA;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY,
    event TEXT NOT NULL,
    refused INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS numbers (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL);
INSERT OR IGNORE INTO numbers VALUES (1, 0);
COMMIT;
"""


class Outbox:
    """Events that the back office has not acknowledged yet."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, _PATIENCE_SECONDS, isolation_level=None)
        self._database.executescript(_TABLES)

    def add(self, make: Callable[[int], Event]) -> Event:
        """Keep the event that `make` builds for the next number. When this returns, it is on the disk."""
        return self.add_all([make])[0]

    def add_all(self, makes: Sequence[Callable[[int], Event]]) -> list[Event]:
        """Keep several events that belong together, all or none of them."""
        events = []
        with self._writing() as cursor:
            for make in makes:
                [(last,)] = cursor.execute("UPDATE numbers SET last = last + 1 RETURNING last").fetchall()
                events.append(make(last))
                cursor.execute("INSERT INTO events (sequence, event) VALUES (?, ?)", (last, json.dumps(events[-1])))
        return events

    def waiting(self, limit: int, size: int, after: int = 0) -> list[Event]:
        """The oldest events after number `after` that are to be sent: refused ones are final and not sent again.

        At most `limit` events, of together at most `size` bytes of JSON; a single one may be larger.
        """
        rows = self._database.execute(
            "SELECT event FROM events WHERE refused = 0 AND sequence > ? ORDER BY sequence LIMIT ?", (after, limit)
        )
        texts = [text for (text,) in rows]
        sizes = itertools.accumulate(len(text) + len(", ") for text in texts)
        fitting = sum(1 for reached in sizes if reached <= size)
        return [json.loads(text) for text in texts[: max(fitting, 1)]]

    def count(self) -> int:
        """How many events wait to be sent."""
        [(number,)] = self._database.execute("SELECT count(*) FROM events WHERE refused = 0").fetchall()
        return int(number)

    def all(self) -> list[Event]:
        """Every event that is not acknowledged yet, oldest first."""
        rows = self._database.execute("SELECT event FROM events ORDER BY sequence")
        return [json.loads(event) for (event,) in rows]

    def settle(self, sent: Sequence[Event], results: Sequence[dict[str, Any]], acknowledged_through: int) -> None:
        """Note what was refused of the events that were sent, and delete what is acknowledged.

        What lies beyond them has not been sent yet and stays, whatever is acknowledged.
        """
        refused = [
            (event["sequence"],) for event, result in zip(sent, results, strict=True) if result["result"] == "refused"
        ]
        with self._writing() as cursor:
            cursor.executemany("UPDATE events SET refused = 1 WHERE sequence = ?", refused)
            through = min(acknowledged_through, sent[-1]["sequence"])
            cursor.execute("DELETE FROM events WHERE sequence <= ?", (through,))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Cursor]:
        """One transaction, of one process at a time: on the disk at its end, or undone."""
        with self._database, closing(self._database.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            yield cursor
            cursor.execute("COMMIT")
