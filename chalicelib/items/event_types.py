"""The names of the items' events, and what tells two events of one type apart, for the tables that render them."""

from __future__ import annotations

from typing import Final

ANNOUNCED: Final = "facteo.item.announced"
SCANNED: Final = "facteo.item.scanned"
DELIVERED: Final = "facteo.item.delivered"
HANDED_OVER: Final = "facteo.item.handed-over"
NOT_DELIVERED: Final = "facteo.item.not-delivered"
HELD: Final = "facteo.item.held"
RETURNED: Final = "facteo.item.returned"
REDIRECTED: Final = "facteo.item.redirected"
CORRECTED: Final = "facteo.item.corrected"

DISCRIMINATOR: Final = {
    SCANNED: "step",
    DELIVERED: "recipient",
    HANDED_OVER: "recipient",
    NOT_DELIVERED: "cause",
    HELD: "place",
}
"""The field whose value chooses the row. The other event types have one row each."""
