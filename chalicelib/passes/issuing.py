"""Giving a handset its pass: at the start of a shift, for the round that its carrier has today."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from chalicelib.core import access, clock, settings
from chalicelib.core.access import Handset
from chalicelib.core.call import Call
from chalicelib.core.errors import ChangedMeanwhile, Conflict, Problem, Unavailable
from chalicelib.core.settings import Settings
from chalicelib.core.table import Place, Rows, find_together
from chalicelib.core.transaction import UnitOfWork, retried, transaction
from chalicelib.fleet import lookup as fleet
from chalicelib.fleet.attestation import Assurance
from chalicelib.passes import buildings, cose, keys, perimeters, rules, store, tokens
from chalicelib.passes.keys import Ring
from chalicelib.passes.schemas import Ended, Held, Holder, PassGivenBack, PassTold, Reason, Service
from chalicelib.passes.staff_schemas import PassIssued, Perimeter
from chalicelib.passes.status_list import SLOTS
from chalicelib.passes.store import LIST, Kept
from chalicelib.passes.tables import PassesRow
from chalicelib.passes.tokens import ID_BYTES, Pass
from chalicelib.people import lookup as people
from chalicelib.people.schemas import Duty

CANDIDATES: Final = 8
"""Places of the list that are looked at together: with half of them taken, all of them are in one case of 256."""
LOOKS: Final = 3
"""How often others are looked at before there seem to be none."""


class PassSettings(Settings, frozen=True, kw_only=True):
    """How well a handset's key must be kept for a pass: `tee`, or `none` where nothing can be attested.

    One that is kept worse than by a TEE gets eight hours at most.
    """

    pass_assurance: Assurance = Assurance.TEE


class NoShift(Problem):
    status = 404
    title = "You have no shift now"


class NoPerimeter(Conflict):
    title = "Nobody has said which doors your round opens"


class AssuranceTooLow(Problem):
    status = 403
    title = "The handset's key is not kept well enough for a pass"


class PassIsSuspended(Problem):
    status = 403
    title = "The pass is suspended"


class Terms(NamedTuple):
    """What a pass is to say, before it is made."""

    service: Service
    sector: str
    buildings: tuple[str, ...]
    not_before: datetime
    expires_at: datetime
    alert: str = ""


class Bearer(NamedTuple):
    """Whose pass it is: the handset with its key, and the round."""

    device: str
    generation: int
    key: str
    carrier: str
    depot: str
    route: str


def beside(_: Call, __: str) -> list[Place]:
    """The keys, and places of the list of which one will be free: read with what lets the handset in."""
    return [keys.PLACE, *_candidates()]


def issue(who: Handset, *, correlation_id: str) -> PassTold:
    """The handset's pass for today's round: the one that it has, or a new one in its place.

    Five calls of DynamoDB with that which lets it in, four if it has one. Raises NoShift, NoPerimeter,
    AssuranceTooLow, PassIsSuspended, Unavailable.
    """
    found = places(who.beside)
    return retried(lambda: _issue(who, next(found), correlation_id))


def places(first: Rows | None = None) -> Iterator[Rows]:
    """The keys and places of the list: those that were read first, and others whenever somebody was faster."""
    if first is not None:
        yield first
    while True:
        yield find_together([keys.PLACE, *_candidates()])


def _issue(who: Handset, found: Rows, correlation_id: str) -> PassTold:
    now = clock.now()
    assurance = fleet.assurance_of(who.device)
    duty = people.duty_of(who.carrier, clock.today())
    window = rules.window(duty, now, attested=_is_attested(assurance)) if duty else None
    if duty is None or window is None:
        raise NoShift("The roster has no shift for you now; ask your depot.")
    rows = find_together([perimeters.place_of(duty.depot, duty.route), (PassesRow, store.key_of(who.device))])
    before = store.kept(who.device, PassesRow.among(rows, store.key_of(who.device)))
    ring = keys.among(found)
    if (held := _still_good(before, who, duty, ring, now)) is not None:
        return PassTold.of(held if not held.given_back else _given_again(before, held))
    require_assurance(assurance)
    perimeter = _perimeter(rows, duty)
    _require_unsuspended(before)
    terms = Terms(perimeter.service, perimeter.sector or "", perimeter.buildings, *window)
    bearer = Bearer(who.device, who.generation, who.row.key, who.carrier, duty.depot, duty.route)
    with transaction() as work:
        access.require_still(work, who.row)
        people.require_duty(work, duty)
        made = make(work, bearer, terms, found, by=who.actor, correlation_id=correlation_id)
        if before.holder.held is not None:
            store.end(work, who.device, before.holder.held, Ended.REPLACED, by=who.actor, correlation_id=correlation_id)
        store.save(work, before, msgspec.structs.replace(before.holder, held=made))
    return PassTold.of(made)


def give_back(who: Handset, *, correlation_id: str) -> None:
    """Note that the handset forgot its pass at the end of a shift: a read and a transaction. Again it changes nothing.

    It is not put into the list: each day 85,000 are given back, and whoever holds the handset could ask for it again.
    """

    def given_back(work: UnitOfWork, before: Kept) -> Holder | None:
        held = before.holder.held
        if held is None or held.given_back or rules.is_over(held, clock.now()):
            return None
        told = PassGivenBack(id=held.id)
        store.say(work, who.device, "given-back", told, by=who.actor, depot=held.depot, correlation_id=correlation_id)
        return msgspec.structs.replace(before.holder, held=msgspec.structs.replace(held, given_back=True))

    store.change(who.device, given_back)


def _given_again(before: Kept, held: Held) -> Held:
    """The same pass, for who gave it back and goes on."""
    again = msgspec.structs.replace(held, given_back=False)
    with transaction() as work:
        store.save(work, before, msgspec.structs.replace(before.holder, held=again))
    return again


def make(work: UnitOfWork, bearer: Bearer, terms: Terms, found: Rows, *, by: str, correlation_id: str) -> Held:
    """A signed pass, with a place of the list that nobody has: written with the work, as is its event. `found` are the
    keys and places that were read.

    Raises ChangedMeanwhile if somebody takes the place at the same time.
    """
    kid, signer = keys.among(found).signer(terms.not_before)
    token_id, slot = secrets.token_bytes(ID_BYTES), _free(found, clock.now())
    told = Pass(
        carrier=bearer.carrier,
        not_before=terms.not_before,
        expires=terms.expires_at,
        id=token_id,
        holder=cose.kept_key(bearer.key),
        service=terms.service,
        perimeter=terms.sector or tokens.marks(token_id, buildings.secrets_of(terms.buildings)),
        status=(LIST, slot),
    )
    held = Held(
        id=token_id.hex(),
        kid=kid,
        generation=bearer.generation,
        carrier=bearer.carrier,
        depot=bearer.depot,
        route=bearer.route,
        day=clock.today(),
        service=terms.service,
        not_before=terms.not_before,
        expires_at=terms.expires_at,
        slot=slot,
        token=tokens.token(told, signer),
        alert=terms.alert,
    )
    _take_slot(work, held)
    issued = PassIssued(id=held.id, kid=kid, generation=bearer.generation, **terms._asdict())
    store.say(work, bearer.device, "issued", issued, by=by, depot=bearer.depot, correlation_id=correlation_id)
    return held


def _candidates() -> list[Place]:
    """Places of the list of which one will be free: at random, each time others: nobody is followed by a place."""
    picked = {secrets.randbelow(SLOTS) for _ in range(CANDIDATES)}
    return [(PassesRow, store.key_of_slot(slot)) for slot in picked]


def _free(found: Rows, now: datetime) -> int:
    """A place that no pass has which may still be shown: of those that were read, or of others. Raises Unavailable."""
    for rows in itertools.chain([found], (find_together(_candidates()) for _ in range(LOOKS))):
        for (_, key), row in rows.items():
            if key.startswith("slot/") and (row is None or _expired(row, now)):
                return int(key.rpartition("/")[2])
    raise Unavailable("There seem to be no places for passes. Try again in a minute.")


def _expired(row: object, now: datetime) -> bool:
    return isinstance(row, PassesRow) and row.expires_at is not None and row.expires_at <= now


def _take_slot(work: UnitOfWork, held: Held) -> None:
    """Nobody else gets the place until no reader takes the pass any more."""
    row = PassesRow(store.key_of_slot(held.slot), expires_at=rules.over_at(held))
    free = PassesRow.is_none() | (PassesRow.expires_at <= clock.now())
    work.put(row, when=free, otherwise=ChangedMeanwhile("Another pass took the same place; ask again."))


def _still_good(before: Kept, who: Handset, duty: Duty, ring: Ring, now: datetime) -> Held | None:
    """The pass that the handset has, if it would get the same again.

    It is told of it even while it is suspended: whoever holds the handset learns nothing by asking.
    """
    held = before.holder.held
    if held is None or held.generation != who.generation or held.carrier != who.carrier:
        return None
    return held if held.expires_at > now and ring.has(held.kid) and rules.fits(held, duty) else None


def _require_unsuspended(before: Kept) -> None:
    """A handset that is suspended gets no new pass. Under duress it looks as if passes could not be had just now."""
    reasons = {one.reason for one in before.holder.suspensions.values()}
    if Reason.DURESS in reasons:
        raise Unavailable("Passes cannot be had at the moment. Try again later.")
    if reasons:
        raise PassIsSuspended("Call your depot.")


def require_assurance(assurance: Assurance) -> None:
    """Raise AssuranceTooLow for a key that is not kept as policy asks."""
    wanted = settings.load(PassSettings).pass_assurance
    if wanted is not Assurance.NONE and not _is_attested(assurance):
        raise AssuranceTooLow("Its key must be kept by its hardware, and attested. Enrol a newer handset.")


def _is_attested(assurance: Assurance) -> bool:
    return assurance in {Assurance.TEE, Assurance.STRONGBOX}


def _perimeter(rows: Rows, duty: Duty) -> Perimeter:
    row = PassesRow.among(rows, perimeters.place_of(duty.depot, duty.route)[1])
    if row is None:
        raise NoPerimeter(f"Ask your depot to state the perimeter of the round {duty.route}.")
    return row.holds(Perimeter)
