"""The table `despatches`: lines that wait, clients that have some, files and where each of them stands.

| pk                       | sk                      | row                                                       |
|--------------------------|-------------------------|-----------------------------------------------------------|
| `line/<client>/<shard>`  | `<event time>#<event>`  | a pending line                                            |
| `due/<shard>`            | `<client>`              | this client may have something to send                    |
| `despatch/<client>`      | `<sequence, 10 digits>` | a file: how far it has come, and who is at it             |
| `file/<name>`            | `content`               | its bytes, and for each line its event and correlation id |

Heat. Writes to one partition are limited to 1,000 units a second, and a transaction's count twice. A big sender's
lines would share one, so they are spread over 4 shards by the last digit of the event id; within a shard the sort
key is the order of the file, so that the oldest lines are found without reading the others. Many workers mark the
same few clients, so the markers are spread over 8 shards and never part of a transaction, which would make them
conflict. Content stands apart from the despatch, so that a change of state costs 1 unit and not one for each KB.
"""

from __future__ import annotations

from pynamodb.attributes import BinaryAttribute, NumberAttribute, TTLAttribute, UnicodeAttribute, UTCDateTimeAttribute

from chalicelib.connectors.return_file import file_name
from chalicelib.core.table import Table

CONTENT = "content"


class TrackingRow(Table):
    """What the rows of this table have in common."""

    table = "despatches"

    class Meta:
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = TTLAttribute(null=True)


class LineRow(TrackingRow):
    """A line that waits. `text` is the record with its end of line."""

    class Meta:
        pass

    text = UnicodeAttribute()
    correlation_id = UnicodeAttribute()


class DueRow(TrackingRow):
    """A client that may have something to send. `touched` is another value after each new line."""

    class Meta:
        pass

    touched = UnicodeAttribute()


class DespatchRow(TrackingRow):
    """A file. It never expires: its client's next sequence number follows from it.

    `attempt` counts the despatchers that took it on, and names the one that holds it until `leased_until`: what
    an earlier one still tries to record fails on it. `temporary` is the name under which it was uploaded; what the
    attempts up to `cleared` uploaded is known to be gone from the receiver.
    """

    class Meta:
        pass

    client = UnicodeAttribute()
    sequence = NumberAttribute()
    state = UnicodeAttribute()
    fixed_at = UTCDateTimeAttribute()
    lines = NumberAttribute()
    size = NumberAttribute()
    sha256 = UnicodeAttribute()
    attempt = NumberAttribute(default=0)
    leased_until = UTCDateTimeAttribute()
    temporary = UnicodeAttribute(default="")
    cleared = NumberAttribute(default=0)
    sent_at = UTCDateTimeAttribute(null=True)

    @property
    def name(self) -> str:
        """The file's name: it follows from what was fixed, so that a repeat has the same."""
        return file_name(self.client, self.fixed_at, int(self.sequence))


class ContentRow(TrackingRow):
    """The bytes of a file. `trail` (JSON) says for each line, in order, where it comes from."""

    class Meta:
        pass

    content = BinaryAttribute(legacy_encoding=False)
    trail = UnicodeAttribute()
