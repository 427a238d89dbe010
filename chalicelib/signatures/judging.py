"""Judging a handing over: what its proof says and lacks, worked out once, from the journal, after the fact."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from chalicelib.addresses import names
from chalicelib.addresses.letters import plain
from chalicelib.addresses.names import Beneficiary, Verdict
from chalicelib.addresses.rules import normal_form
from chalicelib.addresses.schemas import MAX_LINE
from chalicelib.core import clock, events, inbox, journal, keyring, settings
from chalicelib.core.events import Event
from chalicelib.core.keyring import DataKey, KeyGone
from chalicelib.core.settings import Settings
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.items import handover, terms
from chalicelib.items import rules as item_rules
from chalicelib.items import service as items
from chalicelib.items.event_types import HANDED_OVER
from chalicelib.items.schemas import Addressee, Announced, Capacity, HandedOver, ProxyUsed
from chalicelib.people import lookup as people
from chalicelib.people.schemas import Client
from chalicelib.proxies import service as proxies
from chalicelib.proxies import verdicts
from chalicelib.proxies.carried import NamedHolder
from chalicelib.proxies.schemas import Flag
from chalicelib.signatures import assembly, procedures, rules
from chalicelib.signatures.rules import NOT_IDENTIFIED, Case
from chalicelib.signatures.schemas import Act, Judged, Party, Receiver, SignedAct, UsedAfterRevocation
from chalicelib.signatures.tables import ProofRow

CONSUMER = "judging"


class ProviderSettings(Settings, frozen=True, kw_only=True):
    """Who hands over (article 3): what stands on every proof."""

    provider_name: str
    provider_address: str
    provider_phone: str
    provider_email: str = ""


class _Known(NamedTuple):
    """What is known of an item beside the event: its other events, its announcement, and to whom it goes."""

    item: str
    history: Sequence[Event]
    announced: Announced | None
    addressee: Addressee | None


def judge(event: Event) -> None:
    """Judge a handing over, once. What is doubtful is flagged; nothing that happened is undone.

    About eight calls. A proof whose key is gone, because its event was released after a year, is judged no more.
    """
    retried(lambda: _judge(event))


def _judge(event: Event) -> None:
    if not inbox.unseen(CONSUMER, [event.id]):
        return
    try:
        key = keyring.key_of(rules.subject_of(event.id))
    except KeyGone:
        return
    body = event.body(HandedOver)
    signed = key.open(body.signed, SignedAct)
    act = rules.act_of(signed.act)
    known = _known(event)
    with transaction() as work:
        inbox.mark(work, CONSUMER, event.id)
        flags = (
            *event.flags.split(),
            *rules.flags(Case(event, body, act, signed, known.history, known.announced, _in_person(known))),
            *_receiver_flags(act, known),
            *(proxied := _proxy_flags(work, event, act, known)),
            *_earlier_flags(event, act, known, mandated=not _ENDED & set(proxied)),
        )
        judged = _judged(event, key, known, flags)
        work.put(_row(event, body, judged, key))
        work.append(
            events.make(
                "facteo.proof.judged",
                rules.subject_of(event.id),
                judged,
                actor="system/judging",
                correlation_id=event.correlationid,
                place=event.place,
            )
        )


def _known(event: Event) -> _Known:
    item = event.subject.removeprefix("item/")
    history = [other for other in journal.read(event.subject) if other.id != event.id]
    announced, addressee = items.addressed(item) or (None, None)
    return _Known(item, history, announced, addressee)


def _in_person(known: _Known) -> bool:
    return handover.in_person(known.item, known.announced)


# --- what the proof says --------------------------------------------------------------------------------


def _judged(event: Event, key: DataKey, known: _Known, flags: Sequence[str]) -> Judged:
    announced, body = known.announced, event.body(HandedOver)
    client = people.client_of(announced.client) if announced else None
    said = Judged(
        item=known.item,
        act=body.act,
        registered=terms.kind_of(known.item, announced) is terms.Kind.REGISTERED,
        missing=(),
        flags=tuple(flags),
        provider=_provider(),
        sender=_sender(client),
        deposited_on=rules.deposited_on(known.history),
        guarantee_level=announced.recommendation if announced else "",
        price_cents=_price(client, announced),
        presented_on=rules.presented_on(known.history, body.presented_on),
        acknowledgement_of_receipt=bool(announced and announced.acknowledgement_of_receipt),
        addressee=key.seal(_addressee(known.addressee)) if known.addressee else None,
    )
    return msgspec.structs.replace(said, missing=rules.missing(assembly.proof_of(event, said, key)))


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


def _row(event: Event, body: HandedOver, judged: Judged, key: DataKey) -> ProofRow:
    depot = event.place.removeprefix("depot/")
    return ProofRow(
        id=event.id,
        item=judged.item,
        depot=depot,
        delivered_on=body.delivered_on.isoformat(),
        missing=" ".join(judged.missing),
        flags=" ".join(judged.flags),
        code=hashlib.sha256(assembly.code_of(key).encode()).hexdigest(),
        attention=depot if judged.missing or judged.flags else None,
        position=f"{clock.stamp(event.happened_at)}#{event.id}",
    )


# --- article 4-1 ----------------------------------------------------------------------------------------


_ENDED: Final = rules.NO_MANDATE | {Flag.REVOKED_UNKNOWN_TO_DEVICE}
"""Flags of a mandate that is not, or no longer, valid."""


def _earlier_flags(event: Event, act: Act, known: _Known, *, mandated: bool) -> tuple[str, ...]:
    """Whether the earlier handing over that the act names shows this person to this carrier at this address.

    A holder's mandate must still be valid.
    """
    if act.earlier is None or act.receiver is None:
        return ()
    there = journal.read(item_rules.subject_of(act.earlier.item))
    before = [one for one in item_rules.standing(there) if (one.id, one.type) == (act.earlier.event, HANDED_OVER)]
    trusted = [one for one in before if one.actor == event.actor and not one.quarantined]
    if mandated and any(one.happened_at < event.happened_at and _shows(one, act.receiver, known) for one in trusted):
        return ()
    return (NOT_IDENTIFIED,)


def _shows(earlier: Event, receiver: Receiver, known: _Known) -> bool:
    there = items.addressed(earlier.subject.removeprefix("item/"))
    if there is None or there[1] is None or known.addressee is None:
        return False
    if normal_form(there[1]) != normal_form(known.addressee):
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


# --- who received ---------------------------------------------------------------------------------------


def _receiver_flags(act: Act, known: _Known) -> tuple[str, ...]:
    """Whether whoever received as the addressee bears the name on the item."""
    receiver, addressee = act.receiver, known.addressee
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


def _proxy_flags(work: UnitOfWork, event: Event, act: Act, known: _Known) -> tuple[str, ...]:
    """What the proxy was worth at that moment, and what the handset knew of it; a one-off proxy is used up.

    Whoever could not receive by it does not use it up.
    """
    receiver = act.receiver
    if receiver is None or receiver.proxy is None or receiver.capacity is not Capacity.HOLDER:
        return ()
    proof, told = rules.subject_of(event.id), receiver.proxy
    judgement = proxies.judge(proxies.history(told.id), _said(event, receiver, told, known), known.addressee)
    flags = list(judgement.flags)
    if not rules.NO_MANDATE & set(flags):
        first = proxies.note_use(work, told.id, proof, actor=event.actor, correlation_id=event.correlationid)
        flags += [] if first or Flag.ALREADY_USED in flags else [Flag.ALREADY_USED]
    if Flag.REVOKED_UNKNOWN_TO_DEVICE in flags:
        _notify(work, event, told)
    return tuple(flags)


def _said(event: Event, receiver: Receiver, told: ProxyUsed, known: _Known) -> verdicts.Act:
    addressee = known.addressee
    return verdicts.Act(
        moment=event.happened_at,
        holder=NamedHolder(last_name=receiver.last_name[:MAX_LINE], first_name=receiver.first_name[:MAX_LINE]),
        scopes=verdicts.scopes_of(known.item, known.announced),
        known_revision=told.revision,
        item=known.item,
        proof=rules.subject_of(event.id),
        addressees=[label for label in (addressee.name, addressee.company) if label] if addressee else [],
    )


def _notify(work: UnitOfWork, event: Event, told: ProxyUsed) -> None:
    """On record for the principal and the depot: a proxy was used that had ended, which the carrier could not know."""
    work.append(
        events.make(
            "facteo.proxy.used-after-revocation",
            event.subject,
            UsedAfterRevocation(proof=event.id, proxy=told),
            actor="system/judging",
            correlation_id=event.correlationid,
            place=event.place,
        )
    )
