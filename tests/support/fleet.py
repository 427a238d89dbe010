"""Tickets, and handsets that enrol with them: `a_ticket(post)`, `a_new_handset(post).enrolled()`."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from chalicelib.core import aws, journal
from chalicelib.core.events import Event
from handset.signing import HandsetKey
from tests.support.api import Answered, Api, Caller
from tests.support.factories import HeldHandset

HERE, THERE = "75015A", "75018A"
OURS, THEIRS = "C1", "C2"
"""A carrier of each depot."""

_ADDRESS = {"street": "12 rue Lecourbe", "postcode": "75015", "town": "Paris"}
_serials = itertools.count(1)


def a_post(api: Api) -> Api:
    """The API of a post with two depots in two zones, and a carrier in each."""
    ops, manager = api.as_staff("ops"), api.as_staff("depot-manager")
    for zone, depot, carrier in (("PARIS-SUD", HERE, OURS), ("PARIS-NORD", THERE, THEIRS)):
        stated = {"name": "Paris", "zone": zone, "postcodes": [depot[:5]], "address": _ADDRESS}
        assert ops.put(f"/v1/zones/{zone}", {"name": zone}).status == 200
        assert ops.put(f"/v1/depots/{depot}", stated).status == 200
        assert manager.put(f"/v1/carriers/{carrier}", a_carrier(depot)).status == 200
    return api


def a_carrier(depot: str) -> dict[str, Any]:
    return {"first_name": "Zoé", "last_name": "Martin", "phone": "+33612345678", "depot": depot}


def a_ticket(api: Api, carrier: str = OURS, ownership: str = "company") -> dict[str, str]:
    """What the QR code of a new ticket says."""
    wanted = {"carrier": carrier, "ownership": ownership}
    answer = api.as_staff("fleet-admin").post("/v1/enrolment-tickets", wanted)
    assert answer.status == 201, answer.text
    content: dict[str, str] = answer.body["content"]
    return content


class NewHandset:
    """A handset that asks to be enrolled, by default with a key and a serial number that nobody had before."""

    def __init__(self, api: Api, *, key: HandsetKey | None = None, serial: str = "") -> None:
        self.api, self.key = api, key or HandsetKey.generate()
        self.serial = serial or f"SN-{next(_serials):06}"

    def request(self, code: str, **changes: Any) -> dict[str, Any]:
        hardware = {
            "serial": self.serial,
            "manufacturer": "Samsung",
            "model": "Galaxy XCover7",
            "os_version": "16",
            "app_version": "1.0",
        }
        return {"code": code, "public_key": self.key.public_jwk, "hardware": hardware} | changes

    def asks(self, code: str, *, signer: HandsetKey | None = None, **changes: Any) -> Answered:
        """Ask to be enrolled; `signer` signs instead of the key that is brought."""
        return self.calls(signer).post("/v1/enrolments", self.request(code, **changes))

    def calls(self, signer: HandsetKey | None = None) -> Caller:
        """The caller that signs with the key that is brought, or with another, which it calls the same."""
        return self.api.as_handset(signer or self.key, self.key.thumbprint)

    def enrolled(self, carrier: str = OURS, *, ownership: str = "company", **changes: Any) -> HeldHandset:
        """The handset, once it is enrolled with a ticket of its own. Keywords change what it asks."""
        answer = self.asks(a_ticket(self.api, carrier, ownership)["code"], **changes)
        assert answer.status == 201, answer.text
        return HeldHandset(self.api, answer.body["device"], self.key, generation=answer.body["generation"])


def retire(api: Api, device: str, reason: str = "Broken screen") -> Answered:
    return api.as_staff("fleet-admin").post(f"/v1/devices/{device}/retirement", {"reason": reason})


def events_of_device(device: str) -> list[Event]:
    """Its events, in the order in which the journal keeps them."""
    return journal.read(f"device/{device}")


def everything_stored() -> str:
    """All rows of all tables, as text."""
    client = aws.client("dynamodb")
    tables = client.list_tables()["TableNames"]
    return json.dumps([client.scan(TableName=name)["Items"] for name in tables], default=str)


@pytest.fixture
def post(api: Api) -> Api:
    """The API of a post that has two depots with a carrier each."""
    return a_post(api)


@pytest.fixture
def newcomer(post: Api) -> NewHandset:
    """A handset that has not enrolled yet."""
    return NewHandset(post)


@pytest.fixture
def code(post: Api) -> str:
    """The code of a ticket for our carrier."""
    return a_ticket(post)["code"]
