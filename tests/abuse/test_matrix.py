"""Who may call what: every endpoint refuses every caller whom its right does not name, and other depots' managers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

import app  # noqa: F401 - it declares the endpoints
from chalicelib.core import access
from chalicelib.core.access import ROLES, DeviceState
from chalicelib.core.endpoint import REGISTRY
from chalicelib.items.rules import NATIONWIDE
from tests.support.api import Answered, Api, Caller
from tests.support.buildings import BUILDING, OTHER
from tests.support.factories import ITEM, a_handset
from tests.support.fleet import HERE, OURS, THERE, NewHandset, a_carrier
from tests.support.passes import SECTOR
from tests.support.populated import BODIES, DAY, GROUP_POLICY, PROXY, REDIRECTION, ZONE, Populated, populated
from tests.support.proxies import DOCUMENTS

EVERYBODY = "everybody"
REFERENCE = "auditor carrier-support depot-manager dispatcher fleet-admin ops"
FLEET = "depot-manager dispatcher fleet-admin security-officer"
APPROVING = "depot-manager fleet-admin security-officer"

RIGHTS = {
    "GET /problems/{slug}": EVERYBODY,
    "GET /v1/docs": EVERYBODY,
    "GET /v1/docs/{name}": EVERYBODY,
    "GET /v1/openapi.json": EVERYBODY,
    "POST /v1/enrolments": EVERYBODY,
    "GET /v1/round": "handset enrolled",
    "POST /v1/events": "handset enrolled quarantined wiping",
    "GET /v1/suivi/{items}": "client tracking.read",
    "GET /v1/carriers": "auditor depot-manager fleet-admin",
    "GET /v1/carriers/{carrier}": "auditor depot-manager fleet-admin",
    "PUT /v1/carriers/{carrier}": "depot-manager",
    "GET /v1/carriers/{carrier}/duties": "auditor depot-manager",
    "PUT /v1/carriers/{carrier}/duties/{day}": "depot-manager",
    "DELETE /v1/carriers/{carrier}/duties/{day}": "depot-manager",
    "GET /v1/clients/{client}": "auditor ops",
    "PUT /v1/clients/{client}": "ops",
    "GET /v1/depots": REFERENCE,
    "GET /v1/depots/{depot}": REFERENCE,
    "PUT /v1/depots/{depot}": "ops",
    "GET /v1/depots/{depot}/held": "depot-manager",
    "GET /v1/depots/{depot}/unsorted": "depot-manager",
    "GET /v1/devices": FLEET,
    "GET /v1/devices/{device}": FLEET,
    "POST /v1/devices/{device}/retirement": "depot-manager fleet-admin",
    "POST /v1/enrolment-tickets": "depot-manager fleet-admin",
    "GET /v1/imports": "ops",
    "GET /v1/imports/{import_id}": "ops",
    "GET /v1/items/{item}": "auditor carrier-support depot-manager dispatcher",
    "POST /v1/items/{item}/corrections": "carrier-support depot-manager",
    "PUT /v1/items/{item}/placement": "depot-manager",
    "GET /v1/items/{item}/proofs": "auditor carrier-support depot-manager",
    "GET /v1/depots/{depot}/attention": "auditor depot-manager dispatcher",
    "POST /v1/depots/{depot}/attention/{entry}/handling": "depot-manager",
    "POST /v1/proofs/{proof}/readings": "carrier-support",
    "GET /v1/proofs/{proof}/readings": "auditor",
    "GET /v1/proofs/{proof}/verifications/{code}": EVERYBODY,
    "GET /v1/proxies/{proxy}": "auditor carrier-support",
    "PUT /v1/proxies/{proxy}": "carrier-support",
    "POST /v1/proxies/{proxy}/verification": "carrier-support",
    "POST /v1/proxies/{proxy}/refusal": "carrier-support",
    "POST /v1/proxies/{proxy}/revocation": "carrier-support",
    "POST /v1/proxy-searches": "carrier-support",
    "POST /v1/proxy-checks": "handset enrolled",
    "PUT /v1/redirections/{redirection}": "carrier-support",
    "GET /v1/redirections/{redirection}": "auditor carrier-support",
    "GET /v1/redirections/{redirection}/letter": "ops",
    "POST /v1/redirections/{redirection}/verification": "carrier-support",
    "POST /v1/redirections/{redirection}/code": "carrier-support",
    "POST /v1/redirections/{redirection}/refusal": "carrier-support",
    "POST /v1/redirections/{redirection}/cancellation": "carrier-support",
    "POST /v1/redirections/{redirection}/end": "carrier-support",
    "POST /v1/redirections/{redirection}/renewal": "carrier-support",
    "POST /v1/redirection-searches": "auditor carrier-support",
    "POST /v1/redirection-checks": "handset enrolled",
    "GET /v1/zones": REFERENCE,
    "GET /v1/zones/{zone}": REFERENCE,
    "PUT /v1/zones/{zone}": "ops",
    "PUT /v1/alerts/{alert}": "handset enrolled quarantined wiping",
    "GET /v1/alerts/{alert}/status": "handset enrolled quarantined wiping",
    "POST /v1/alerts/{alert}/positions": "handset enrolled quarantined wiping",
    "POST /v1/alerts/{alert}/cancellation": "handset enrolled quarantined wiping",
    "GET /v1/alerts/{alert}/views": "handset enrolled quarantined wiping",
    "PUT /v1/alert-pins": "handset enrolled",
    "POST /v1/alert-pins/{carrier}/reset": "depot-manager",
    "PUT /v1/alert-push": "handset enrolled",
    "GET /v1/alert-feed/{zone}": "auditor dispatcher",
    "POST /v1/alert-feed/{zone}/receipts": "dispatcher",
    "GET /v1/alert-zones/{zone}/alerts": "auditor dispatcher",
    "GET /v1/alert-zones/{zone}/report": "auditor depot-manager dispatcher",
    "GET /v1/alerts/{alert}": "auditor dispatcher",
    "POST /v1/alerts/{alert}/acknowledgement": "dispatcher",
    "POST /v1/alerts/{alert}/response": "dispatcher",
    "POST /v1/alerts/{alert}/notes": "dispatcher",
    "POST /v1/alerts/{alert}/zone": "dispatcher",
    "POST /v1/alerts/{alert}/closing": "dispatcher",
    "GET /v1/alerts/{alert}/cap": "auditor dispatcher",
    "GET /v1/alerts/{alert}/aml": "auditor dispatcher",
    "GET /v1/alerts/{alert}/track": "auditor dispatcher",
    "GET /v1/alerts/{alert}/report": "auditor depot-manager dispatcher",
    "GET /v1/alert-policies/{zone}": "ops",
    "PUT /v1/alert-policies/{zone}": "ops",
    "PUT /v1/alert-numbers/{device}": "fleet-admin",
    "GET /v1/buildings": "auditor building-manager security-officer",
    "GET /v1/buildings/{building}": "auditor building-manager security-officer",
    "PUT /v1/buildings/{building}": "building-manager security-officer",
    "GET /v1/buildings/{building}/readers/{reader}/line": "building-manager security-officer",
    "PUT /v1/buildings/{building}/readers/{reader}": "building-manager security-officer",
    "DELETE /v1/buildings/{building}/readers/{reader}": "building-manager security-officer",
    "POST /v1/pass": "handset enrolled",
    "DELETE /v1/pass": "handset enrolled",
    "GET /v1/pass/help": "handset enrolled",
    "GET /v1/pass/entries": "handset enrolled",
    "GET /v1/pass-keys": EVERYBODY,
    "GET /v1/pass-keys/jwks": EVERYBODY,
    "GET /v1/pass-time": EVERYBODY,
    "GET /v1/status-lists/0": EVERYBODY,
    "GET /v1/passes/{device}": "auditor depot-manager dispatcher fleet-admin security-officer",
    "PUT /v1/passes/{device}/suspension": "depot-manager dispatcher security-officer",
    "DELETE /v1/passes/{device}/suspension": "depot-manager dispatcher security-officer",
    "PUT /v1/passes/{device}/help": "dispatcher",
    "GET /v1/pass-perimeters/{depot}/{route}": "auditor depot-manager",
    "PUT /v1/pass-perimeters/{depot}/{route}": "depot-manager",
    "GET /v1/buildings/{building}/entries": "security-officer",
    "GET /v1/commands": "handset enrolled quarantined wiping",
    "POST /v1/commands": FLEET,
    "GET /v1/commands/{command}": f"auditor {FLEET}",
    "POST /v1/commands/{command}/cancellation": FLEET,
    "POST /v1/commands/{command}/reports": "handset enrolled quarantined wiping",
    "GET /v1/devices/{device}/commands": f"auditor {FLEET}",
    "GET /v1/approver-sets": "handset enrolled quarantined wiping",
    "GET /v1/approvers": f"auditor {FLEET}",
    "POST /v1/approver-passkeys": APPROVING,
    "POST /v1/approver-passkeys/options": APPROVING,
    "POST /v1/approver-sets": "security-officer",
    "POST /v1/approver-sets/{version}/approvals": APPROVING,
    "GET /v1/warrants": f"auditor {FLEET}",
    "POST /v1/warrants": APPROVING,
    "GET /v1/warrants/{warrant}": f"auditor {FLEET}",
    "POST /v1/warrants/{warrant}/approvals": APPROVING,
    "POST /v1/warrants/{warrant}/cancellation": FLEET,
    "POST /v1/warrants/{warrant}/rejection": APPROVING,
    "GET /v1/breaker": f"auditor {FLEET}",
    "POST /v1/breaker/closing": "security-officer",
    "POST /v1/check-ins": "handset enrolled quarantined wiping",
    "POST /v1/lease": "handset enrolled",
    "GET /v1/fleet/devices": f"auditor {FLEET}",
    "GET /v1/fleet/devices/csv": f"auditor {FLEET}",
    "GET /v1/fleet/summary": f"auditor {FLEET}",
    "GET /v1/policy": "handset enrolled",
    "GET /v1/policy/usage": "handset enrolled",
    "POST /v1/policy/application": "handset enrolled",
    "GET /v1/policies/{kind}/{name}": "auditor fleet-admin",
    "PUT /v1/policies/{kind}/{name}": "fleet-admin",
    "GET /v1/policies/rollouts/{version}": "auditor fleet-admin",
    "PUT /v1/policies/rollouts/{version}": "fleet-admin",
    "POST /v1/policies/rollouts/{version}/next-ring": "fleet-admin",
    "POST /v1/policies/rollouts/{version}/halt": "fleet-admin",
    "POST /v1/policies/rollouts/{version}/resumption": "fleet-admin",
    "GET /v1/devices/{device}/policy": f"auditor {FLEET}",
    "POST /v1/loss-cases": FLEET,
    "GET /v1/loss-cases": f"auditor {FLEET}",
    "GET /v1/loss-cases/own": "handset enrolled",
    "GET /v1/loss-cases/{case}": f"auditor {FLEET}",
    "GET /v1/loss-cases/{case}/positions": "dispatcher security-officer",
    "POST /v1/loss-cases/{case}/withholding": "security-officer",
    "POST /v1/loss-cases/{case}/lost-mode": FLEET,
    "POST /v1/loss-cases/{case}/found": FLEET,
    "POST /v1/loss-cases/{case}/closed": FLEET,
    "POST /v1/loss-cases/{case}/wipe-evidence": FLEET,
    "POST /v1/loss-positions": "handset enrolled quarantined wiping",
    "POST /v1/loss-reports": "handset enrolled",
}
"""Who may call each endpoint: roles of staff, the states of a handset, or the scope of another system.

It stands apart from the declarations, so that one that lets in more is found by what it answers.
"""

OF_ALERTS = [name for name, right in RIGHTS.items() if " /v1/alerts/" in name and "handset" not in right]
"""What staff ask of an alert, which is its depot's and its zone's."""
OF_ZONES = [name for name in RIGHTS if name.split(" /v1/")[-1].startswith(("alert-feed/", "alert-zones/", "alert-pol"))]
"""What is asked of all alerts of a zone, which is no single depot's."""
OF_LOSSES = [name for name in RIGHTS if " /v1/loss-cases/{case}" in name]
"""What is asked of a loss case, which is its depot's."""
OF_BUILDINGS = [name for name in RIGHTS if " /v1/buildings/" in name]
"""What is asked of a building, which is no depot's but its manager's."""

OF_GUARDS = [
    "POST /v1/commands",
    "GET /v1/commands/{command}",
    "POST /v1/commands/{command}/cancellation",
    "GET /v1/devices/{device}/commands",
    "POST /v1/warrants",
    "GET /v1/warrants/{warrant}",
    "POST /v1/warrants/{warrant}/approvals",
    "POST /v1/warrants/{warrant}/cancellation",
    "POST /v1/warrants/{warrant}/rejection",
]
"""What is ordered of a device or is to be, which is its depot's."""

REDIRECTIONS = [name for name in RIGHTS if " /v1/redirection" in name and RIGHTS[name] != "handset enrolled"]

A_DUTY = {"depot": HERE, "route": "T12", "starts": "06:30", "ends": "13:00"}
_ADDRESS = {"postcode": "75015", "town": "Paris"}


def bodies(post: Populated) -> dict[str, Any]:
    """A good body for each endpoint that takes one."""
    return {
        "POST /v1/events": post.handset.batch(post.handset.event()),
        "PUT /v1/carriers/{carrier}": a_carrier(HERE),
        "PUT /v1/carriers/{carrier}/duties/{day}": A_DUTY,
        "PUT /v1/clients/{client}": {"company": "Facteo", "address": _ADDRESS},
        "PUT /v1/depots/{depot}": {"name": "Paris", "zone": "PARIS-SUD", "address": _ADDRESS},
        "POST /v1/devices/{device}/retirement": {"reason": "Broken screen"},
        "POST /v1/enrolment-tickets": {"carrier": OURS},
        "POST /v1/items/{item}/corrections": {"corrects": post.event, "reason": "It was another one"},
        "PUT /v1/items/{item}/placement": {"depot": HERE, "route": "T12"},
        "PUT /v1/proxies/{proxy}": PROXY,
        "POST /v1/proxies/{proxy}/verification": {"method": "post-office", "documents": DOCUMENTS},
        "POST /v1/proxies/{proxy}/refusal": {"reason": "other"},
        "POST /v1/proxies/{proxy}/revocation": {"reason": "other"},
        "POST /v1/proxy-searches": {"address": PROXY["address"]},
        "POST /v1/proxy-checks": {"item": ITEM, "holder": {"last_name": "MOREAU", "first_name": "Julien"}},
        "POST /v1/redirection-searches": {"address": REDIRECTION["old_address"]},
        "PUT /v1/alerts/{alert}": {"silent": True},
        "POST /v1/alerts/{alert}/positions": {"battery": 80},
        "POST /v1/alerts/{alert}/notes": {"text": "Called the depot"},
        "PUT /v1/passes/{device}/help": {"alert": "019ac9a0-0000-7000-8000-0000000000a1"},
        **BODIES,
        "PUT /v1/zones/{zone}": {"name": "Paris Sud"},
        "POST /v1/loss-cases": {"device": post.handset.device, "kind": "stolen"},
    }


REFUSED = {401: ("identity-required",), 403: ("access-denied", "device-blocked")}
"""The problems by which somebody is turned away who may not call."""

ENDPOINTS = {f"{method} {path}": declared for (method, path), declared in REGISTRY.items()}
GUARDED = [name for name in ENDPOINTS if RIGHTS.get(name) != EVERYBODY]


@pytest.fixture
def post(api: Api) -> Populated:
    return populated(api)


def callers(post: Populated) -> Iterator[tuple[str, str, Caller]]:
    """Everybody who could call: what they are called in a right, who they are, and how they call."""
    api = post.api
    yield "", "nobody", api.as_nobody()
    yield "", "staff without a role", api.as_staff()
    yield "", "staff with a role that we do not know", api.as_staff("king")
    yield "", "a system without a scope", api.as_client()
    for role in sorted(ROLES):
        yield role, role, api.as_staff(role)
    for scope in ("tracking.read", "tracking.write"):
        yield f"client {scope}", f"a system with {scope}", api.as_client(scope)
    for state in DeviceState:
        yield f"handset {state}", f"a handset that is {state}", a_handset(api, carrier=OURS, state=state).calls()


def may(right: str, caller: str) -> bool:
    """Whether a right names the caller: `handset wiping` is one of `handset enrolled wiping`."""
    kind, _, detail = caller.rpartition(" ")
    return bool(caller) and detail in right.split() and (not kind or right.startswith(kind))


def holes(name: str, post: Populated) -> list[str]:
    """Who is not refused by the endpoint though its right does not name them, and with what answer."""
    method, _, path = name.partition(" ")
    names = post.names_for(path)
    known, nobodys = path.format(**names), path.format(**dict.fromkeys(names, "%21"))
    asked = {
        "a good body": (known, bodies(post).get(name)),
        "no JSON": (known, b"{"),
        "a name that nothing can have": (nobodys, None),
    }
    found = []
    for caller, told, calls in callers(post):
        if may(RIGHTS[name], caller):
            continue
        for what, (where, body) in asked.items():
            answer = calls.request(method, where, body)
            if answer.problem not in REFUSED.get(answer.status, ()):
                found.append(f"{told}, with {what}: {answer.status} {answer.problem}")
    return found


def test_every_endpoint_has_a_right_and_a_good_body(post: Populated) -> None:
    assert sorted(ENDPOINTS) == sorted(RIGHTS)
    for name, body in bodies(post).items():
        msgspec.json.decode(json.dumps(body), type=ENDPOINTS[name].request)
    assert {name for name in GUARDED if ENDPOINTS[name].request} == set(bodies(post))


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_declaration_says_the_same(name: str) -> None:
    rule = ENDPOINTS[name].allow
    told = {
        access.public: lambda: EVERYBODY,
        access.staff: lambda: " ".join(sorted(rule.roles)),  # type: ignore[attr-defined]
        access.client: lambda: f"client {rule.scope}",  # type: ignore[attr-defined]
        access.handset: lambda: "handset enrolled" + " quarantined wiping" * rule.blocked_too,  # type: ignore[attr-defined]
    }
    assert told[type(rule)]() == RIGHTS[name]


@pytest.mark.parametrize("name", GUARDED)
def test_whoever_is_not_named_is_refused_before_anything_is_looked_at(name: str, post: Populated) -> None:
    assert holes(name, post) == []


LOOSENED = [
    ("GET /v1/clients/{client}", access.staff("ops", "auditor", "dispatcher"), "dispatcher"),
    ("GET /v1/imports", access.public("a hole made on purpose"), "nobody"),
    ("GET /v1/round", access.handset(blocked_too=True), "a handset that is wiping"),
    ("GET /v1/suivi/{items}", access.client("tracking.write"), "a system with tracking.write"),
]


@pytest.mark.parametrize(("name", "loose", "who"), LOOSENED)
def test_a_loosened_rule_is_found(
    name: str, loose: access.Rule, who: str, post: Populated, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = type(loose).admit
    monkeypatch.setattr(type(ENDPOINTS[name].allow), "admit", lambda _, call: admit(loose, call))

    assert any(hole.startswith(f"{who}, ") for hole in holes(name, post))


# --- other depots ---------------------------------------------------------------------------------------------


class Ask(NamedTuple):
    """A request for what belongs to the depot `HERE`, or to its zone as a whole."""

    path: str
    body: Any = None
    theirs: str = f"depot/{HERE}"


def asks(post: Populated) -> dict[str, list[Ask]]:
    """For each endpoint whose subject belongs to a depot or a zone, what asks it for the subject of one."""
    device, reason = post.handset.device, {"reason": "Broken screen"}
    duties = f"/v1/carriers/{OURS}/duties"
    return {
        "GET /v1/carriers": [Ask(f"/v1/carriers?depot={HERE}")],
        "GET /v1/carriers/{carrier}": [Ask(f"/v1/carriers/{OURS}")],
        "PUT /v1/carriers/{carrier}": [
            Ask(f"/v1/carriers/{OURS}", a_carrier(HERE)),
            Ask("/v1/carriers/C9", a_carrier(HERE)),
        ],
        "GET /v1/carriers/{carrier}/duties": [Ask(duties)],
        "PUT /v1/carriers/{carrier}/duties/{day}": [Ask(f"{duties}/2026-11-24", A_DUTY)],
        "DELETE /v1/carriers/{carrier}/duties/{day}": [Ask(f"{duties}/{DAY}")],
        "GET /v1/depots/{depot}/held": [Ask(f"/v1/depots/{HERE}/held?until=2026-12-31")],
        "GET /v1/depots/{depot}/unsorted": [Ask(f"/v1/depots/{HERE}/unsorted")],
        "GET /v1/devices": [Ask(f"/v1/devices?depot={HERE}")],
        "GET /v1/devices/{device}": [Ask(f"/v1/devices/{device}")],
        "GET /v1/loss-cases": [Ask(f"/v1/loss-cases?depot={HERE}")],
        "POST /v1/loss-cases": [Ask("/v1/loss-cases", {"device": device, "kind": "stolen"})],
        "POST /v1/devices/{device}/retirement": [Ask(f"/v1/devices/{device}/retirement", reason)],
        "POST /v1/enrolment-tickets": [Ask("/v1/enrolment-tickets", {"carrier": OURS})],
        "POST /v1/items/{item}/corrections": [
            Ask(f"/v1/items/{ITEM}/corrections", {"corrects": post.event, "reason": "It was another one"})
        ],
        "PUT /v1/items/{item}/placement": [Ask(f"/v1/items/{ITEM}/placement", {"depot": HERE, "route": "T12"})],
        "GET /v1/items/{item}/proofs": [Ask(f"/v1/items/{post.proven}/proofs")],
        "GET /v1/depots/{depot}/attention": [Ask(f"/v1/depots/{HERE}/attention")],
        "POST /v1/depots/{depot}/attention/{entry}/handling": [
            Ask(f"/v1/depots/{HERE}/attention/{post.entry}/handling", {"note": "Asked the carrier"})
        ],
        "POST /v1/alert-pins/{carrier}/reset": [Ask(f"/v1/alert-pins/{OURS}/reset")],
        "GET /v1/passes/{device}": [Ask(f"/v1/passes/{device}")],
        "PUT /v1/passes/{device}/suspension": [Ask(f"/v1/passes/{device}/suspension", {"reason": "loss"})],
        "DELETE /v1/passes/{device}/suspension": [Ask(f"/v1/passes/{device}/suspension")],
        "PUT /v1/passes/{device}/help": [Ask(f"/v1/passes/{device}/help", {"alert": post.alert})],
        "GET /v1/pass-perimeters/{depot}/{route}": [Ask(f"/v1/pass-perimeters/{HERE}/T12")],
        "PUT /v1/pass-perimeters/{depot}/{route}": [Ask(f"/v1/pass-perimeters/{HERE}/T12", {"sector": SECTOR})],
        **{name: [asked_of(post, name, f"depot/{HERE}")] for name in OF_GUARDS},
        "PUT /v1/alert-numbers/{device}": [Ask(f"/v1/alert-numbers/{device}", {"number": "+33612345678"})],
        "GET /v1/fleet/devices": [Ask(f"/v1/fleet/devices?depot={HERE}")],
        "GET /v1/fleet/devices/csv": [Ask(f"/v1/fleet/devices/csv?depot={HERE}")],
        "GET /v1/fleet/summary": [Ask(f"/v1/fleet/summary?depot={HERE}")],
        "GET /v1/policies/{kind}/{name}": [
            Ask(f"/v1/policies/depot/{HERE}"),
            Ask("/v1/policies/fleet/all", theirs="*"),
        ],
        "PUT /v1/policies/{kind}/{name}": [
            Ask(f"/v1/policies/depot/{HERE}", GROUP_POLICY),
            Ask("/v1/policies/fleet/all", GROUP_POLICY, "*"),
        ],
        "GET /v1/devices/{device}/policy": [Ask(f"/v1/devices/{device}/policy")],
        **{name: [asked_of(post, name, "*")] for name in RIGHTS if "/v1/policies/rollouts/" in name},
    }


def asks_of_others(post: Populated) -> dict[str, list[Ask]]:
    """The same for those whose subject are alerts: one, which is its depot's and its zone's, or all of a zone; a loss
    case, which is its depot's; or a building, which is its manager's.
    """
    return {
        **{name: [asked_of(post, name, f"depot/{HERE}")] for name in (*OF_ALERTS, *OF_LOSSES)},
        **{name: [asked_of(post, name, f"zone/{ZONE}")] for name in OF_ZONES},
        **{name: [asked_of(post, name, f"building/{BUILDING}")] for name in OF_BUILDINGS},
    }


def asked_of(post: Populated, name: str, theirs: str) -> Ask:
    """What an endpoint is asked with the names and the body of the post."""
    path = name.partition(" ")[2]
    return Ask(path.format(**post.names_for(path)), bodies(post).get(name), theirs)


TAKEN_AWAY = [
    ("PUT", f"/v1/carriers/{OURS}", a_carrier(THERE)),
    ("PUT", f"/v1/carriers/{OURS}/duties/{DAY}", A_DUTY | {"depot": THERE}),
    ("PUT", f"/v1/items/{ITEM}/placement", {"depot": THERE, "route": "T12"}),
]
"""What would take something of the depot `HERE` to `THERE`."""

NOT_DEPOT_BOUND = {
    **dict.fromkeys(
        (
            "POST /v1/approver-passkeys",
            "POST /v1/approver-passkeys/options",
            "POST /v1/approver-sets",
            "POST /v1/approver-sets/{version}/approvals",
            "GET /v1/approvers",
        ),
        "the approvers are those of the whole post",
    ),
    "GET /v1/breaker": "the breaker stops the whole post",
    "POST /v1/breaker/closing": "the breaker stops the whole post",
    "GET /v1/warrants": "a list leaves out the warrants for other depots",
    "GET /v1/buildings": "a search by sector leaves out other managers' buildings",
    "GET /v1/clients/{client}": "a client of the post is no depot's",
    "PUT /v1/clients/{client}": "a client of the post is no depot's",
    "GET /v1/depots": "where the depots are is known to all staff",
    "GET /v1/depots/{depot}": "where a depot is is known to all staff",
    "PUT /v1/depots/{depot}": "which depots there are is stated for the whole post",
    "GET /v1/imports": "a file is for the whole post",
    "GET /v1/imports/{import_id}": "a file is for the whole post",
    "GET /v1/items/{item}": "an item travels through many depots; its addressee is shown to theirs only",
    "GET /v1/proofs/{proof}/readings": "carrier support reads proofs, of all depots, and auditors see how",
    "GET /v1/proxies/{proxy}": "a proxy is for all items of its principal; auditors read what support registered",
    **dict.fromkeys(REDIRECTIONS, "a redirection leads from one depot to another; support and auditors are nationwide"),
    "GET /v1/zones": "which zones there are is known to all staff",
    "GET /v1/zones/{zone}": "what a zone is called is known to all staff",
    "PUT /v1/zones/{zone}": "which zones there are is stated for the whole post",
}
BOUND = {
    name: roles
    for name, right in RIGHTS.items()
    if name not in NOT_DEPOT_BOUND and (roles := [role for role in right.split() if role in ROLES - {NATIONWIDE}])
}
"""Endpoint whose subject belongs to a depot → the roles that reach it for the depots of their scope only."""
EVERY_BOUND_ROLE = [pytest.param(name, role, id=f"{name}, {role}") for name, roles in BOUND.items() for role in roles]
ELSEWHERE = ["", f"depot/{THERE}", f"building/{OTHER}", "zone/PARIS-NORD", f"depot/{HERE.lower()} depot/ {HERE}"]


def denied(answer: Answered) -> bool:
    return (answer.status, answer.problem) == (403, "access-denied")


def test_what_belongs_to_a_depot_is_asked_of_every_endpoint_that_has_it(post: Populated) -> None:
    assert sorted([*asks(post), *asks_of_others(post)]) == sorted(BOUND)
    assert set(NOT_DEPOT_BOUND) <= set(ENDPOINTS)


@pytest.mark.parametrize(("name", "role"), EVERY_BOUND_ROLE)
def test_nobody_reaches_what_is_another_depots(name: str, role: str, post: Populated) -> None:
    method = name.partition(" ")[0]
    for ask in (asks_of_others if name in {*OF_ALERTS, *OF_LOSSES, *OF_ZONES, *OF_BUILDINGS} else asks)(post)[name]:
        elsewhere = [*ELSEWHERE, f"depot/{HERE}"] if name in OF_ZONES else ELSEWHERE
        answers = [post.api.as_staff(role, scope=scope).request(method, ask.path, ask.body) for scope in elsewhere]
        assert all(map(denied, answers)), [(answer.status, answer.text) for answer in answers]
        theirs = post.api.as_staff(role, scope=ask.theirs).request(method, ask.path, ask.body)
        assert theirs.status < 300, "it is theirs"


def test_a_scope_that_names_no_zone_reaches_nothing(post: Populated) -> None:
    assert denied(_manager_of(post.api)("zone/").get(f"/v1/devices/{post.handset.device}"))


def test_an_alert_belongs_to_its_zone_as_well_and_goes_with_it(post: Populated) -> None:
    sees = {zone: post.api.as_staff("dispatcher", scope=f"zone/{zone}") for zone in (ZONE, "PARIS-NORD", "NATIONAL")}
    alert = f"/v1/alerts/{post.alert}"

    assert [zone for zone, staff in sees.items() if not denied(staff.get(alert))] == [ZONE]
    assert sees[ZONE].post(f"{alert}/zone", {"zone": "PARIS-NORD"}).status == 200
    assert [zone for zone, staff in sees.items() if not denied(staff.get(alert))] == ["PARIS-NORD"]


@pytest.mark.parametrize(("method", "path", "body"), TAKEN_AWAY)
def test_nothing_is_taken_away_from_a_depot_by_another(method: str, path: str, body: Any, post: Populated) -> None:
    manager = _manager_of(post.api)

    assert denied(manager(f"depot/{THERE}").request(method, path, body))
    assert manager(f"depot/{HERE} depot/{THERE}").request(method, path, body).status == 200


@pytest.mark.parametrize("role", BOUND["GET /v1/devices"])
@pytest.mark.parametrize("asked", [f"carrier={OURS}", "serial=SN-9"])
def test_a_search_leaves_out_the_devices_of_other_depots(asked: str, role: str, post: Populated) -> None:
    NewHandset(post.api, serial="SN-9").enrolled()
    found = {
        scope: post.api.as_staff(role, scope=scope).get(f"/v1/devices?{asked}")
        for scope in (f"depot/{HERE}", *ELSEWHERE)
    }

    assert found.pop(f"depot/{HERE}").body["devices"]
    assert [answer.body["devices"] for answer in found.values()] == [[]] * len(ELSEWHERE)


@pytest.mark.parametrize("role", [role for role in RIGHTS["GET /v1/items/{item}"].split() if role != NATIONWIDE])
def test_an_items_addressee_is_shown_at_its_depot_and_to_its_manager_only(role: str, post: Populated) -> None:
    shown = {
        scope: post.api.as_staff(role, scope=scope).get(f"/v1/items/{ITEM}").body["addressee"]
        for scope in (f"depot/{HERE}", *ELSEWHERE)
    }

    assert (shown.pop(f"depot/{HERE}") is not None) == (role == "depot-manager")
    assert set(shown.values()) == {None}


def _manager_of(api: Api) -> Callable[[str], Caller]:
    return lambda scope: api.as_staff("depot-manager", scope=scope)
