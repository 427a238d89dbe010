"""A handset in another language, written from docs/protocol alone, enrols and syncs."""

from __future__ import annotations

import json
from collections import Counter

from chalicelib.core import journal
from chalicelib.items.schemas import HandedOver
from chalicelib.judging.workers import judging
from infra import vectors
from tests.support import bridge as bridges
from tests.support.api import Api
from tests.support.events import deliver
from tests.support.factories import ITEM
from tests.support.fleet import HERE, OURS, a_post
from tests.support.second_client import needs_node, run

pytestmark = needs_node

FOR_SERVERS = {"batches", "events", "sync"}
DUTY = {"depot": HERE, "route": "T12", "starts": "07:00", "ends": "14:00"}


def test_it_agrees_with_every_vector_that_is_for_handsets() -> None:
    told = run("vectors", str(vectors.PATH))
    file = json.loads(vectors.PATH.read_text())
    assert told["failed"] == []
    assert file.keys() - {"about", "now", "authority", "device", "generation"} == {*told["counted"], *FOR_SERVERS} - {
        "signed",
        "signed_acts",
    }
    assert told["counted"] == {
        "keys": len(file["keys"]),
        "bad_keys": len(file["bad_keys"]),
        "barcodes": len(file["barcodes"]),
        "acts": len(file["acts"]),
        "texts": len(file["texts"]),
        "signed_acts": sum(1 + (not act["problem"]) for act in file["acts"] if act["canonical"]),
        "digests": len(file["digests"]),
        "uuid7": sum(map(len, file["uuid7"].values())),
        "ticket": 1,
        "signatures": len(file["signatures"]),
        "signed": Counter(vector["result"] for vector in file["signatures"])["accepted"],
    }


def test_it_enrols_takes_its_round_hands_over_and_syncs_twice(api: Api) -> None:
    a_post(api)
    given = api.as_staff("depot-manager").put(f"/v1/carriers/{OURS}/duties/2026-11-23", DUTY)
    assert given.status == 200, given.text
    with bridges.serving(api) as bridge:
        told = run("day", json.dumps(bridge.ticket(OURS)), f"{ITEM[:2]} {ITEM[2:]}", bridge.connect_to)

    assert told["corrected"] == 1, "the clock of the tests is not the machine's: it took the server's word, once"
    assert (told["stated"]["carrier"], told["stated"]["generation"]) == (OURS, 1)
    assert (told["round"]["round"]["route"], told["round"]["again"]) == ("T12", 304)
    first, again = told["first"], told["again"]
    assert [result["result"] for result in first["results"]] == ["recorded", "refused", "recorded"]
    assert [result["result"] for result in again["results"]] == ["duplicate", "refused", "duplicate"]
    assert first["acknowledged_through"] == again["acknowledged_through"] == 3
    assert first["commands_waiting"] == 0
    recorded = journal.read(f"item/{ITEM}")
    assert [event.id for event in recorded] == [told["ids"][0], told["ids"][2]]
    assert {event.timemethod for event in recorded} == {"monotonic"}
    assert recorded[1].body(HandedOver).procedure == "signature-id"
    assert deliver(judging, [recorded[1]]) == []
    [proof] = api.as_staff("auditor").get(f"/v1/items/{ITEM}/proofs").body["proofs"]
    ours = {"receiver-name", "capacity", "signature", "document", "delivery-date", "item", "provider"}
    assert (proof["id"], ours & set(proof["missing"])) == (told["ids"][2], set())
