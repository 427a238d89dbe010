"""The conditions of redirection contracts, as tables to read and correct.

`confirmed` says whether a row rests on the post's own published conditions; the others are from secondary sources.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, NamedTuple

from chalicelib.items.product_codes import Family
from chalicelib.redirections.carried import Reach, RedirectionKind
from chalicelib.redirections.schemas import (
    Action,
    IdentityMethod,
)

DEFINITIVE, TEMPORARY, HOLD = RedirectionKind
NATIONAL, INTERNATIONAL = Reach


class Duration(NamedTuple):
    """How long contracts of a kind may last: a choice of `months`, or from `min_days` up to `max_months`."""

    kind: RedirectionKind
    months: frozenset[int] = frozenset()
    min_days: int = 1
    max_months: int = 12
    renewable: bool = False
    confirmed: bool = True


DURATIONS: Final = {
    row.kind: row
    for row in (
        Duration(DEFINITIVE, months=frozenset({6, 12}), renewable=True),
        Duration(TEMPORARY, min_days=15, max_months=12, confirmed=False),
        Duration(HOLD, min_days=1, max_months=2),
    )
}

SET_UP_WORKING_DAYS: Final = 3
"""Working days from the request to the first day, the request's own not counted. Confirmed: 3 to 5; no 48 hours."""
LATEST_START: Final = timedelta(days=366)
"""No contract is made for a start that lies further ahead. Unconfirmed."""
REMINDER: Final = timedelta(days=10)
"""So long before the last day, its end is announced to the subscriber."""
KEPT_MONTHS: Final = 13
"""Months after the last day during which a contract can be read: a claim may come up to a year later."""


CODE_ALPHABET: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Letters and digits that nobody takes for one another on paper or on the telephone."""
CODE_LENGTH: Final = 8
CODE_VALID_FOR: Final = timedelta(days=30)
CODE_ATTEMPTS: Final = 5
CODE_MARK: Final = "NE PAS RÉEXPÉDIER"
"""On the letter with the code: it proves that its reader lives at the old address, so it must not be forwarded."""


class Method(NamedTuple):
    """A way to verify a contract: who is known to want it then, and whether each adult shows a document."""

    method: IdentityMethod
    proves: str
    every_adult: bool = False
    confirmed: bool = True


METHODS: Final = {
    row.method: row
    for row in (
        Method(IdentityMethod.CODE, "somebody who opens the letters at the old address"),
        Method(IdentityMethod.DOCUMENTS, "every adult among the beneficiaries", every_adult=True),
        Method(IdentityMethod.DIGITAL_IDENTITY, "the subscriber"),
    )
}

MAX_CONTRACTS: Final = 100
"""At one address, those that are over not counted."""
MAX_ROW_BYTES: Final = 350_000
"""Of the contracts at one address; DynamoDB takes 400 KB for an item."""
MAX_HOPS: Final = 3
"""Contracts that may follow one another, A to B to C to D."""


class Exclusion(NamedTuple):
    """What a contract does not cover: all that a row names must be true. None: it does not matter.

    `over_days_left`: so many days lie between the item and the contract's end. It holds from `since` on.
    """

    rule: str
    action: Action
    sentence: str
    since: date
    kinds: frozenset[RedirectionKind] = frozenset(RedirectionKind)
    reach: Reach | None = None
    family: Family | None = None
    registered: bool | None = None
    marked: bool | None = None
    over_grams: int | None = None
    over_days_left: int | None = None
    confirmed: bool = False


_SINCE: Final = date(2026, 1, 1)
_FORWARDING: Final = frozenset({DEFINITIVE, TEMPORARY})

EXCLUSIONS: Final = (
    Exclusion(
        "sender-mark",
        Action.RETURN,
        "L'expéditeur a interdit la réexpédition : retourner, destinataire parti.",
        _SINCE,
        kinds=_FORWARDING,
        marked=True,
        confirmed=True,
    ),
    Exclusion(
        "parcel-abroad-2kg-definitive",
        Action.RETURN,
        "Colis de plus de 2 kg : pas de réexpédition à l'étranger. Retourner, destinataire parti.",
        _SINCE,
        kinds=frozenset({DEFINITIVE}),
        reach=INTERNATIONAL,
        family=Family.PARCEL,
        over_grams=2000,
    ),
    Exclusion(
        "parcel-abroad-2kg-temporary",
        Action.DELIVER_HERE,
        "Colis de plus de 2 kg : pas de réexpédition à l'étranger. Présenter à cette adresse.",
        _SINCE,
        kinds=frozenset({TEMPORARY}),
        reach=INTERNATIONAL,
        family=Family.PARCEL,
        over_grams=2000,
    ),
    Exclusion(
        "registered-hold-15-days",
        Action.DELIVER_HERE,
        "Recommandé : gardé 15 jours au plus, la garde dure plus longtemps. Présenter, puis avis de passage.",
        _SINCE,
        kinds=frozenset({HOLD}),
        registered=True,
        over_days_left=15,
        confirmed=True,
    ),
)
"""The first row that holds decides. Election mail and items of private carriers are told by no datum that we have."""
