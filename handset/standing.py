"""How a handset stands by its orders: locked, lost, ringing, what it shows, and the warrants that it obeys no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handset.client import Handset
from handset.files import read_json, write_json

Standing = dict[str, Any]
"""`locked`, `lost` (None, or `text`, `phone` and `since`), `ringing_until`, `messages`, `voided` (ids of warrants)."""


def of(handset: Handset) -> Standing:
    """How the handset stands."""
    nothing: Standing = {"locked": False, "lost": None, "ringing_until": None, "messages": [], "voided": []}
    return {**nothing, **(read_json(_file(handset)) or {})}


def change(handset: Handset, **members: Any) -> None:
    """Change how the handset stands. When this returns, it is on the disk."""
    write_json(_file(handset), {**of(handset), **members})


def _file(handset: Handset) -> Path:
    return handset.fleet / "standing.json"
