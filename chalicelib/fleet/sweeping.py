"""What is due in the fleet, once a minute. One thing that breaks holds back no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from chalicelib.core import clock, telemetry
from chalicelib.fleet import records
from chalicelib.fleet.commands import settling
from chalicelib.fleet.guards import warrants
from chalicelib.fleet.losses import ladder

DUE: Final[Mapping[str, Callable[[str], None]]] = {
    "device": settling.settle_device,
    "loss": ladder.ask_for_approvals,
    "warrant": warrants.settle,
}
"""What the key of a due record begins with → who settles it, by its id."""


def sweep() -> None:
    """Settle what is due: a query for each shard, and a few calls for each record."""
    for shard in range(records.SHARDS):
        for key in records.due(shard, clock.now()):
            _settle(key)


def _settle(key: str) -> None:
    kind, _, name = key.partition("/")
    try:
        DUE[kind](name)
    except Exception:  # it is due still, and comes again in a minute
        telemetry.logger.exception("not settled", extra={"key": key})
        telemetry.count("NotSettled")
