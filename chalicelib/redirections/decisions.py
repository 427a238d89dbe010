"""Pure decisions at the door: what becomes of an item, and what to make of a redirection that has happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from chalicelib.addresses import names
from chalicelib.addresses.names import Match, Verdict
from chalicelib.core.events import Event
from chalicelib.items import rules as item_rules
from chalicelib.items.product_codes import Family
from chalicelib.items.schemas import Redirected
from chalicelib.redirections import conditions, rules
from chalicelib.redirections.carried import RedirectionKind, RedirectionScope
from chalicelib.redirections.conditions import EXCLUSIONS, Exclusion
from chalicelib.redirections.rules import Contract
from chalicelib.redirections.schemas import (
    Action,
    RedirectionDecision,
    RedirectionNamed,
    RedirectionRecord,
)

SEVERAL: Final = "several-redirections"
"""Flag of a decision: more contracts than one matched, the most recently verified one was taken."""
UNKNOWN: Final = "redirection-unknown"
INVALID: Final = "redirection-invalid"
ENDED: Final = "redirection-ended-unknown-to-device"
LOOP: Final = "redirection-loop"

STATED: Final = frozenset(
    f"facteo.redirection.{fact}" for fact in ("requested", "verified", "refused", "cancelled", "ended", "renewed")
)
"""The events whose body is the contract as it is from then on."""

_DELIVER_SENTENCES: Final[Mapping[str, str]] = {
    "no-contract": "Aucune réexpédition à cette adresse : distribuer ici.",
    "not-active": "Pas de réexpédition en cours à cette adresse : distribuer ici.",
}
_OTHER_FLAT: Final = "Le contrat indique un autre appartement : vérifier de qui il s'agit."


class ItemFacts(NamedTuple):
    """What of an item matters: without a `family` it is plain mail."""

    family: Family | None = None
    registered: bool = False
    weight_grams: int = 0
    do_not_forward: bool = False


class _Judged(NamedTuple):
    contract: Contract
    match: Match
    exclusion: Exclusion | None

    @property
    def latest(self) -> tuple[datetime, str]:
        terms = self.contract.terms
        return terms.verified_at or datetime.min.replace(tzinfo=UTC), terms.id


def decide(
    item: ItemFacts, name: str, apartment: str, contracts: Sequence[Contract], moment: datetime
) -> RedirectionDecision:
    """What the carrier does with an item for `name` at the contracts' address at that moment.

    In this order: no contract is active, deliver; the product or the sender's mark forbid, deliver or return; the name
    is nobody's, deliver; it is somebody's, redirect or hold; it may be, ask. If several contracts match, the one that
    was verified last counts, and the decision is flagged. An instruction by which the addressee redirects this one item
    once more, which beats the contract, is not known here.
    """
    active = [contract for contract in contracts if rules.is_active(contract.terms, moment)]
    if not active:
        return _deliver("not-active" if contracts else "no-contract")
    judged = [_judged(item, name, apartment, contract, moment) for contract in active]
    matching = sorted((one for one in judged if one.match.verdict is Verdict.MATCH), key=lambda one: one.latest)
    if matching:
        return _by_contract(matching[-1], flags=(SEVERAL,) if len(matching) > 1 else ())
    doubtful = [one for one in judged if one.match.verdict is Verdict.REVIEW]
    if doubtful:
        return _in_doubt(max(doubtful, key=lambda one: (one.match.rank, one.latest)))
    nobody = judged[0].match
    return RedirectionDecision(action=Action.DELIVER_HERE, rule=f"name-{nobody.rule}", sentence=nobody.sentence)


def _judged(item: ItemFacts, name: str, apartment: str, contract: Contract, moment: datetime) -> _Judged:
    household = contract.terms.scope is RedirectionScope.HOUSEHOLD
    match = names.match(name, contract.destination.beneficiaries, household=household)
    if match.verdict is Verdict.MATCH and rules.other_flat(contract, apartment):
        match = Match(
            verdict=Verdict.REVIEW, rule="flat", sentence=_OTHER_FLAT, beneficiary=match.beneficiary, rank=match.rank
        )
    excluded = (row for row in EXCLUSIONS if _holds(row, item, contract, moment))
    return _Judged(contract, match, next(excluded, None))


def _holds(row: Exclusion, item: ItemFacts, contract: Contract, moment: datetime) -> bool:
    terms, day = contract.terms, rules.day_of(moment)
    return (
        row.since <= day
        and terms.kind in row.kinds
        and row.reach in {None, terms.reach}
        and row.family in {None, item.family}
        and row.registered in {None, item.registered}
        and row.marked in {None, item.do_not_forward}
        and (row.over_grams is None or item.weight_grams > row.over_grams)
        and (row.over_days_left is None or (terms.last_day - day).days > row.over_days_left)
    )


def _by_contract(one: _Judged, flags: tuple[str, ...]) -> RedirectionDecision:
    terms = one.contract.terms
    named = RedirectionNamed(id=terms.id, revision=terms.revision)
    if one.exclusion is not None:
        row = one.exclusion
        return RedirectionDecision(
            action=row.action, rule=row.rule, sentence=row.sentence, redirection=named, flags=flags
        )
    until = f"{terms.last_day:%d/%m/%Y}"
    if terms.kind is RedirectionKind.HOLD:
        sentence = f"Garde du courrier jusqu'au {until} inclus : garder au bureau."
        return RedirectionDecision(
            action=Action.HOLD, rule=f"name-{one.match.rule}", sentence=sentence, redirection=named, flags=flags
        )
    return RedirectionDecision(
        action=Action.REDIRECT,
        rule=f"name-{one.match.rule}",
        sentence=f"Réexpédier à la nouvelle adresse (contrat jusqu'au {until} inclus).",
        redirection=named,
        new_address=one.contract.destination.new_address,
        flags=flags,
    )


def _in_doubt(one: _Judged) -> RedirectionDecision:
    """Ask, unless the item would be delivered here anyway."""
    if one.exclusion is not None and one.exclusion.action is Action.DELIVER_HERE:
        return _by_contract(one, ())
    terms = one.contract.terms
    return RedirectionDecision(
        action=Action.ASK,
        rule=f"name-{one.match.rule}",
        sentence=one.match.sentence,
        redirection=RedirectionNamed(id=terms.id, revision=terms.revision),
    )


def _deliver(rule: str) -> RedirectionDecision:
    return RedirectionDecision(action=Action.DELIVER_HERE, rule=rule, sentence=_DELIVER_SENTENCES[rule])


# --- afterwards -----------------------------------------------------------------------------------------------


def judge(history: Sequence[Event], *, known_revision: int, moment: datetime) -> tuple[str, ...]:
    """The flags of an item's redirection by a contract, from the contract's events.

    What happened in the street is never refused. `moment` is when it happened, `known_revision` what the handset knew.
    Without flags: the contract was active then, as it is known now. Else it had ended or was taken back, which the
    handset could not know (by its revision it was active), or should have known; or no such contract is known.
    """
    told = [event.body(RedirectionRecord) for event in history if event.type in STATED]
    known = next((record for record in told if record.revision == known_revision), None)
    if known is None:
        return (UNKNOWN,)
    latest = max(told, key=lambda record: record.revision)
    if rules.is_active(latest, moment):
        return ()
    return (ENDED,) if rules.is_active(known, moment) else (INVALID,)


def hops(item_events: Sequence[Event]) -> tuple[str, ...]:
    """The flag of an item that goes in circles: redirected twice by one contract, or more than three times at all."""
    redirected = [
        event.body(Redirected) for event in item_rules.standing(item_events) if event.type == "facteo.item.redirected"
    ]
    times = Counter(fact.redirection.id for fact in redirected if fact.redirection)
    in_circles = len(redirected) > conditions.MAX_HOPS or any(count > 1 for count in times.values())
    return (LOOP,) if in_circles else ()
