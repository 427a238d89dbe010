"""`python -m handset pass|news|door|…`: what each prints, and what it says when something is wrong."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from handset.__main__ import main
from handset.client import Handset
from reader.door import Door
from tests.support import doors
from tests.support.api import Answered
from tests.support.bridge import NO_NETWORK, Bridge
from tests.support.clock import FakeClock
from tests.support.doors import ALWAYS, a_token, clocks
from tests.support.factories import CARRIER, DEPOT
from tests.support.passes import SECTOR, a_round, publish

Printed = pytest.CaptureFixture[str]


class Commands:
    """The commands of a handset, what they print, and where its passes are."""

    def __init__(self, bridge: Bridge, folder: Path, printed: Printed) -> None:
        self.bridge, self.folder, self.printed = bridge, folder, printed

    def __call__(self, *arguments: str, connect_to: str = "") -> list[str]:
        """Run one that succeeds: the lines that it prints."""
        status, out, err = self.run(*arguments, connect_to=connect_to)
        assert (status, err) == (0, "")
        return out.splitlines()

    def fails(self, *arguments: str, connect_to: str = "") -> str:
        """Run one that fails: the sentence that it says."""
        status, _, err = self.run(*arguments, connect_to=connect_to)
        assert (status, err.count("\n")) == (1, 1)
        return err.strip()

    def run(self, *arguments: str, connect_to: str = "") -> tuple[int, str, str]:
        self.printed.readouterr()
        where = ["--folder", str(self.folder), "--connect-to", connect_to or self.bridge.connect_to]
        status = main([*where, *arguments])
        return status, *self.printed.readouterr()


@pytest.fixture
def command(bridge: Bridge, handset: Handset, capsys: Printed) -> Commands:
    handset.outbox.close()
    return Commands(bridge, handset.folder, capsys)


@pytest.fixture
def shift(bridge: Bridge, command: Commands) -> Commands:
    """The carrier is on a round whose passes can be had."""
    a_round(bridge.api, CARRIER, depot=DEPOT)
    publish()
    return command


@pytest.fixture
def door(bridge: Bridge, shift: Commands, tmp_path: Path, clock: FakeClock) -> Door:
    """A reader of the round that has the news."""
    told = {path: bridge.api.as_nobody().get(path).body for path in ("/v1/pass-keys", "/v1/status-lists/0")}
    keys, listed = told.values()
    place = {**doors.PLACE, "sector": SECTOR, "services": {"1": [ALWAYS]}}
    door = Door.install(tmp_path / "door", place, [base64.b64decode(root) for root in keys["roots"]], *clocks(clock))
    door.take(doors.Kind.KEY_SET, base64.b64decode(keys["key_set"]))
    door.take(doors.Kind.STATUS_LIST, base64.b64decode(listed["status_list"]))
    return door


class TestAtTheDoor:
    def test_a_shift_from_the_pass_to_giving_it_back(self, shift: Commands, door: Door) -> None:
        assert shift("pass") == [
            "The pass opens doors until 2026-11-23 14:00.",
            "News for readers: key-set, time, status-list.",
        ]
        [answer] = shift("door", door.challenge().hex(), connect_to=NO_NETWORK)
        decision = door.answer(bytes.fromhex(answer))
        assert decision.opened
        kept = shift("receipt", decision.receipt.hex(), connect_to=NO_NETWORK)
        assert kept == ["Kept: opened. It is told with the next sync."]
        assert shift("sync")[-1] == "Nothing new for readers."
        assert shift("give-back") == ["The pass is given back: this handset opens no door any more."]
        assert [event["type"] for event in shift.bridge.batches()[0].events] == [
            "facteo.pass.used",
            "facteo.pass.receipt",
        ]

    def test_a_receipt_tells_why_a_door_stayed_shut(self, shift: Commands, door: Door) -> None:
        shift("pass")
        decision = door.answer(bytes.fromhex(shift("door", door.challenge().hex())[0]), seconds=0.6)
        assert shift("receipt", decision.receipt.hex())[0].startswith("Kept: too-slow.")

    def test_the_code_is_for_any_reader_or_for_one(self, shift: Commands, door: Door, clock: FakeClock) -> None:
        """The handset of the command line lives by the real clock, the door by that of the test."""
        shift("pass")
        handset = Handset(shift.folder, shift.bridge.connect_to, clock)
        assert shift("code")[0].startswith("FP1:")
        assert shift("code", doors.READER.hex())[0].startswith("FP1:")
        assert door.show(handset.wallet.code(doors.READER)).opened

    @pytest.mark.parametrize("challenge", ["", "00", "no hex", "00" * 25])
    def test_what_is_no_challenge_is_not_answered(self, shift: Commands, challenge: str) -> None:
        shift("pass")
        assert shift.fails("door", challenge) == "This is no challenge: a reader prints 48 hexadecimal digits."

    def test_what_is_no_readers_id_is_told(self, shift: Commands) -> None:
        shift("pass")
        assert shift.fails("code", "00") == "This is no reader's id: that has 16 hexadecimal digits."

    def test_what_is_no_receipt_is_told(self, shift: Commands) -> None:
        shift("pass")
        for receipt in ("no hex", "00"):
            assert shift.fails("receipt", receipt) == "This is no receipt of a use of this handset's pass."

    def test_without_a_pass_it_says_how_to_get_one(self, shift: Commands) -> None:
        for arguments in (("door", "00" * 24), ("code",)):
            assert shift.fails(*arguments) == "The handset has no pass: 'pass' asks for it."


class TestNews:
    def test_nothing_is_new_twice(self, shift: Commands) -> None:
        shift("pass")
        assert shift("news") == ["Nothing new for readers."]

    def test_a_sync_brings_it_once_the_handset_has_a_pass(self, shift: Commands, clock: FakeClock) -> None:
        assert shift("sync") == ["0 recorded, 0 known already, 0 refused."]
        shift("pass")
        clock.advance(minutes=1)
        publish()
        assert shift("sync")[-1] == "News for readers: time."


class TestRefused:
    def test_without_a_shift(self, command: Commands) -> None:
        publish()
        assert command.fails("pass") == (
            "404 You have no shift now: The roster has no shift for you now; ask your depot."
        )

    def test_while_it_is_suspended(self, shift: Commands) -> None:
        device = json.loads((shift.folder / "enrolment.json").read_text())["device"]
        wanted = {"reason": "loss"}
        officer = shift.bridge.api.as_staff("security-officer")
        assert officer.put(f"/v1/passes/{device}/suspension", wanted).status == 200
        assert shift.fails("pass") == "403 The pass is suspended: Call your depot."

    def test_without_a_pass_to_help(self, shift: Commands) -> None:
        assert shift.fails("help-pass").endswith("You were given no pass to help.")

    def test_a_pass_that_is_bound_to_another_key(self, shift: Commands) -> None:
        token = base64.b64encode(a_token()).decode()
        shift.bridge.instead.append(Answered(200, {}, json.dumps({"token": token})))
        assert shift.fails("pass").startswith("The pass is bound to another key: it was not kept.")
        assert shift.fails("code").startswith("The handset has no pass")


class TestWithoutANetwork:
    @pytest.mark.parametrize("name", ["pass", "news", "help-pass", "give-back", "sync"])
    def test_it_says_so_and_the_pass_stays(self, shift: Commands, name: str) -> None:
        shift("pass")
        shift("door", "00" * 24)
        assert shift.fails(name, connect_to=NO_NETWORK).startswith("Not now: ")
        assert shift("code")[0].startswith("FP1:")
