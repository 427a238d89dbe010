"""The phone numbers of handsets: an SMS from one of them is an alert of its carrier."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from chalicelib.alerts.tables import AlertsRow
from chalicelib.core import events, keyring
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import ChangedMeanwhile, NotFound
from chalicelib.core.schemas import END, Schema
from chalicelib.core.transaction import retried, transaction
from chalicelib.people import lookup as people

PhoneNumber = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{6,14}" + END)]
"""E.164."""

NUMBER_REGISTERED: Final = "facteo.alert-number.registered"
FOR_EVER: Final = date(9999, 12, 31)


class RegisterNumber(Schema, frozen=True):
    """The phone number of a handset: SMS from it are alerts of its carrier."""

    number: PhoneNumber


class NumberOf(Schema, frozen=True):
    """Whose a phone number is, as it was when the number was registered."""

    device: str
    carrier: str
    depot: str
    generation: int


class NumberRegistered(Schema, frozen=True):
    """`facteo.alert-number.registered`: the handset has a number by which it is known; not which."""

    generation: int


def register_number(device: str, request: RegisterNumber, *, by: StaffMember, correlation_id: str) -> NumberOf:
    """Note the phone number of a handset, so that an SMS from it is an alert of its carrier.

    Said again, nothing changes. Two reads and a transaction; one or two reads more if zones matter for what the caller
    reaches. A number that moved to another handset goes with it. Raises NotFound, AccessDenied.
    """
    from chalicelib.core.access import AccessRow  # noqa: PLC0415 - workers let nobody in

    access = AccessRow.find(device)
    if access is None:
        raise NotFound(f"There is no handset {device}.")
    people.require_depot(by, access.depot)
    owner = NumberOf(device=device, carrier=access.carrier, depot=access.depot, generation=int(access.generation))
    retried(lambda: _register(request.number, owner, by, correlation_id))
    return owner


def _register(number: str, owner: NumberOf, by: StaffMember, correlation_id: str) -> None:
    row = AlertsRow.find(_number_key(number))
    before = row.holds(NumberOf) if row else None
    if before == owner:
        return
    if before and before.depot != owner.depot:
        people.require_depot(by, before.depot)
    revision = int(row.revision) + 1 if row else 1
    unchanged = AlertsRow.revision == row.revision if row else AlertsRow.pk.does_not_exist()
    content = msgspec.json.encode(owner).decode()
    following = AlertsRow(pk=_number_key(number), content=content, revision=revision)
    said = NumberRegistered(generation=owner.generation)
    with transaction() as work:
        work.put(following, when=unchanged, otherwise=ChangedMeanwhile("The number was registered at the same time."))
        subject = f"device/{owner.device}"
        work.append(events.make(NUMBER_REGISTERED, subject, said, actor=by.actor, correlation_id=correlation_id))


def device_of_number(number: str) -> NumberOf | None:
    """Whose a phone number (E.164) is, if it is registered: one read."""
    row = AlertsRow.find(_number_key(number))
    return row.holds(NumberOf) if row else None


def _number_key(number: str) -> str:
    """Numbers are kept as fingerprints: nobody finds one in the table, or tries them all."""
    return f"number/{keyring.shared_key('alert-numbers', keep_until=FOR_EVER).fingerprint(number)}"
