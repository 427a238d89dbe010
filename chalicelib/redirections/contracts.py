"""How contracts are kept: their rows and keys, what is sealed in them, and who is told what of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

import msgspec

from chalicelib.core import clock, events, keyring
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import ChangedMeanwhile, Conflict, NotFound
from chalicelib.core.events import Event
from chalicelib.core.keyring import DataKey, KeyGone
from chalicelib.core.schemas import Schema, Sealed
from chalicelib.core.transaction import UnitOfWork, transaction
from chalicelib.redirections import conditions, rules
from chalicelib.redirections.rules import Contract, TooManyRedirections
from chalicelib.redirections.schemas import (
    CodeRecord,
    CodeStatus,
    ContractAtAddress,
    Destination,
    Parties,
    Redirection,
    RedirectionRecord,
    RedirectionState,
    Terms,
)
from chalicelib.redirections.tables import AddressRow, RedirectionRow

SchemaT = TypeVar("SchemaT", bound=Schema)

_OTHERS_CAME = "The redirection, or another one at its address, changed at the same time; read it again."


def subject_of(redirection: str) -> str:
    """The journal's name for a contract, which is its row's key too."""
    return f"redirection/{redirection}"


def find(redirection: str) -> RedirectionRow | None:
    """The row of a contract: one read."""
    return RedirectionRow.find(subject_of(redirection))


def existing(redirection: str) -> tuple[RedirectionRow, RedirectionRecord]:
    """The row of a contract and what it holds: one read. Raises NotFound."""
    row = find(redirection)
    if row is None:
        raise NotFound(f"There is no redirection {redirection}.")
    return row, record_of(row)


def record_of(row: RedirectionRow) -> RedirectionRecord:
    """The contract that the row holds."""
    return msgspec.json.decode(row.record, type=RedirectionRecord)


def code_of(row: RedirectionRow) -> CodeRecord | None:
    """The code that was issued last, as long as it is of use."""
    return msgspec.json.decode(row.code, type=CodeRecord) if row.code else None


def put(work: UnitOfWork, former: RedirectionRow | None, record: RedirectionRecord, code: CodeRecord | None) -> None:
    """Write a contract's row if nobody has written it since `former` was read."""
    row = RedirectionRow(
        subject_of(record.id),
        writes=1 + (int(former.writes) if former else 0),
        record=_text(record),
        code=_text(code) if code else None,
        expires_at=_forgotten_at(record.end),
    )
    unchanged = RedirectionRow.writes == former.writes if former else RedirectionRow.pk.does_not_exist()
    work.put(row, when=unchanged, otherwise=ChangedMeanwhile(_OTHERS_CAME))


# --- what is sealed -------------------------------------------------------------------------------------------


def key_for(end: date) -> DataKey:
    """The data key of the contracts that are forgotten in the same month. Raises KeyGone after it."""
    last_day = rules.kept_until(end)
    month = f"redirections/{last_day:%Y-%m}"
    if last_day < clock.today():
        raise KeyGone(month)
    return keyring.shared_key(month, keep_until=last_day)


def opened(end: date, sealed: Sealed, kind: type[SchemaT]) -> SchemaT | None:
    """What is sealed in a contract with that end, as long as it can be read."""
    with suppress(KeyGone):
        return key_for(end).open(sealed, kind)
    return None


def readable(contracts: Iterable[ContractAtAddress]) -> list[Contract]:
    """The contracts whose personal data can still be read."""
    found = ((contract, opened(contract.end, contract.destination, Destination)) for contract in contracts)
    return [Contract(contract, destination) for contract, destination in found if destination]


def destination_of(parties: Parties) -> Destination:
    """What a look-up needs of a contract."""
    return Destination(
        beneficiaries=parties.beneficiaries,
        apartment=parties.old_address.apartment,
        new_address=parties.new_address,
    )


# --- the row of an address ------------------------------------------------------------------------------------


def at(address: str) -> AddressRow | None:
    """The row of an address, by its name in the index: one read."""
    return AddressRow.find(_address_key(address))


def at_many(addresses: Iterable[str]) -> dict[str, AddressRow | None]:
    """The rows of these addresses (names in the index), each if there is one: one call for each 100."""
    keys = {_address_key(address): address for address in addresses}
    found = {row.pk: row for row in AddressRow.find_many(keys)} if keys else {}
    return {address: found.get(key) for key, address in keys.items()}


def check_at(work: UnitOfWork, address: str, seen: AddressRow | None) -> None:
    """Require that the row of another address is as it was seen when the work is written."""
    unchanged = AddressRow.writes == seen.writes if seen else AddressRow.pk.does_not_exist()
    work.check(AddressRow(_address_key(address)), unchanged, otherwise=ChangedMeanwhile(_OTHERS_CAME))


def listed(row: AddressRow | None) -> tuple[ContractAtAddress, ...]:
    """The contracts that the row of an address holds."""
    return msgspec.json.decode(row.contracts, type=tuple[ContractAtAddress, ...]) if row else ()


def put_at(
    work: UnitOfWork, former: AddressRow | None, record: RedirectionRecord, destination: Sealed | None = None
) -> None:
    """Write a contract into the row of its address if nobody has written that since `former` was read.

    `destination` is given for one that does not stand there yet. Raises TooManyRedirections.
    """
    there = {contract.id: contract for contract in listed(former)}
    sealed = destination or there[record.id].destination
    terms = {name: getattr(record, name) for name in Terms.__struct_fields__}
    there[record.id] = ContractAtAddress(**terms, destination=sealed)
    kept = _kept(list(there.values()))
    row = AddressRow(
        _address_key(record.address),
        writes=1 + (int(former.writes) if former else 0),
        contracts=msgspec.json.encode(kept).decode(),
        expires_at=max(_forgotten_at(contract.end) for contract in kept),
    )
    unchanged = AddressRow.writes == former.writes if former else AddressRow.pk.does_not_exist()
    work.put(row, when=unchanged, otherwise=ChangedMeanwhile(_OTHERS_CAME))


def _kept(contracts: Sequence[ContractAtAddress]) -> list[ContractAtAddress]:
    """The contracts by their first day, without those that are forgotten, nor, where there is no room, those over."""
    today, now = clock.today(), clock.now()
    kept = sorted((one for one in contracts if rules.kept_until(one.end) >= today), key=lambda one: (one.start, one.id))
    over = sorted((one for one in kept if rules.is_over(one, now)), key=lambda one: one.last_day)
    while len(kept) > conditions.MAX_CONTRACTS or len(msgspec.json.encode(kept)) > conditions.MAX_ROW_BYTES:
        if not over:
            raise TooManyRedirections(
                f"At most {conditions.MAX_CONTRACTS} redirections stand at one address. Ask the operations staff.",
                limit=conditions.MAX_CONTRACTS,
            )
        kept.remove(over.pop(0))
    return kept


def _address_key(address: str) -> str:
    return f"address/{address}"


def _forgotten_at(end: date) -> datetime:
    return datetime.combine(rules.kept_until(end) + timedelta(days=1), time(), UTC)


def _text(record: Schema) -> str:
    return msgspec.json.encode(record).decode()


# --- changes and answers ---------------------------------------------------------------------------------------


class Standing(msgspec.Struct, frozen=True):
    """A contract as it was read, and who asks for a change of it."""

    row: RedirectionRow
    record: RedirectionRecord
    by: StaffMember
    correlation_id: str

    @property
    def state(self) -> RedirectionState:
        """What it is now."""
        return rules.state_of(self.record, clock.now(), code_issued=bool(self.row.code))

    def event(self, fact: str, body: Schema) -> Event:
        """An event of the contract."""
        return event(fact, self.record.id, body, self.by, self.correlation_id)

    def parties(self) -> Parties:
        """Who it is of and for. Raises Conflict once that is forgotten."""
        found = opened(self.record.end, self.record.parties, Parties)
        if found is None:
            raise Conflict("The personal data of this redirection are erased. Register a new one.")
        return found

    def refused(self, what: str) -> Conflict:
        """The problem of a change that its state does not allow."""
        return Conflict(f"{what} The redirection is {self.state}.", state=self.state.value)


def standing(redirection: str, by: StaffMember, correlation_id: str) -> Standing:
    """A contract that somebody asks to change: one read. Raises NotFound."""
    return Standing(*existing(redirection), by, correlation_id)


def changed(record: RedirectionRecord, **changes: Any) -> RedirectionRecord:
    """The contract with changed terms, in its next revision."""
    return msgspec.structs.replace(record, revision=record.revision + 1, **changes)


def write(now: Standing, record: RedirectionRecord, fact: str) -> Redirection:
    """Write a change of a contract: its row, that of its address, and the event. Its code has served."""
    there = at(record.address)
    with transaction() as work:
        put(work, now.row, record, None)
        put_at(work, there, record)
        work.append(now.event(fact, record))
    return shown(record, None, opened(record.end, record.parties, Parties))


def event(fact: str, redirection: str, body: Schema, by: StaffMember, correlation_id: str) -> Event:
    """An event of a contract."""
    return events.make(
        f"facteo.redirection.{fact}",
        subject_of(redirection),
        body,
        actor=by.actor,
        correlation_id=correlation_id,
    )


def answer(row: RedirectionRow, record: RedirectionRecord) -> Redirection:
    """What is told of a contract as its row holds it."""
    return shown(record, code_of(row), opened(record.end, record.parties, Parties))


def shown(record: RedirectionRecord, code: CodeRecord | None, parties: Parties | None) -> Redirection:
    """What is told of a contract, in the state that it has now."""
    return Redirection(
        id=record.id,
        revision=record.revision,
        state=rules.state_of(record, clock.now(), code_issued=code is not None),
        kind=record.kind,
        scope=record.scope,
        reach=record.reach,
        start=record.start,
        end=record.end,
        last_day=record.last_day,
        remind_on=rules.reminder_of(record),
        requested_at=record.requested_at,
        verified_at=record.verified_at,
        method=record.method,
        code=_status(code) if code else None,
        parties=parties,
        reason=record.reason,
        renews=record.renews,
        renewed_by=record.renewed_by,
    )


def _status(code: CodeRecord) -> CodeStatus:
    return CodeStatus(number=code.number, valid_until=code.valid_until, attempts_left=rules.attempts_left(code))
