"""A proof put together from its event, what was judged of it, and its key."""

from __future__ import annotations

import base64

from chalicelib.core.events import Event
from chalicelib.core.keyring import DataKey
from chalicelib.items.schemas import HandedOver
from chalicelib.people import lookup as people
from chalicelib.signatures import procedures, rules
from chalicelib.signatures.schemas import Judged, Party, Proof, SignedAct

_CODE_BYTES = 10


def proof_of(event: Event, judged: Judged, key: DataKey) -> Proof:
    """All that a proof says. Raises KeyGone."""
    body = event.body(HandedOver)
    signed = key.open(body.signed, SignedAct)
    act = rules.act_of(signed.act)
    procedure = procedures.find(act.procedure, act.version)
    return Proof(
        id=event.id,
        item=judged.item,
        procedure=act.procedure,
        version=act.version,
        delivered_at=event.happened_at,
        delivered_on=body.delivered_on,
        carrier=event.actor.removeprefix("carrier/"),
        device=event.device,
        readable_until=rules.readable_until(body.delivered_on),
        items=act.items,
        missing=judged.missing,
        flags=judged.flags,
        sender=judged.sender,
        addressee=key.open(judged.addressee, Party) if judged.addressee else None,
        provider=judged.provider,
        subcontractor=judged.subcontractor,
        deposited_on=judged.deposited_on,
        guarantee_level=judged.guarantee_level,
        price_cents=judged.price_cents,
        receiver=act.receiver,
        document=act.document,
        earlier=act.earlier,
        statement=procedure.statement if procedure else "",
        presented_on=judged.presented_on,
        act=signed,
        registered=judged.registered,
        verification_code=code_of(key),
    )


def subcontractor_at(place: str) -> Party | None:
    """Who delivers on behalf of the provider at that place (`depot/…`), if somebody does: one read."""
    found = people.subcontractor_of(place.removeprefix("depot/"))
    if found is None:
        return None
    address = found.address
    return Party(name=found.name, lines=tuple(filter(None, (address.street, f"{address.postcode} {address.town}"))))


def code_of(key: DataKey) -> str:
    """The verification code of a proof: 16 characters that nobody finds without its key (80 bits)."""
    return base64.b32encode(bytes.fromhex(key.fingerprint("verification-code"))[:_CODE_BYTES]).decode()
