"""What a handset says of an order, signed by the key of its enrolment (docs/protocol/commands.md, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from handset.ids import new_id

if TYPE_CHECKING:
    from handset.client import Handset

ACCEPTED: Final = "accepted"
NOT_NOW: Final = "not-now"
UNSUPPORTED: Final = "unsupported"
REFUSED: Final = "refused"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
WIPING: Final = "wiping"


def signed_report(
    handset: Handset, order: Mapping[str, Any], what: str, code: str = "", detail: Mapping[str, Any] | None = None
) -> str:
    """A report as a compact JWS (ES256). The order's `digest` is the SHA-256 of its payload in hex."""
    now = handset.now()
    return handset.signed(
        {
            "id": new_id(now),
            "command": order["id"],
            "order": order["digest"],
            "number": order["number"],
            "at": now.isoformat(),
            "what": what,
            "code": code,
            "detail": dict(detail or {}),
        }
    )
