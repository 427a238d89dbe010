"""What others ask of contracts: the handset at the door, the round's bundle, and staff by an address."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.addresses import index
from chalicelib.addresses.rules import Lines
from chalicelib.addresses.schemas import PostalAddress
from chalicelib.core import clock, events
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import NotFound
from chalicelib.core.table import Rows
from chalicelib.core.transaction import transaction
from chalicelib.items import product_codes
from chalicelib.items import service as items
from chalicelib.items.product_codes import Family
from chalicelib.redirections import contracts, decisions, rules
from chalicelib.redirections.carried import CarriedBeneficiary, CarriedRedirection
from chalicelib.redirections.decisions import ItemFacts
from chalicelib.redirections.rules import Contract
from chalicelib.redirections.schemas import (
    ContractAtAddress,
    Destination,
    RedirectionCheck,
    RedirectionDecision,
    RedirectionFound,
    RedirectionSearch,
    RedirectionsFound,
    RedirectionsSearched,
)

if TYPE_CHECKING:  # workers let nobody in
    from chalicelib.core.access import Handset

SEARCHED: Final = "facteo.redirection.searched"


def check(asked: RedirectionCheck, who: Handset) -> RedirectionDecision:
    """What to do with an item now, for a handset that was let in with the rows of the item: one call.

    It leaves a trace, whatever it tells. Where somebody lives now is told of an item that is in the post, and not to
    whoever asks for an address. By its number, product and weight are as announced. Raises NotFound for an item that
    was never announced, or whose addressee can no longer be read: then the address and the name on it must be given.
    """
    decision = _by_address(asked, asked.address) if asked.address else _by_item(asked, asked.item or "", who.beside)
    asked_by = index.key_of(asked.address) if asked.address else asked.item or ""
    who.leaves_trace("redirection", asked_by=asked_by, found=bool(decision and decision.redirection))
    if decision is None:
        raise NotFound("Nobody announced for whom this item is. Ask by the address and the name on it.")
    return decision


def search(asked: RedirectionSearch, *, by: StaffMember, correlation_id: str) -> RedirectionsFound:
    """The contracts at an old address, whatever has become of them: two calls.

    That they were searched for is journalled before they are told.
    """
    address = index.key_of(asked.address)
    listed = contracts.listed(contracts.at(address))
    said = RedirectionsSearched(address=address, found=len(listed))
    with transaction() as work:
        work.append(events.make(SEARCHED, by.actor, said, actor=by.actor, correlation_id=correlation_id))
    return RedirectionsFound(redirections=tuple(_found(contract) for contract in listed))


def carried(addressees: Mapping[str, Lines]) -> tuple[CarriedRedirection, ...]:
    """The redirections that are active now at the addresses of these items, by their id: one call for each 100."""
    items_at = defaultdict[str, list[str]](list)
    for item, addressee in addressees.items():
        items_at[index.key_of(addressee)].append(item)
    found = [
        _carried(contract, tuple(sorted(items_at[address])))
        for address, there in _active_at(items_at).items()
        for contract in there
    ]
    return tuple(sorted(found, key=lambda one: one.id))


def at_addresses(addresses: Iterable[Lines]) -> list[Contract]:
    """The redirections that are active now at these addresses: one call for each 100 addresses."""
    there = _active_at(index.key_of(address) for address in addresses)
    return [contract for found in there.values() for contract in found]


def _active_at(addresses: Iterable[str]) -> dict[str, list[Contract]]:
    now, rows = clock.now(), contracts.at_many(addresses)
    return {
        address: contracts.readable(one for one in contracts.listed(row) if rules.is_active(one, now))
        for address, row in rows.items()
    }


def _carried(contract: Contract, items_there: tuple[str, ...]) -> CarriedRedirection:
    terms, destination = contract.terms, contract.destination
    return CarriedRedirection(
        id=terms.id,
        revision=terms.revision,
        kind=terms.kind,
        scope=terms.scope,
        reach=terms.reach,
        last_day=terms.last_day,
        beneficiaries=tuple(CarriedBeneficiary(**msgspec.structs.asdict(one)) for one in destination.beneficiaries),
        apartment=destination.apartment,
        new_address=destination.new_address,
        items=items_there,
    )


def _by_address(asked: RedirectionCheck, address: PostalAddress) -> RedirectionDecision:
    facts = _facts(asked.product, asked.weight_grams, asked.registered, asked.do_not_forward)
    decided = _decided(facts, asked.name, address.apartment, address)
    return msgspec.structs.replace(decided, new_address=None)


def _by_item(asked: RedirectionCheck, item: str, rows: Rows) -> RedirectionDecision | None:
    announced, addressee = items.addressed(item, rows) or (None, None)
    if announced is None or addressee is None:
        return None
    registered = asked.registered or bool(announced.recommendation)
    facts = _facts(announced.product, announced.weight_grams, registered, asked.do_not_forward)
    return _decided(facts, addressee.company or addressee.name, addressee.apartment, addressee)


def _decided(facts: ItemFacts, name: str, apartment: str, address: Lines) -> RedirectionDecision:
    there = contracts.listed(contracts.at(index.key_of(address)))
    return decisions.decide(facts, name, apartment, contracts.readable(there), clock.now())


def _facts(product: str, weight_grams: int, registered: bool, do_not_forward: bool) -> ItemFacts:
    family = product_codes.family_of(product) if product else None
    return ItemFacts(
        family=family,
        registered=registered or family is Family.REGISTERED_LETTER,
        weight_grams=weight_grams,
        do_not_forward=do_not_forward,
    )


def _found(contract: ContractAtAddress) -> RedirectionFound:
    return RedirectionFound(
        id=contract.id,
        revision=contract.revision,
        state=rules.state_of(contract, clock.now()),
        kind=contract.kind,
        scope=contract.scope,
        start=contract.start,
        last_day=contract.last_day,
        destination=contracts.opened(contract.end, contract.destination, Destination),
    )
