"""`ops replay`: give a consumer again what was received in a time."""

from __future__ import annotations

from datetime import datetime

from ops import stage


def run(consumer: str, since: datetime, until: datetime, *, dry_run: bool) -> None:
    """Replay hour by hour and say how far it has come.

    Raises SystemExit for an unknown consumer, or a time that cannot be replayed to it.
    """
    stage.take_settings_of("sweep")
    from chalicelib.connectors.relay import sweep  # noqa: PLC0415 - after the settings
    from chalicelib.connectors.relay.subscriptions import SUBSCRIPTIONS  # noqa: PLC0415

    if consumer not in SUBSCRIPTIONS:
        raise SystemExit(f"There is no consumer {consumer}. There are: {', '.join(SUBSCRIPTIONS)}.")
    verb = "would be sent" if dry_run else "sent"
    total = 0
    try:
        for number, part in enumerate(sweep.replay(consumer, since, until, dry_run=dry_run)):
            if number == 0 and part.since > since:
                print(f"It was interrupted at {part.since:%Y-%m-%d %H:%M} UTC and goes on there.")
            total += part.sent
            if part.found:
                print(f"{part.since:%Y-%m-%d %H:%M} to {part.until:%H:%M} UTC: {part.found} events, {part.sent} {verb}")
    except sweep.NotReplayable as refusal:
        raise SystemExit(str(refusal)) from None
    print(f"{total} events {verb} to {consumer}. What it has dealt with already it drops.")
