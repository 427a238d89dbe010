"""The back office is taken over: all its keys and all its tables are somebody else's. An enrolled handset is not.

The attacker signs with our KMS key, writes into every table, and needs no route: what it wants is put where the handset
fetches it, over real HTTP. Then an insider alone, with every route and two approvers who believe everything.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chalicelib.core import clock as clocks
from chalicelib.core import ids
from chalicelib.core.transaction import transaction
from chalicelib.fleet import records
from chalicelib.fleet.commands import boxes, requesting
from chalicelib.fleet.commands.kinds import KINDS, Kind
from chalicelib.fleet.commands.requesting import Wanted
from chalicelib.fleet.commands.schemas import Parameters
from chalicelib.fleet.guards import passkeys
from chalicelib.fleet.guards.approvers import IN_FORCE
from chalicelib.fleet.guards.choke import Authority, Target
from chalicelib.fleet.guards.schemas import Approval, Approved, Approver, ApproverSet, KeptSet
from chalicelib.fleet.guards.warrant_schemas import TextTarget, WarrantText
from demo.passkey import Passkey
from handset import trust
from handset.client import Handset
from handset.orders import Orders
from handset.signing import base64url
from tests.support import bridge as bridges
from tests.support import guards
from tests.support.api import Api
from tests.support.bridge import Bridge
from tests.support.clock import FakeClock
from tests.support.factories import HeldHandset
from tests.support.fleet import OURS, NewHandset, a_post
from tests.support.guards import ADA, EVE, LOSS, ORIGIN, RP_ID, Person, a_warrant, approved, change_box, raw

PARAMETERS = {Kind.FULL_WIPE: Parameters(external_storage=True, esim=True)}
DESTROYING = [kind for kind, traits in KINDS.items() if traits.destroys]
MALLORY = "staff/mallory"


class Attacker:
    """Whoever has everything but two passkeys."""

    def __init__(self, handset: Handset) -> None:
        self.device, self.generation = handset.enrolment["device"], handset.enrolment["generation"]
        self.passkeys = {name: Passkey.new(RP_ID, ORIGIN) for name in (MALLORY, "staff/trudy")}

    def text(self, kind: Kind, **changes: Any) -> bytes:
        """The words of a warrant for this handset, as they ought to be."""
        now = clocks.now().replace(microsecond=0)
        told = {
            "approvers_version": 1,
            "expires_at": now + timedelta(days=365),
            "id": ids.new(now),
            "kind": kind,
            "parameters": PARAMETERS.get(kind, Parameters()),
            "reason": "Security update.",
            "requested_at": now,
            "requested_by": f"staff/{ADA}",
            "targets": (TextTarget(device=self.device, generation=self.generation),),
            "witnessed": False,
        }
        return raw(passkeys.encoded(WarrantText(**(told | changes))))

    def order(self, kind: Kind, approved: Approved) -> None:
        """Put an order into the handset's box that our key signs, whoever approved it."""
        change_box(self.device, loss=LOSS)
        before, target = boxes.load(self.device), Target(self.device, self.generation)
        authority = Authority(ids.new(), kind, approved, frozenset({target}))
        parameters = PARAMETERS.get(kind, Parameters())
        wanted = Wanted(kind, parameters, "Security update.", MALLORY, authority)
        with transaction() as work:
            box = requesting.add(work, before, before.box, wanted, correlation_id="taken-over")
            boxes.save(work, before, box)

    def approval(self, name: str, text: bytes, passkey: Passkey | None = None) -> Approval:
        """An approval in that name, with a passkey of the attacker's unless another is given."""
        made = (passkey or self.passkeys[MALLORY]).approve(name, text)
        return msgspec.convert(made, type=Approval)

    def write_set(self, following: ApproverSet, *approvals: Approval) -> None:
        """Write a set of approvers into the tables, in force."""
        approved_ = Approved(text=passkeys.encoded(following), approvals=approvals)
        kept = KeptSet(version=following.version, approved=approved_, proposed_by=MALLORY, in_force=True)
        present = records.load(IN_FORCE, KeptSet)
        with transaction() as work:
            records.save(work, f"approvers/{following.version}", kept, instead_of=0)
            records.save(work, IN_FORCE, kept, instead_of=present.revision if present else 0)

    def a_set(self, before: str) -> ApproverSet:
        """Their own people as approvers, after the set with that text."""
        own = [msgspec.convert(passkey.as_approver(name), type=Approver) for name, passkey in self.passkeys.items()]
        return ApproverSet(
            approvers=tuple(own), origins=(ORIGIN,), previous=passkeys.digest_of(before), rp_id=RP_ID, version=2
        )


@pytest.fixture
def approvers(api: Api) -> list[Person]:
    """Ada and Bob, whom every handset knows that is enrolled afterwards."""
    a_post(api)
    return guards.approvers(api)


@pytest.fixture
def bridge(api: Api, approvers: list[Person]) -> Iterator[Bridge]:
    with bridges.serving(api) as running:
        yield running


@pytest.fixture
def handset(bridge: Bridge, tmp_path: Path, clock: FakeClock) -> Handset:
    """An enrolled handset with something in its container, and something of its carrier's."""
    content = bridge.api.as_staff("fleet-admin").post("/v1/enrolment-tickets", {"carrier": OURS}).body["content"]
    ticket = {**content, "url": bridge.url}
    enrolled = Handset.enrol(tmp_path / "handset", ticket, serial="SN-TAKEN", connect_to=bridge.connect_to, now=clock)
    enrolled.scan("9V20524752032", "out-for-delivery")
    return enrolled


@pytest.fixture
def attacker(handset: Handset) -> Attacker:
    return Attacker(handset)


def obeyed(handset: Handset) -> list[tuple[str, str]]:
    """What became of the orders that the handset was given; nothing of it is gone."""
    outcomes = [(outcome.what, outcome.code) for outcome in Orders(handset).run()]
    assert Handset(handset.folder).outbox.count() == 1
    assert not (handset.folder / "wiped.json").exists()
    return outcomes


def pinned(handset: Handset) -> int:
    known = trust.approvers(handset)
    assert known is not None
    return known.version


@pytest.mark.parametrize("kind", DESTROYING)
def test_a_signed_order_with_approvals_of_the_attackers_own(handset: Handset, attacker: Attacker, kind: Kind) -> None:
    text = attacker.text(kind)
    made = tuple(attacker.approval(name, text, passkey) for name, passkey in attacker.passkeys.items())
    attacker.order(kind, Approved(text=base64url(text), approvals=made))
    assert obeyed(handset) == [("refused", "approvers-unknown")]


@pytest.mark.parametrize("kind", DESTROYING)
def test_a_signed_order_without_approvals(handset: Handset, attacker: Attacker, kind: Kind) -> None:
    attacker.order(kind, Approved(text=base64url(attacker.text(kind)), approvals=()))
    assert obeyed(handset) == [("refused", "approvers-unknown")]


def test_in_the_names_of_the_approvers_with_other_keys(
    handset: Handset, attacker: Attacker, approvers: list[Person]
) -> None:
    """The names and credentials are known to whoever has the tables."""
    text = attacker.text(Kind.CONTAINER_WIPE)
    forged = []
    for person, passkey in zip(approvers, attacker.passkeys.values(), strict=True):
        made = attacker.approval(person.actor, text, passkey)
        forged.append(msgspec.structs.replace(made, credential=base64url(person.passkey.credential)))
    attacker.order(Kind.CONTAINER_WIPE, Approved(text=base64url(text), approvals=tuple(forged)))
    assert obeyed(handset) == [("refused", "approval-invalid")]


def test_one_approver_who_was_deceived_is_not_two(
    handset: Handset, attacker: Attacker, approvers: list[Person]
) -> None:
    text = attacker.text(Kind.CONTAINER_WIPE)
    ada = attacker.approval(approvers[0].actor, text, approvers[0].passkey)
    again = attacker.approval(approvers[0].actor, text, approvers[0].passkey)
    renamed = msgspec.structs.replace(again, approver=approvers[1].actor)
    for second in (again, renamed, attacker.approval(MALLORY, text)):
        attacker.order(Kind.CONTAINER_WIPE, Approved(text=base64url(text), approvals=(ada, second)))
        [(what, code)] = obeyed(handset)
        assert (what, code) in {("refused", "approvers-unknown"), ("refused", "approval-invalid")}


def test_what_two_approved_for_another_handset(
    bridge: Bridge, handset: Handset, attacker: Attacker, approvers: list[Person]
) -> None:
    """A true warrant with two true approvals, shown to a handset that it does not name; then with its name put in."""
    other = NewHandset(bridge.api).enrolled()
    guards.lose(other.device)
    warrant = a_warrant(approvers[0].calls, other)
    assert approved(warrant, *approvers).body["state"] == "approved"
    order = requesting_order(other)
    true = msgspec.convert(order["warrant"], type=Approved)
    attacker.order(Kind.CONTAINER_WIPE, true)
    assert obeyed(handset) == [("refused", "warrant-of-another")]
    text = raw(true.text).replace(other.device.encode(), attacker.device.encode())
    attacker.order(Kind.CONTAINER_WIPE, msgspec.structs.replace(true, text=base64url(text)))
    assert obeyed(handset) == [("refused", "approval-invalid")]


def requesting_order(handset: HeldHandset) -> Any:
    """The order that waits for a handset."""
    compact = boxes.load(handset.device).box.open[-1].order
    return json.loads(raw(compact.split(".")[1]))


def test_a_warrant_that_was_called_off_is_never_obeyed(
    bridge: Bridge, handset: Handset, attacker: Attacker, approvers: list[Person]
) -> None:
    """Two true approvals for this very handset, called off, and kept by whoever has the tables."""
    change_box(attacker.device, loss=LOSS)
    held = HeldHandset(bridge.api, attacker.device, handset._key, generation=attacker.generation)
    warrant = a_warrant(approvers[0].calls, held)
    assert approved(warrant, *approvers).body["state"] == "approved"
    true = msgspec.convert(requesting_order(held)["warrant"], type=Approved)
    called_off = approvers[0].calls.post(f"/v1/warrants/{warrant['id']}/cancellation", {"reason": "It was found."})
    assert called_off.status == 200, called_off.text
    assert obeyed(handset) == [("succeeded", "")]  # the stand-down
    attacker.order(Kind.CONTAINER_WIPE, true)
    assert obeyed(handset) == [("refused", "warrant-over")]


def test_approvers_of_the_attackers_own(handset: Handset, attacker: Attacker) -> None:
    """Written into the tables, in force, and approved by themselves: the handset keeps the set that it has."""
    text = handset.enrolment["approvers"]["text"]
    following = attacker.a_set(text)
    words = raw(passkeys.encoded(following))
    own = [attacker.approval(name, words, passkey) for name, passkey in attacker.passkeys.items()]
    attacker.write_set(following, *own)
    wipe = attacker.text(Kind.CONTAINER_WIPE, approvers_version=2)
    made = tuple(attacker.approval(name, wipe, passkey) for name, passkey in attacker.passkeys.items())
    attacker.order(Kind.CONTAINER_WIPE, Approved(text=base64url(wipe), approvals=made))
    assert obeyed(handset) == [("refused", "approvers-unknown")]
    assert pinned(handset) == 1


def test_one_approver_who_was_deceived_makes_no_new_set(
    handset: Handset, attacker: Attacker, approvers: list[Person]
) -> None:
    following = attacker.a_set(handset.enrolment["approvers"]["text"])
    words = raw(passkeys.encoded(following))
    ada = attacker.approval(approvers[0].actor, words, approvers[0].passkey)
    attacker.write_set(following, ada, attacker.approval(MALLORY, words))
    trust.learn_approvers(handset)
    assert pinned(handset) == 1


def test_two_approvers_do_make_one(bridge: Bridge, handset: Handset, approvers: list[Person]) -> None:
    """So that the tests above are about what is missing, and not about a handset that takes nothing."""
    [eve] = guards.people(bridge.api, EVE)
    guards.follow(approvers, [*approvers, eve])
    trust.learn_approvers(handset)
    assert pinned(handset) == 2
    change_box(handset.enrolment["device"], loss=LOSS)
    held = HeldHandset(bridge.api, handset.enrolment["device"], handset._key)
    warrant = a_warrant(approvers[0].calls, held, witnessed=True)
    assert approved(warrant, approvers[1], eve).body["state"] == "approved"
    assert [outcome.what for outcome in Orders(handset).run()] == ["wiping"]
    assert (handset.folder / "wiped.json").exists()


def test_another_key_of_the_attackers_signs_nothing(handset: Handset, attacker: Attacker) -> None:
    """Whoever replaces our signing key is not the back office that the handset was enrolled at."""
    attacker.order(Kind.CONTAINER_WIPE, Approved(text="e30", approvals=()))
    box = boxes.load(attacker.device)
    command = box.box.open[-1]
    head, payload, _ = command.order.split(".")
    forged = f"{head}.{payload}.{base64.urlsafe_b64encode(bytes(64)).decode().rstrip('=')}"
    with transaction() as work:
        boxes.save(work, box, boxes.replace(box.box, msgspec.structs.replace(command, order=forged)))
    assert obeyed(handset) == []


class TestAnInsiderAlone:
    """An administrator who asks, with two approvers who approve whatever they are shown."""

    def test_does_not_get_past_the_buckets(self, api: Api, approvers: list[Person], clock: FakeClock) -> None:
        admin = api.as_staff("fleet-admin", sub="insider")
        handsets = [NewHandset(api).enrolled() for _ in range(6)]
        for handset in handsets:
            guards.lose(handset.device)
        for handset in handsets[:3]:
            assert approved(a_warrant(admin, handset), *approvers).body["state"] == "approved"
        fourth = guards.asks_for(admin, handsets[3])
        assert (fourth.status, fourth.problem, fourth.body["bucket"]) == (429, "blast-limit-reached", "wipes/depot")

    def test_nor_do_two_who_approve_all_at_once(self, api: Api, approvers: list[Person], clock: FakeClock) -> None:
        admin = api.as_staff("fleet-admin", sub="insider")
        handsets = [guards.a_lost_handset(api) for _ in range(6)]
        asked = [a_warrant(admin, handset) for handset in handsets[:4]]
        answers = [approved(one, *approvers) for one in asked]
        assert [answer.problem for answer in answers] == ["", "", "", "blast-limit-reached"]
        clock.advance(hours=2)
        admin = api.as_staff("fleet-admin", sub="insider")
        assert guards.asks_for(admin, handsets[4]).problem == "breaker-open"
        assert admin.post("/v1/breaker/closing", {"reason": "It is all right."}).problem == "access-denied"
        officer = api.as_staff("fleet-admin", "security-officer", sub="insider")
        assert officer.post("/v1/breaker/closing", {"reason": "It is all right."}).status in {403, 409}
        assert guards.asks_for(admin, handsets[5]).problem == "breaker-open"

    @pytest.mark.parametrize("kind", DESTROYING)
    def test_does_not_get_around_the_guard(self, api: Api, approvers: list[Person], kind: Kind) -> None:
        handset = guards.a_lost_handset(api)
        admin = api.as_staff("fleet-admin", "security-officer", "depot-manager", sub="insider")
        parameters = msgspec.to_builtins(PARAMETERS.get(kind, Parameters()))
        body = {"devices": [handset.device], "kind": kind, "reason": "Security update.", "parameters": parameters}
        assert admin.post("/v1/commands", body).problem == "approvals-required"
        warrant = a_warrant(admin, handset, kind=kind, parameters=parameters)
        alone = Person(api, "insider")
        assert alone.approves(guards.path_of(warrant), warrant["text"]).problem == "not-an-approver"
        assert {command.kind for command in boxes.load(handset.device).box.open} == set()

    def test_retires_no_fleet_either(self, api: Api, approvers: list[Person], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FACTEO_WITHHELD_OF_PERSON", "2")
        handsets = [NewHandset(api).enrolled() for _ in range(3)]
        admin = api.as_staff("fleet-admin", sub="insider")
        answers = [
            admin.post(f"/v1/devices/{handset.device}/retirement", {"reason": "Security update."})
            for handset in handsets
        ]
        assert [answer.problem for answer in answers] == ["", "", "blast-limit-reached"]
        assert handsets[2].calls().get("/v1/commands").status == 200
