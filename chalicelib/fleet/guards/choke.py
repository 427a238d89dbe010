"""The one choke point: nothing is destroyed that has not passed here, whatever route asked for it.

What counts is the effect, not the name of a field or of an endpoint: a kind that destroys needs an authority, and only
two approvals over the exact words make one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from chalicelib.core import clock, keyring, signing
from chalicelib.core.errors import Conflict
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet.commands.kinds import KINDS, Kind
from chalicelib.fleet.guards import buckets, passkeys
from chalicelib.fleet.guards.buckets import Family, Place
from chalicelib.fleet.guards.schemas import Approved, ApproverSet
from chalicelib.fleet.guards.warrant_schemas import WarrantText


class ApprovalsRequired(Conflict):
    title = "Two people must approve this"


class Target(NamedTuple):
    """An enrolment of a device."""

    device: str
    generation: int


class Authority(NamedTuple):
    """That two people approved a warrant, that the buckets had room, for which enrolments, and whether at once."""

    warrant: str
    kind: Kind
    approved: Approved
    targets: frozenset[Target]
    witnessed: bool = False


def require(kind: Kind, target: Target, authority: Authority | None) -> None:
    """Raise ApprovalsRequired for what destroys, unless this authority covers it."""
    if not KINDS[kind].destroys:
        return
    if authority is None or authority.kind is not kind or target not in authority.targets:
        raise ApprovalsRequired("Ask for a warrant: POST /v1/warrants.")


def authorize(work: UnitOfWork, approved: Approved, judges: ApproverSet, places: Mapping[Target, Place]) -> Authority:
    """The authority to destroy what a warrant names, at these places: taken from the buckets with the work, two reads.

    It holds for those of its targets alone whose places are given. Raises ApprovalsRequired, BreakerOpen,
    BlastLimitReached.
    """
    authority = proven(approved, judges)
    if not places.keys() <= authority.targets:
        raise ApprovalsRequired("The warrant names other handsets.")
    approvers = [approval.approver for approval in approved.approvals]
    text = _text_of(approved)
    buckets.take(work, Family.WIPES, text.requested_by, [*places.values()], now=clock.now(), with_=approvers)
    return authority._replace(targets=frozenset(places))


def proven(approved: Approved, judges: ApproverSet) -> Authority:
    """The authority of a warrant that was carried out before, proven from its text and its approvals alone.

    Raises ApprovalsRequired if two different people of the set that it names did not approve it, or it is over.
    """
    text = _text_of(approved)
    of_this_set = text.approvers_version == judges.version
    if not of_this_set or text.expires_at <= clock.now() or not passkeys.is_approved(approved, judges):
        raise ApprovalsRequired("Two approvers must confirm the warrant with their passkeys.")
    targets = frozenset(Target(target.device, target.generation) for target in text.targets)
    return Authority(text.id, text.kind, approved, targets, text.witnessed)


def escrow_of(device: str) -> str:
    """The subject of the data key from which a device's lease keys are made."""
    return f"lease/{device}"


def destroy_escrow(work: UnitOfWork, target: Target, authority: Authority | None, kind: Kind) -> None:
    """Destroy what a device's container could be opened with again. Raises ApprovalsRequired."""
    require(kind, target, authority)
    keyring.revoke(work, escrow_of(target.device))


def _text_of(approved: Approved) -> WarrantText:
    return msgspec.json.decode(signing.from_base64url(approved.text), type=WarrantText)
