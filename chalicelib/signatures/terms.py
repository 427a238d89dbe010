"""What others must know of proofs before one is judged: the name of the alarm, and who provides."""

from __future__ import annotations

from typing import Final

from chalicelib.core.settings import Settings

ALARM: Final = "facteo.proof.drawing-reused"
"""The type of the event that says that a drawing came again on another act."""


class ProviderSettings(Settings, frozen=True, kw_only=True):
    """Who hands over (article 3): what stands on every proof."""

    provider_name: str
    provider_address: str
    provider_phone: str
    provider_email: str = ""
