"""Judging a handing over: what its proof says and lacks, from the journal, after the fact.

It is worked out when the event comes, and again when what it lacks comes late: an item is announced, or its taking in
charge is synced, after it was delivered. What was known the first time stays as it was. What somebody must know of a
proof later (its drawing came again, it was declared wrong) is added to what was judged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from chalicelib.addresses import names
from chalicelib.addresses.letters import plain
from chalicelib.addresses.names import Beneficiary, Verdict
from chalicelib.addresses.rules import normal_form
from chalicelib.addresses.schemas import MAX_LINE
from chalicelib.attention import raising
from chalicelib.attention.raising import Matter
from chalicelib.attention.schemas import Kind
from chalicelib.core import clock, events, journal, keyring, settings
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.core.events import Event
from chalicelib.core.keyring import DataKey, KeyGone
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.items import rules as item_rules
from chalicelib.items import service as items
from chalicelib.items import terms
from chalicelib.items.announced import SAME_LIFE
from chalicelib.items.event_types import HANDED_OVER
from chalicelib.items.schemas import Addressee, Announced, Capacity, Corrected, HandedOver
from chalicelib.people import lookup as people
from chalicelib.people.schemas import Client
from chalicelib.signatures import assembly, procedures, rules
from chalicelib.signatures.rules import DRAWING_REUSED, HAND_OVER_CORRECTED, NOT_IDENTIFIED, Case
from chalicelib.signatures.schemas import DrawingReused, Judged, Mention, Party, Receiver, SignedAct
from chalicelib.signatures.tables import ProofRow
from chalicelib.signatures.terms import ProviderSettings

# --- when -----------------------------------------------------------------------------------------------


def judge(event: Event) -> None:
    """Judge a handing over, once. What is doubtful is flagged; nothing that happened is undone.

    About ten calls. A proof whose key is gone, because its event was released after a year, is judged no more.
    """
    retried(lambda: _judge(event))


def judge_again(fact: Event) -> None:
    """Judge those handings over of an item that lack something: it may be what this fact tells.

    A fact that comes half a year later is about another item of that number.
    """
    for event in _handed_over(fact.subject):
        if fact.receivedat - event.happened_at <= SAME_LIFE:
            retried(lambda event=event: _judge(event, late=True))  # type: ignore[misc]


def drawing_reused(alarm: Event) -> None:
    """Flag every proof of the act whose drawing came again on another one."""
    for item in alarm.body(DrawingReused).items:
        for event in _handed_over(item_rules.subject_of(item)):
            if rules.act_subject(event.body(HandedOver).act) == alarm.subject:
                retried(lambda event=event: _flag(event, DRAWING_REUSED))  # type: ignore[misc]


def corrected(correction: Event) -> None:
    """Flag the proof of a handing over that somebody declared wrong."""
    for event in _handed_over(correction.subject):
        if event.id == correction.body(Corrected).corrects:
            retried(lambda event=event: _flag(event, HAND_OVER_CORRECTED))  # type: ignore[misc]


def _handed_over(subject: str) -> list[Event]:
    return [event for event in journal.read(subject) if event.type == HANDED_OVER]


def _judge(event: Event, *, late: bool = False) -> None:
    former = ProofRow.find(event.id)
    if not _is_due(former, late=late):
        return
    try:
        key = keyring.key_of(rules.subject_of(event.id))
        case = _case(event, key)
    except KeyGone:
        return
    before = _last_judged(event) if former else None
    with transaction() as work:
        judged = _judged(case, key, _flags(work, case, before), before)
        if before is not None and _words(before) == _words(judged):
            return
        code = hashlib.sha256(assembly.code_of(key).encode()).hexdigest()
        _record(work, event, judged, former, code)


def _is_due(former: ProofRow | None, *, late: bool) -> bool:
    """Whether nobody has judged it, or a late fact may be what it lacks."""
    return former is None or (late and bool(former.missing))


def _flag(event: Event, word: str) -> None:
    """Add a word to what was judged; a proof that nobody has judged yet is judged with it. No key is needed."""
    former, before = ProofRow.find(event.id), _last_judged(event)
    if former is None or before is None:
        _judge(event, late=True)
    elif word not in before.flags:
        judged = msgspec.structs.replace(before, revision=before.revision + 1, flags=(*before.flags, word))
        with transaction() as work:
            _record(work, event, judged, former, former.code)


def _last_judged(event: Event) -> Judged | None:
    return rules.latest(journal.read(rules.subject_of(event.id)))


def _words(judged: Judged) -> tuple[set[str], set[str]]:
    return set(judged.missing), set(judged.flags)


def _case(event: Event, key: DataKey) -> Case:
    body = event.body(HandedOver)
    signed = key.open(body.signed, SignedAct)
    act = rules.act_of(signed.act)
    announced, addressee = items.addressed(event.subject.removeprefix("item/")) or (None, None)
    return Case(
        event=event,
        body=body,
        act=act,
        signed=signed,
        history=journal.read(event.subject),
        announced=announced,
        addressee=addressee,
        reused=bool(journal.read(rules.act_subject(act.id))),
    )


def _record(work: UnitOfWork, event: Event, judged: Judged, former: ProofRow | None, code: str) -> None:
    """What was judged: for the journal, for lists, and for whoever must look at it."""
    unchanged = ProofRow.id.does_not_exist() if former is None else ProofRow.revision == former.revision
    row = ProofRow(
        id=event.id,
        item=judged.item,
        depot=event.place.removeprefix("depot/"),
        delivered_on=event.body(HandedOver).delivered_on.isoformat(),
        missing=" ".join(judged.missing),
        flags=" ".join(judged.flags),
        code=code,
        position=f"{clock.stamp(event.happened_at)}#{event.id}",
        revision=judged.revision,
    )
    work.put(row, when=unchanged, otherwise=ChangedMeanwhile("Another run has judged this proof."))
    raising.raise_(work, _matter(event, row), instead_of=_matter(event, former) if former else None)
    work.append(
        events.make(
            rules.JUDGED,
            rules.subject_of(event.id),
            judged,
            actor="system/judging",
            correlation_id=event.correlationid,
            place=event.place,
        )
    )


def _matter(event: Event, row: ProofRow) -> Matter:
    return Matter(
        Kind.PROOF,
        rules.subject_of(event.id),
        event,
        missing=row.missing.split(),
        flags=row.flags.split(),
        revision=int(row.revision),
    )


# --- what the proof says --------------------------------------------------------------------------------


def _judged(case: Case, key: DataKey, flags: Sequence[str], before: Judged | None) -> Judged:
    announced, body = case.announced, case.body
    client = people.client_of(announced.client) if announced else None
    said = Judged(
        revision=before.revision + 1 if before else 1,
        item=case.item,
        act=body.act,
        registered=terms.kind_of(case.item, announced) is terms.Kind.REGISTERED,
        missing=(),
        flags=tuple(flags),
        provider=_provider(),
        subcontractor=assembly.subcontractor_at(case.event.place),
        sender=_sender(client),
        deposited_on=rules.deposited_on(case.history),
        guarantee_level=announced.recommendation if announced else "",
        price_cents=_price(client, announced),
        presented_on=rules.presented_on(case.history, body.presented_on),
        acknowledgement_of_receipt=bool(announced and announced.acknowledgement_of_receipt),
        addressee=key.seal(_addressee(case.addressee)) if case.addressee else None,
    )
    if before is not None:
        said = msgspec.structs.replace(said, **_known_before(before))
    return msgspec.structs.replace(said, missing=rules.missing(assembly.proof_of(case.event, said, key)))


_STATED_BY: Final[Mapping[str, Mention]] = {
    "provider": Mention.PROVIDER,
    "sender": Mention.SENDER,
    "deposited_on": Mention.DEPOSIT_DATE,
    "guarantee_level": Mention.GUARANTEE_LEVEL,
    "price_cents": Mention.PRICE,
    "presented_on": Mention.PRESENTATION_DATE,
    "addressee": Mention.ADDRESSEE,
}
"""Field of what is judged → the mention that it makes."""


def _known_before(before: Judged) -> dict[str, Any]:
    """What stays when it is judged again: a price or an address that changed since is not that of the delivery."""
    stated = {name: getattr(before, name) for name, mention in _STATED_BY.items() if mention not in before.missing}
    known = {name: value for name, value in stated.items() if value not in (None, "")}
    return known | {"subcontractor": before.subcontractor}


def _provider() -> Party:
    told = settings.load(ProviderSettings)
    return Party(
        name=told.provider_name,
        lines=tuple(filter(None, (told.provider_address, told.provider_phone, told.provider_email))),
    )


def _sender(client: Client | None) -> Party | None:
    if client is None:
        return None
    address = client.address
    return Party(name=client.company, lines=tuple(filter(None, (address.street, f"{address.postcode} {address.town}"))))


def _price(client: Client | None, announced: Announced | None) -> int | None:
    if client is None or announced is None:
        return None
    return next((one.price_cents for one in client.products if one.product == announced.product), None)


def _addressee(addressee: Addressee) -> Party:
    told = (
        addressee.company if addressee.name else "",
        addressee.apartment,
        addressee.building,
        addressee.street,
        addressee.hamlet,
        f"{addressee.postcode} {addressee.town}".strip(),
    )
    return Party(name=addressee.name or addressee.company, lines=tuple(filter(None, told)))


# --- what needs a human's eye ---------------------------------------------------------------------------


def _flags(work: UnitOfWork, case: Case, before: Judged | None) -> tuple[str, ...]:
    proxied = _proxy_flags(work, case)
    mandated = not rules.MANDATE_ENDED & set(proxied)
    identified = before is not None and NOT_IDENTIFIED not in before.flags
    return (
        *case.event.flags.split(),
        *rules.flags(case),
        *_receiver_flags(case),
        *proxied,
        *(() if identified else _earlier_flags(case, mandated=mandated)),
    )


def _proxy_flags(work: UnitOfWork, case: Case) -> tuple[str, ...]:
    receiver = case.act.receiver
    if receiver is None or receiver.proxy is None or receiver.capacity is not Capacity.HOLDER:
        return ()
    from chalicelib.signatures import mandates  # noqa: PLC0415 - all of proxies, which few receivers need

    return mandates.flags(work, case, receiver, receiver.proxy)


def _receiver_flags(case: Case) -> tuple[str, ...]:
    """Whether whoever received as the addressee bears the name on the item."""
    receiver, addressee = case.act.receiver, case.addressee
    if receiver is None or receiver.capacity is not Capacity.ADDRESSEE or addressee is None or not addressee.name:
        return ()
    named = Beneficiary(last_name=receiver.last_name[:MAX_LINE], first_name=receiver.first_name[:MAX_LINE])
    likeness = names.match(addressee.name, [named], household=False).verdict
    return _RECEIVER_FLAGS[likeness]


_RECEIVER_FLAGS: Final[Mapping[Verdict, tuple[str, ...]]] = {
    Verdict.MATCH: (),
    Verdict.REVIEW: ("receiver-to-review",),
    Verdict.NO: ("receiver-is-not-addressee",),
}


# --- article 4-1 ----------------------------------------------------------------------------------------


def _earlier_flags(case: Case, *, mandated: bool) -> tuple[str, ...]:
    """Whether the earlier handing over that the act names shows this person to this carrier at this address.

    A holder's mandate must still be valid.
    """
    event, act = case.event, case.act
    if act.earlier is None or act.receiver is None:
        return ()
    there = journal.read(item_rules.subject_of(act.earlier.item))
    before = [one for one in item_rules.standing(there) if (one.id, one.type) == (act.earlier.event, HANDED_OVER)]
    trusted = [one for one in before if one.actor == event.actor]
    if mandated and any(
        one.happened_at < event.happened_at and _shows(one, act.receiver, case.addressee) for one in trusted
    ):
        return ()
    return (NOT_IDENTIFIED,)


def _shows(earlier: Event, receiver: Receiver, addressee: Addressee | None) -> bool:
    there = items.addressed(earlier.subject.removeprefix("item/"))
    if there is None or there[1] is None or addressee is None:
        return False
    if normal_form(there[1]) != normal_form(addressee):
        return False
    try:
        key = keyring.key_of(rules.subject_of(earlier.id))
        act = rules.act_of(key.open(earlier.body(HandedOver).signed, SignedAct).act)
    except KeyGone:
        return False
    at_the_door = act.procedure == procedures.SIGNATURE_ID
    return at_the_door and act.document is not None and act.receiver is not None and _is_same(act.receiver, receiver)


def _is_same(one: Receiver, other: Receiver) -> bool:
    return (plain(one.last_name), plain(one.first_name)) == (plain(other.last_name), plain(other.first_name))
