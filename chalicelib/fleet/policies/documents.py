"""What staff set for groups. It is written for the version after the newest one, and holds once that is published.

A group's documents stand by the version from which on each holds, so that publishing writes none of them, and that what
was published never changes.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from chalicelib.core import events
from chalicelib.core.callers import StaffMember
from chalicelib.core.errors import AccessDenied, ChangedMeanwhile
from chalicelib.core.settings import load
from chalicelib.core.transaction import retried, transaction
from chalicelib.fleet.attestation import Assurance
from chalicelib.fleet.own_settings import OwnApp
from chalicelib.fleet.policies import rules, standing
from chalicelib.fleet.policies.schemas import Group, GroupKind, GroupPolicy, GroupSet, GroupTold
from chalicelib.fleet.policies.store import encoded, key_of
from chalicelib.fleet.tables import PolicyRow
from chalicelib.people import lookup as people


class _Document(NamedTuple):
    version: int
    revision: int
    settings: GroupPolicy


_NOTHING = _Document(0, 0, GroupPolicy())


def put(group: Group, settings: GroupPolicy, *, by: StaffMember, correlation_id: str) -> GroupTold:
    """Set what holds for a group from the next version on: three or four reads, and a transaction if that is new.

    Raises NotFound, AccessDenied, and RequestInvalid if it blocks our own application.
    """
    _check(group, by)
    rules.check_own_app(settings, load(OwnApp).attestation_package)
    return retried(lambda: _put(group, settings, by, correlation_id))


def read(group: Group, *, by: StaffMember) -> GroupTold:
    """What is set for a group, published or not: two or three reads. Raises NotFound, AccessDenied."""
    _check(group, by)
    newest = standing.latest().rollout.version
    found = _at(group, newest + 1)
    return _told(group, found, newest)


def merged_at(version: int, assurance: Assurance, depot: str) -> GroupPolicy:
    """What holds for a handset by a published version: a query for each of its groups that this process has not read in
    that version yet.
    """
    documents = [_published(version, group) for group in rules.groups_of(assurance, depot)] if version else []
    return rules.merged([rules.DEFAULTS, *documents])


def require_everywhere(by: StaffMember) -> None:
    """Raise AccessDenied unless the whole fleet is theirs."""
    if not by.works_everywhere:
        raise AccessDenied("This is for the whole fleet. Ask who manages all of it.")


def forget() -> None:
    """Drop what this process holds."""
    _published.cache_clear()


def _put(group: Group, settings: GroupPolicy, by: StaffMember, correlation_id: str) -> GroupTold:
    newest = standing.latest().rollout.version
    before, version = _at(group, newest + 1), newest + 1
    if before.version and before.settings == settings:
        return _told(group, before, newest)
    instead_of = before.revision if before.version == version else 0
    row = PolicyRow(_key(group), key_of(version), content=encoded(settings), revision=instead_of + 1)
    meanwhile = ChangedMeanwhile("A version was published at the same time.")
    event = events.make(
        "facteo.policy-group.set",
        f"policy-group/{group.key}",
        GroupSet(version=version, settings=settings),
        actor=by.actor,
        correlation_id=correlation_id,
    )
    with transaction() as work:
        work.check(PolicyRow(standing.ROLLOUTS, key_of(version)), PolicyRow.is_none(), otherwise=meanwhile)
        work.put(row, when=PolicyRow.is_still(instead_of), otherwise=ChangedMeanwhile("Somebody else has set it."))
        work.append(event)
    return _told(group, _Document(version, instead_of + 1, settings), newest)


def _check(group: Group, by: StaffMember) -> None:
    rules.check_name(group)
    if group.kind is not GroupKind.DEPOT:
        require_everywhere(by)
        return
    people.require_depot(by, group.name)
    people.depot(group.name)


def _at(group: Group, version: int) -> _Document:
    """A group's document as of a version: one query."""
    until = PolicyRow.sk <= key_of(version)
    rows = PolicyRow.query(_key(group), until, scan_index_forward=False, limit=1, consistent_read=True)
    row = next(iter(rows), None)
    return _Document(int(row.sk), int(row.revision), row.holds(GroupPolicy)) if row else _NOTHING


@functools.lru_cache(maxsize=4096)
def _published(version: int, group: Group) -> GroupPolicy:
    return _at(group, version).settings


def _key(group: Group) -> str:
    return f"group/{group.key}"


def _told(group: Group, found: _Document, newest: int) -> GroupTold:
    return GroupTold(
        kind=group.kind,
        name=group.name,
        version=found.version,
        published=found.version <= newest,
        settings=found.settings,
    )
