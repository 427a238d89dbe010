"""What of its passes a handset takes along in the round's bundle."""

from __future__ import annotations

from chalicelib.core import clock
from chalicelib.core.access import Handset
from chalicelib.passes import rules, store
from chalicelib.passes.schemas import PassTold


def carried(who: Handset) -> PassTold | None:
    """The day's pass of a handset, unless it is over or was given back: one read. What suspends it is not told."""
    held = store.load(who.device).holder.held
    if held is None or held.given_back or rules.is_over(held, clock.now()):
        return None
    return PassTold.of(held) if (held.generation, held.carrier) == (who.generation, who.carrier) else None
