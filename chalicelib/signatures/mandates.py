"""A handing over to the holder of a proxy: what the mandate was worth. Loaded with the first one, by few workers."""

from __future__ import annotations

from chalicelib.addresses.schemas import MAX_LINE
from chalicelib.core import events
from chalicelib.core.transaction import UnitOfWork
from chalicelib.items.schemas import ProxyUsed
from chalicelib.proxies import service as proxies
from chalicelib.proxies import verdicts
from chalicelib.proxies.carried import NamedHolder
from chalicelib.proxies.schemas import Flag
from chalicelib.signatures import rules
from chalicelib.signatures.rules import Case
from chalicelib.signatures.schemas import Receiver, UsedAfterRevocation

USED_AFTER_REVOCATION = "facteo.proxy.used-after-revocation"


def flags(work: UnitOfWork, case: Case, receiver: Receiver, told: ProxyUsed) -> tuple[str, ...]:
    """What the proxy was worth at that moment, and what the handset knew of it; a one-off proxy is used up.

    Whoever could not receive by it does not use it up. Judged again, nothing of it is noted twice.
    """
    event = case.event
    judgement = proxies.judge(proxies.history(told.id), _said(case, receiver, told), case.addressee)
    found = list(judgement.flags)
    if not rules.NO_MANDATE & set(found):
        proof = rules.subject_of(event.id)
        first = proxies.note_use(work, told.id, proof, actor=event.actor, correlation_id=event.correlationid)
        found += [] if first or Flag.ALREADY_USED in found else [Flag.ALREADY_USED]
    if rules.REVOKED in found and not _is_notified(case):
        _notify(work, case, told)
    return tuple(found)


def _said(case: Case, receiver: Receiver, told: ProxyUsed) -> verdicts.Act:
    addressee = case.addressee
    return verdicts.Act(
        moment=case.event.happened_at,
        holder=NamedHolder(last_name=receiver.last_name[:MAX_LINE], first_name=receiver.first_name[:MAX_LINE]),
        scopes=verdicts.scopes_of(case.item, case.announced),
        known_revision=told.revision,
        item=case.item,
        proof=rules.subject_of(case.event.id),
        addressees=[label for label in (addressee.name, addressee.company) if label] if addressee else [],
    )


def _is_notified(case: Case) -> bool:
    told = (one.body(UsedAfterRevocation) for one in case.history if one.type == USED_AFTER_REVOCATION)
    return case.event.id in {one.proof for one in told}


def _notify(work: UnitOfWork, case: Case, told: ProxyUsed) -> None:
    """On record for the principal and the depot: a proxy was used that had ended, which the carrier could not know."""
    work.append(
        events.make(
            USED_AFTER_REVOCATION,
            case.event.subject,
            UsedAfterRevocation(proof=case.event.id, proxy=told),
            actor="system/judging",
            correlation_id=case.event.correlationid,
            place=case.event.place,
        )
    )
