"""Who calls, and what they may do. Default is deny: every endpoint names one of the rules below.

This module owns a device's `access` row, the only thing read to let a handset in. Features change it through the
functions at the end, which join the caller's transaction.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar, Protocol

import msgspec
from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute

from chalicelib.core import http_signatures, ids, oidc, settings, telemetry
from chalicelib.core.call import Call
from chalicelib.core.callers import ClientSystem, Principal, StaffMember
from chalicelib.core.errors import (
    AccessDenied,
    ChangedMeanwhile,
    ClockSkewed,
    DeviceBlocked,
    IdentityRequired,
    NotFound,
    Problem,
)
from chalicelib.core.http_signatures import SignatureSettings
from chalicelib.core.oidc import OIDCSettings
from chalicelib.core.public_keys import PublicKey
from chalicelib.core.settings import Settings
from chalicelib.core.table import Place, Rows, Table, find_together
from chalicelib.core.transaction import UnitOfWork

RESOURCE_SERVER = "facteo/"
COMMANDS_WAITING_HEADER = "Facteo-Commands-Waiting"

ROLES = frozenset(
    {
        "carrier-support",
        "dispatcher",
        "depot-manager",
        "fleet-admin",
        "security-officer",
        "store-manager",
        "building-manager",
        "auditor",
        "ops",
    }
)


class DeviceState(enum.StrEnum):
    """What a handset may still do; see docs/architecture.md."""

    ENROLLED = "enrolled"
    QUARANTINED = "quarantined"
    WIPING = "wiping"
    RETIRED = "retired"


class AccessRow(Table):
    """What lets a handset in: its key, its enrolment generation, its state, and how far its events have come.

    Events `1..acknowledged_through` have been taken, and those in `beyond`: ranges `from-to` separated by spaces.
    `revision` changes with each write but that of `commands_waiting`, so that two writers at once are noticed.
    `assurance` says how well its key is kept. `lease_withheld`: the lease of its container is not put off any more.
    """

    table = "access"

    class Meta:
        pass

    device = UnicodeAttribute(hash_key=True)
    generation = NumberAttribute()
    state = UnicodeAttribute()
    key = UnicodeAttribute()
    carrier = UnicodeAttribute()
    depot = UnicodeAttribute()
    acknowledged_through = NumberAttribute(default=0)
    beyond = UnicodeAttribute(default="")
    commands_waiting = NumberAttribute(default=0)
    revision = NumberAttribute(default=0)
    assurance = UnicodeAttribute(default="none")
    lease_withheld = BooleanAttribute(default=False)


class Handset(Principal, frozen=True, kw_only=True):
    """An enrolled handset in the hands of its carrier. `row` is what was read to let it in, `beside` what beside it.

    `signed_at` is when it signed the request, by its own clock, to the second.
    """

    device: str
    generation: int
    carrier: str
    depot: str
    state: DeviceState
    signed_at: datetime
    row: AccessRow
    beside: Rows = msgspec.field(default_factory=dict)

    def answer_headers(self) -> dict[str, str]:
        """Whether commands wait, so that the handset asks for them only then."""
        return {COMMANDS_WAITING_HEADER: str(int(self.row.commands_waiting))}

    def leaves_trace(self, looked_up: str, *, asked_by: str, found: bool) -> None:
        """Log that it looked something up at a door: any handset may ask for any.

        `asked_by` is an item or the name of an address in the index, never a name or an address.
        """
        told = {"looked_up": looked_up, "device": self.device, "asked_by": asked_by, "found": found}
        telemetry.logger.info("looked up", extra=told)
        telemetry.count("LookUps", of=looked_up)


class Rule(Protocol):
    """Who may call an endpoint. `scheme` is its security scheme in OpenAPI, `settings` what admitting needs."""

    scheme: ClassVar[str]
    settings: ClassVar[type[Settings]]

    @property
    def problems(self) -> tuple[type[Problem], ...]:
        """What it may refuse a caller with."""

    @property
    def told(self) -> str:
        """Who that is, for the readers of the API's description."""

    def admit(self, call: Call) -> Principal | None:
        """The caller, or a Problem raised."""


class handset(msgspec.Struct, frozen=True, kw_only=True):  # noqa: N801 - reads as a word in declarations
    """An enrolled handset, its request signed with its key. `blocked_too`: quarantined and wiping ones as well.

    `any_clock`: whenever it was signed. A request that was caught can then be sent again at any time: only where
    refusing somebody whose clock is wrong is worse than that.

    `beside` names the rows that the endpoint will need, by the call and the device that it is said to come from: they
    are read together with what lets the handset in, in one DynamoDB call, and told to nobody before its signature is
    verified.
    """

    scheme: ClassVar[str] = "handsetSignature"
    settings: ClassVar[type[Settings]] = SignatureSettings
    blocked_too: bool = False
    any_clock: bool = False
    beside: Callable[[Call, str], Sequence[Place]] | None = None

    @property
    def problems(self) -> tuple[type[Problem], ...]:
        """A clock is no problem where any will do."""
        return (IdentityRequired, DeviceBlocked) if self.any_clock else (IdentityRequired, ClockSkewed, DeviceBlocked)

    @property
    def told(self) -> str:
        """Enrolled handsets, or all but retired ones, and whether their clock matters."""
        who = "For handsets, blocked ones too." if self.blocked_too else "For enrolled handsets."
        return f"{who} Whatever their clock says." if self.any_clock else who

    def admit(self, call: Call) -> Handset:
        """One consistent read: what was revoked a moment ago is refused now."""
        found: list[tuple[AccessRow, Rows]] = []

        def key_of(device: str) -> PublicKey | None:
            if not ids.is_uuid7(device):
                return None
            row, others = _read(device, self.beside(call, device) if self.beside else ())
            if row is None:
                return None
            found.append((row, others))
            return msgspec.json.decode(row.key, type=PublicKey)

        signed_at = http_signatures.verify(call, key_of, any_clock=self.any_clock)
        return self._let_in(*found[0], signed_at)

    def _let_in(self, row: AccessRow, beside: Rows, signed_at: datetime) -> Handset:
        state = DeviceState(row.state)
        if state is DeviceState.RETIRED:
            raise DeviceBlocked("This handset is retired. Enrol it again.", state=state.value)
        found = Handset(
            actor=f"carrier/{row.carrier}",
            device=row.device,
            generation=int(row.generation),
            carrier=row.carrier,
            depot=row.depot,
            state=state,
            signed_at=signed_at,
            row=row,
            beside=beside,
        )
        if state is not DeviceState.ENROLLED and not self.blocked_too:
            told = "This handset is blocked. Call your depot."
            raise DeviceBlocked(told, headers=found.answer_headers(), state=state.value)
        return found


class staff:  # noqa: N801
    """A member of staff with one of these roles."""

    scheme: ClassVar[str] = "staffToken"
    settings: ClassVar[type[Settings]] = OIDCSettings
    problems: ClassVar[tuple[type[Problem], ...]] = (IdentityRequired, AccessDenied)

    def __init__(self, *roles: str) -> None:
        if not roles or set(roles) - ROLES:
            raise ValueError(f"name at least one role, of {sorted(ROLES)}")
        self.roles = frozenset(roles)

    @property
    def told(self) -> str:
        """The roles."""
        return f"For the roles {', '.join(sorted(self.roles))}."

    def admit(self, call: Call) -> StaffMember:
        """The token's groups are the roles; its scope claim says for which depots, zones and buildings."""
        claims = oidc.claims_of(_bearer(call))
        roles = frozenset(claims.get("cognito:groups", claims.get("groups", ())))
        if not roles & self.roles:
            raise AccessDenied(f"This needs one of the roles {', '.join(sorted(self.roles))}.")
        scopes = frozenset(str(claims.get(settings.load(OIDCSettings).oidc_scope_claim, "")).split())
        return StaffMember(actor=f"staff/{claims['sub']}", roles=roles & ROLES, scopes=scopes)


class client(msgspec.Struct, frozen=True):  # noqa: N801
    """Another system whose client credentials carry this scope (RFC 6749, section 4.4)."""

    scheme: ClassVar[str] = "clientCredentials"
    settings: ClassVar[type[Settings]] = OIDCSettings
    problems: ClassVar[tuple[type[Problem], ...]] = (IdentityRequired, AccessDenied)
    scope: str

    @property
    def told(self) -> str:
        """The scope."""
        return f"For systems with the scope {self.scope}."

    def admit(self, call: Call) -> ClientSystem:
        """Scopes may carry our name as resource server in front (`facteo/tracking.read`), and no other's."""
        claims = oidc.claims_of(_bearer(call))
        scopes = frozenset(name.removeprefix(RESOURCE_SERVER) for name in str(claims.get("scope", "")).split())
        if self.scope not in scopes:
            raise AccessDenied(f"This needs the scope {self.scope}.")
        return ClientSystem(actor=f"client/{claims.get('client_id', claims['sub'])}", scopes=scopes)


class public(msgspec.Struct, frozen=True):  # noqa: N801
    """Anybody, for the reason given here."""

    scheme: ClassVar[str] = ""
    settings: ClassVar[type[Settings]] = Settings
    problems: ClassVar[tuple[type[Problem], ...]] = ()
    reason: str

    @property
    def told(self) -> str:
        """Everybody, and why."""
        return f"For everybody: {self.reason}."

    def admit(self, call: Call) -> None:
        """No caller is known."""


def grant(work: UnitOfWork, row: AccessRow, *, replaces: AccessRow | None) -> None:
    """Let a newly enrolled device in, with nothing inherited from its former enrolment."""
    row.revision = int(replaces.revision) + 1 if replaces else 1
    condition = AccessRow.revision == replaces.revision if replaces else AccessRow.device.does_not_exist()
    work.put(row, when=condition, otherwise=ChangedMeanwhile("The device was enrolled at the same time."))


def set_state(
    work: UnitOfWork,
    row: AccessRow,
    state: DeviceState,
    *,
    waiting: int | None = None,
    lease_withheld: bool | None = None,
) -> None:
    """Change what a device may do, from its next request on; how many commands wait for it, and whether its lease is
    withheld, if that changes. A sync that came in between does not hold it up; one that is under way is refused.
    """
    changes = [AccessRow.state.set(state.value), AccessRow.revision.add(1)]
    if waiting is not None:
        changes.append(AccessRow.commands_waiting.set(waiting))
    if lease_withheld is not None:
        changes.append(AccessRow.lease_withheld.set(lease_withheld))
    work.update(
        row,
        changes,
        when=(AccessRow.generation == row.generation) & (AccessRow.state == row.state),
        otherwise=ChangedMeanwhile("The device changed at the same time; read it again."),
    )


def set_waiting(work: UnitOfWork, row: AccessRow, waiting: int) -> None:
    """Say how many commands wait for a device. A sync of it that is under way is not disturbed."""
    work.update(
        row,
        [AccessRow.commands_waiting.set(waiting)],
        when=AccessRow.generation == row.generation,
        otherwise=ChangedMeanwhile("The device was enrolled again at the same time."),
    )


def acknowledge(work: UnitOfWork, row: AccessRow, *, through: int, beyond: str) -> None:
    """Note how far the device's events have been taken. Refused if the row changed since it was read."""
    work.update(
        row,
        [
            AccessRow.acknowledged_through.set(through),
            AccessRow.beyond.set(beyond),
            AccessRow.revision.set(row.revision + 1),
        ],
        when=AccessRow.revision == row.revision,
        otherwise=ChangedMeanwhile("Another sync of this device is under way."),
    )


def current(handset: Handset) -> AccessRow:
    """The row that let this handset in, as it is now. Raises DeviceBlocked if it would not let it in any more."""
    row = AccessRow.get(handset.device, consistent_read=True)
    if row.state == DeviceState.RETIRED or int(row.generation) != handset.generation:
        raise DeviceBlocked("This enrolment has ended. Enrol the handset again.", state=row.state)
    return row


def state_of(device: str) -> DeviceState:
    """What a device may do now: one read. Raises NotFound."""
    row = AccessRow.find(device)
    if row is None:
        raise NotFound(f"There is no device {device}.")
    return DeviceState(row.state)


def enrolled(device: str) -> AccessRow:
    """What lets an enrolled device in: one read. Raises NotFound, and DeviceBlocked if it is not let in."""
    row = AccessRow.find(device)
    if row is None:
        raise NotFound(f"There is no device {device}.")
    if row.state != DeviceState.ENROLLED:
        raise DeviceBlocked("That handset is blocked.", state=row.state)
    return row


def require_still(work: UnitOfWork, row: AccessRow) -> None:
    """Have the work refused with DeviceBlocked if what let a device in has ended or was blocked since it was read."""
    same = (AccessRow.generation == row.generation) & (AccessRow.state == DeviceState.ENROLLED.value)
    work.check(row, same, otherwise=DeviceBlocked("This enrolment has just ended.", state=row.state))


def _read(device: str, beside: Sequence[Place]) -> tuple[AccessRow | None, Rows]:
    """A device's row and those beside it: one consistent call."""
    if not beside:
        return AccessRow.find(device), {}
    rows = find_together([(AccessRow, device), *beside])
    return AccessRow.among(rows, device), rows


def _bearer(call: Call) -> str:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise IdentityRequired("Send 'Authorization: Bearer <token>'.")
    return token
