"""The command: `bin/ops --stage prod replay --consumer tracking --from 2026-11-23T00:00 --to 2026-11-24T06:00`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from ops import redrive, replay, rotate, stage


def main(arguments: list[str] | None = None) -> None:
    """Run one command."""
    given = _parser().parse_args(arguments)
    stage.enter(given.stage)
    match given.command:
        case "replay":
            replay.run(given.consumer, given.since, given.until, dry_run=given.dry_run)
        case "redrive":
            redrive.run_all(given.queue) if given.all else redrive.run(given.queue, input)
        case "rotate-pass-keys":
            rotate.run(given.drop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ops", description="For who is on call; see docs/operations.")
    parser.add_argument("--stage", default=stage.LOCAL, help="dev, staging or prod (default: what 'make run' started)")
    commands = parser.add_subparsers(dest="command", required=True)
    again = commands.add_parser("replay", help="give a consumer again what was received in a time")
    again.add_argument("--consumer", required=True, help="a name of connectors/relay/subscriptions.py")
    again.add_argument("--from", dest="since", type=_moment, required=True, metavar="MOMENT", help="UTC unless it says")
    again.add_argument("--to", dest="until", type=_moment, required=True, metavar="MOMENT")
    again.add_argument("--dry-run", action="store_true", help="count only")
    dead = commands.add_parser("redrive", help="look at each message of a dead-letter queue and send it back")
    dead.add_argument("queue", help="the queue that the messages came from, such as inbox, tracking or passes")
    dead.add_argument("--all", action="store_true", help="show and send back every one without asking")
    keys = commands.add_parser("rotate-pass-keys", help="have other keys sign building passes from now on")
    keys.add_argument("--drop", action="append", default=[], metavar="KEY", help="which one (default: all of them)")
    return parser


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
