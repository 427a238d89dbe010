"""Policy over HTTP: for staff, and for handsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from chalice.app import Blueprint
from msgspec import Meta

from chalicelib.core.access import Handset, handset, staff
from chalicelib.core.call import Call
from chalicelib.core.callers import StaffMember
from chalicelib.core.endpoint import Answer, endpoint
from chalicelib.core.errors import ChangedMeanwhile, NotFound
from chalicelib.core.later import later
from chalicelib.core.schemas import Schema
from chalicelib.fleet.own_settings import OwnApp, RolloutSettings
from chalicelib.fleet.policies import applying, serving
from chalicelib.fleet.policies.rules import RingTooYoung, RingUntried, RolloutStands, RolloutUnderWay, VersionOutOfTurn
from chalicelib.fleet.policies.schemas import (
    Application,
    DevicePolicy,
    Group,
    GroupKind,
    GroupPolicy,
    GroupTold,
    Halt,
    Publish,
    RolloutTold,
    Signed,
    Version,
)
from chalicelib.fleet.schemas import DeviceId

if TYPE_CHECKING:
    from chalicelib.fleet.policies import documents, rollouts
else:
    documents, rollouts = later("chalicelib.fleet.policies", "documents", "rollouts")

routes = Blueprint(__name__)

EDITORS: Final = staff("fleet-admin")
READERS: Final = staff("fleet-admin", "auditor")
DEVICE_READERS: Final = staff("fleet-admin", "depot-manager", "security-officer", "dispatcher", "auditor")

GroupName = Annotated[str, Meta(pattern=r"^[0-9A-Za-z]{2,10}(?![\s\S])")]


class FailingPage(Schema, frozen=True):
    """Where to go on reading the failing devices: the `next` of the page before."""

    after: DeviceId | None = None


# --- handsets -----------------------------------------------------------------------------------------------


@endpoint(
    routes,
    "GET /v1/policy",
    allow=handset(),
    returns=Signed,
    answers={304: "It is the one that If-None-Match names."},
)
def policy(who: Handset, call: Call) -> Answer:
    """What this handset keeps to, signed: of the version that has reached it."""
    found = serving.policy_of(who)
    headers = {"ETag": found.etag}
    if call.has(found.etag):
        return Answer(status=304, headers=headers)
    return Answer(body=serving.signed(found), headers=headers)


@endpoint(routes, "POST /v1/policy/application", allow=handset(), problems=[NotFound, ChangedMeanwhile])
def note_application(request: Application, who: Handset) -> None:
    """What this handset has applied of its policy, and what not. Said again it changes nothing."""
    if applying.note(who, request):
        rollouts.judge()


# --- staff --------------------------------------------------------------------------------------------------


@endpoint(routes, "PUT /v1/policies/{kind}/{name}", allow=EDITORS, problems=[ChangedMeanwhile], settings=OwnApp)
def set_group(kind: GroupKind, name: GroupName, request: GroupPolicy, who: StaffMember, call: Call) -> GroupTold:
    """Set what holds for a group: `fleet/all`, `tier/<assurance>`, `role/carrier`, `depot/<id>`. It holds once the next
    version is published.
    """
    return documents.put(Group(kind, name), request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/policies/{kind}/{name}", allow=READERS)
def read_group(kind: GroupKind, name: GroupName, who: StaffMember) -> GroupTold:
    """What is set for a group, published or not."""
    return documents.read(Group(kind, name), by=who)


@endpoint(
    routes,
    "PUT /v1/policies/rollouts/{version}",
    allow=EDITORS,
    problems=[RolloutUnderWay, VersionOutOfTurn, ChangedMeanwhile],
    settings=RolloutSettings,
)
def publish(version: Version, request: Publish, who: StaffMember, call: Call) -> RolloutTold:
    """Publish what was set since the version before, as the next version. It reaches the referents now."""
    return rollouts.publish(version, request, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/policies/rollouts/{version}", allow=READERS)
def read_rollout(version: Version, query: FailingPage, who: StaffMember) -> RolloutTold:
    """How far a version has come, and which devices could not apply it."""
    return rollouts.read(version, query.after, by=who)


@endpoint(
    routes,
    "POST /v1/policies/rollouts/{version}/next-ring",
    allow=EDITORS,
    problems=[RolloutStands, RingTooYoung, RingUntried, ChangedMeanwhile],
    settings=RolloutSettings,
)
def move_on(version: Version, who: StaffMember, call: Call) -> RolloutTold:
    """Let a version reach its next ring: beyond 1 %, once a device said what became of it. The clock does so too."""
    return rollouts.move_on(version, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/policies/rollouts/{version}/halt",
    allow=EDITORS,
    problems=[RolloutStands, ChangedMeanwhile],
)
def halt(version: Version, request: Halt, who: StaffMember, call: Call) -> RolloutTold:
    """Let a version reach nobody else. Who has it is given the next one as soon as that is published."""
    return rollouts.halt(version, request.reason, by=who, correlation_id=call.correlation_id)


@endpoint(
    routes,
    "POST /v1/policies/rollouts/{version}/resumption",
    allow=EDITORS,
    problems=[RolloutStands, ChangedMeanwhile],
)
def resume(version: Version, who: StaffMember, call: Call) -> RolloutTold:
    """Go on with a version that was halted."""
    return rollouts.resume(version, by=who, correlation_id=call.correlation_id)


@endpoint(routes, "GET /v1/devices/{device}/policy", allow=DEVICE_READERS, problems=[NotFound])
def policy_of_device(device: DeviceId, who: StaffMember) -> DevicePolicy:
    """The version of the policy that a device is to have, and what it said of it."""
    return serving.of_device(device, by=who)
