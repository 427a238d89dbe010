"""A post in which there is one of everything, for tests that ask each endpoint something that it can answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from chalicelib.connectors.importer.workers import take_file
from chalicelib.core import aws
from chalicelib.core.access import ROLES
from chalicelib.items.event_types import SCANNED
from tests.support.api import Api
from tests.support.cloud import BUCKET
from tests.support.events import announced, deliver
from tests.support.factories import ITEM, HeldHandset
from tests.support.fleet import HERE, OURS, NewHandset, a_post, a_ticket

DAY = "2026-11-23"
CLIENT = "123456"


@dataclass
class Populated:
    """The post, its handset with its only event (a scan at the depot `HERE`), a ticket for another one, and a file."""

    api: Api
    handset: HeldHandset
    event: str
    newcomer: NewHandset
    ticket: str
    import_id: str

    @property
    def names(self) -> dict[str, Any]:
        """The values by which parameters and fields name something that exists."""
        return {
            "carrier": OURS,
            "client": CLIENT,
            "code": self.ticket,
            "corrects": self.event,
            "day": DAY,
            "depot": HERE,
            "device": self.handset.device,
            "import_id": self.import_id,
            "item": ITEM,
            "items": ITEM,
            "public_key": self.newcomer.key.public_jwk,
            "slug": "not-found",
            "zone": "PARIS-SUD",
        }


def populated(api: Api) -> Populated:
    """An announced item, scanned at its depot by the handset of a carrier who is on duty there; a client."""
    a_post(api)
    staff = api.as_staff(*ROLES)
    duty = {"depot": HERE, "route": "T12", "starts": "06:30", "ends": "13:00"}
    assert staff.put(f"/v1/carriers/{OURS}/duties/{DAY}", duty).status == 200
    address = {"postcode": "75015", "town": "Paris"}
    assert staff.put(f"/v1/clients/{CLIENT}", {"company": "Facteo", "address": address}).status == 200
    announced()
    handset = NewHandset(api).enrolled()
    event = handset.event(SCANNED, data={"step": "at-depot"})
    assert handset.sync(event).body["results"][0]["result"] == "recorded"
    return Populated(api, handset, event["id"], NewHandset(api), a_ticket(api)["code"], _imported(api))


def _imported(api: Api) -> str:
    """The id of a file that was imported."""
    body = {"Bucket": BUCKET, "Key": "inbox/zones/zones.csv"}
    version = aws.client("s3").put_object(Body=b"zone;name\n", **body)["VersionId"]
    described = {"bucket": {"name": BUCKET}, "object": {"key": body["Key"], "versionId": version}}
    notice = {"Records": [{"eventName": "ObjectCreated:Put", "s3": described}]}
    assert deliver(take_file, [json.dumps(notice)]) == []
    [found] = api.as_staff("ops").get("/v1/imports").body["imports"]
    return str(found["id"])
