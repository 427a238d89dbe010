"""The use cases of contracts: register, refuse, cancel, end, renew, and read them."""

from __future__ import annotations

import msgspec

from chalicelib.addresses import index
from chalicelib.core import clock, settings
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import Conflict, RequestInvalid
from chalicelib.core.settings import Settings
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.redirections import conditions, contracts, rules, verification
from chalicelib.redirections.contracts import Standing
from chalicelib.redirections.rules import (
    Contract,
    OverlappingContract,
    RedirectionChainTooLong,
    RedirectionLoop,
)
from chalicelib.redirections.schemas import (
    EarlyEnd,
    IdentityMethod,
    Parties,
    Redirection,
    RedirectionRecord,
    RedirectionRefusal,
    RedirectionRequest,
    RedirectionState,
    Renewal,
)
from chalicelib.redirections.tables import AddressRow, RedirectionRow


class RedirectionSettings(Settings, frozen=True, kw_only=True):
    """How many working days lie between a request and its first day: a stage for trying things out may need none."""

    redirection_set_up_days: int = conditions.SET_UP_WORKING_DAYS


# --- register -------------------------------------------------------------------------------------------------


def register(redirection: str, request: RedirectionRequest, *, by: StaffMember, correlation_id: str) -> Redirection:
    """Register a contract that a subscriber asks for. The same request again gets the same answer.

    It counts once it is verified. Raises Conflict for another request under this id, StartNotOffered,
    DurationNotOffered, AddressNotServed, OverlappingContract, RedirectionLoop, RedirectionChainTooLong,
    TooManyRedirections, ChangedMeanwhile.
    """
    return retried(lambda: _register(redirection, request, by, correlation_id))


def _register(redirection: str, request: RedirectionRequest, by: StaffMember, correlation_id: str) -> Redirection:
    former = contracts.find(redirection)
    if former is not None:
        return _same_again(former, request)
    now = clock.now()
    end = rules.agreed_end(request, clock.today(), settings.load(RedirectionSettings).redirection_set_up_days)
    key = contracts.key_for(end)
    parties = Parties(
        subscriber=request.subscriber,
        beneficiaries=request.beneficiaries,
        old_address=request.old_address,
        new_address=request.new_address,
    )
    record = RedirectionRecord(
        id=redirection,
        revision=1,
        kind=request.kind,
        scope=request.scope,
        reach=rules.reach_of(request.new_address),
        start=request.start,
        end=end,
        address=index.key_of(request.old_address),
        content=key.fingerprint(request),
        parties=key.seal(parties),
        requested_at=now,
        requested_by=by.actor,
        minors=request.minors,
    )
    code = verification.new_code(record, parties, 1, by) if request.by_code else None
    with transaction() as work:
        contracts.put(work, None, record, code)
        _put_new_at_address(work, Contract(record, contracts.destination_of(parties)), record)
        work.append(contracts.event("requested", redirection, record, by, correlation_id))
        if code:
            work.append(contracts.event("code-issued", redirection, verification.issued(code), by, correlation_id))
    return contracts.shown(record, code, parties)


def _same_again(row: RedirectionRow, request: RedirectionRequest) -> Redirection:
    record = contracts.record_of(row)
    parties = contracts.opened(record.end, record.parties, Parties)
    if parties is None or contracts.key_for(record.end).fingerprint(request) != record.content:
        raise Conflict("There is another redirection with this id. Give each one an id of its own.")
    return contracts.shown(record, contracts.code_of(row), parties)


def _put_new_at_address(work: UnitOfWork, contract: Contract, record: RedirectionRecord) -> None:
    """Put a new contract beside the others at its old address, if it fits with them."""
    there = contracts.at(record.address)
    for other in _ahead(there):
        if other.terms.id != record.id and rules.overlap(contract, other):
            told = (
                f"From {other.terms.start} through {other.terms.last_day} there is one; end it first, or start later."
            )
            raise OverlappingContract(told, redirection=other.terms.id)
    sealed = contracts.key_for(record.end).seal(contract.destination)
    contracts.put_at(work, there, record, sealed)
    for address, seen in _followed(contract, record.address).items():
        contracts.check_at(work, address, seen)


def _followed(contract: Contract, old_address: str) -> dict[str, AddressRow | None]:
    """The rows of the addresses where the items go on, as far as they are redirected again: one read for each hop.

    They must stay as they are until the contract is written: two that close a loop may come at once. What leads to the
    old address is not followed: an item that was redirected too often is told by its events. Raises RedirectionLoop,
    RedirectionChainTooLong.
    """
    hop, followed = [contract], dict[str, AddressRow | None]()
    for _ in range(conditions.MAX_HOPS):
        reached = {index.key_of(one.destination.new_address) for one in hop if one.destination.new_address}
        if old_address in reached:
            raise RedirectionLoop("Give a new address from which nothing leads back to the old one.")
        rows = contracts.at_many(reached)
        followed |= rows
        hop = [later for row in rows.values() for later in _ahead(row) if rules.follows(contract, later)]
        if not hop:
            return followed
    told = f"At most {conditions.MAX_HOPS} redirections follow one another. Give the last address as the new one."
    raise RedirectionChainTooLong(told, limit=conditions.MAX_HOPS)


def _ahead(row: AddressRow | None) -> list[Contract]:
    """The contracts at an address that redirect, or may come to do so."""
    return contracts.readable(one for one in contracts.listed(row) if not rules.is_over(one, clock.now()))


# --- refuse, cancel, end, renew -------------------------------------------------------------------------------


def refuse(redirection: str, request: RedirectionRefusal, *, by: StaffMember, correlation_id: str) -> Redirection:
    """Refuse a contract that waits to be verified. Doing it again changes nothing. Raises NotFound, Conflict."""

    def change(now: Standing) -> Redirection:
        if now.state is RedirectionState.REFUSED:
            return contracts.answer(now.row, now.record)
        if now.state not in rules.WAITING:
            raise now.refused("Only what waits to be verified is refused.")
        return contracts.write(
            now, contracts.changed(now.record, refused_at=clock.now(), reason=request.reason), "refused"
        )

    return retried(lambda: change(contracts.standing(redirection, by, correlation_id)))


def cancel(redirection: str, *, by: StaffMember, correlation_id: str) -> Redirection:
    """Cancel a contract that has not begun. Doing it again changes nothing. Raises NotFound, Conflict."""

    def change(now: Standing) -> Redirection:
        if now.state is RedirectionState.CANCELLED:
            return contracts.answer(now.row, now.record)
        if now.state not in {*rules.WAITING, RedirectionState.SCHEDULED}:
            raise now.refused("What has begun is not cancelled; end it.")
        return contracts.write(now, contracts.changed(now.record, cancelled_at=clock.now()), "cancelled")

    return retried(lambda: change(contracts.standing(redirection, by, correlation_id)))


def end(redirection: str, request: EarlyEnd, *, by: StaffMember, correlation_id: str) -> Redirection:
    """Let a contract end early: `on` is its last day, today or later. Saying the same day again changes nothing.

    Nothing is suspended: what has ended is not taken up again. Raises NotFound, Conflict, RequestInvalid.
    """

    def change(now: Standing) -> Redirection:
        if now.record.ended_on == request.on:
            return contracts.answer(now.row, now.record)
        if now.record.ended_on or now.state not in rules.STANDING:
            raise now.refused("Only what stands and was not ended before is ended.")
        first = max(clock.today(), now.record.start)
        if not first <= request.on < now.record.end:
            raise RequestInvalid(f"Choose a last day from {first} on, before {now.record.end}.")
        return contracts.write(now, contracts.changed(now.record, ended_on=request.on), "ended")

    return retried(lambda: change(contracts.standing(redirection, by, correlation_id)))


def renew(redirection: str, request: Renewal, *, by: StaffMember, correlation_id: str) -> Redirection:
    """Make the contract that follows on this one's last day without a gap; it is verified as this one was.

    The same request again gets the same answer. Raises NotFound, Conflict, DurationNotOffered, OverlappingContract,
    RedirectionLoop, RedirectionChainTooLong, TooManyRedirections.
    """
    return retried(lambda: _renew(contracts.standing(redirection, by, correlation_id), request))


def _renew(now: Standing, request: Renewal) -> Redirection:
    made = contracts.find(request.id)
    if made is not None:
        return _renewed_again(now.record, made, request)
    if now.state not in rules.STANDING or now.record.ended_on:
        raise now.refused("Only what stands, up to its agreed last day, is renewed.")
    parties, last_day = now.parties(), rules.renewed_end(now.record, request.months)
    key = contracts.key_for(last_day)
    followed = msgspec.structs.replace(now.record, renewed_by=request.id)
    renewed = msgspec.structs.replace(
        now.record,
        id=request.id,
        revision=1,
        start=now.record.last_day + rules.DAY,
        end=last_day,
        verified_at=clock.now(),
        content=key.fingerprint(request),
        parties=key.seal(parties),
        requested_at=clock.now(),
        requested_by=now.by.actor,
        method=IdentityMethod.RENEWAL,
        documents=(),
        renews=now.record.id,
        renewed_by="",
    )
    with transaction() as work:
        contracts.put(work, None, renewed, None)
        contracts.put(work, now.row, followed, None)
        _put_new_at_address(work, Contract(renewed, contracts.destination_of(parties)), renewed)
        work.append(now.event("renewed", followed))
        work.append(contracts.event("requested", request.id, renewed, now.by, now.correlation_id))
    return contracts.shown(renewed, None, parties)


def _renewed_again(record: RedirectionRecord, made: RedirectionRow, request: Renewal) -> Redirection:
    renewed = contracts.record_of(made)
    parties = contracts.opened(renewed.end, renewed.parties, Parties)
    same = parties is not None and contracts.key_for(renewed.end).fingerprint(request) == renewed.content
    if not same or renewed.renews != record.id:
        raise Conflict("There is another redirection with this id. Give each one an id of its own.")
    return contracts.shown(renewed, contracts.code_of(made), parties)


# --- read and write -------------------------------------------------------------------------------------------


def read(redirection: str) -> Redirection:
    """A contract, with its personal data while they can be read: one call. Raises NotFound."""
    return contracts.answer(*contracts.existing(redirection))
