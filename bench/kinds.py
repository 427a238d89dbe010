"""Every kind of request and worker run, done once with the product's own code, and what it asked of AWS.

The counts come from moto in this process: `stage.moto_cloud` makes an empty one. The CPU is ours alone, with botocore's
building, signing and parsing of the calls and without moto's work, so also without the sending over a socket.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec
from joserfc import jwt
from joserfc.jwk import RSAKey

from app import app
from bench import requests
from bench.ledger import Clerk, Ledger
from bench.stage import SCHEDULED, bodies, messages, receiver, records, stubbed
from chalicelib.connectors.importer import workers as importer
from chalicelib.connectors.relay import workers as relay
from chalicelib.connectors.tracking import despatches
from chalicelib.connectors.tracking import workers as tracking
from chalicelib.core import access, aws, clock, ids, journal, keyring, oidc, settings
from chalicelib.core.access import AccessRow
from chalicelib.core.callers import StaffMember
from chalicelib.core.events import Event
from chalicelib.core.http_signatures import SignatureSettings
from chalicelib.core.oidc import OIDCSettings
from chalicelib.core.progress import ProgressRow
from chalicelib.core.transaction import transaction
from chalicelib.erasure import service as erasure
from chalicelib.erasure import workers as eraser
from chalicelib.fleet.commands import requesting
from chalicelib.fleet.commands.kinds import Kind
from chalicelib.fleet.commands.schemas import Parameters, RequestCommand
from chalicelib.fleet.policies import documents, rollouts, standing
from chalicelib.fleet.policies.rules import LAST_RING
from chalicelib.fleet.policies.schemas import (
    Container,
    Group,
    GroupKind,
    GroupPolicy,
    Mail,
    Proxy,
    Publish,
    RequiredApp,
)
from chalicelib.people import legacy
from chalicelib.people.schemas import Address, CarrierEntry, Depot, Duty, Zone
from chalicelib.rounds import plan
from chalicelib.rounds import workers as sorting
from chalicelib.rounds.schemas import PlanLine
from handset.signing import HandsetKey, Request

CARRIER, DEPOT, ROUTE, CLIENT, POSTCODE = "C1001", "75015A", "T12", "999999", "75015"
ANNOUNCED, SCANNED, DELIVERED = "facteo.item.announced", "facteo.item.scanned", "facteo.item.delivered"

Run = Callable[[], Any]

_STAFF = StaffMember(actor="staff/bench", roles=frozenset({"fleet-admin"}), scopes=frozenset({"*"}))

_numbers = itertools.count(1)
_street = "RUE DE VAUGIRARD"


class Cost(NamedTuple):
    """What one run costs: calls and units (see `Ledger`), CPU in milliseconds, and the bytes that came in and went."""

    ledger: Ledger
    cpu: float
    bytes_in: int = 0
    bytes_out: int = 0


# --- what is measured -----------------------------------------------------------------------------------------


class Measured:
    """Runs each kind. The cloud is there already, and empty; the clerk hears everything from now on."""

    def __init__(self, clerk: Clerk) -> None:
        self._clerk = clerk

    def sync(self, scans: int) -> Cost:
        """`POST /v1/events` with that many scans of items of the round."""
        device = _Device()
        device.ask("POST", "/v1/events", device.facts([_parcel()]))
        return self._api(device.request("POST", "/v1/events", device.facts([_parcel() for _ in range(scans)])))

    def new_round(self, items: int) -> Cost:
        """`GET /v1/round` with that many items, given out for the first time."""
        _prepare_round()
        device = _Device()
        _sort(_announced(items - 1))
        device.ask("GET", "/v1/round")
        _sort(_announced(1))
        return self._api(device.request("GET", "/v1/round"))

    def unchanged_round(self) -> Cost:
        """`GET /v1/round` by a handset that has this round: after `new_round`."""
        device = _Device()
        etag = device.ask("GET", "/v1/round")["headers"]["ETag"]
        return self._api(device.request("GET", "/v1/round", headers={"If-None-Match": etag}), status=304)

    def lookup(self) -> Cost:
        """`GET /v1/suivi/{items}` by the tracking site, for an item that was announced, scanned and delivered."""
        item = _parcel()
        _take(_file([item]))
        _scans_of([item])
        _scans_of([item], DELIVERED)
        token, public = _system_token()
        path, resource = f"/v1/suivi/{item}", "/v1/suivi/{items}"
        request = Request("GET", f"https://bench{path}", {"Authorization": f"Bearer {token}"})
        event = requests.gateway_event(request, path, resource, items=item)
        with patch.object(oidc, "_key", lambda *_: public):
            app(event, None)
            return self._api(event)

    def check_in(self) -> Cost:
        """`POST /v1/check-ins` with all that a handset says, while nothing waits for it."""
        _publish_policy()
        device = _Device()
        use = {"month": f"{clock.today():%Y-%m}", "call_seconds": 1830, "sms": 41}
        told = json.dumps({**requests.CHECK_IN, "personal": use}).encode()
        device.ask("POST", "/v1/check-ins", told)
        return self._api(device.request("POST", "/v1/check-ins", told))

    def lease(self) -> Cost:
        """`POST /v1/lease` by a handset that has asked for it before."""
        device = _Device()
        device.ask("POST", "/v1/lease")
        return self._api(device.request("POST", "/v1/lease"))

    def policy(self) -> Cost:
        """`GET /v1/policy` by a handset that does not have it, where others took the same."""
        _publish_policy()
        _Device().ask("GET", "/v1/policy")
        return self._api(_Device().request("GET", "/v1/policy"))

    def poll(self) -> Cost:
        """`GET /v1/commands` with a message that waits."""
        device = _Device()
        device.is_told("Call your depot.")
        return self._api(device.request("GET", "/v1/commands"))

    def slice(self, lines: int) -> Cost:
        """A slice of an announcement file, from its message to its result."""
        _take(_file([_parcel()]))
        message = _cut(_file([_parcel() for _ in range(lines)]))
        return self._worker(importer.take_slice, messages([message]))

    def relay(self, scans: int) -> Cost:
        """A batch of the journal's stream."""
        _relay(_scans_of([_parcel()]))
        return self._worker(relay.relay, records(_scans_of([_parcel() for _ in range(scans)])))

    def tracking(self, of: str, size: int) -> Cost:
        """A batch of the queue `tracking`: announcements, or another fact of announced items."""
        return self._worker(tracking.tracking, messages(bodies(_facts(of, _announced(size)))))

    def sorting(self, of: str, size: int) -> Cost:
        """A batch of the queue `sorting`, each event of another item: announcements, or another fact of sorted ones."""
        _prepare_round()
        announced = _announced(size)
        if of != ANNOUNCED:
            _sort(announced)
        return self._worker(sorting.sorting, messages(bodies(_facts(of, announced))))

    def despatch(self, lines: int) -> Cost:
        """A run of the despatcher that sends one file of that many lines, to a receiver in memory."""
        with patch.object(despatches.send_due, "__defaults__", (receiver,)):
            _run(tracking.despatch, SCHEDULED)
            _run(tracking.tracking, messages(bodies(_facts(DELIVERED, _announced(lines)))))
            return self._worker(tracking.despatch, SCHEDULED)

    def sweep(self, relayed: int) -> Cost:
        """A run of the sweeper over the five minutes in which that many events were received."""
        moment = clock.now()
        _relay(_scans_of([_parcel() for _ in range(relayed)]))
        later = clock.now() + timedelta(minutes=15)
        with clock.using(lambda: later):
            ProgressRow("sweeper", through=moment).save()
            return self._worker(relay.sweep, SCHEDULED)

    def erase(self, keys: int) -> Cost:
        """A run of the eraser on the day after the last day of that many keys."""
        yesterday = clock.today() - timedelta(days=1)
        with transaction() as work:
            for _ in range(keys):
                keyring.create(work, f"bench/{_parcel()}", keep_until=yesterday)
        ProgressRow(erasure.ERASURE, through=datetime.combine(yesterday, time_of_day(), UTC)).save()
        return self._worker(eraser.erase, SCHEDULED)

    def _api(self, event: dict[str, Any], status: int = 200) -> Cost:
        answer, cost = self._measured(lambda: app(event, None))
        if answer["statusCode"] != status:
            raise RuntimeError(f"{event['path']} answered {answer}")
        return cost._replace(bytes_in=len(event["body"] or ""), bytes_out=len(answer["body"]))

    def _worker(self, worker: Callable[..., Any], raw: dict[str, Any]) -> Cost:
        result, cost = self._measured(lambda: worker(raw, None))
        if result and result["batchItemFailures"]:
            raise RuntimeError(f"failed: {result}")
        return cost

    def _measured(self, run: Run) -> tuple[Any, Cost]:
        ledger = self._clerk.fresh()
        stubbed.clear()
        begun = time.process_time()
        result = run()
        cpu = time.process_time() - begun - sum(stubbed)
        self._clerk.fresh()
        return result, Cost(ledger, cpu * 1000)


# --- handsets, files, events ----------------------------------------------------------------------------------


class _Device:
    """An enrolled handset."""

    def __init__(self) -> None:
        self.id, self._key, self._sequence = ids.new(), HandsetKey.generate(), 0
        row = AccessRow(
            self.id,
            generation=1,
            state="enrolled",
            key=json.dumps(self._key.public_jwk),
            carrier=CARRIER,
            depot=DEPOT,
        )
        with transaction() as work:
            access.grant(work, row, replaces=None)

    def facts(self, items: Sequence[str], of: str = SCANNED) -> bytes:
        """A batch of scans or deliveries, with the next numbers."""
        found = []
        for item in items:
            self._sequence += 1
            scan = requests.a_scan(self.id, self._sequence, item, clock.now())
            found.append(scan if of == SCANNED else _delivered(scan))
        return requests.batch(found, clock.now())

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """A signed request, as the API gets it."""
        authority = settings.load(SignatureSettings).authority
        told = {"key": self._key, "device": self.id, "authority": authority, "now": clock.now(), "headers": headers}
        return requests.gateway_event(requests.signed(method, path, body, **told), path)

    def is_told(self, text: str) -> None:
        """Staff order a message for it."""
        wanted = RequestCommand(
            devices=(self.id,), kind=Kind.MESSAGE, reason="For the bench", parameters=Parameters(text=text)
        )
        requesting.request(wanted, by=_STAFF, correlation_id="bench")

    def ask(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        """The answer to a request."""
        answer: dict[str, Any] = app(self.request(method, path, body), None)
        if answer["statusCode"] != 200:
            raise RuntimeError(f"{path} answered {answer}")
        return answer


def _publish_policy() -> None:
    """A new version of the policy, which has reached everybody."""
    newest = standing.latest()
    version = newest.rollout.version + 1
    documents.put(Group(GroupKind.FLEET, "all"), _policy(version), by=_STAFF, correlation_id="bench")
    rollouts.publish(version, Publish(reason="For the bench"), by=_STAFF, correlation_id="bench")
    kept = standing.latest()
    with transaction() as work:
        standing.save(work, msgspec.structs.replace(kept.rollout, ring=LAST_RING), instead_of=kept.revision)
    standing.forget()


def _policy(version: int) -> GroupPolicy:
    """What a fleet may say: ten apps, mail, a proxy, and rules of the container."""
    return GroupPolicy(
        required_apps=tuple(RequiredApp(package=f"fr.post.app{n}", minimum_version=version) for n in range(10)),
        blocked_apps=tuple(f"com.example.game{n}" for n in range(10)),
        mail=Mail(server="mail.post.example", domain="post.example"),
        proxy=Proxy(host="proxy.post.example", port=8080),
        container=Container(lock_minutes=5, copy_paste=False, camera=True),
    )


def _system_token() -> tuple[str, dict[str, Any]]:
    """A token of the tracking site, and the key by which its issuer signs."""
    known, key = settings.load(OIDCSettings), RSAKey.generate_key(2048)
    audience = known.oidc_audience.split()[0]
    expires = (clock.now() + timedelta(hours=1)).timestamp()
    claims = {"iss": known.oidc_issuer, "aud": audience, "sub": "site", "exp": expires, "scope": "tracking.read"}
    return jwt.encode({"alg": "RS256", "kid": "bench"}, claims, key), key.as_dict(private=False)


def _run(worker: Any, raw: dict[str, Any]) -> None:
    """As Lambda calls it; whether it succeeded shows in what follows."""
    worker(raw, None)


def _delivered(scan: dict[str, Any]) -> dict[str, Any]:
    return {**scan, "type": DELIVERED, "data": {"barcode": scan["data"]["barcode"], "recipient": "addressee"}}


def _parcel() -> str:
    return requests.parcel(next(_numbers))


def _prepare_round() -> None:
    """A round of today's for the carrier, on a street of its own, without any item."""
    global _street
    number = next(_numbers)
    route, _street = f"T{number}", f"RUE NUMERO {number}"
    address = Address(postcode=POSTCODE, town="Paris")
    duty = Duty(carrier=CARRIER, day=clock.today(), depot=DEPOT, route=route, starts="06:30", ends="13:00")
    records = [
        Zone(id="PARIS", name="Paris"),
        Depot(id=DEPOT, name="Paris 15", zone="PARIS", address=address, postcodes=(POSTCODE,)),
        CarrierEntry(id=CARRIER, first_name="Zoé", last_name="Martin", depot=DEPOT),
        duty,
    ]
    for line, record in enumerate(records):
        told = {"actor": "legacy/bench", "correlation_id": f"bench/{number}"}
        legacy.import_records([record], lines=[line], at=clock.now(), **told)
    planned = PlanLine(postcode=POSTCODE, street=_street, depot=DEPOT, route=route, rank=100)
    plan.import_plan([planned], actor="legacy/bench", correlation_id=f"bench/{number}")


def _file(items: Sequence[str]) -> bytes:
    """An announcement file 02.00."""
    today = f"{clock.today():%Y%m%d}"
    lines = [f"BBB001;{next(_numbers)};{CLIENT};{today}0700;{today}0000;02.00;;ESSAI"]
    lines += [
        f"DDD001;9V;{item[2:12]};1000;{POSTCODE};0;;0;;O;N;MME`Rose`LAMBERT;;;;12 {_street};;{POSTCODE};PARIS;"
        "REF-1;;;;;;FR;;;;;;;;0611111111;;;;"
        for item in items
    ]
    return "\r\n".join([*lines, ""]).encode("iso-8859-1")


def _cut(content: bytes) -> str:
    """Put a file into the inbox; the message of its only slice."""
    key = f"inbox/announcements/bench-{next(_numbers)}.txt"
    aws.client("s3").put_object(Bucket=os.environ["FACTEO_BUCKET"], Key=key, Body=content)
    notice = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": os.environ["FACTEO_BUCKET"]}, "object": {"key": key}},
    }
    _run(importer.take_file, messages([json.dumps({"Records": [notice]})]))
    queue = os.environ["FACTEO_SLICES_QUEUE"]
    [message] = aws.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    aws.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return str(message["Body"])


def _take(content: bytes) -> None:
    _run(importer.take_slice, messages([_cut(content)]))


def _announced(number: int) -> list[Event]:
    """New items' announcements, imported from a file."""
    items = [_parcel() for _ in range(number)]
    if items:
        _take(_file(items))
    return [event for item in items for event in journal.read(f"item/{item}")]


def _scans_of(items: Sequence[str], of: str = SCANNED) -> list[Event]:
    """Scans, or deliveries, of these items, synced by a handset."""
    device = _Device()
    for start in range(0, len(items), 100):
        device.ask("POST", "/v1/events", device.facts(items[start : start + 100], of))
    found = [event for item in items for event in journal.read(f"item/{item}")]
    return [event for event in found if event.type == of]


def _facts(of: str, announced: Sequence[Event]) -> Sequence[Event]:
    """The announcements themselves, or what happened to their items after them."""
    return announced if of == ANNOUNCED else _scans_of([one.subject.removeprefix("item/") for one in announced], of)


def _sort(found: Sequence[Event]) -> None:
    for start in range(0, len(found), 25):
        _run(sorting.sorting, messages(bodies(found[start : start + 25])))


def _relay(found: Sequence[Event]) -> None:
    _run(relay.relay, records(found))
