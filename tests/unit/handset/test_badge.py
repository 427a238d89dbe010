"""The handset's passes against the API over real HTTP: given, kept, shown, told of, and given back."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from chalicelib.passes import cose
from chalicelib.passes.schemas import Status
from handset import passes
from handset.badge import Badge, BoundToAnother
from handset.client import Handset
from handset.outbox import Outbox
from handset.passes import NoPass, NotAReceipt, Wallet
from handset.transport import NoNetwork, Refused
from reader import apdu
from reader.door import Decision, Door, Kind
from tests.support import doors
from tests.support.api import Answered, Api
from tests.support.bridge import NO_NETWORK, Bridge, lost
from tests.support.clock import FakeClock
from tests.support.crashes import Killed
from tests.support.doors import ALWAYS, HELP, PASS_ID, a_token, clocks
from tests.support.factories import CARRIER, DEPOT
from tests.support.fleet import retire
from tests.support.passes import ROUTE, SECTOR, SHIFT, a_round, follow, publish

COLLEAGUE = "C1002"
CHALLENGE = bytes(range(24))
NEWS = ["/v1/pass-keys", "/v1/pass-time", "/v1/status-lists/0"]


@dataclass
class Shift:
    """A handset whose carrier is on a round, the back office, and the time."""

    bridge: Bridge
    handset: Handset
    clock: FakeClock

    @property
    def badge(self) -> Badge:
        return Badge(self.handset)

    @property
    def wallet(self) -> Wallet:
        return self.handset.wallet

    def again(self, connect_to: str = "") -> Handset:
        """The handset, taken up again from its folder."""
        self.handset.outbox.close()
        self.handset = Handset(self.handset.folder, connect_to or self.bridge.connect_to, self.clock)
        return self.handset

    def away(self) -> Handset:
        """The handset where nothing answers."""
        return self.again(NO_NETWORK)

    def asked(self) -> list[tuple[str, int]]:
        """The requests for news so far, and how each was answered."""
        return [(one.path, one.status) for one in self.bridge.received if one.path in NEWS]

    def door(self, folder: Path, **changes: Any) -> Door:
        """A reader of the round's sector that knows nothing but the roots."""
        roots = self.bridge.api.as_nobody().get("/v1/pass-keys").body["roots"]
        place = {**doors.PLACE, "sector": SECTOR, "services": {"1": [ALWAYS]}, **changes}
        return Door.install(folder, place, [base64.b64decode(root) for root in roots], *clocks(self.clock))

    def sent(self) -> list[dict[str, Any]]:
        """What the last sync brought."""
        return self.bridge.batches()[-1].events


@pytest.fixture
def shift(bridge: Bridge, handset: Handset, clock: FakeClock) -> Shift:
    a_round(bridge.api, CARRIER, depot=DEPOT)
    publish()
    return Shift(bridge, handset, clock)


@pytest.fixture
def on_shift(shift: Shift) -> Shift:
    """With the pass and the news of the day."""
    shift.badge.ask()
    shift.badge.news()
    return shift


@pytest.fixture
def door(on_shift: Shift, tmp_path: Path) -> Door:
    """A reader of the round that has the news."""
    installed = on_shift.door(tmp_path / "door")
    assert visit(installed, on_shift.wallet).refusal == "unknown-key"
    on_shift.wallet.told(len(on_shift.wallet.uses))
    return installed


def visit(door: Door, wallet: Wallet) -> Decision:
    return apdu.visit(door, wallet, lambda: 0.0)[0]


def a_colleague(api: Api) -> None:
    """Another carrier of the depot, on the same round."""
    carrier = {"first_name": "Loïc", "last_name": "Le Goff", "phone": "+33612345679", "depot": DEPOT}
    assert api.as_staff("depot-manager").put(f"/v1/carriers/{COLLEAGUE}", carrier).status == 200
    a_round(api, COLLEAGUE, depot=DEPOT)


def given(token: bytes) -> Answered:
    """The back office gives this token."""
    return Answered(200, {"Content-Type": "application/json"}, json.dumps({"token": base64.b64encode(token).decode()}))


def for_the_key_of(handset: Handset, **changes: Any) -> bytes:
    """A pass by the keys of `tests.support.doors` that is bound to the handset's key."""
    return a_token(holder=cose.cose_key(handset.public_key), **changes)


class TestAsking:
    def test_the_pass_opens_doors_until_an_hour_after_the_shift(self, on_shift: Shift, door: Door) -> None:
        assert on_shift.badge.ask() == datetime.fromisoformat("2026-11-23T14:00+01:00")
        assert visit(door, on_shift.wallet).opened

    def test_asked_again_it_is_the_same(self, on_shift: Shift) -> None:
        token = on_shift.wallet.token
        on_shift.badge.ask()
        assert on_shift.wallet.token == token

    def test_it_is_there_again_after_the_handset_was_killed_and_without_a_network(
        self, on_shift: Shift, door: Door
    ) -> None:
        until, away = on_shift.badge.ask(), on_shift.away()
        assert Badge(away).ask() == until
        assert visit(door, away.wallet).opened

    def test_without_a_network_an_old_one_is_none(self, on_shift: Shift) -> None:
        on_shift.clock.advance(days=1)
        with pytest.raises(NoNetwork):
            Badge(on_shift.away()).ask()

    def test_without_a_network_there_is_none_to_begin_with(self, shift: Shift) -> None:
        with pytest.raises(NoNetwork):
            Badge(shift.away()).ask()
        assert shift.wallet.day_pass is None

    def test_when_the_answer_was_lost_it_is_asked_for_again(self, shift: Shift) -> None:
        shift.bridge.changes.append(lost)
        with pytest.raises(NoNetwork):
            shift.badge.ask()
        shift.badge.ask()
        assert shift.wallet.day_pass

    def test_a_refusal_changes_nothing(self, bridge: Bridge, handset: Handset) -> None:
        publish()
        with pytest.raises(Refused, match="404 You have no shift now"):
            Badge(handset).ask()
        manager = bridge.api.as_staff("depot-manager")
        shift = SHIFT | {"depot": DEPOT, "route": ROUTE}
        assert manager.put(f"/v1/carriers/{CARRIER}/duties/2026-11-23", shift).status == 200
        with pytest.raises(Refused, match="Nobody has said which doors your round opens"):
            Badge(handset).ask()
        assert handset.wallet.day_pass is None

    def test_while_it_is_suspended_no_new_one_is_given(self, shift: Shift) -> None:
        path = f"/v1/passes/{shift.handset.enrolment['device']}/suspension"
        assert shift.bridge.api.as_staff("dispatcher").put(path, {"reason": "robbery"}).status == 200
        with pytest.raises(Refused, match="403 The pass is suspended"):
            shift.badge.ask()
        assert shift.wallet.day_pass is None

    def test_none_is_kept_that_is_bound_to_another_key(self, on_shift: Shift) -> None:
        token = on_shift.wallet.token
        for ask in (on_shift.badge.ask, on_shift.badge.help):
            on_shift.bridge.instead.append(given(a_token()))
            with pytest.raises(BoundToAnother):
                ask()
        assert on_shift.again().wallet.token == token

    def test_a_colleagues_pass_is_a_copy(self, on_shift: Shift, door: Door, tmp_path: Path) -> None:
        a_colleague(on_shift.bridge.api)
        content = on_shift.bridge.ticket(COLLEAGUE)
        connect_to = on_shift.bridge.connect_to
        colleague = Handset.enrol(tmp_path / "other", content, serial="S-2", connect_to=connect_to, now=on_shift.clock)
        Badge(colleague).ask()
        assert visit(door, colleague.wallet).opened
        colleague.wallet.keep(on_shift.wallet.token)
        assert visit(door, colleague.wallet).refusal == "copied"
        assert visit(door, on_shift.wallet).opened


class TestNews:
    def test_only_what_is_newer_is_fetched(self, on_shift: Shift) -> None:
        assert on_shift.asked() == [(path, 200) for path in NEWS]
        assert on_shift.badge.news() == []
        assert on_shift.asked()[3:] == [(path, 304) for path in NEWS]

    def test_also_after_the_handset_was_killed(self, on_shift: Shift) -> None:
        assert Badge(on_shift.again()).news() == []
        assert on_shift.asked()[3:] == [(path, 304) for path in NEWS]

    def test_what_is_newer_reaches_the_door(self, on_shift: Shift, door: Door) -> None:
        path = f"/v1/passes/{on_shift.handset.enrolment['device']}/suspension"
        on_shift.clock.advance(minutes=1)
        assert on_shift.bridge.api.as_staff("dispatcher").put(path, {"reason": "loss"}).status == 200
        follow()
        publish()
        assert on_shift.badge.news() == ["time", "status-list"]
        assert visit(door, on_shift.wallet).opened, "the news comes after the decision"
        assert visit(door, on_shift.wallet).refusal == "suspended"

    def test_cut_off_in_between_the_rest_is_fetched_later(self, shift: Shift) -> None:
        shift.bridge.changes += [lambda answer: answer, lost]
        with pytest.raises(NoNetwork):
            shift.badge.news()
        assert Badge(shift.again()).news() == ["time", "status-list"]

    def test_without_a_network_it_stays(self, on_shift: Shift, tmp_path: Path) -> None:
        away = on_shift.away()
        with pytest.raises(NoNetwork):
            Badge(away).news()
        door = on_shift.door(tmp_path / "door")
        assert set(apdu.visit(door, away.wallet, lambda: 0.0)[1]) == {"taken"}
        assert visit(door, away.wallet).opened

    def test_what_is_published_leaves_the_commands_that_wait_alone(self, on_shift: Shift) -> None:
        on_shift.handset.commands_waiting = 2
        on_shift.badge.news()
        assert on_shift.handset.commands_waiting == 2


class TestGivingBack:
    def test_it_is_forgotten(self, on_shift: Shift) -> None:
        on_shift.badge.give_back()
        with pytest.raises(NoPass):
            _ = on_shift.again().wallet.token
        assert on_shift.handset.take_round()["building_pass"] is None

    def test_without_a_network_it_stays(self, on_shift: Shift) -> None:
        with pytest.raises(NoNetwork):
            Badge(on_shift.away()).give_back()
        assert on_shift.again().wallet.day_pass

    def test_when_the_answer_was_lost_it_is_given_back_again(self, on_shift: Shift) -> None:
        on_shift.bridge.changes.append(lost)
        with pytest.raises(NoNetwork):
            on_shift.badge.give_back()
        on_shift.badge.give_back()
        assert on_shift.wallet.day_pass is None


class TestEnrolledAnew:
    def test_the_pass_is_forgotten_and_its_uses_are_given_up_with_the_outbox(self, on_shift: Shift, door: Door) -> None:
        visit(door, on_shift.wallet)
        former = on_shift.handset
        assert retire(on_shift.bridge.api, former.enrolment["device"]).status == 200

        anew = on_shift.bridge.enrol(former.folder, on_shift.clock)

        assert anew.wallet.day_pass is None
        assert anew.wallet.uses == []
        assert anew.given_up is not None
        assert anew.given_up.events == 2
        kept = [event["type"] for event in Outbox(anew.given_up.kept_in).all()]
        assert kept == ["facteo.pass.used", "facteo.pass.receipt"]
        Badge(anew).ask()
        assert passes.holder_of(anew.wallet.token)[-2] != passes.holder_of(former.wallet.token)[-2]
        assert Badge(anew).news() == ["key-set", "time", "status-list"]

    def test_the_same_ticket_again_changes_nothing(self, shift: Shift, tmp_path: Path) -> None:
        content, folder, bridge = shift.bridge.ticket(), tmp_path / "again", shift.bridge
        first = Handset.enrol(folder, content, serial="S-3", connect_to=bridge.connect_to, now=shift.clock)
        Badge(first).ask()
        second = Handset.enrol(folder, content, serial="S-3", connect_to=bridge.connect_to, now=shift.clock)
        assert second.wallet.token == first.wallet.token


class TestUses:
    def test_both_halves_are_told(self, on_shift: Shift, door: Door) -> None:
        at = on_shift.clock()
        receipt = visit(door, on_shift.wallet).receipt
        [noted] = on_shift.wallet.uses
        on_shift.clock.advance(hours=2)

        on_shift.handset.sync()

        used, told = on_shift.sent()
        [entry] = list(door.log())[1:]
        assert {used["subject"], told["subject"]} == {f"pass/{entry.pass_id.hex()}"}
        assert (used["type"], told["type"]) == ("facteo.pass.used", "facteo.pass.receipt")
        shown = {"pass": entry.pass_id.hex(), "reader": doors.READER.hex(), "challenge": entry.nonce.hex()}
        assert used["data"] == shown
        assert told["data"] == {"receipt": base64.b64encode(receipt).decode()}
        assert [datetime.fromisoformat(event["time"]) for event in (used, told)] == [at, at]
        assert used["devicemonotonic"] == noted["monotonic"]
        assert [event["sequence"] for event in (used, told)] == [1, 2]
        assert on_shift.wallet.uses == []

    def test_a_receipt_of_what_could_not_be_read_is_of_no_pass(self, on_shift: Shift, door: Door) -> None:
        refused = door.answer(on_shift.wallet.answer(door.challenge()), seconds=0.6)
        on_shift.wallet.keep_receipt(refused.receipt)
        on_shift.handset.sync()
        assert [event["subject"] for event in on_shift.sent()][1] == "pass/unread"

    def test_they_are_told_once(self, on_shift: Shift, door: Door) -> None:
        visit(door, on_shift.wallet)
        on_shift.handset.sync()
        on_shift.handset.sync()
        on_shift.again().sync()
        assert len(on_shift.bridge.batches()) == 1

    def test_a_refusal_is_told_too(self, on_shift: Shift, tmp_path: Path) -> None:
        elsewhere = on_shift.door(tmp_path / "elsewhere", sector="75115S13")
        visit(elsewhere, on_shift.wallet)
        assert visit(elsewhere, on_shift.wallet).refusal == "out-of-perimeter"
        on_shift.handset.sync()
        assert len(on_shift.sent()) == 4

    def test_an_answer_without_a_receipt_is_a_use_even_if_killed_at_once(self, on_shift: Shift) -> None:
        on_shift.wallet.answer(CHALLENGE)
        on_shift.again().sync()
        [used] = on_shift.sent()
        assert used["data"]["challenge"] == hashlib.sha256(CHALLENGE).hexdigest()

    def test_a_code_is_a_use_once_in_its_half_minute(self, on_shift: Shift) -> None:
        on_shift.wallet.code()
        on_shift.wallet.code()
        on_shift.clock.advance(seconds=30)
        on_shift.wallet.code(doors.READER)
        on_shift.handset.sync()
        assert [event["data"]["reader"] for event in on_shift.sent()] == ["00" * 8, doors.READER.hex()]

    def test_a_receipt_that_comes_after_its_use_was_told_is_told_alone(self, on_shift: Shift, door: Door) -> None:
        receipt = door.answer(on_shift.wallet.answer(door.challenge())).receipt
        on_shift.handset.sync()
        on_shift.again().wallet.keep_receipt(receipt)
        on_shift.handset.sync()
        assert [event["type"] for event in on_shift.sent()] == ["facteo.pass.receipt"]
        assert [event["sequence"] for event in on_shift.sent()] == [2]

    @pytest.mark.parametrize("killed_in", ["handset.outbox.Outbox.add_all", "handset.passes.Wallet.told"])
    def test_killed_between_outbox_and_wallet_nothing_is_lost_or_doubled(
        self, on_shift: Shift, door: Door, killed_in: str
    ) -> None:
        visit(door, on_shift.wallet)
        with patch(killed_in, side_effect=Killed), pytest.raises(Killed):
            on_shift.handset.sync()
        visit(door, on_shift.again().wallet)
        with patch(killed_in, side_effect=Killed), pytest.raises(Killed):
            on_shift.handset.sync()

        on_shift.again().sync()

        assert [event["type"] for event in on_shift.sent()] == ["facteo.pass.used", "facteo.pass.receipt"] * 2
        assert [event["sequence"] for event in on_shift.sent()] == [1, 2, 3, 4]
        assert len({event["id"] for event in on_shift.sent()}) == 4
        assert on_shift.wallet.uses == []

    def test_without_a_network_they_wait_in_the_outbox(self, on_shift: Shift, door: Door) -> None:
        away = on_shift.away()
        visit(door, away.wallet)
        with pytest.raises(NoNetwork):
            away.sync()
        assert (away.outbox.count(), away.wallet.uses) == (2, [])

    @pytest.mark.parametrize("receipt", [b"", b"\x00", bytes(255), b"\xd2\x84" + bytes(20), b"\xd2" * 300])
    def test_what_is_no_receipt_is_not_kept(self, on_shift: Shift, receipt: bytes) -> None:
        on_shift.wallet.answer(CHALLENGE)
        with pytest.raises(NotAReceipt):
            on_shift.wallet.keep_receipt(receipt)
        assert [use["receipt"] for use in on_shift.wallet.uses] == [None]

    def test_nor_is_one_of_somebody_elses_pass(self, on_shift: Shift, tmp_path: Path) -> None:
        other = doors.a_wallet(tmp_path / "other")
        receipt = visit(doors.a_door(tmp_path / "their-door"), other)
        with pytest.raises(NotAReceipt):
            on_shift.wallet.keep_receipt(receipt.receipt)


class TestHelp:
    """A pass to help is made here: nobody has told of a last door."""

    @pytest.fixture
    def helper(self, handset: Handset, bridge: Bridge, clock: FakeClock) -> Shift:
        """A handset with a day's pass and a pass to help."""
        handset.wallet.keep(for_the_key_of(handset))
        bridge.instead.append(given(self.pass_to_help(handset)))
        Badge(handset).help()
        return Shift(bridge, handset, clock)

    def pass_to_help(self, handset: Handset) -> bytes:
        begins, ends = doors.NOW - timedelta(minutes=1), doors.NOW + timedelta(minutes=59)
        return for_the_key_of(handset, service=HELP, id=bytes(8), not_before=begins, expires=ends)

    def test_it_is_shown_next_and_the_days_pass_afterwards(self, helper: Shift, tmp_path: Path) -> None:
        door = doors.a_door(tmp_path / "door", helper.clock)
        for _ in range(2):
            assert visit(door, helper.again().wallet).opened
        assert [entry.pass_id for entry in door.log()] == [bytes(8), PASS_ID]

    def test_a_door_that_stays_shut_does_not_use_it_up(self, helper: Shift, tmp_path: Path) -> None:
        door = doors.a_door(tmp_path / "door", helper.clock, sector=doors.OTHER_SECTOR)
        assert visit(door, helper.wallet).refusal == "out-of-perimeter"
        assert visit(doors.a_door(tmp_path / "next", helper.clock), helper.wallet).opened
        assert helper.wallet.token == helper.wallet.day_pass

    def test_when_the_receipt_was_lost_the_next_one_says_that_it_is_used_up(
        self, helper: Shift, tmp_path: Path
    ) -> None:
        door = doors.a_door(tmp_path / "door", helper.clock)
        assert door.answer(helper.wallet.answer(door.challenge())).opened
        assert visit(door, helper.wallet).refusal == "already-used"
        assert visit(door, helper.wallet).opened

    def test_after_its_hour_it_is_not_shown_any_more(self, helper: Shift) -> None:
        assert helper.wallet.token != helper.wallet.day_pass
        helper.clock.advance(minutes=59)
        assert helper.wallet.token == helper.wallet.day_pass

    def test_a_suspended_one_stays_until_it_expires(self, helper: Shift, tmp_path: Path) -> None:
        door = doors.a_door(tmp_path / "door", helper.clock)
        door.take(Kind.STATUS_LIST, doors.a_list({48_211: Status.SUSPENDED}))
        assert visit(door, helper.wallet).refusal == "suspended"
        assert helper.wallet.token != helper.wallet.day_pass

    def test_whoever_was_given_none_is_told_so(self, shift: Shift) -> None:
        with pytest.raises(Refused, match="You were given no pass to help"):
            shift.badge.help()
