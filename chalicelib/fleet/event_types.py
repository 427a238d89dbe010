"""The types of those events of the fleet that others follow."""

from __future__ import annotations

from typing import Final

QUARANTINED: Final = "facteo.device.quarantined"
WIPING: Final = "facteo.device.wiping"
READMITTED: Final = "facteo.device.readmitted"
STATE_CHANGES: Final = (QUARANTINED, WIPING, READMITTED)
"""After these a handset may work, or may not, that did not or did before."""

LOSS_FOUND: Final = "facteo.loss-case.found"
RELEASES: Final = (READMITTED, LOSS_FOUND)
"""After these what the handset sent while it was quarantined is held no longer. It may be found, and have to enrol."""
