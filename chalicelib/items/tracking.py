"""Tracking for the post's own site and its partners: items' histories in the shape of Suivi v2."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.core import journal
from chalicelib.core.errors import RequestInvalid
from chalicelib.items import rules, suivi
from chalicelib.items.schemas import ItemHistory
from chalicelib.items.suivi import SuiviAnswer

SEVERAL = 207


def track(items: Sequence[str], lang: str) -> tuple[int, SuiviAnswer | tuple[SuiviAnswer, ...]]:
    """The answer's code and the answer: of one item, or an array for several. One query for each item."""
    if len(items) > suivi.MAX_ITEMS:
        raise RequestInvalid(f"Ask for at most {suivi.MAX_ITEMS} items at once.")
    asked = [(item, _history(item)) for item in items]
    if len(asked) > 1:
        return SEVERAL, suivi.render_many(asked, lang)
    answer = suivi.render(asked[0][1], asked[0][0], lang)
    return answer.return_code, answer


def _history(item: str) -> ItemHistory | None:
    events = journal.read(rules.subject_of(item)) if item else []
    return rules.fold(item, events) if events else None
