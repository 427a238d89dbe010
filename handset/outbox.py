"""The outbox: every event is on the disk before the screen says done, and stays until it is acknowledged.

One SQLite file holds the events in the order of their numbers and the last number given. SQLite is asked to sync each
write to the disk, so that a handset which is switched off or killed at any moment loses nothing that it has shown as
done, and never gives a number twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

Event = dict[str, Any]

_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY,
    event TEXT NOT NULL,
    refused INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS numbers (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL);
INSERT OR IGNORE INTO numbers VALUES (1, 0);
"""


class Outbox:
    """Events that the back office has not acknowledged yet."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _TABLES)

    def add(self, make: Callable[[int], Event]) -> Event:
        """Keep the event that `make` builds for the next number. When this returns, it is on the disk."""
        with self._database as writing, closing(writing.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            [(last,)] = cursor.execute("UPDATE numbers SET last = last + 1 RETURNING last").fetchall()
            event = make(last)
            cursor.execute("INSERT INTO events (sequence, event) VALUES (?, ?)", (last, json.dumps(event)))
            cursor.execute("COMMIT")
        return event

    def waiting(self, limit: int) -> list[Event]:
        """The oldest events that are to be sent: refused ones are final and not sent again."""
        rows = self._database.execute("SELECT event FROM events WHERE refused = 0 ORDER BY sequence LIMIT ?", (limit,))
        return [json.loads(event) for (event,) in rows]

    def count(self) -> int:
        """How many events wait to be sent."""
        [(number,)] = self._database.execute("SELECT count(*) FROM events WHERE refused = 0").fetchall()
        return int(number)

    def all(self) -> list[Event]:
        """Every event that is not acknowledged yet, oldest first."""
        rows = self._database.execute("SELECT event FROM events ORDER BY sequence")
        return [json.loads(event) for (event,) in rows]

    def settle(self, results: Iterable[dict[str, Any]], acknowledged_through: int) -> None:
        """Note what was refused, and delete what is acknowledged."""
        with self._database as writing:
            for result in results:
                if result["result"] == "refused" and result["sequence"] is not None:
                    writing.execute("UPDATE events SET refused = 1 WHERE sequence = ?", (result["sequence"],))
            writing.execute("DELETE FROM events WHERE sequence <= ?", (acknowledged_through,))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
