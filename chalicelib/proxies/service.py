"""The use cases of proxies: register, verify, refuse, revoke, find, check at a door, and judge afterwards.

A proxy is written three times in one transaction: its event, its row, and its line in the row of its address, so that a
look-up at a door is one call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from chalicelib.addresses import index
from chalicelib.addresses.rules import Lines, normal_form
from chalicelib.core import clock, events, journal, keyring
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import ChangedMeanwhile, Conflict, NotFound
from chalicelib.core.events import Event
from chalicelib.core.keyring import DataKey, KeyGone
from chalicelib.core.schemas import Schema, Sealed
from chalicelib.core.table import Rows
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.items import handover
from chalicelib.items import service as items
from chalicelib.proxies import rules, states, verdicts
from chalicelib.proxies.carried import CarriedProxy, Kind
from chalicelib.proxies.schemas import (
    Facts,
    Judgement,
    People,
    ProxiesFound,
    Proxy,
    ProxyCheck,
    ProxyRecord,
    ProxyVerdict,
    Refusal,
    Refused,
    Registered,
    RegisterProxy,
    Revocation,
    Revoked,
    Searched,
    State,
    Used,
    Verification,
    Verified,
)
from chalicelib.proxies.tables import ProxiesRow
from chalicelib.proxies.verdicts import Act, Asked

if TYPE_CHECKING:  # workers let nobody in
    from chalicelib.core.access import Handset

MAX_ADDRESS_BYTES: Final = 320 * 1024
"""What the row of an address may hold when a proxy is registered: DynamoDB takes 400 KiB, and it will grow."""

SEARCHED: Final = "facteo.proxy.searched"

ROWS_PER_USE: Final = 4
"""What `note_use` adds to a unit of work at most."""


class Known(NamedTuple):
    """A proxy, and whom it is about."""

    record: ProxyRecord
    people: People


# --- staff --------------------------------------------------------------------------------------------------


def register(proxy_id: str, request: RegisterProxy, *, by: StaffMember, correlation_id: str) -> Proxy:
    """Register a proxy: it is not valid before it was verified. Doing it again with the same content changes nothing.

    Raises Conflict for other content, ProxyDatesCross, HolderIsMinor, TooManyProxies.
    """
    return retried(lambda: _register(proxy_id, request, by, correlation_id))


def verify(proxy_id: str, verification: Verification, *, by: StaffMember, correlation_id: str) -> Proxy:
    """State that a proxy was verified. Raises NotFound, Conflict, ProxyUnproved."""

    def decide(record: ProxyRecord) -> tuple[str, Schema] | None:
        done = record.verification
        if done and (done.method, set(done.documents)) == (verification.method, set(verification.documents)):
            return None
        _require_requested(record)
        rules.require_proved(record, verification)
        said = Verified(revision=record.revision + 1, **msgspec.structs.asdict(verification))
        return states.VERIFIED, said

    return _changed(proxy_id, decide, by, correlation_id)


def refuse(proxy_id: str, refusal: Refusal, *, by: StaffMember, correlation_id: str) -> Proxy:
    """Refuse a proxy that was not verified. Raises NotFound, Conflict."""

    def decide(record: ProxyRecord) -> tuple[str, Schema] | None:
        if record.refusal and record.refusal.reason is refusal.reason:
            return None
        _require_requested(record)
        return states.REFUSED, Refused(revision=record.revision + 1, reason=refusal.reason)

    return _changed(proxy_id, decide, by, correlation_id)


def revoke(proxy_id: str, revocation: Revocation, *, by: StaffMember, correlation_id: str) -> Proxy:
    """Revoke a proxy. One that is to end later may be made to end earlier.

    Raises NotFound, Conflict for one that is over, RevocationBackdated.
    """

    def decide(record: ProxyRecord) -> tuple[str, Schema] | None:
        effective_at = rules.revoked_from(record, revocation, clock.now())
        if effective_at is None:
            return None
        said = Revoked(revision=record.revision + 1, reason=revocation.reason, effective_at=effective_at)
        return states.REVOKED, said

    return _changed(proxy_id, decide, by, correlation_id)


def read(proxy_id: str) -> Proxy:
    """A proxy: one call, and one more if its month's key was not used yet. Raises NotFound."""
    return _shown(_record(_existing(proxy_id)))


def search(address: Lines, *, by: StaffMember, correlation_id: str) -> ProxiesFound:
    """The proxies at an address, the newest first. That they were searched for is journalled before they are told.

    Two calls, and one for each month's key that was not used yet.
    """
    known = sorted(at_addresses([address]), key=lambda one: one.record.id, reverse=True)
    said = Searched(address=index.key_of(address), found=len(known))
    with transaction() as work:
        work.append(events.make(SEARCHED, by.actor, said, actor=by.actor, correlation_id=correlation_id))
    return ProxiesFound(proxies=tuple(_answer(one.record, one.people) for one in known))


# --- at the door --------------------------------------------------------------------------------------------


def check(asked: ProxyCheck, who: Handset) -> ProxyVerdict:
    """Whether a holder may receive, for a handset that was let in with the rows of the item: one call.

    It leaves a trace, whatever it tells. Raises NotFound for an item without addressee.
    """
    verdict = _by_item(asked, asked.item, who.beside) if asked.item else _by_address(asked)
    asked_by = asked.item or (index.key_of(asked.address) if asked.address else "")
    who.leaves_trace("proxy", asked_by=asked_by, found=bool(verdict and verdict.proxy))
    if verdict is None:
        raise NotFound(f"It is not known to whom the item {asked.item} is addressed. Ask by the address on it.")
    return verdict


def at_addresses(addresses: Sequence[Lines]) -> list[Known]:
    """The proxies at these addresses whose people can be read: one call for each 100 addresses."""
    return _at(list(dict.fromkeys(index.key_of(address) for address in addresses)))


def carried(addressed: Mapping[str, Lines]) -> list[CarriedProxy]:
    """The proxies for these items that are valid now, by id: one call for each 100 addresses."""
    at: dict[str, list[str]] = {}
    for item, address in addressed.items():
        at.setdefault(index.key_of(address), []).append(item)
    known = sorted(_at(list(at)), key=lambda one: one.record.id)
    valid = [one for one in known if states.valid_at(one.record, clock.now())]
    taken = [verdicts.carried(one.record, one.people, at[one.record.place]) for one in valid]
    return [proxy for proxy in taken if proxy.items]


# --- afterwards ---------------------------------------------------------------------------------------------


def history(proxy_id: str) -> list[Event]:
    """A proxy's events: one query."""
    return journal.read(_pk(proxy_id))


def judge(history: Sequence[Event], act: Act, address: Lines | None) -> Judgement:
    """What is to be flagged of a handing over, at that address, by the proxy with that history.

    No call if the proxy's key was used before.
    """
    first = next(iter(states.in_order(history)), None)
    said = first.body(Registered) if first else None
    people = _people(said.month, said.people) if said else None
    elsewhere = people is not None and address is not None and normal_form(people.address) != normal_form(address)
    return verdicts.judge(history, people, act._replace(elsewhere=elsewhere))


def note_use(work: UnitOfWork, proxy_id: str, proof: str, *, actor: str, correlation_id: str) -> bool:
    """Note with the unit of work that a one-off proxy was used, by the act `proof`. Whether that was its first use.

    A permanent one is not written: its uses are in the events of the items. Two reads; the work is refused with
    ChangedMeanwhile if the proxy changes meanwhile. A unit of work may note one use at an address.
    """
    row = ProxiesRow.find(_pk(proxy_id))
    if row is None:
        return False
    record = _record(row)
    if record.kind is Kind.PERMANENT or record.used_for == proof:
        return True
    if record.used_for is not None:
        return False
    body = Used(revision=record.revision + 1, proof=proof)
    event = events.make(states.USED, _pk(proxy_id), body, actor=actor, correlation_id=correlation_id)
    _write(work, row, states.apply(record, event), ProxiesRow.find(_address_pk(record.place)), event)
    return True


# --- writing ------------------------------------------------------------------------------------------------


def _register(proxy_id: str, request: RegisterProxy, by: StaffMember, correlation_id: str) -> Proxy:
    place = index.key_of(request.address)
    rows = {row.pk: row for row in ProxiesRow.find_many([_pk(proxy_id), _address_pk(place)])}
    if _pk(proxy_id) in rows:
        return _repeated(_record(rows[_pk(proxy_id)]), request)
    rules.require_sound(request, clock.today())
    people = People(principal=request.principal, address=request.address, holders=request.holders)
    month = rules.retention_month(request.end)
    facts = Facts(
        revision=1,
        kind=request.kind,
        scopes=tuple(sorted(request.scopes)),
        start=request.start,
        end=request.end,
        item=request.item,
        legal_person=request.principal.is_legal_person,
    )
    record = ProxyRecord(
        **msgspec.structs.asdict(facts), id=proxy_id, month=month, place=place, people=_key(month).seal(people)
    )
    event = events.make(
        states.REGISTERED,
        _pk(proxy_id),
        states.registered(facts, month, record.people),
        actor=by.actor,
        correlation_id=correlation_id,
    )
    with transaction() as work:
        _write(work, None, record, rows.get(_address_pk(place)), event)
        work.claim(_pk(proxy_id), otherwise=_another())
    return _answer(record, people)


def _repeated(record: ProxyRecord, request: RegisterProxy) -> Proxy:
    people = _people(record.month, record.people)
    told = msgspec.structs.replace(request, scopes=tuple(sorted(request.scopes)))
    if people is None or rules.stated(record, people) != told:
        raise _another()
    return _answer(record, people)


def _another() -> Conflict:
    return Conflict("There is another proxy of that id, or was. Give a new one an id of its own.")


def _changed(
    proxy_id: str,
    decide: Callable[[ProxyRecord], tuple[str, Schema] | None],
    by: StaffMember,
    correlation_id: str,
) -> Proxy:
    def change() -> Proxy:
        row = _existing(proxy_id)
        record = _record(row)
        said = decide(record)
        if said is None:
            return _shown(record)
        event = events.make(said[0], _pk(proxy_id), said[1], actor=by.actor, correlation_id=correlation_id)
        changed = states.apply(record, event)
        with transaction() as work:
            _write(work, row, changed, ProxiesRow.find(_address_pk(record.place)), event)
        return _shown(changed)

    return retried(change)


def _require_requested(record: ProxyRecord) -> None:
    state = states.state_at(record, clock.now())
    if state is not State.REQUESTED:
        raise Conflict(f"The proxy is {state}: there is nothing to decide about it.", state=state.value)


def _write(
    work: UnitOfWork, former: ProxiesRow | None, record: ProxyRecord, place: ProxiesRow | None, event: Event
) -> None:
    others = [one for one in (_records(place) if place else ()) if one.id != record.id]
    kept = [*others, record]
    text = msgspec.json.encode(kept).decode()
    if former is None and (len(kept) > rules.MAX_AT_ADDRESS or len(text) > MAX_ADDRESS_BYTES):
        told = "Name more holders in one proxy; one that is over makes room 13 months after its end."
        raise rules.TooManyProxies(told, limit=rules.MAX_AT_ADDRESS)
    _replace(work, former, _pk(record.id), msgspec.json.encode(record).decode(), record.month)
    _replace(work, place, _address_pk(record.place), text, max(one.month for one in kept))
    work.append(event)


def _replace(work: UnitOfWork, former: ProxiesRow | None, pk: str, content: str, month: str) -> None:
    revision = int(former.revision) + 1 if former else 1
    unchanged = ProxiesRow.revision == former.revision if former else ProxiesRow.pk.does_not_exist()
    row = ProxiesRow(pk, content=content, revision=revision, expires_at=rules.gone_after(month))
    work.put(row, when=unchanged, otherwise=ChangedMeanwhile("The proxies of this address changed at the same time."))


# --- reading ------------------------------------------------------------------------------------------------


def _at(places: Sequence[str]) -> list[Known]:
    rows = ProxiesRow.find_many(_address_pk(place) for place in places) if places else ()
    records = [record for row in rows for record in _records(row)]
    return [Known(record, people) for record in records if (people := _people(record.month, record.people))]


def _existing(proxy_id: str) -> ProxiesRow:
    row = ProxiesRow.find(_pk(proxy_id))
    if row is None:
        raise NotFound(f"There is no proxy {proxy_id}.")
    return row


def _record(row: ProxiesRow) -> ProxyRecord:
    return msgspec.json.decode(row.content, type=ProxyRecord)


def _records(row: ProxiesRow) -> list[ProxyRecord]:
    """What an address's row holds, without what may no longer be read."""
    found = msgspec.json.decode(row.content, type=list[ProxyRecord])
    return [record for record in found if rules.last_day_of(record.month) >= clock.today()]


def _by_address(asked: ProxyCheck) -> ProxyVerdict:
    return _checked(Asked(asked.holder, [asked.addressee or ""], asked.scopes, None), asked.address)


def _by_item(asked: ProxyCheck, item: str, rows: Rows) -> ProxyVerdict | None:
    announced, addressee = items.addressed(item, rows) or (None, None)
    if handover.in_person(item, announced):
        return verdicts.answer(verdicts.IN_PERSON)
    if addressee is None:
        return None
    labels = [label for label in (addressee.name, addressee.company) if label]
    return _checked(Asked(asked.holder, labels, verdicts.scopes_of(item, announced), item), addressee)


def _checked(asked: Asked, address: Lines | None) -> ProxyVerdict:
    known = at_addresses([address] if address else [])
    return verdicts.check(asked, known, clock.now())


def _shown(record: ProxyRecord) -> Proxy:
    return _answer(record, _people(record.month, record.people))


def _answer(record: ProxyRecord, people: People | None) -> Proxy:
    facts = {name: getattr(record, name) for name in Facts.__struct_fields__}
    return Proxy(
        **facts,
        id=record.id,
        state=states.state_at(record, clock.now()),
        readable_until=rules.last_day_of(record.month),
        principal=people.principal if people else None,
        address=people.address if people else None,
        holders=people.holders if people else None,
    )


def _people(month: str, sealed: Sealed) -> People | None:
    try:
        return _key(month).open(sealed, People)
    except KeyGone:
        return None


def _key(month: str) -> DataKey:
    """The key of all proxies that are kept to the end of that month. Raises KeyGone after it."""
    last_day = rules.last_day_of(month)
    if last_day < clock.today():
        raise KeyGone(month)
    return keyring.shared_key(f"proxies/{month}", keep_until=last_day)


def _pk(proxy_id: str) -> str:
    """The key of a proxy's row, and its subject in the journal."""
    return f"proxy/{proxy_id}"


def _address_pk(place: str) -> str:
    return f"address/{place}"
