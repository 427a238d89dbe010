"""`ops replay`: give a consumer again what was received in a time."""

from __future__ import annotations

from datetime import datetime

from ops import stage


def run(consumer: str, since: datetime, until: datetime, *, dry_run: bool) -> None:
    """Replay hour by hour and say how far it has come. Raises SystemExit for an unknown consumer."""
    stage.take_settings_of("sweep")
    from chalicelib.connectors.relay import sweep  # noqa: PLC0415 - after the settings
    from chalicelib.connectors.relay.subscriptions import SUBSCRIPTIONS  # noqa: PLC0415

    if consumer not in SUBSCRIPTIONS:
        raise SystemExit(f"There is no consumer {consumer}. There are: {', '.join(SUBSCRIPTIONS)}.")
    verb = "would be sent" if dry_run else "sent"
    total = 0
    for part in sweep.replay(consumer, since, until, dry_run=dry_run):
        total += part.sent
        if part.found:
            print(f"{part.since:%Y-%m-%d %H:%M} to {part.until:%H:%M} UTC: {part.found} events, {part.sent} {verb}")
    print(f"{total} events {verb} to {consumer}. What it has dealt with already it drops.")
