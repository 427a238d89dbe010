"""Commands in a test's hand: ordered by staff or by two approvals, fetched and reported by a handset."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey

from chalicelib.core import clock, ids, signing
from chalicelib.core.transaction import transaction
from chalicelib.fleet.commands import boxes
from chalicelib.fleet.commands.kinds import Kind
from chalicelib.fleet.workers import settle_fleet
from handset.signing import base64url
from tests.support import guards
from tests.support.api import Answered, Api
from tests.support.events import SCHEDULED, invoke
from tests.support.factories import HeldHandset

REASON = "Your depot cannot reach you."


def order(api: Api, *handsets: HeldHandset, kind: str = "ring", **parameters: Any) -> Answered:
    """Staff order something."""
    if kind == "ring":
        parameters = {"seconds": 30} | parameters
    body = {"devices": [one.device for one in handsets], "kind": kind, "reason": REASON, "parameters": parameters}
    return api.as_staff("fleet-admin").post("/v1/commands", body)


def ordered(api: Api, handset: HeldHandset, kind: str = "ring", **parameters: Any) -> str:
    """The id of a command that staff have just ordered."""
    answer = order(api, handset, kind=kind, **parameters)
    assert answer.status == 201, answer.text
    return str(answer.body["commands"][0]["id"])


def told(api: Api, command: str) -> Any:
    """A command as staff read it."""
    answer = api.as_staff("auditor").get(f"/v1/commands/{command}")
    assert answer.status == 200, answer.text
    return answer.body


def fetched(handset: HeldHandset) -> list[str]:
    """The orders that the handset is given now."""
    answer = handset.calls().get("/v1/commands")
    assert answer.status == 200, answer.text
    return list(answer.body["orders"])


def payload(order_: str) -> Any:
    """What an order says, once it is known to be signed with the key that enrolments name."""
    [key] = signing.public_keys()
    return json.loads(jws.deserialize_compact(order_, ECKey.import_key(key), algorithms=["ES256"]).payload)


def kinds(handset: HeldHandset) -> list[str]:
    """The kinds of the orders that the handset is given now, as they come."""
    return [payload(one)["kind"] for one in fetched(handset)]


def a_report(order_: str, what: str, *, at: datetime | None = None, **changes: Any) -> dict[str, Any]:
    """What a handset says of an order."""
    said = payload(order_)
    raw = order_.split(".")[1]
    digest = hashlib.sha256(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))).hexdigest()
    now = at or clock.now()
    return {
        "id": ids.new(now),
        "command": said["id"],
        "order": digest,
        "number": said["number"],
        "at": now.isoformat(),
        "what": what,
    } | changes


def signed(handset: HeldHandset, report: dict[str, Any]) -> str:
    """A report as JWS of the handset's key."""
    header = {"alg": "ES256", "kid": handset.device}
    text = ".".join(base64url(json.dumps(part).encode()) for part in (header, report))
    return f"{text}.{base64url(handset.key.sign_raw(text.encode()))}"


def send(handset: HeldHandset, report: dict[str, Any]) -> Answered:
    """Send a report."""
    body = {"report": signed(handset, report)}
    return handset.calls().post(f"/v1/commands/{report['command']}/reports", body)


def reported(handset: HeldHandset, order_: str, what: str, **changes: Any) -> str:
    """The state after a report."""
    answer = send(handset, a_report(order_, what, **changes))
    assert answer.status == 200, answer.text
    return str(answer.body["state"])


def sweep() -> None:
    """Do what is due by now."""
    assert invoke(settle_fleet, SCHEDULED) == []


def declared_lost(handset: HeldHandset, loss: str = "01a20719-c8a0-7000-8000-0000000000f1") -> None:
    """The handset is lost, as its box has it."""
    before = boxes.load(handset.device)
    with transaction() as work:
        box = boxes.Box(**{name: getattr(before.box, name) for name in before.box.__struct_fields__} | {"loss": loss})
        boxes.save(work, before, box)


def a_wipe(handset: HeldHandset, kind: Kind = Kind.CONTAINER_WIPE, *, cools_off: bool = False) -> str:
    """The id of a wipe that two people have approved."""
    ada, bob = guards.judges(handset.api)
    parameters = {"external_storage": True, "esim": True} if kind is Kind.FULL_WIPE else {}
    warrant = guards.a_warrant(ada.calls, handset, kind=kind, parameters=parameters, witnessed=not cools_off)
    answer = guards.approved(warrant, ada, bob)
    assert answer.body["state"] == "approved", answer.text
    return str(answer.body["targets"][0]["command"])
