"""The one choke point: nothing is destroyed that has not passed here, whatever route asked for it.

What counts is the effect, not the name of a field or of an endpoint: a kind that destroys needs an authority, and only
two approvals over the exact words make one.
"""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.core import keyring
from chalicelib.core.errors import Conflict
from chalicelib.core.transaction import UnitOfWork
from chalicelib.fleet.commands.kinds import KINDS, Kind
from chalicelib.fleet.guards.schemas import Approved


class ApprovalsRequired(Conflict):
    title = "Two people must approve this"


class Target(NamedTuple):
    """An enrolment of a device."""

    device: str
    generation: int


class Authority(NamedTuple):
    """That two people approved a warrant, that the buckets had room, and for which enrolments."""

    warrant: str
    kind: Kind
    approved: Approved
    targets: frozenset[Target]


def require(kind: Kind, target: Target, authority: Authority | None) -> None:
    """Raise ApprovalsRequired for what destroys, unless this authority covers it."""
    if not KINDS[kind].destroys:
        return
    if authority is None or authority.kind is not kind or target not in authority.targets:
        raise ApprovalsRequired("Ask for a warrant: POST /v1/warrants.")


def escrow_of(device: str) -> str:
    """The subject of the data key from which a device's lease keys are made."""
    return f"lease/{device}"


def destroy_escrow(work: UnitOfWork, target: Target, authority: Authority | None, kind: Kind) -> None:
    """Destroy what a device's container could be opened with again. Raises ApprovalsRequired."""
    require(kind, target, authority)
    keyring.revoke(work, escrow_of(target.device))
