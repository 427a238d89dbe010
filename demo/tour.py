"""A carrier's work on the round, in a process of its own so that it can be killed: `python -m demo.tour FOLDER`.

Every item goes out and then comes to its end. Started again, it goes on where the outbox on the disk ends.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo import seed
from handset.client import Handset

NO_NETWORK = "127.0.0.1:9"
"""An address at which nothing answers: the carrier is in a basement."""

_SECONDS_PER_SCAN = 0.01

ENDS: tuple[tuple[str, dict[str, str]], ...] = (
    ("facteo.item.delivered", {"recipient": "addressee"}),
    ("facteo.item.delivered", {"recipient": "caretaker"}),
    ("facteo.item.not-delivered", {"cause": "refused"}),
    ("facteo.item.held", {"place": "post-office"}),
)
"""How the items of the round end, one after the other and again from the first."""


def items_of(bundle: dict[str, Any]) -> list[str]:
    """The items of the round that the demo works on: the one that is there from the start is left to the visitor."""
    return [item["item"] for item in bundle["items"] if item["item"] != seed.ITEM]


def facts(items: list[str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """What happens on the round: type of event, item, data. The same items give the same facts."""
    for item in items:
        yield "facteo.item.scanned", item, {"step": "taken-in-charge"}
    for number, item in enumerate(items):
        event_type, data = ENDS[number % len(ENDS)]
        yield event_type, item, data


def work(handset: Handset, items: list[str]) -> Iterator[dict[str, Any]]:
    """Record what has not been recorded yet, one fact after the other."""
    done = {(event["type"], event["subject"]) for event in handset.outbox.all()}
    for event_type, item, data in facts(items):
        if (event_type, f"item/{item}") not in done:
            yield handset.record(event_type, item, **data)


def main() -> None:
    """Work the round that the handset took, without a network, and say the number of each event."""
    handset = Handset(Path(sys.argv[1]), connect_to=NO_NETWORK)
    items = items_of(handset.take_round())
    for event in work(handset, items):
        print(event["sequence"], flush=True)
        time.sleep(_SECONDS_PER_SCAN)


if __name__ == "__main__":
    main()
