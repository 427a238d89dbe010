"""How long an item that waits for its addressee is held: a table to read and correct.

The fifteen days of a registered item (recommandé) are calendar days: no extension for Sundays or public holidays is
stated. Colissimo speaks of ten working days for parcels. Both are counted from the day after the presentation.

A working day is taken to be Monday to Friday (jour ouvré) without the public holidays of the whole of France: of the
two readings of "working" the longer one, so that no parcel goes back too early. Not counted as holidays are the two
days that only Alsace and Moselle have. All of this is unconfirmed.
"""

from __future__ import annotations

import enum
from datetime import date, timedelta
from typing import Final, NamedTuple

from chalicelib.core import working_days
from chalicelib.items.product_codes import Family, family_of
from chalicelib.items.schemas import Announced, HeldAt


class Kind(enum.StrEnum):
    """What kind of item waits, as far as its term depends on it."""

    REGISTERED = "registered"
    PARCEL = "parcel"
    OTHER = "other"


class Term(NamedTuple):
    """One row: how many days an item of the kind waits at that place. `confirmed`: a published text says so."""

    kind: Kind
    place: HeldAt
    days: int
    working: bool
    confirmed: bool
    note: str


_ARTICLE_5: Final = "arrêté of 7 February 2007, article 5"
_PARCEL: Final = "published event texts say ten working days; which days work is our reading"

_ROWS: Final = (
    Term(Kind.REGISTERED, HeldAt.POST_OFFICE, 15, False, True, _ARTICLE_5),
    Term(Kind.REGISTERED, HeldAt.POST_OFFICE_AFTER_NOTICE, 15, False, True, _ARTICLE_5),
    Term(Kind.REGISTERED, HeldAt.PICKUP_POINT, 15, False, True, _ARTICLE_5),
    Term(Kind.PARCEL, HeldAt.POST_OFFICE, 10, True, False, _PARCEL),
    Term(Kind.PARCEL, HeldAt.POST_OFFICE_AFTER_NOTICE, 10, True, False, _PARCEL),
    Term(Kind.PARCEL, HeldAt.PICKUP_POINT, 10, True, False, "taken to be that of the post offices"),
    Term(Kind.OTHER, HeldAt.POST_OFFICE, 15, False, False, "taken to be that of registered items"),
    Term(Kind.OTHER, HeldAt.POST_OFFICE_AFTER_NOTICE, 15, False, False, "taken to be that of registered items"),
    Term(Kind.OTHER, HeldAt.PICKUP_POINT, 15, False, False, "taken to be that of registered items"),
)

TERMS: Final = {(row.kind, row.place): row for row in _ROWS}

LATER_PRESENTATION_RESTARTS: Final = False
"""Whether a presentation after the first one makes the days count anew. Unconfirmed. A change of place never does."""

KIND_OF_SERVICE: Final = {
    "R": Kind.REGISTERED,
    "V": Kind.REGISTERED,
    "C": Kind.PARCEL,
    "E": Kind.PARCEL,
    "H": Kind.PARCEL,
    "X": Kind.PARCEL,
}
"""S10 numbers by their first letter: registered and insured, parcels and EMS; any other is of no special kind."""

_KIND_OF_FAMILY: Final = {Family.REGISTERED_LETTER: Kind.REGISTERED, Family.PARCEL: Kind.PARCEL}
_THIRTEEN: Final = 13
_SSCC: Final = 18


def kind_of(item: str, announced: Announced | None) -> Kind:
    """What kind of item it is, by its announcement and by the shape of its number, whose key is not looked at."""
    if announced is not None and announced.recommendation:
        return Kind.REGISTERED
    if item[:2].isalpha() and item[-2:].isalpha():
        return KIND_OF_SERVICE.get(item[0], Kind.OTHER)
    if len(item) == _THIRTEEN:
        return _KIND_OF_FAMILY[family_of(item[:2])]
    return Kind.PARCEL if len(item) == _SSCC else Kind.OTHER


def last_day(presented_on: date, term: Term) -> date:
    """The last day on which the addressee can collect, presentation on 2 March and fifteen days: 17 March."""
    if not term.working:
        return presented_on + timedelta(days=term.days)
    return working_days.after(presented_on, term.days)
