"""What is set up beforehand of a zone: by which policy its alerts go, and who may reach them.

Nobody may go unheard because a key or a table is away: a policy that cannot be read is replaced by the last one that
could be, or by the one that reaches everybody who is on call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from chalicelib.alerts import posting
from chalicelib.alerts.channels import ChannelSettings
from chalicelib.alerts.policies import COLLEAGUES, DEFAULT, NATIONAL, ON_CALL, Channel, Policy, Step, Timers, Way
from chalicelib.alerts.tables import AlertsRow
from chalicelib.core import clock, events, keyring, settings, telemetry
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import AccessDenied, ChangedMeanwhile, NotFound, Problem
from chalicelib.core.keyring import KeyGone
from chalicelib.core.schemas import Schema, Sealed
from chalicelib.core.transaction import retried, transaction
from chalicelib.people import lookup as people
from chalicelib.people.rules import zone_key

POLICY_CHANGED: Final = "facteo.alert-policy.changed"

CONTACTS_KEPT_FOR: Final = timedelta(days=5 * 365)
"""As the names of staff (prescription quinquennale). A policy that nobody looked at for so long is forgotten."""
HELD_FOR: Final = timedelta(seconds=30)
HELD_AFTER_FAILURE: Final = timedelta(seconds=10)
"""How long a process does not look again: each look may cost seconds while a service does not answer."""

SHAPES: Final[Mapping[Channel, re.Pattern[str]]] = {
    Channel.SMS: re.compile(r"\+[1-9][0-9]{6,14}"),
    Channel.EMAIL: re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+\.[^\s@<>,;\"]+"),
    Channel.WEBHOOK: re.compile(r"https?://[^\s/?#@\\]+([/?#][!-~]*)?"),
    Channel.PUSH: re.compile(r"arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:endpoint/\S+"),
    Channel.TOPIC: re.compile(r"arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+"),
}
"""Where a way of each channel may lead."""


class PolicyInvalid(Problem):
    title = "The policy would not reach whom it should"


class PolicyChanged(Schema, frozen=True):
    """`facteo.alert-policy.changed`: when whom, by their ids in the policy; nothing of how they are reached."""

    revision: int
    steps: tuple[Step, ...]
    contacts: tuple[str, ...]
    timers: Timers


class _Stored(Schema, frozen=True):
    """A policy, sealed under the key of its zone and revision."""

    sealed: Sealed


class _Held(NamedTuple):
    policy: Policy
    until: datetime


_held: dict[str, _Held] = {}


def forget() -> None:
    """Drop the policies that this process holds."""
    _held.clear()


# --- zones and who may reach them ---------------------------------------------------------------------------


def zone_of(depot: str, *, waits_no_longer: bool) -> str:
    """The zone that a depot lies in: one read. The national one if nobody knows the depot, or it cannot be read and
    the alert `waits_no_longer`.
    """
    try:
        return people.depot(depot).zone
    except NotFound:
        telemetry.logger.warning("the depot of an alert is not known", extra={"depot": depot})
    except Exception:
        if not waits_no_longer:
            raise
        telemetry.logger.exception("the zone of a depot cannot be read", extra={"depot": depot})
    return NATIONAL


def require_existing(zone: str) -> None:
    """Raise NotFound unless there is that zone; the national one always is. One read."""
    if zone != NATIONAL:
        people.existing(zone_key(zone))


def require_zone(who: StaffMember, zone: str) -> None:
    """Raise AccessDenied unless the whole zone is this member of staff's."""
    if not who.reaches("", zone):
        raise AccessDenied(f"The zone {zone} is not one of yours.")


def require_alert(who: StaffMember, depot: str, zone: str) -> None:
    """Raise AccessDenied unless an alert's depot or zone is this member of staff's."""
    if not who.reaches(depot, zone):
        raise AccessDenied("The alert is not in one of your zones. Ask who has it to hand it over.")


# --- policies -----------------------------------------------------------------------------------------------


def policy_of(zone: str) -> Policy:
    """The policy by which a zone's alerts go: its own, else the national one, else the default. It never fails.

    It may be half a minute old. At most two reads and a call of KMS.
    """
    held = _held.get(zone)
    if held and clock.now() < held.until:
        return held.policy
    try:
        fresh = _Held(_read(zone), clock.now() + HELD_FOR)
    except Exception:  # whatever it is, somebody must hear of the alert
        telemetry.logger.exception("a policy cannot be read", extra={"zone": zone, "held": held is not None})
        telemetry.count("PolicyUnreadable")
        fresh = _Held(held.policy if held else DEFAULT, clock.now() + HELD_AFTER_FAILURE)
    _held[zone] = fresh
    return fresh.policy


def read_policy(zone: str, *, by: StaffMember) -> Policy:
    """A zone's own policy: two reads. Raises AccessDenied, and NotFound if it has none that can be read."""
    require_zone(by, zone)
    row = AlertsRow.find(_policy_key(zone))
    if row is None:
        raise NotFound(f"The zone {zone} has no policy of its own: the national one applies, or the default.")
    try:
        return _opened(zone, row)
    except KeyGone:
        raise NotFound(f"The contacts of the zone {zone} were kept for five years. Save its policy anew.") from None


def save_policy(zone: str, request: Policy, *, by: StaffMember, correlation_id: str) -> None:
    """Give a zone a policy, for its next alerts and the next steps of those that are open. Said again, nothing changes.

    Three reads and a transaction. Raises AccessDenied, NotFound for an unknown zone, PolicyInvalid.
    """
    require_zone(by, zone)
    require_existing(zone)
    if fault := next(_faults(request), None):
        raise PolicyInvalid(fault)
    retried(lambda: _save(zone, request, by, correlation_id))
    forget()


def _save(zone: str, policy: Policy, by: StaffMember, correlation_id: str) -> None:
    row = AlertsRow.find(_policy_key(zone))
    if row and _says(zone, row, policy):
        return
    revision = int(row.revision) + 1 if row else 1
    unchanged = AlertsRow.revision == row.revision if row else AlertsRow.pk.does_not_exist()
    said = PolicyChanged(
        revision=revision,
        steps=policy.steps,
        contacts=tuple(contact.id for contact in policy.contacts),
        timers=policy.timers,
    )
    with transaction() as work:
        key = keyring.create(work, _key_subject(zone, revision), keep_until=clock.today() + CONTACTS_KEPT_FOR)
        content = msgspec.json.encode(_Stored(sealed=key.seal(policy))).decode()
        following = AlertsRow(pk=_policy_key(zone), content=content, revision=revision)
        work.put(following, when=unchanged, otherwise=ChangedMeanwhile("Somebody saved it at the same time."))
        subject = f"alert-policy/{zone}"
        work.append(events.make(POLICY_CHANGED, subject, said, actor=by.actor, correlation_id=correlation_id))


def _says(zone: str, row: AlertsRow, policy: Policy) -> bool:
    try:
        return _opened(zone, row) == policy
    except KeyGone:
        return False


def _read(zone: str) -> Policy:
    rows = {row.pk: row for row in AlertsRow.find_many({_policy_key(zone), _policy_key(NATIONAL)})}
    for name in (zone, NATIONAL):
        if row := rows.get(_policy_key(name)):
            return _opened(name, row)
    return DEFAULT


def _opened(zone: str, row: AlertsRow) -> Policy:
    key = keyring.key_of(_key_subject(zone, int(row.revision)))
    return key.open(row.holds(_Stored).sealed, Policy)


def _policy_key(zone: str) -> str:
    return f"policy/{zone}"


def _key_subject(zone: str, revision: int) -> str:
    """Each revision has a key of its own: a key in use cannot be replaced."""
    return f"alert-policy/{zone}/{revision}"


def _faults(policy: Policy) -> Iterator[str]:
    """What is wrong with a policy, a sentence each. None of them quotes a number, an address or a URL."""
    if fault := policy.fault():
        yield fault
    if taken := {contact.id for contact in policy.contacts} & {ON_CALL, COLLEAGUES}:
        yield f"Give other ids to the contacts {', '.join(sorted(taken))}: these words have a meaning of their own."
    if not policy.steps[-1].contacts:
        yield "The last step is repeated until somebody takes the alert. Name whom it reaches."
    for contact in policy.contacts:
        for way in contact.ways:
            if fault := _fault_of(way):
                yield f"A way of the contact {contact.id} {fault}."


def _fault_of(way: Way) -> str | None:
    if not SHAPES[way.channel].fullmatch(way.to):
        return f"does not lead to anything that {way.channel} can reach"
    if way.channel is Channel.WEBHOOK and posting.is_forbidden(posting.host_of(way.to)):
        return "leads to an address that nobody may name"
    if way.channel is Channel.WEBHOOK and not way.secret:
        return "is a webhook without a secret: its receiver could not tell our pages from anybody else's"
    if way.channel is Channel.EMAIL and not settings.load(ChannelSettings).mail_from:
        return "is an e-mail, and none can be sent here"
    return None
