"""The two PINs: which one was entered is known to the server alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.alerts import pins
from chalicelib.alerts.pins import Entered, PinLocked, Pins, PinsAlike, PinsMissing, PinsSet, PinWrong, Which
from chalicelib.alerts.schemas import SetPins
from chalicelib.alerts.tables import AlertsRow
from chalicelib.core import clock, journal
from chalicelib.core.access import AccessRow, DeviceState, Handset
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.races import overtaken

GOOD, DURESS, WRONG = "1357", "2468", "9999"
CARRIER = "C1001"
BY_ARGON2_CFFI = "$argon2id$v=19$m=19456,t=2,p=1$xOXPi22fyQGNsnOpgezKuA$Nqu53N2N8Ke7yqBz+HHCA85ncZ45N0Z1PxNOJ/og+QA"
"""argon2-cffi 25.1.0 (the reference implementation in C) made it of "2468"."""


def the_handset() -> Handset:
    row = AccessRow("019c0000-0000-7000-8000-000000000001", generation=1, state="enrolled", key="{}")
    return Handset(
        actor=f"carrier/{CARRIER}",
        device=row.device,
        generation=1,
        carrier=CARRIER,
        depot="75015A",
        state=DeviceState.ENROLLED,
        row=row,
        signed_at=clock.now(),
    )


def save(pin: str = GOOD, duress_pin: str = DURESS, current_pin: str | None = None) -> Entered:
    request = SetPins(pin=pin, duress_pin=duress_pin, current_pin=current_pin)
    return pins.save(request, the_handset(), correlation_id="test")


def enter(pin: str) -> Entered:
    return pins.entered(CARRIER, pin)


def told(found: Entered) -> dict[str, Any] | None:
    """What the handset gets to see of it."""
    return {**found.problem.to_dict(), "headers": found.problem.headers} if found.problem else None


def lock() -> None:
    for _ in range(pins.TRIES):
        assert isinstance(enter(WRONG).problem, PinWrong)


def stored() -> Pins:
    return AlertsRow.get(f"pins/{CARRIER}", consistent_read=True).holds(Pins)


@contextmanager
def counting_hashes() -> Iterator[list[str]]:
    """The hashes that are verified within the block; each is verified for real."""
    seen: list[str] = []
    verify = pins._matches

    def noted(pin: str, known: str) -> bool:
        seen.append(known)
        return verify(pin, known)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pins, "_matches", noted)
        yield seen


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost a thousandth: what is tested with them does not depend on it."""
    monkeypatch.setattr(pins, "MEMORY_KIB", 16)
    nobodys = pins._nobodys_hash()
    monkeypatch.setattr(pins, "_NOBODYS", Pins(pin_hash=nobodys, duress_hash=nobodys, decoys=(nobodys, nobodys)))


class TestHashes:
    def test_a_hash_of_the_reference_implementation_is_told(self) -> None:
        assert pins._matches("2468", BY_ARGON2_CFFI)
        assert not pins._matches("2469", BY_ARGON2_CFFI)

    def test_ours_has_the_parameters_that_it_says_and_a_salt_of_its_own(self) -> None:
        one, other = pins._hash(GOOD), pins._hash(GOOD)
        assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert one != other
        assert pins._matches(GOOD, one)

    def test_nobodys_hash_costs_the_same_and_is_no_pins(self) -> None:
        nobodys = pins._NOBODYS.pin_hash
        assert nobodys.rpartition("$")[0].rpartition("$")[0] == "$argon2id$v=19$m=19456,t=2,p=1"
        assert len(nobodys) == len(pins._hash(GOOD))
        assert not pins._matches(GOOD, nobodys)

    def test_no_pin_is_stored_in_clear(self, aws: Cloud) -> None:
        save("13579753", "24688642")
        assert "13579753" not in AlertsRow.get(f"pins/{CARRIER}").content
        assert "24688642" not in AlertsRow.get(f"pins/{CARRIER}").content


@pytest.mark.usefixtures("light")
class TestEntering:
    def test_each_pin_is_told_and_the_handset_sees_no_difference(self, aws: Cloud) -> None:
        save()
        assert enter(GOOD) == Entered(Which.GOOD)
        assert enter(DURESS) == Entered(Which.DURESS)
        wrong = enter(WRONG)
        assert wrong.which is Which.NEITHER
        assert isinstance(wrong.problem, PinWrong)

    @pytest.mark.parametrize("pin", [GOOD, DURESS, WRONG])
    def test_every_entry_verifies_as_many_hashes(self, aws: Cloud, pin: str) -> None:
        save()
        with counting_hashes() as hashes:
            enter(pin)
        assert len(hashes) == 4
        assert set(hashes) >= {stored().pin_hash, stored().duress_hash}

    def test_a_carrier_without_pins_costs_as_many(self, aws: Cloud) -> None:
        with counting_hashes() as hashes:
            found = enter(GOOD)
        assert len(hashes) == 4
        assert found.which is Which.NEITHER
        assert isinstance(found.problem, PinsMissing)

    def test_one_read_and_a_write_for_a_wrong_one_only(self, aws: Cloud) -> None:
        save()
        for pin, calls in ((GOOD, {"GetItem": 1}), (DURESS, {"GetItem": 1})):
            with aws.counting() as counted:
                enter(pin)
            assert counted == calls
        with aws.counting() as counted:
            enter(WRONG)
        assert counted == {"GetItem": 1, "TransactWriteItems": 1}

    def test_the_pins_of_another_carrier_are_none(self, aws: Cloud) -> None:
        save()
        assert isinstance(pins.entered("C1002", GOOD).problem, PinsMissing)


@pytest.mark.usefixtures("light")
class TestLocking:
    def test_after_five_wrong_ones_the_good_one_counts_as_none(self, aws: Cloud) -> None:
        save()
        lock()
        found = enter(GOOD)
        assert found.which is Which.NEITHER
        assert isinstance(found.problem, PinLocked)

    def test_the_duress_pin_still_escalates_and_the_handset_is_told_the_same(self, aws: Cloud) -> None:
        save()
        lock()
        assert enter(DURESS).which is Which.DURESS
        assert told(enter(DURESS)) == told(enter(GOOD)) == told(enter(WRONG))
        assert told(enter(DURESS))["headers"] == {"Retry-After": "901"}

    def test_a_locked_one_is_not_counted_further(self, aws: Cloud) -> None:
        save()
        lock()
        for pin in (GOOD, DURESS, WRONG):
            with counting_hashes() as hashes, aws.counting() as counted:
                enter(pin)
            assert counted == {"GetItem": 1}
            assert len(hashes) == 4

    def test_it_ends_a_quarter_of_an_hour_after_the_first_wrong_one(self, aws: Cloud, clock: FakeClock) -> None:
        save()
        enter(WRONG)
        clock.advance(minutes=14)
        for _ in range(4):
            enter(WRONG)
        assert isinstance(enter(GOOD).problem, PinLocked)
        clock.advance(minutes=1)
        assert enter(GOOD) == Entered(Which.GOOD)

    def test_wrong_ones_of_long_ago_do_not_count(self, aws: Cloud, clock: FakeClock) -> None:
        save()
        for _ in range(4):
            enter(WRONG)
        clock.advance(minutes=15)
        enter(WRONG)
        assert stored().wrong == 1
        assert enter(GOOD) == Entered(Which.GOOD)

    @pytest.mark.parametrize("pin", [GOOD, DURESS])
    def test_neither_pin_clears_the_count(self, aws: Cloud, pin: str) -> None:
        save()
        for _ in range(4):
            enter(WRONG)
        enter(pin)
        enter(WRONG)
        assert isinstance(enter(pin).problem, PinLocked)

    def test_two_wrong_ones_at_once_are_both_counted(self, aws: Cloud) -> None:
        save()
        with overtaken(by=lambda: enter("8888")):
            enter(WRONG)
        assert stored().wrong == 2


@pytest.mark.usefixtures("light")
class TestSetting:
    def test_the_two_must_differ(self, aws: Cloud) -> None:
        with pytest.raises(PinsAlike):
            save(GOOD, GOOD)
        assert AlertsRow.find(f"pins/{CARRIER}") is None

    def test_there_is_an_event_that_has_no_pin_in_it(self, aws: Cloud) -> None:
        save()
        [event] = journal.read(f"alert-pins/{CARRIER}")
        assert (event.type, event.actor) == ("facteo.alert-pins.set", f"carrier/{CARRIER}")
        assert event.body(PinsSet) == PinsSet(under_duress=False)

    def test_they_are_changed_with_the_good_one(self, aws: Cloud) -> None:
        save()
        assert save("1111", "2222", GOOD).problem is None
        assert enter("1111") == Entered(Which.GOOD)
        assert enter("2222") == Entered(Which.DURESS)
        assert enter(GOOD).which is Which.NEITHER
        assert enter(DURESS).which is Which.NEITHER

    @pytest.mark.parametrize("current", [None, WRONG])
    def test_nothing_is_changed_without_one_of_them(self, aws: Cloud, current: str | None) -> None:
        save()
        assert isinstance(save("1111", "2222", current).problem, PinWrong)
        assert enter(GOOD) == Entered(Which.GOOD)
        assert enter("1111").which is Which.NEITHER

    def test_a_wrong_current_one_is_counted(self, aws: Cloud) -> None:
        save()
        for _ in range(pins.TRIES):
            save("1111", "2222", WRONG)
        assert isinstance(save("1111", "2222", GOOD).problem, PinLocked)

    def test_said_again_the_answer_is_the_same(self, aws: Cloud) -> None:
        assert save() == save() == Entered(Which.GOOD, revision=1)
        assert save("1111", "2222", GOOD) == save("1111", "2222", GOOD) == Entered(Which.GOOD, revision=2)
        assert len(journal.read(f"alert-pins/{CARRIER}")) == 2

    def test_said_again_it_is_no_try_and_the_same_change_whatever_was_entered_meanwhile(self, aws: Cloud) -> None:
        save()
        first = save("1111", "2222", DURESS)
        enter(WRONG)
        assert save("1111", "2222", DURESS) == first == Entered(Which.DURESS, revision=2)
        assert stored().wrong == 1

    def test_it_is_said_again_for_five_minutes_only(self, aws: Cloud, clock: FakeClock) -> None:
        save()
        clock.advance(minutes=5, seconds=-1)
        assert save() == Entered(Which.GOOD, revision=1)
        clock.advance(seconds=1)
        assert isinstance(save().problem, PinWrong)
        assert save(GOOD, DURESS, GOOD).problem is None

    @pytest.mark.parametrize("current", [None, "", WRONG])
    def test_nobody_learns_from_it_which_pin_is_which(self, aws: Cloud, clock: FakeClock, current: str | None) -> None:
        save()
        clock.advance(minutes=5)
        assert told(save(GOOD, DURESS, current)) == told(save(DURESS, GOOD, current)) == told(enter(WRONG))
        for _ in range(2):
            assert isinstance(save(GOOD, DURESS, current).problem, PinWrong)
        assert isinstance(save(GOOD, DURESS, current).problem, PinLocked)
        assert stored().wrong == pins.TRIES

    def test_while_no_pin_is_taken_nothing_is_said_again(self, aws: Cloud) -> None:
        save()
        lock()
        with counting_hashes() as hashes:
            assert told(save()) == told(save(DURESS, GOOD)) == told(enter(GOOD))
        assert len(hashes) == 3 * 4

    def test_two_at_once_do_not_overwrite_each_other(self, aws: Cloud) -> None:
        save()
        with overtaken(by=lambda: save("3333", "4444", GOOD)):
            found = save("1111", "2222", GOOD)
        assert isinstance(found.problem, PinWrong)
        assert enter("3333") == Entered(Which.GOOD)


@pytest.mark.usefixtures("light")
class TestUnderDuress:
    def test_the_answer_is_the_same_and_the_work_too(self, aws: Cloud) -> None:
        costs = []
        for current in (GOOD, DURESS):
            AlertsRow(pk=f"pins/{CARRIER}").delete()
            save()
            with counting_hashes() as hashes, aws.counting() as counted:
                found = save("1111", "2222", current)
            assert told(found) is None
            costs.append((len(hashes), dict(counted)))
        assert costs[0] == costs[1] == (5, {"GetItem": 1, "TransactWriteItems": 1})

    def test_nothing_is_changed(self, aws: Cloud, clock: FakeClock) -> None:
        save()
        before = stored()
        clock.advance(seconds=1)
        assert save("1111", "2222", DURESS).which is Which.DURESS
        assert (stored().pin_hash, stored().duress_hash) == (before.pin_hash, before.duress_hash)
        assert journal.read(f"alert-pins/{CARRIER}")[-1].body(PinsSet).under_duress

    def test_the_good_one_seems_to_be_replaced_too(self, aws: Cloud) -> None:
        save()
        save("1111", "2222", DURESS)
        found = enter(GOOD)
        assert (found.which, type(found.problem)) == (Which.NEITHER, PinWrong)

    def test_the_handset_behaves_as_if_it_had(self, aws: Cloud) -> None:
        """The whole conversation, once with the good PIN and once with the duress PIN, looks the same."""
        seen = []
        for current in (GOOD, DURESS):
            AlertsRow(pk=f"pins/{CARRIER}").delete()
            save()
            seen.append(
                [
                    told(found)
                    for found in (
                        save("1111", "2222", current),
                        save("1111", "2222", current),
                        enter("1111"),
                        enter("2222"),
                        enter(current),
                        enter(WRONG),
                        save("5555", "6666", current),
                        save("5555", "6666", "1111"),
                        enter("1111"),
                        enter("5555"),
                        enter("6666"),
                        enter("1111"),
                        enter("5555"),
                    )
                ]
            )
        assert seen[0] == seen[1]
        assert [answer["title"] if answer else None for answer in seen[0]].count("Too many wrong PINs") == 1

    @pytest.mark.parametrize("pin", ["1111", "2222"])
    def test_whatever_is_entered_then_escalates(self, aws: Cloud, pin: str) -> None:
        save()
        save("1111", "2222", DURESS)
        assert enter(pin) == Entered(Which.DURESS)
        again = enter(DURESS)
        assert again.which is Which.DURESS
        assert isinstance(again.problem, PinWrong)

    def test_a_month_later_it_is_still_so(self, aws: Cloud, clock: FakeClock) -> None:
        save()
        save("1111", "2222", DURESS)
        clock.advance(days=31)
        assert enter("1111") == Entered(Which.DURESS)
