"""Tracking for the post's own site and its partners: items' histories in the shape of Suivi v2."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.core import journal
from chalicelib.core.errors import RequestInvalid
from chalicelib.items import identifiers, rules, suivi
from chalicelib.items.identifiers import IdentifierRefused
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
    """What is known of an item, however its number is written: `rb 123 456 785 gb`."""
    try:
        number = identifiers.parse(item).number
    except IdentifierRefused:
        return None
    events = journal.read(rules.subject_of(number)) if number else []
    return rules.fold(number, events) if number and events else None
