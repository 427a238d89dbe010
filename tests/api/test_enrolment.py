"""Tickets and enrolment: one handset per ticket, one enrolment per key, one device per piece of hardware."""

from __future__ import annotations

import base64
import io
import itertools
import json
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import zxingcpp
from joserfc import jws
from joserfc.jwk import KeySet
from PIL import Image

from chalicelib.core import journal
from chalicelib.core.access import AccessRow
from chalicelib.core.journal import JournalRow
from chalicelib.fleet import enrolment
from chalicelib.fleet.tables import DeviceRow, TicketRow
from handset.signing import HandsetKey
from tests.support.api import Api
from tests.support.attestation import STRONGBOX, Authority, a_chain, a_description, enumerated
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.crashes import Killed, after_step, die
from tests.support.factories import HeldHandset
from tests.support.fleet import (
    HERE,
    OURS,
    THERE,
    NewHandset,
    a_carrier,
    a_ticket,
    events_of_device,
    everything_stored,
)

ROOT = Authority()


def tickets() -> int:
    return len(list(TicketRow.scan(TicketRow.pk.startswith("ticket/"))))


def is_unused(code: str) -> bool:
    return TicketRow.get(f"ticket/{code.partition('.')[0]}", "ticket").used_by is None


class TestTickets:
    def test_a_ticket_is_for_a_carrier_at_their_depot_for_an_hour(self, post: Api, clock: FakeClock) -> None:
        answer = post.as_staff("depot-manager", scope=f"depot/{HERE}").post("/v1/enrolment-tickets", {"carrier": OURS})

        told = answer.body
        assert (answer.status, told["carrier"], told["depot"]) == (201, OURS, HERE)
        assert datetime.fromisoformat(told["expires_at"]) - clock.at == timedelta(hours=1)
        assert told["content"]["url"] == "https://api.facteo.test"
        [event] = journal.read(f"enrolment-ticket/{told['ticket']}")
        assert (event.type, event.actor, event.place) == (
            "facteo.enrolment-ticket.issued",
            "staff/s-1",
            f"depot/{HERE}",
        )

    def test_the_code_is_stored_nowhere(self, code: str) -> None:
        assert code.partition(".")[2] not in everything_stored()

    def test_the_qr_code_says_what_the_ticket_says(self, post: Api) -> None:
        told = post.as_staff("fleet-admin").post("/v1/enrolment-tickets", {"carrier": OURS}).body

        image = Image.open(io.BytesIO(base64.b64decode(told["qr"]["png"])))
        [read] = zxingcpp.read_barcodes(image)
        assert (json.loads(read.text), read.ec_level) == (told["content"], "M")
        drawing = ElementTree.fromstring(told["qr"]["svg"])  # noqa: S314 - our own
        assert drawing.tag.endswith("svg")
        assert (drawing.get("width"), drawing.get("height")) == (str(image.width), str(image.height))

    @pytest.mark.parametrize(
        ("body", "status", "problem"),
        [
            ({"carrier": "C404"}, 404, "not-found"),
            ({"carrier": "C1\n"}, 400, "request-invalid"),
            ({"carrier": OURS, "depot": THERE}, 400, "request-invalid"),
            ({}, 400, "request-invalid"),
        ],
    )
    def test_no_ticket_for_nobody(self, post: Api, body: dict[str, Any], status: int, problem: str) -> None:
        answer = post.as_staff("fleet-admin").post("/v1/enrolment-tickets", body)
        assert (answer.status, answer.problem, tickets()) == (status, problem, 0)

    @pytest.mark.parametrize(
        ("role", "scope", "status"),
        [
            ("depot-manager", f"depot/{THERE}", 403),
            ("depot-manager", "", 403),
            ("depot-manager", "zone/PARIS-SUD", 201),
            ("fleet-admin", "*", 201),
            ("dispatcher", "*", 403),
            ("ops", "*", 403),
        ],
    )
    def test_who_may_issue_one(self, post: Api, role: str, scope: str, status: int) -> None:
        answer = post.as_staff(role, scope=scope).post("/v1/enrolment-tickets", {"carrier": OURS})
        assert answer.status == status
        assert tickets() == (status == 201)

    def test_nobody_may_issue_one_unknown(self, post: Api) -> None:
        assert post.as_nobody().post("/v1/enrolment-tickets", {"carrier": OURS}).status == 401

    def test_a_crash_leaves_a_ticket_with_its_event_or_neither(self, post: Api) -> None:
        for step in itertools.count(1):
            try:
                with after_step(step, die):
                    a_ticket(post)
            except Killed:
                issued = sum(row.type == "facteo.enrolment-ticket.issued" for row in JournalRow.scan())
                assert tickets() == issued
            else:
                break
        assert step > 2


class TestEnrolment:
    def test_a_handset_is_enrolled_and_works_at_once(self, newcomer: NewHandset, clock: FakeClock) -> None:
        ticket = a_ticket(newcomer.api)
        answer = newcomer.asks(ticket["code"])

        told = answer.body
        device = told["device"]
        assert (answer.status, told["generation"], told["assurance"]) == (201, 1, "none")
        assert told["source"] == f"/handsets/{device}/1"
        [event] = events_of_device(device)
        assert event.type == "facteo.device.enrolled"
        assert (event.actor, event.place) == (f"carrier/{OURS}", f"depot/{HERE}")
        assert msgspec.json.decode(event.data)["key_thumbprint"] == newcomer.key.thumbprint
        handset = HeldHandset(newcomer.api, device, newcomer.key)
        synced = handset.sync(handset.event())
        assert (synced.body["results"][0]["result"], synced.body["acknowledged_through"]) == ("recorded", 1)

    def test_the_statement_is_signed_by_a_key_of_ours(self, newcomer: NewHandset, code: str, clock: FakeClock) -> None:
        told = newcomer.asks(code).body

        keys = KeySet.import_key_set({"keys": told["server_keys"]})
        stated = msgspec.json.decode(jws.deserialize_compact(told["statement"], keys, algorithms=["ES256"]).payload)
        assert datetime.fromisoformat(stated.pop("enrolled_at")) == clock.at
        assert stated == {
            "device": told["device"],
            "generation": 1,
            "carrier": OURS,
            "depot": HERE,
            "assurance": "none",
            "key_thumbprint": newcomer.key.thumbprint,
            "policy": told["policy"],
            "approvers_digest": "",
        }

    def test_it_costs_four_dynamodb_calls(self, newcomer: NewHandset, code: str, aws: Cloud) -> None:
        with aws.counting() as calls:
            newcomer.asks(code)
        assert calls == {"GetItem": 3, "TransactWriteItems": 1}

    def test_the_serial_number_is_kept_nowhere(self, newcomer: NewHandset) -> None:
        newcomer.enrolled()
        assert "XCover7" in everything_stored()
        assert newcomer.serial not in everything_stored()

    def test_the_ticket_s_depot_counts_though_the_carrier_has_moved(self, newcomer: NewHandset, code: str) -> None:
        newcomer.api.as_staff("depot-manager").put(f"/v1/carriers/{OURS}", a_carrier(THERE))
        device = newcomer.asks(code).body["device"]
        assert AccessRow.get(device).depot == HERE


class TestAttestation:
    @pytest.fixture(autouse=True)
    def trusted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(enrolment, "TRUSTED_ROOTS", frozenset({ROOT.key_hash}))

    def chain(self, newcomer: NewHandset, challenge: str) -> list[str]:
        description = a_description(challenge, attested_in=enumerated(STRONGBOX), made_in=enumerated(STRONGBOX))
        certificates = a_chain(ROOT, (newcomer.key.resolve_private_key(""), description))
        return [base64.b64encode(der).decode() for der in certificates]

    def test_an_attested_key_is_said_to_be_one(self, newcomer: NewHandset) -> None:
        ticket = a_ticket(newcomer.api)
        answer = newcomer.asks(ticket["code"], attestation=self.chain(newcomer, ticket["challenge"]))
        assert (answer.status, answer.body["assurance"]) == (201, "strongbox")
        assert DeviceRow.get(f"device/{answer.body['device']}", "device").assurance == "strongbox"

    def test_a_bad_attestation_is_refused_with_its_reason_and_the_ticket_stays(self, newcomer: NewHandset) -> None:
        ticket, other = a_ticket(newcomer.api), a_ticket(newcomer.api)

        answer = newcomer.asks(ticket["code"], attestation=self.chain(newcomer, other["challenge"]))

        assert (answer.status, answer.problem) == (422, "attestation-invalid")
        assert answer.body["reason"] == "challenge-differs"
        assert newcomer.asks(ticket["code"], attestation=self.chain(newcomer, ticket["challenge"])).status == 201


class TestRefusals:
    @pytest.mark.parametrize("wrong", ["{id}.x{secret}", "{id}.", "{id}", "x.{secret}", "", "é.é", "." * 200])
    def test_a_wrong_code(self, newcomer: NewHandset, code: str, wrong: str) -> None:
        ticket, _, secret = code.partition(".")
        answer = newcomer.asks(wrong.format(id=ticket, secret=secret))
        assert (answer.status, answer.problem) == (403, "ticket-unknown")
        assert is_unused(code)

    def test_an_hour_later_and_a_moment(self, newcomer: NewHandset, code: str, clock: FakeClock) -> None:
        late = a_ticket(newcomer.api)["code"]
        clock.advance(hours=1)
        assert newcomer.asks(code).status == 201
        clock.advance(microseconds=1)
        assert NewHandset(newcomer.api).asks(late).problem == "ticket-expired"
        assert is_unused(late)

    @pytest.mark.parametrize(
        "changes",
        [
            {"kty": "RSA"},
            {"crv": "P-384"},
            {"x": base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")},
            {"y": ""},
            {"x": "é" * 43},
            {"x": "A"},
            {"y": "A" * 100},
            {"x": 7},
        ],
    )
    def test_no_point_of_p256(self, newcomer: NewHandset, code: str, changes: dict[str, Any]) -> None:
        answer = newcomer.asks(code, public_key=newcomer.key.public_jwk | changes)
        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert is_unused(code)

    @pytest.mark.parametrize("spelling", ["{x}=", "{x} ", "AA{x}", "\n{x}", "{x}*"])
    def test_another_spelling_of_a_key(self, newcomer: NewHandset, code: str, spelling: str) -> None:
        """A key that was refused once is to be refused however it is written."""
        key = newcomer.key.public_jwk
        respelled = RespelledKey(newcomer.key, key | {"x": spelling.format(x=key["x"])})
        answer = NewHandset(newcomer.api, key=respelled).asks(code)
        assert (answer.status, answer.problem) == (400, "request-invalid")

    @pytest.mark.parametrize(
        "changes",
        [
            {"attestation": ["no base64!"]},
            {"attestation": [""] * 11},
            {"attestation": [base64.b64encode(bytes(8193)).decode()]},
            {"hardware": {"serial": "S"}},
            {"hardware": {"serial": " ", "manufacturer": "m", "model": "m", "os_version": "1", "app_version": "1"}},
            {"generation": 7},
        ],
    )
    def test_a_request_of_the_wrong_shape(self, newcomer: NewHandset, code: str, changes: dict[str, Any]) -> None:
        answer = newcomer.asks(code, **changes)
        assert (answer.status, answer.problem) == (400, "request-invalid")
        assert is_unused(code)

    def test_a_request_of_a_mebibyte(self, newcomer: NewHandset, code: str) -> None:
        assert newcomer.asks(code, attestation=["A" * 1024 * 1024]).problem == "body-too-large"

    def test_a_request_that_the_key_it_brings_has_not_signed(self, newcomer: NewHandset, code: str) -> None:
        body, stranger = newcomer.request(code), HandsetKey.generate()
        answers = [
            newcomer.api.as_nobody().post("/v1/enrolments", body),
            newcomer.api.as_staff("fleet-admin").post("/v1/enrolments", body),
            newcomer.asks(code, signer=stranger),
            newcomer.api.as_handset(stranger, stranger.thumbprint).post("/v1/enrolments", body),
        ]
        assert [(answer.status, answer.problem) for answer in answers] == [(401, "identity-required")] * 4
        assert is_unused(code)

    def test_a_clock_that_is_off(self, newcomer: NewHandset, code: str) -> None:
        caller = newcomer.api.as_handset(newcomer.key, newcomer.key.thumbprint, clock_off_by=301)
        answer = caller.post("/v1/enrolments", newcomer.request(code))
        assert (answer.problem, answer.body["server_time"][:19]) == ("clock-skewed", "2026-11-23T07:00:00")
        assert is_unused(code)


class RespelledKey(HandsetKey):
    """A key whose JWK is written otherwise, and which signs under the name that this gives it."""

    def __init__(self, key: HandsetKey, jwk: dict[str, str]) -> None:
        super().__init__(key.resolve_private_key(""))
        self._jwk = jwk

    @property
    def public_jwk(self) -> dict[str, str]:
        return self._jwk
