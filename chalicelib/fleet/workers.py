"""The function behind the fleet's clock."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.core import consumer

workers = Blueprint(__name__)


@consumer.schedule(workers, "rate(1 minute)")
def settle_fleet() -> None:
    """Every minute: what time alone does to commands and loss cases, and to the rollout of a policy."""
    from chalicelib.fleet import sweeping  # noqa: PLC0415 - loads what signs and seals
    from chalicelib.fleet.policies import rollouts  # noqa: PLC0415

    sweeping.sweep()
    rollouts.advance()
