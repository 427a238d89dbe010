"""What of an entry somebody should look at: the words of the work list, each with what it means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from chalicelib.passes.entry_schemas import EntryKept, Halves
from chalicelib.passes.receipts import OPENED
from chalicelib.passes.registry_schemas import Hours

FORGED: Final = "forged-receipt"
UNKNOWN_READER: Final = "unknown-reader"
NO_RECEIPT: Final = "no-receipt"
NO_USE: Final = "no-use"
TWO_PLACES: Final = "two-places"

TOO_FAR_APART: Final = timedelta(minutes=5)
"""Of a handset's time and a reader's, of the same moment."""
TOO_NEAR: Final = timedelta(seconds=60)
"""Within it nobody walks from door to door of two buildings."""

REFUSALS: Final = frozenset({"copied", "replayed", "bad-signature", "suspended", "revoked"})
"""Of a reader's refusals, those by which somebody tries a door with what is not theirs, or not any more."""

Services = Mapping[str, Sequence[Hours]]
"""Service → when it may enter a building."""


def of_halves(halves: Halves, services: Services | None) -> list[str]:
    """What is wrong with an entry as far as its halves came. `services` are those of its building, if they matter."""
    words = [word for word, holds in _CHECKS.items() if holds(halves, services)]
    receipt = halves.receipt
    if receipt is not None and receipt.proven and receipt.result in REFUSALS:
        words.append(f"refused-{receipt.result}")
    return words


def has_opened(halves: Halves) -> bool:
    """Whether a reader that we know says that its door opened."""
    receipt = halves.receipt
    return receipt is not None and receipt.proven and receipt.result == OPENED


def missing(halves: Halves) -> str:
    """The word for the half that has not come; empty if none is missing."""
    if halves.shown is None:
        return NO_USE if halves.receipt else ""
    return NO_RECEIPT if halves.receipt is None else ""


def elsewhere(halves: Halves, others: Iterable[tuple[str, EntryKept]]) -> list[str]:
    """The lines of those entries, of the same carrier, at which the pass was at another building at the same time."""
    return [
        line
        for line, other in others
        if other.pass_id == halves.pass_id
        and not other.is_code
        and other.building not in {"", halves.building}
        and abs(other.at - halves.at) <= TOO_NEAR
    ]


def _differs(halves: Halves, _: Services | None) -> bool:
    shown, receipt = halves.shown, halves.receipt
    if shown is None or receipt is None:
        return False
    another_pass = receipt.pass_id not in {"", shown.pass_id}
    return another_pass or receipt.reader != shown.reader or abs(receipt.at - shown.at) > TOO_FAR_APART


def _outside_hours(halves: Halves, services: Services | None) -> bool:
    """Whether the door opened when no service at all may enter.

    For which service the pass was is not asked: neither half says it, and it would take another read of what was
    issued. The reader, which sees the token, asks for it.
    """
    if services is None or halves.receipt is None or not has_opened(halves):
        return False
    at = halves.receipt.at
    return not any(hours.holds(at) for admitted in services.values() for hours in admitted)


_CHECKS: Final[Mapping[str, Callable[[Halves, Services | None], bool]]] = {
    "differs": _differs,
    "outside-hours": _outside_hours,
}
"""Word → whether it holds of an entry."""
