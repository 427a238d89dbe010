"""A handset's policy, signed. It is signed once for all handsets that have the same: KMS is not asked for each."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec

from chalicelib.core import clock, signing
from chalicelib.core.access import Handset
from chalicelib.core.callers import StaffMember
from chalicelib.fleet import lookup as fleet
from chalicelib.fleet.attestation import Assurance
from chalicelib.fleet.policies import applying, documents, rules, standing
from chalicelib.fleet.policies.applying import KEPT_FOR
from chalicelib.fleet.policies.schemas import DevicePolicy, GroupPolicy, Signed, Told
from chalicelib.fleet.policies.store import encoded
from chalicelib.fleet.tables import PolicyRow
from chalicelib.people import lookup as people

SIGNED: Final = "signed"


class Policy(NamedTuple):
    """A handset's policy as it stands, before it is signed."""

    told: Told
    digest: str

    @property
    def etag(self) -> str:
        """The name of this very policy."""
        return f'"{self.digest[:32]}"'


def policy_of(who: Handset) -> Policy:
    """A handset's policy of the version that has reached it: a query, and one for each of its groups that this process
    does not know in that version.
    """
    version = rules.version_for(standing.latest().rollout, who.device)
    told = Told(version=version, settings=_settings(who, version))
    return Policy(told, hashlib.sha256(msgspec.json.encode(told)).hexdigest())


def settings_of(who: Handset) -> tuple[int, GroupPolicy]:
    """The version that a handset is to have, and what holds for it, as it stood five minutes ago at most: mostly no
    call.
    """
    version = rules.version_for(standing.held(), who.device)
    return version, _settings(who, version)


def signed(policy: Policy) -> Signed:
    """The policy as JWS: a read, and a signature and a write for the first who asks for it."""
    row = PolicyRow.find(f"{SIGNED}/{policy.digest}", SIGNED) or _signed_row(policy)
    return row.holds(Signed)


def of_device(device: str, *, by: StaffMember) -> DevicePolicy:
    """The version that a device is to have, and what it said of it: three reads. Raises NotFound, AccessDenied."""
    people.require_depot(by, fleet.depot_of(device))
    version = rules.version_for(standing.latest().rollout, device)
    return DevicePolicy(device=device, version=version, application=applying.of_device(version, device))


def _settings(who: Handset, version: int) -> GroupPolicy:
    return documents.merged_at(version, Assurance(who.row.assurance), who.depot)


def _signed_row(policy: Policy) -> PolicyRow:
    """Two at once make a signature each; both are good, and the later one stays."""
    content = encoded(Signed(policy=signing.sign(policy.told)))
    row = PolicyRow(f"{SIGNED}/{policy.digest}", SIGNED, content=content, expires_at=clock.now() + KEPT_FOR)
    row.save()
    return row
