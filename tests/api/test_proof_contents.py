"""What a proof says beside the person who received: the other items on the act, and who delivered for the post."""

from __future__ import annotations

import base64
import io
from typing import Any

import pypdf
import pytest

from chalicelib.core import journal
from chalicelib.core.events import Event
from chalicelib.judging.workers import judging
from tests.support.acts import RegisteredPost, a_hand_over, an_act
from tests.support.api import Api
from tests.support.events import deliver
from tests.support.factories import DEPOT
from tests.support.signatures import a_drawing

SUBCONTRACTOR = {
    "name": "Coursiers du Rhône",
    "address": {"street": "3 QUAI CLAUDE BERNARD", "postcode": "69007", "town": "LYON"},
}


@pytest.fixture
def post(api: Api) -> RegisteredPost:
    return RegisteredPost(api)


def read(api: Api, proof: Event) -> Any:
    """A proof and its document, as carrier support gets them."""
    claim = {"reason": "claim", "details": "Le destinataire dit n'avoir rien reçu."}
    answer = api.as_staff("carrier-support").post(f"/v1/proofs/{proof.id}/readings", claim)
    assert answer.status == 200, answer.text
    return answer.body


def page_of(told: Any) -> str:
    [page] = pypdf.PdfReader(io.BytesIO(base64.b64decode(told["document"]))).pages
    return " ".join(page.extract_text().split())


def register_depot(api: Api, **changes: Any) -> None:
    ops = api.as_staff("ops")
    assert ops.put("/v1/zones/Z1", {"name": "Paris"}).status == 200
    address = {"postcode": "75015", "town": "PARIS"}
    depot = {"name": "Paris 15", "zone": "Z1", "address": address} | changes
    assert ops.put(f"/v1/depots/{DEPOT}", depot).status == 200


def test_each_proof_of_an_act_names_all_its_items(api: Api, post: RegisteredPost) -> None:
    items, drawing = [post.item(), post.item()], a_drawing()
    act = an_act(post.handset, *items, drawing=drawing)
    sent = [a_hand_over(post.handset, item, act=act, drawing=drawing) for item in items]
    post.handset.sync(*sent)
    proofs = [journal.read_many([(event["subject"], event["id"])])[0] for event in sent]
    assert deliver(judging, proofs) == []

    for proof, item in zip(proofs, items, strict=True):
        told = read(api, proof)
        assert (told["proof"]["item"], told["proof"]["items"]) == (item, items)
        assert "Une même signature pour 2 envois remis ensemble." in page_of(told)


def test_the_subcontractor_who_runs_the_depot_stands_on_the_proof(api: Api, post: RegisteredPost) -> None:
    register_depot(api, subcontractor=SUBCONTRACTOR)

    told = read(api, post.hand_over(post.item()))

    assert told["proof"]["subcontractor"] == {
        "name": "Coursiers du Rhône",
        "lines": ["3 QUAI CLAUDE BERNARD", "69007 LYON"],
    }
    assert "Distribué pour son compte par Coursiers du Rhône" in page_of(told)


def test_who_came_to_a_depot_later_did_not_deliver_before(api: Api, post: RegisteredPost) -> None:
    register_depot(api)
    proof = post.hand_over(post.item())
    register_depot(api, subcontractor=SUBCONTRACTOR)

    assert read(api, proof)["proof"]["subcontractor"] is None
