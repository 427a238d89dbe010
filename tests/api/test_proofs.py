"""Proofs for people: found, read for a stated reason, on record, verified from outside, and gone after a year."""

from __future__ import annotations

import base64
import io
from typing import Any

import pypdf
import pytest

from chalicelib.core import journal, keyring
from chalicelib.core.access import ROLES
from chalicelib.core.events import Event
from chalicelib.core.keyring import KeyRow
from chalicelib.erasure import service as erasure
from chalicelib.items.event_types import CORRECTED
from chalicelib.judging.workers import judging
from chalicelib.signatures import rules, service
from tests.support.acts import RegisteredPost, a_hand_over, an_act, judged
from tests.support.api import Answered, Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.events import deliver
from tests.support.factories import a_handset, an_item
from tests.support.signatures import a_drawing

CLAIM = {"reason": "claim", "details": "Le destinataire dit n'avoir rien reçu."}


@pytest.fixture
def post(api: Api) -> RegisteredPost:
    return RegisteredPost(api)


@pytest.fixture
def proof(post: RegisteredPost) -> Event:
    """The event of a complete proof of article 4."""
    return post.hand_over(post.item(acknowledgement_of_receipt=True))


def reads(api: Api, proof: Event, body: Any = None, role: str = "carrier-support") -> Answered:
    return api.as_staff(role).post(f"/v1/proofs/{proof.id}/readings", body or CLAIM)


def text_of(document: str) -> str:
    [page] = pypdf.PdfReader(io.BytesIO(base64.b64decode(document))).pages
    return page.extract_text()


class TestFinding:
    def test_the_proofs_of_an_item_name_nobody(self, api: Api, proof: Event) -> None:
        answer = api.as_staff("auditor").get(f"/v1/items/{proof.subject.removeprefix('item/')}/proofs")

        assert answer.status == 200
        [found] = answer.body["proofs"]
        assert (found["id"], found["complete"], found["delivered_on"]) == (proof.id, True, "2026-11-23")
        assert "LEF" not in answer.text

    def test_an_item_that_was_not_handed_over(self, api: Api) -> None:
        assert api.as_staff("auditor").get(f"/v1/items/{an_item()}/proofs").problem == "not-found"

    def test_the_proofs_of_an_item_are_those_of_its_depots_managers(self, api: Api, proof: Event) -> None:
        path = f"/v1/items/{proof.subject.removeprefix('item/')}/proofs"

        assert api.as_staff("depot-manager", scope="depot/75015A").get(path).status == 200
        assert api.as_staff("depot-manager", scope="depot/75018A").get(path).status == 403


class TestReading:
    def test_it_comes_with_its_documents(self, api: Api, proof: Event) -> None:
        answer = reads(api, proof)

        assert answer.status == 200
        assert answer.body["proof"]["receiver"]["last_name"] == "LEFÈVRE"
        assert "LEFÈVRE" in text_of(answer.body["document"])
        assert "Vent d'Ouest SARL" in text_of(answer.body["document"])
        assert "LEFÈVRE" in text_of(answer.body["acknowledgement"])
        assert answer.body["drawing"].startswith("<svg")

    def test_without_an_avis_de_reception_there_is_none(self, api: Api, post: RegisteredPost) -> None:
        assert reads(api, post.hand_over(post.item())).body["acknowledgement"] is None

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"reason": "curiosity", "details": "xxx"},
            {"reason": "claim", "details": ""},
            {"reason": "sender-request", "details": "par téléphone"},
        ],
    )
    def test_without_a_reason_nothing_is_shown_nor_recorded(self, api: Api, proof: Event, body: Any) -> None:
        before = len(journal.read(f"proof/{proof.id}"))

        answer = api.as_staff("carrier-support").post(f"/v1/proofs/{proof.id}/readings", body)

        assert answer.problem == "request-invalid"
        assert len(journal.read(f"proof/{proof.id}")) == before

    def test_the_auditor_sees_who_read_it_and_why(self, api: Api, proof: Event, clock: FakeClock) -> None:
        reads(api, proof)
        clock.advance(days=1)
        identity = {"identity_checked": "carte d'identité au guichet"}
        reads(api, proof, {"reason": "addressee-request", "details": "au guichet", **identity})

        answer = api.as_staff("auditor").get(f"/v1/proofs/{proof.id}/readings")

        assert [one["reason"] for one in answer.body["readings"]] == ["claim", "addressee-request"]
        assert answer.body["readings"][0]["words"]["details"] == CLAIM["details"]
        assert all(one["actor"].startswith("staff/") for one in answer.body["readings"])

    def test_the_words_of_a_reason_are_sealed(self, api: Api, proof: Event) -> None:
        reads(api, proof)

        assert not [event for event in journal.read(f"proof/{proof.id}") if b"destinataire" in bytes(event.data)]

    def test_one_that_nobody_has_judged_yet(self, api: Api, post: RegisteredPost) -> None:
        sent = a_hand_over(post.handset, post.item())
        post.handset.sync(sent)

        assert api.as_staff("carrier-support").post(f"/v1/proofs/{sent['id']}/readings", CLAIM).problem == (
            "proof-not-ready"
        )

    def test_a_drawing_that_came_again_flags_the_first_proof(self, api: Api, post: RegisteredPost) -> None:
        drawing, item, other = a_drawing(seed=300_000), post.item(), a_handset(api)
        first = post.hand_over(item, act=an_act(post.handset, item, drawing=drawing), drawing=drawing)
        other.sync(a_hand_over(other, an_item(), drawing=drawing))
        assert deliver(judging, journal.read(rules.act_subject(judged(first).act))) == []

        assert reads(api, first).body["proof"]["flags"] == ["drawing-reused"]

    def test_one_that_was_declared_wrong_is_shown_as_such(self, api: Api, proof: Event) -> None:
        code = reads(api, proof).body["proof"]["verification_code"]
        body = {"corrects": proof.id, "reason": "wrong item"}
        path = f"/v1/items/{proof.subject.removeprefix('item/')}/corrections"
        assert api.as_staff("carrier-support").post(path, body).status == 201
        assert api.as_nobody().get(f"/v1/proofs/{proof.id}/verifications/{code}").body["complete"] is False
        assert deliver(judging, [one for one in journal.read(proof.subject) if one.type == CORRECTED]) == []

        assert reads(api, proof).body["proof"]["flags"] == ["hand-over-corrected"]


class TestVerification:
    def test_the_code_on_the_document_confirms_it_to_anybody(self, api: Api, proof: Event) -> None:
        code = reads(api, proof).body["proof"]["verification_code"]

        answer = api.as_nobody().get(f"/v1/proofs/{proof.id}/verifications/{code.lower()}")

        assert answer.body == {
            "item": proof.subject.removeprefix("item/"),
            "delivered_on": "2026-11-23",
            "complete": True,
        }

    def test_another_code_confirms_nothing(self, api: Api, proof: Event) -> None:
        assert api.as_nobody().get(f"/v1/proofs/{proof.id}/verifications/{'A' * 16}").problem == "not-found"


class TestErasure:
    """The proof dies with its key; that it existed does not."""

    def test_after_a_year_no_role_reads_it(self, api: Api, proof: Event, clock: FakeClock, aws: Cloud) -> None:
        reads(api, proof)
        clock.advance(days=367)
        erasure.erase_due()

        assert not list(KeyRow.scan(KeyRow.subject == f"proof/{proof.id}"))
        with pytest.raises(keyring.KeyGone):
            keyring.key_of(f"proof/{proof.id}")
        shown = {role: reads(api, proof, role=role).problem for role in sorted(ROLES)}
        assert shown == {role: "proof-erased" if role == "carrier-support" else "access-denied" for role in ROLES}
        history = api.as_staff("auditor").get(f"/v1/items/{proof.subject.removeprefix('item/')}").body["events"]
        [item] = [one for one in history if one["id"] == proof.id]
        assert item["type"] == "facteo.item.handed-over"
        log = api.as_staff("auditor").get(f"/v1/proofs/{proof.id}/readings").body["readings"]
        assert [(one["reason"], one["words"]) for one in log] == [("claim", None)]

    def test_it_is_not_read_after_its_date_though_nobody_has_destroyed_the_key(
        self, api: Api, proof: Event, clock: FakeClock
    ) -> None:
        clock.advance(days=366)

        assert reads(api, proof).problem == "proof-erased"

    def test_that_it_was_read_is_on_record_before_it_is_shown(
        self, api: Api, proof: Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: Any) -> None:
            raise RuntimeError

        monkeypatch.setattr(service, "_answer", broken)

        assert reads(api, proof).status == 500
        assert "facteo.proof.read" in {one.type for one in journal.read(f"proof/{proof.id}")}
