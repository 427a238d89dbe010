"""A post in which there is one of everything, for tests that ask each endpoint something that it can answer."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from chalicelib.alerts.pins import Pins
from chalicelib.alerts.tables import AlertsRow
from chalicelib.alerts.workers import alert_events
from chalicelib.connectors.importer.workers import take_file
from chalicelib.core import aws, clock, ids, journal, keyring
from chalicelib.core.access import ROLES
from chalicelib.core.events import Event
from chalicelib.core.transaction import transaction
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.policies import standing
from chalicelib.items.event_types import SCANNED
from chalicelib.judging.workers import judging
from chalicelib.signatures import rules
from chalicelib.signatures.assembly import code_of
from tests.support import buildings, doors, guards, losses, passes, stored
from tests.support.acts import a_hand_over
from tests.support.api import Api
from tests.support.cloud import BUCKET
from tests.support.commands import a_wipe, fetched, reported
from tests.support.entries import both, happens
from tests.support.events import announced, deliver, invoke, stream_event
from tests.support.factories import ITEM, HeldHandset, an_item
from tests.support.fleet import HERE, OURS, NewHandset, a_post, a_ticket
from tests.support.guards import Person
from tests.support.passes import SECTOR
from tests.support.proxies import DOCUMENTS, a_proxy, registered
from tests.support.redirections import ANNE, Desk, a_request
from tests.support.stored import Saved

DAY = "2026-11-23"
ZONE = "PARIS-SUD"
CLIENT = "123456"
PINS = {"pin": "2468", "duress_pin": "1357"}
POLICY = {
    "contacts": [{"id": "centre", "ways": [{"channel": "sms", "to": "+33155440000"}]}],
    "steps": [{"after": 0, "contacts": ["centre", "on-call"]}],
}
GROUP_POLICY = {"apn": "facteo.post", "blocked_apps": ["com.example.game"]}
PROXY = a_proxy(start="2026-12-01", end="2026-12-31")
REDIRECTION = a_request()

BODIES: dict[str, Any] = {
    "POST /v1/alerts/{alert}/cancellation": {"pin": PINS["pin"]},
    "POST /v1/alerts/{alert}/closing": {"reason": "false-alarm"},
    "POST /v1/alerts/{alert}/zone": {"zone": "PARIS-NORD"},
    "POST /v1/alert-feed/{zone}/receipts": {"after": 0, "through": 2},
    "POST /v1/loss-cases/{case}/closed": {"reason": "not-found"},
    "POST /v1/loss-cases/{case}/lost-mode": losses.SHOWN,
    "POST /v1/loss-cases/{case}/wipe-evidence": {"seen": "set-up-screen"},
    "POST /v1/loss-positions": losses.a_position(datetime.fromisoformat(f"{DAY}T07:00:00+00:00")),
    "POST /v1/loss-reports": {"carrier": OURS, "kind": "lost"},
    "PUT /v1/alert-numbers/{device}": {"number": "+33612345678"},
    "PUT /v1/alert-pins": {**PINS, "current_pin": PINS["pin"]},
    "PUT /v1/alert-policies/{zone}": POLICY,
    "PUT /v1/alert-push": {"token": "fcm-token-0123456789"},
    "PUT /v1/buildings/{building}": buildings.a_building(),
    "PUT /v1/buildings/{building}/readers/{reader}": {"key": buildings.a_reader_key()},
    "PUT /v1/pass-perimeters/{depot}/{route}": {"sector": SECTOR},
    "PUT /v1/passes/{device}/suspension": {"reason": "loss"},
    "PUT /v1/redirections/{redirection}": REDIRECTION,
    "POST /v1/redirections/{redirection}/verification": {"method": "digital-identity"},
    "POST /v1/redirections/{redirection}/code": {"replaces": 1},
    "POST /v1/redirections/{redirection}/refusal": {"reason": "fraud-suspected"},
    "POST /v1/redirections/{redirection}/cancellation": {},
    "POST /v1/redirections/{redirection}/end": {"on": "2026-12-24"},
    "POST /v1/redirections/{redirection}/renewal": {"id": "019ac9a0-0000-7000-8000-0000000000e1", "months": 6},
    "POST /v1/redirection-checks": {"item": ITEM},
    "POST /v1/proxy-checks": {"item": ITEM, "holder": {"last_name": "MOREAU", "first_name": "Julien"}},
    "PUT /v1/proxies/{proxy}": PROXY,
    "POST /v1/approver-sets": {"approvers": ["staff/bob", "staff/s-1"]},
    "POST /v1/breaker/closing": {"reason": "It was a mistake."},
    "POST /v1/warrants/{warrant}/cancellation": {"reason": "It was found."},
    "POST /v1/warrants/{warrant}/rejection": {"reason": "It was found."},
    "POST /v1/depots/{depot}/attention/{entry}/handling": {"note": "Asked the carrier"},
    "POST /v1/check-ins": {"outbox": 3, "battery": {"percent": 81}, "app_version": "1.4.0"},
    "POST /v1/policy/application": {"version": 1, "applied": ["apn"], "not_applied": []},
    "PUT /v1/policies/{kind}/{name}": GROUP_POLICY,
    "PUT /v1/policies/rollouts/{version}": {"reason": "The first one"},
    "POST /v1/policies/rollouts/{version}/halt": {"reason": "Mail does not come"},
    "POST /v1/proofs/{proof}/readings": {"reason": "claim", "details": "The addressee says that nothing came"},
}
"""Good bodies, for those endpoints whose fields must fit together; those that name what is in the post, once it is."""


@dataclass
class Populated:
    """The post, its handset with its only scan (at the depot `HERE`), a ticket for another one, a file, a proxy and a
    redirection that wait for their verification, and a redirection that was verified. The handset also handed over
    another item, `proven`, against signature: `proof`, whose documents have the code `verification`, and which lacks
    something: `entry` of its depot's work list. A `command` waits for the handset, and a `warrant` to release it for
    two approvers: staff whose `sub` is s-1 and bob, who are to approve the next version of their set too. A building
    has a reader. Once a test asks for it, an `alert` of the handset is open in the zone of its depot, which has a
    policy then, and its carrier has the two PINS; or another handset of the carrier is lost, in lost mode, and has
    signed for a wipe.
    """

    api: Api
    handset: HeldHandset
    event: str
    newcomer: NewHandset
    ticket: str
    import_id: str
    proxy: str
    redirection: str
    verified: str
    proven: str
    proof: str
    verification: str
    entry: str
    command: str
    warrant: str
    judges: list[Person]

    @functools.cached_property
    def alert(self) -> str:
        """The id of an open alert of the handset, which stands in the feed of its zone."""
        assert self.api.as_staff("ops").put(f"/v1/alert-policies/{ZONE}", POLICY).status == 204
        AlertsRow(pk=f"pins/{OURS}", content=_cheap_pins()).save()
        alert = ids.new()
        assert self.handset.calls().put(f"/v1/alerts/{alert}", {}).status == 201
        assert invoke(alert_events, stream_event(*journal.read(f"alert/{alert}"))) == []
        return alert

    @functools.cached_property
    def loss(self) -> str:
        """The id of the open case of another handset of the carrier."""
        handset = NewHandset(self.api).enrolled()
        case = losses.a_case(self.api, handset)
        losses.in_lost_mode(self.api, handset, case)
        guards.remember(self.api, self.judges)
        a_wipe(handset)
        reported(handset, fetched(handset)[0], "accepted")
        return case

    def lose_it(self) -> None:
        """The handset itself is lost, and in lost mode."""
        losses.in_lost_mode(self.api, self.handset, losses.a_case(self.api, self.handset))

    def give_help(self) -> None:
        """The handset is given a pass to help: in its own alert, since there is no other."""
        body, path = {"alert": self.alert}, f"/v1/passes/{self.handset.device}/help"
        assert self.api.as_staff("dispatcher").put(path, body).status == 200

    def publish_policy(self, *referents: str) -> None:
        """The first version of the policy is out, and its ring has had its time."""
        body = {**BODIES["PUT /v1/policies/rollouts/{version}"], **({"referents": referents} if referents else {})}
        assert self.api.as_staff("fleet-admin").put("/v1/policies/rollouts/1", body).status == 200
        kept = standing.latest()
        earlier = msgspec.structs.replace(kept.rollout, ring_since=clock.now() - timedelta(days=2))
        with transaction() as work:
            standing.save(work, earlier, instead_of=kept.revision)

    @property
    def names(self) -> dict[str, Any]:
        """The values by which parameters and fields name something that exists."""
        return {
            **PROXY,
            "building": buildings.BUILDING,
            "carrier": OURS,
            "client": CLIENT,
            "code": self.ticket,
            "command": self.command,
            "corrects": self.event,
            "day": DAY,
            "depot": HERE,
            "device": self.handset.device,
            "documents": DOCUMENTS,
            "entry": self.entry,
            "import_id": self.import_id,
            "item": ITEM,
            "version": 1,
            "items": ITEM,
            "proof": self.proof,
            "proxy": self.proxy,
            "redirection": self.redirection,
            "public_key": self.newcomer.key.public_jwk,
            "reader": buildings.READER,
            "route": "T12",
            "sector": SECTOR,
            "slug": "not-found",
            "warrant": self.warrant,
            "zone": ZONE,
        }

    def names_for(self, path: str) -> dict[str, Any]:
        """The same for an operation: what it needs is made, and what it is about has its own names."""
        for is_meant, prepare in _PREPARED:
            if is_meant(path):
                prepare(self)
        own = [names(self) for is_meant, names in _NAMED if is_meant(path)]
        return self.names | (own[0] if own else {})


_PREPARED: Sequence[tuple[Callable[[str], bool], Callable[[Populated], None]]] = (
    (lambda path: path == "/v1/pass/help", Populated.give_help),
    (lambda path: path == "/v1/loss-positions", Populated.lose_it),
    (lambda path: path.startswith("/v1/policies/rollouts"), Populated.publish_policy),
    (lambda path: path == "/v1/policy/application", lambda post: post.publish_policy(post.handset.device)),
)
"""Of which operations something must be there first, and what brings it."""

_NAMED: Sequence[tuple[Callable[[str], bool], Callable[[Populated], dict[str, Any]]]] = (
    (
        lambda path: path.endswith(("{redirection}/end", "{redirection}/renewal")),
        lambda post: {"redirection": post.verified},
    ),
    (
        lambda path: path.endswith(("{item}/proofs", "{code}")),
        lambda post: {"item": post.proven, "code": post.verification},
    ),
    (lambda path: path.startswith("/v1/approver-sets"), lambda _: {"version": 2}),
    (lambda path: path.endswith("/{kind}/{name}"), lambda _: {"kind": "depot", "name": HERE}),
    (lambda path: path == "/v1/loss-reports" or "{case}" in path, lambda post: {"case": post.loss}),
    (lambda path: path.startswith("/v1/alert") or path.endswith("/help"), lambda post: {"alert": post.alert}),
)
"""Which operations are about something else than the others, and what: only a verified redirection is ended."""


class _Made(NamedTuple):
    """A post, what there was then, and when that was."""

    post: Populated
    saved: Saved
    at: datetime


_made: list[_Made] = []


def populated(api: Api) -> Populated:
    """The post: made once for a process, and put back for each test, which may change it as it likes."""
    if not _made:
        _made.append(_Made(_populated(api), stored.save(), clock.now()))
    made = _made[0]
    stored.restore(made.saved)
    api.clock.at = made.at
    return copy.deepcopy(made.post, {id(made.post.api): api})


def _populated(api: Api) -> Populated:
    """An announced item, scanned at its depot by the handset of a carrier who is on duty there; a client; buildings."""
    a_post(api)
    staff = api.as_staff(*ROLES)
    duty = {"depot": HERE, "route": "T12", "starts": "06:30", "ends": "13:00"}
    assert staff.put(f"/v1/carriers/{OURS}/duties/{DAY}", duty).status == 200
    address = {"postcode": "75015", "town": "Paris"}
    assert staff.put(f"/v1/clients/{CLIENT}", {"company": "Facteo", "address": address}).status == 200
    perimeter = {"sector": SECTOR}
    assert staff.put(f"/v1/pass-perimeters/{HERE}/T12", perimeter).status == 200
    hours = [doors.ALWAYS]
    for building in (buildings.BUILDING, buildings.OTHER):
        buildings.registered(api, building, services={"1": hours, "3": hours})
    buildings.a_reader(api)
    announced()
    passes.publish()
    handset = NewHandset(api).enrolled()
    happens(handset, *both(handset, key=doors.key(buildings.READER)))
    event = handset.event(SCANNED, data={"step": "at-depot"})
    assert handset.sync(event).body["results"][0]["result"] == "recorded"
    desk, handed_over = Desk(api), _handed_over(handset, an_item())
    entry = staff.get(f"/v1/depots/{HERE}/attention").body["entries"][0]["id"]
    guarded = _guarded(api, handset)
    return Populated(
        api,
        handset,
        event["id"],
        NewHandset(api),
        a_ticket(api)["code"],
        _imported(api),
        registered(api, PROXY),
        redirection=desk.requested(**REDIRECTION),
        verified=desk.verified(beneficiaries=[ANNE]),
        proven=handed_over.subject.removeprefix("item/"),
        proof=handed_over.id,
        verification=code_of(keyring.key_of(rules.subject_of(handed_over.id))),
        entry=entry,
        command=guarded.command,
        warrant=guarded.warrant,
        judges=guarded.judges,
    )


class _Guarded(NamedTuple):
    command: str
    warrant: str
    judges: list[Person]


def _guarded(api: Api, handset: HeldHandset) -> _Guarded:
    """What waits for a handset, and for two approvers; with good bodies for what is asked of it."""
    judges = guards.approvers(api, "s-1", guards.BOB)
    proposed = guards.propose(judges)
    release = {"devices": [handset.device], "kind": "release", "reason": "It is their own from now on."}
    warrant = guards.a_warrant(judges[0].calls, handset, **release)
    message = {"devices": [handset.device], "kind": "message", "reason": "Not heard of.", "parameters": {"text": "?"}}
    assert api.as_staff("dispatcher").post("/v1/commands", message).status == 201
    [command] = boxes.load(handset.device).box.open
    challenge = judges[0].calls.post("/v1/approver-passkeys/options").body["challenge"]
    made = guards.Person(api, "s-1").passkey.register(guards.raw(challenge))
    BODIES.update(
        {
            "POST /v1/approver-passkeys": {"credential": made},
            "POST /v1/approver-sets/{version}/approvals": {"approval": judges[0].approval(proposed["text"])},
            "POST /v1/commands": message,
            "POST /v1/commands/{command}/reports": {"report": guards.signed_report(handset, command)},
            "POST /v1/warrants": release,
            "POST /v1/warrants/{warrant}/approvals": {"approval": judges[0].approval(warrant["text"])},
        }
    )
    return _Guarded(command.id, warrant["id"], judges)


def _cheap_pins() -> str:
    """The two PINs as they are stored, by hashes that cost next to nothing."""
    good, duress = (
        Argon2id(salt=bytes(16), length=32, iterations=1, lanes=1, memory_cost=8).derive_phc_encoded(pin.encode())
        for pin in PINS.values()
    )
    return msgspec.json.encode(Pins(pin_hash=good, duress_hash=duress)).decode()


def _handed_over(handset: HeldHandset, item: str) -> Event:
    """The event of a handing over against signature, judged."""
    sent = a_hand_over(handset, item)
    assert handset.sync(sent).body["results"][0]["result"] == "recorded"
    [event] = journal.read(f"item/{item}")
    assert deliver(judging, [event]) == []
    return event


def _imported(api: Api) -> str:
    """The id of a file that was imported."""
    body = {"Bucket": BUCKET, "Key": "inbox/zones/zones.csv"}
    version = aws.client("s3").put_object(Body=b"zone;name\n", **body)["VersionId"]
    described = {"bucket": {"name": BUCKET}, "object": {"key": body["Key"], "versionId": version}}
    notice = {"Records": [{"eventName": "ObjectCreated:Put", "s3": described}]}
    assert deliver(take_file, [json.dumps(notice)]) == []
    [found] = api.as_staff("ops").get("/v1/imports").body["imports"]
    return str(found["id"])
