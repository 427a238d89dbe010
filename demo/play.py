"""`make demo`: a day of the post, letters, doors, an SOS and a lost handset, against what `make run` started."""

from __future__ import annotations

import time

from demo import day, doors, failures, letters, lost, sos
from infra.running import Run


def main() -> None:
    """The command."""
    started = time.monotonic()
    with failures.told():
        running = Run.load()
        day.day(running)
        letters.day(running)
        doors.day(running)
        sos.day(running)
        lost.day(running)
    day.say(f"Done in {time.monotonic() - started:.0f} s: nothing lost, nothing twice.")


if __name__ == "__main__":
    main()
