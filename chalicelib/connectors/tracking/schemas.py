"""What the connector keeps of a line, and says of a file."""

from __future__ import annotations

from datetime import datetime

from chalicelib.core.schemas import Schema


class Traced(Schema, frozen=True, array_like=True):
    """Where a line of a file comes from. `position` is its place among the pending ones: `<time>#<event id>`."""

    position: str
    correlation_id: str

    @property
    def event_id(self) -> str:
        """The event that the line tells of."""
        return self.position.rpartition("#")[2]


class Origin(Schema, frozen=True):
    """The event that a line of a file tells of, and the correlation id of the request that brought it."""

    event_id: str
    correlation_id: str


class DespatchSent(Schema, frozen=True):
    """`facteo.despatch.sent`: a file was handed over. `sha256` (hex) and `size` (bytes) are of its content."""

    client: str
    sequence: int
    name: str
    lines: int
    size: int
    sha256: str
    fixed_at: datetime
