"""Each thing once: asked again, asked twice at once, killed in between, and enrolled again after a retirement."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib.fleet.tables import DeviceRow
from handset.signing import HandsetKey
from tests.support.api import Answered, Api
from tests.support.clock import FakeClock
from tests.support.factories import HeldHandset
from tests.support.fleet import (
    OURS,
    THEIRS,
    NewHandset,
    a_ticket,
    events_of_device,
    retire,
)
from tests.support.races import overtaken

ENROLLED, RETIRED = "facteo.device.enrolled", "facteo.device.retired"


def devices() -> int:
    return len(list(DeviceRow.scan(DeviceRow.pk.startswith("device/"))))


def types(device: str) -> list[str]:
    return sorted(event.type for event in events_of_device(device))


def state_of(post: Api, device: str) -> dict[str, object]:
    state: dict[str, object] = post.as_staff("fleet-admin").get(f"/v1/devices/{device}").body
    return state


def same_handset(handset: HeldHandset, serial: str, key: HandsetKey | None = None) -> NewHandset:
    """The same hardware after a reset: another key unless one is given."""
    return NewHandset(handset.api, key=key, serial=serial)


class TestAgain:
    def test_the_same_handset_gets_the_same_enrolment(self, newcomer: NewHandset, code: str, clock: FakeClock) -> None:
        first = newcomer.asks(code)
        clock.advance(hours=2)
        again = newcomer.asks(code)

        assert (first.status, again.status) == (201, 201)
        assert {**again.body, "statement": ""} == {**first.body, "statement": ""}
        assert types(first.body["device"]) == [ENROLLED]

    def test_another_key_finds_the_ticket_used(self, newcomer: NewHandset, code: str) -> None:
        newcomer.asks(code)
        same = NewHandset(newcomer.api, serial=newcomer.serial)
        for other in (same, NewHandset(newcomer.api)):
            answer = other.asks(code)
            assert (answer.status, answer.problem) == (409, "ticket-used")
        assert devices() == 1

    def test_a_used_ticket_still_asks_for_its_secret(self, newcomer: NewHandset, code: str) -> None:
        newcomer.asks(code)
        assert newcomer.asks(code.partition(".")[0] + ".x").problem == "ticket-unknown"

    def test_once_retired_the_ticket_gives_nothing_more(self, newcomer: NewHandset, code: str) -> None:
        retire(newcomer.api, newcomer.asks(code).body["device"])
        answer = newcomer.asks(code)
        assert (answer.status, answer.problem) == (409, "ticket-used")

    def test_a_key_enrols_once_for_ever(self, newcomer: NewHandset, clock: FakeClock) -> None:
        handset = newcomer.enrolled()
        thief = NewHandset(newcomer.api, key=handset.key)
        assert thief.asks(a_ticket(newcomer.api)["code"]).problem == "key-refused"

        retire(newcomer.api, handset.device)
        clock.advance(days=4000)
        code = a_ticket(newcomer.api)["code"]
        for other in (thief, same_handset(handset, newcomer.serial, handset.key)):
            answer = other.asks(code)
            assert (answer.status, answer.problem) == (409, "key-refused")
        assert (devices(), types(handset.device)) == (1, [ENROLLED, RETIRED])

    @pytest.mark.parametrize("spelled", [str, str.lower, " {} ".format])
    def test_hardware_that_is_enrolled_is_not_enrolled_twice(
        self, newcomer: NewHandset, spelled: Callable[[str], str]
    ) -> None:
        handset = newcomer.enrolled()
        code = a_ticket(newcomer.api, THEIRS)["code"]

        answer = same_handset(handset, spelled(newcomer.serial)).asks(code)

        assert (answer.status, answer.problem) == (409, "already-enrolled")
        assert answer.body["device"] == handset.device
        assert NewHandset(newcomer.api).asks(code).status == 201, "the ticket was not used up"


class TestAfterRetirement:
    def test_the_same_device_begins_a_new_generation_with_nothing(self, newcomer: NewHandset) -> None:
        old = newcomer.enrolled()
        old.sync(old.event(), old.event(), old.event(sequence=5))
        retire(newcomer.api, old.device)

        new = same_handset(old, newcomer.serial).enrolled()

        assert (new.device, new.generation) == (old.device, 2)
        row = new.row
        assert (row.acknowledged_through, row.beyond, row.commands_waiting) == (0, "", 0)
        assert state_of(newcomer.api, new.device) | {"enrolled_at": ""} == {
            "device": new.device,
            "state": "enrolled",
            "generation": 2,
            "carrier": OURS,
            "depot": "75015A",
            "assurance": "none",
            "manufacturer": "Samsung",
            "model": "Galaxy XCover7",
            "os_version": "16",
            "app_version": "1.0",
            "enrolled_at": "",
            "acknowledged_through": 0,
            "retired_for": "",
        }
        assert new.sync(new.event()).body["acknowledged_through"] == 1
        assert types(new.device) == [ENROLLED, ENROLLED, RETIRED]

    def test_the_old_key_and_the_old_ticket_are_refused(self, newcomer: NewHandset, code: str) -> None:
        old = HeldHandset(newcomer.api, newcomer.asks(code).body["device"], newcomer.key)
        retire(newcomer.api, old.device)
        assert old.sync(old.event()).problem == "device-blocked"
        same_handset(old, newcomer.serial).enrolled()

        assert (old.sync(old.event()).status, newcomer.asks(code).problem) == (401, "ticket-used")

    def test_events_of_the_old_generation_are_refused(self, newcomer: NewHandset) -> None:
        old = newcomer.enrolled()
        waiting = old.event()
        retire(newcomer.api, old.device)
        new = same_handset(old, newcomer.serial).enrolled()

        [result] = new.sync(waiting).body["results"]

        assert (result["result"], result["problem"]["type"]) == ("refused", "/problems/source-mismatch")


class TestTwoAtOnce:
    def test_two_handsets_with_one_ticket(self, post: Api, code: str) -> None:
        one, other = NewHandset(post), NewHandset(post)
        won, lost = both(one, code, other, code)
        assert (won.status, lost.status, lost.problem) == (201, 409, "ticket-used")
        assert (devices(), types(won.body["device"])) == (1, [ENROLLED])

    def test_one_handset_twice_gets_one_enrolment(self, newcomer: NewHandset, code: str) -> None:
        first, second = both(newcomer, code, newcomer, code)
        assert (first.status, second.status) == (201, 201)
        assert first.body["device"] == second.body["device"]
        assert (devices(), types(first.body["device"])) == (1, [ENROLLED])

    @pytest.mark.parametrize("before", [False, True], ids=["new", "retired before"])
    def test_two_tickets_for_one_piece_of_hardware(self, post: Api, before: bool) -> None:
        one, other = NewHandset(post), NewHandset(post)
        other.serial = one.serial
        if before:
            retire(post, NewHandset(post, serial=one.serial).enrolled().device)

        won, lost = both(one, a_ticket(post)["code"], other, a_ticket(post, THEIRS)["code"])

        assert (won.status, lost.status, lost.problem) == (201, 409, "already-enrolled")
        assert (devices(), types(won.body["device"]).count(ENROLLED)) == (1, 1 + before)
        assert state_of(post, won.body["device"])["carrier"] == THEIRS

    def test_two_tickets_for_one_key(self, post: Api, newcomer: NewHandset) -> None:
        clone = NewHandset(post, key=newcomer.key)
        won, lost = both(newcomer, a_ticket(post)["code"], clone, a_ticket(post)["code"])
        assert (won.status, lost.status, lost.problem) == (201, 409, "key-refused")
        assert devices() == 1


def both(one: NewHandset, code: str, other: NewHandset, others_code: str) -> tuple[Answered, Answered]:
    """Two ask at once: the other one's request comes between the reading and the writing of the first."""
    won: list[Answered] = []
    with overtaken(by=lambda: won.append(other.asks(others_code))):
        lost = one.asks(code)
    return won[0], lost
