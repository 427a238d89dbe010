"""Whether somebody may receive by a proxy: before an item is handed over, and judged after it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from chalicelib.addresses import names
from chalicelib.addresses.names import Beneficiary
from chalicelib.core.events import Event
from chalicelib.items import handover, terms
from chalicelib.items.schemas import Announced
from chalicelib.proxies import states
from chalicelib.proxies.carried import CarriedPrincipal, CarriedProxy, NamedHolder, Scope
from chalicelib.proxies.schemas import (
    Facts,
    Flag,
    Holder,
    Judgement,
    People,
    Principal,
    ProxyRecord,
    ProxyShown,
    ProxyVerdict,
    Verdict,
)

# --- what it is for -----------------------------------------------------------------------------------------


def scopes_of(item: str, announced: Announced | None) -> frozenset[Scope]:
    """The scopes that a proxy must have to be for the item: all of them."""
    found = set()
    if announced is not None and announced.cash_on_delivery_cents:
        found.add(Scope.CASH_ON_DELIVERY)
    if announced is not None and announced.insured_value_cents:
        found.add(Scope.DECLARED_VALUE)
    if terms.kind_of(item, announced) is terms.Kind.REGISTERED:
        found.add(Scope.REGISTERED)
    elif handover.signature_required(item, announced):
        found.add(Scope.PARCEL_AGAINST_SIGNATURE)
    return frozenset(found or {Scope.PLAIN_MAIL})


def covers(facts: Facts, scopes: Iterable[Scope], item: str | None) -> bool:
    """Whether the proxy is for such an item; a one-off one only for the item that it names, where that is known."""
    named = facts.item is None or item is None or facts.item == item
    return named and set(scopes) <= set(facts.scopes)


# --- before it is handed over -------------------------------------------------------------------------------

IN_PERSON: Final = "in-person"
NO_PROXY: Final = "no-proxy"

ANSWERS: Final[Mapping[str, tuple[Verdict, str]]] = {
    IN_PERSON: (Verdict.REFUSED, "Envoi à remettre au destinataire en main propre : aucune procuration ne vaut."),
    NO_PROXY: (Verdict.REFUSED, "Aucune procuration du destinataire n'est connue à cette adresse."),
    "holder-not-named": (Verdict.REFUSED, "La procuration du destinataire ne désigne pas cette personne."),
    "not-verified": (Verdict.REFUSED, "La procuration n'est pas encore vérifiée : elle n'est pas valable."),
    "refused": (Verdict.REFUSED, "La procuration a été refusée : elle n'est pas valable."),
    "revoked": (Verdict.REFUSED, "La procuration a été révoquée."),
    "expired": (Verdict.REFUSED, "La procuration est arrivée à son terme."),
    "not-started": (Verdict.REFUSED, "La procuration n'est pas encore en vigueur."),
    "used": (Verdict.REFUSED, "La procuration valait pour une seule remise, qui a déjà eu lieu."),
    "holder-is-minor": (Verdict.REFUSED, "Le mandataire n'a pas 18 ans."),
    "proxy-out-of-scope": (Verdict.REFUSED, "La procuration ne couvre pas ce type d'envoi."),
    "principal-to-review": (
        Verdict.REVIEW,
        "Le nom sur l'envoi ressemble à celui du mandant : vérifiez qu'il s'agit de la même personne.",
    ),
    "holder-to-review": (
        Verdict.REVIEW,
        "Le nom ressemble à celui du mandataire : comparez-le à la pièce d'identité.",
    ),
    "proxy-valid": (Verdict.ACCEPTED, "Procuration valable : vérifiez la pièce d'identité du mandataire."),
}
"""Rule → what the carrier does, and the sentence that is shown. Of several proxies the one speaks that is last here."""


class Asked(NamedTuple):
    """Who stands at the door, and the item: for whom (the names on it), with which scopes."""

    holder: NamedHolder
    addressees: Sequence[str]
    scopes: Iterable[Scope]
    item: str | None


def check(asked: Asked, known: Iterable[tuple[ProxyRecord, People]], moment: datetime) -> ProxyVerdict:
    """Whether the holder may receive by one of the proxies known at the item's address."""
    found = [(rule, record) for record, people in known if (rule := _rule(asked, record, people, moment))]
    if not found:
        return answer(NO_PROXY)
    rank = list(ANSWERS)
    rule, record = max(found, key=lambda one: (rank.index(one[0]), one[1].id))
    named = rule != "holder-not-named"
    return answer(rule, ProxyShown(id=record.id, revision=record.revision) if named else None)


def answer(rule: str, proxy: ProxyShown | None = None) -> ProxyVerdict:
    """The answer of a rule."""
    verdict, sentence = ANSWERS[rule]
    return ProxyVerdict(verdict=verdict, rule=rule, sentence=sentence, proxy=proxy)


def _rule(asked: Asked, record: ProxyRecord, people: People, moment: datetime) -> str:
    """What one proxy says; nothing if it is another principal's."""
    principal = _closest(asked.addressees, beneficiary(people.principal))
    if principal is names.Verdict.NO:
        return ""
    holder, likeness = named(asked.holder, people.holders)
    validity = states.valid_at(record, moment)
    if holder is None:
        return "holder-not-named" if validity else ""
    tests = {
        validity.reason: not validity,
        "holder-is-minor": not states.is_of_age(holder, moment),
        "proxy-out-of-scope": not covers(record, asked.scopes, asked.item),
        "holder-to-review": likeness is names.Verdict.REVIEW,
        "principal-to-review": principal is names.Verdict.REVIEW,
        "proxy-valid": True,
    }
    return next(rule for rule, speaks in tests.items() if speaks)


def _closest(labels: Sequence[str], whom: Beneficiary) -> names.Verdict:
    found = {names.match(label, [whom], household=False).verdict for label in labels}
    return next((one for one in (names.Verdict.MATCH, names.Verdict.REVIEW) if one in found), names.Verdict.NO)


def beneficiary(principal: Principal) -> Beneficiary:
    """The principal as names are matched."""
    return Beneficiary(
        last_name=principal.last_name,
        first_name=principal.first_name,
        gender=principal.gender,
        birth_name=principal.birth_name,
        company=principal.company,
    )


def named(who: NamedHolder, holders: Sequence[Holder]) -> tuple[Holder | None, names.Verdict]:
    """Which of the holders that is, and how surely."""
    known = [Beneficiary(last_name=one.last_name, first_name=one.first_name) for one in holders]
    found = names.match(f"{who.last_name} {who.first_name}", known, household=False)
    return (None if found.beneficiary is None else holders[found.beneficiary]), found.verdict


def carried(record: ProxyRecord, people: People, items: Iterable[str]) -> CarriedProxy:
    """The proxy as a carrier takes it along, for those items at its address that it may be for."""
    whose = people.principal
    return CarriedProxy(
        id=record.id,
        revision=record.revision,
        kind=record.kind,
        scopes=record.scopes,
        ends_at=states.ends_at(record),
        principal=CarriedPrincipal(
            last_name=whose.last_name,
            first_name=whose.first_name,
            birth_name=whose.birth_name,
            company=whose.company,
        ),
        holders=tuple(NamedHolder(last_name=one.last_name, first_name=one.first_name) for one in people.holders),
        items=tuple(sorted(item for item in items if record.item in (None, item))),
    )


# --- after it was handed over -------------------------------------------------------------------------------


class Act(NamedTuple):
    """A handing over to a holder: when, to whom, what, and which revision of the proxy the handset quoted.

    `addressees` are the names on the item, where known; `elsewhere`: it goes to another address than the proxy's.
    """

    moment: datetime
    holder: NamedHolder
    scopes: Iterable[Scope]
    known_revision: int | None
    item: str | None = None
    proof: str = ""
    addressees: Sequence[str] = ()
    elsewhere: bool = False


def judge(history: Sequence[Event], people: People | None, act: Act) -> Judgement:
    """What is to be flagged of an act, by what was valid at its moment and what the handset knew (two times).

    `people` is None if they can no longer be read. A fact that happened is never refused: it is judged.
    """
    facts = states.fold(history)
    if facts is None:
        return Judgement(flags=(Flag.UNKNOWN,))
    flags = [_of_times(facts, _known(history, act.known_revision), act.moment)]
    flags += [*_of_holder(people, act), *_of_principal(people, act)]
    if not covers(facts, act.scopes, act.item):
        flags.append(Flag.OUT_OF_SCOPE)
    if facts.used_for not in (None, act.proof):
        flags.append(Flag.ALREADY_USED)
    return Judgement(flags=tuple(flag for flag in flags if flag is not None))


def _known(history: Sequence[Event], revision: int | None) -> Facts | None:
    """What the handset knew: nothing, if it quotes a revision that there never was."""
    return states.fold(history, through=revision) if revision is not None and revision <= len(history) else None


def _of_times(facts: Facts, known: Facts | None, moment: datetime) -> Flag | None:
    told = known is not None and bool(states.in_force_at(known, moment))
    if states.in_force_at(facts, moment):
        return None if told else Flag.UNKNOWN_TO_DEVICE
    return Flag.REVOKED_UNKNOWN_TO_DEVICE if told else Flag.INVALID


def _of_holder(people: People | None, act: Act) -> list[Flag]:
    if people is None:
        return [Flag.HOLDER_TO_REVIEW]
    holder, likeness = named(act.holder, people.holders)
    if holder is None:
        return [Flag.HOLDER_NOT_NAMED]
    review = [Flag.HOLDER_TO_REVIEW] if likeness is names.Verdict.REVIEW else []
    return review + ([] if states.is_of_age(holder, act.moment) else [Flag.HOLDER_IS_MINOR])


def _of_principal(people: People | None, act: Act) -> list[Flag]:
    if people is None or not act.addressees:
        return []
    whose = _closest(act.addressees, beneficiary(people.principal))
    if whose is names.Verdict.NO or act.elsewhere:
        return [Flag.OF_ANOTHER_PRINCIPAL]
    return [Flag.PRINCIPAL_TO_REVIEW] if whose is names.Verdict.REVIEW else []
