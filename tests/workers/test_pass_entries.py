"""The two halves of an entry meet in any order, and a depot is told once of what does not fit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.attention.tables import AttentionRow
from chalicelib.connectors.relay.subscriptions import is_relayed
from chalicelib.core import clock as clocks
from chalicelib.core import journal
from chalicelib.core.access import DeviceState
from chalicelib.passes import evidence, pairing
from chalicelib.passes.tables import PassesRow, PassLinesRow
from chalicelib.passes.workers import pass_entries
from tests.support import doors
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.doors import OTHER_READER, READER
from tests.support.dynamodb import sent
from tests.support.entries import (
    BUILDING,
    NONCE,
    OTHER_BUILDING,
    OTHER_NONCE,
    OTHER_PASS,
    PASS,
    UNKNOWN_READER,
    a_code,
    a_receipt,
    an_hour_is_over,
    both,
    brought,
    challenge_of,
    happens,
    own,
    receipt,
    told,
    two_buildings,
    used,
    words,
)
from tests.support.events import deliver
from tests.support.factories import DEPOT, HeldHandset, a_handset
from tests.support.races import contended, overtaken

NIGHT = {"hours": 16}
"""From the morning until eleven in the evening."""


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    two_buildings()
    return a_handset(api)


def waiting() -> list[str]:
    return [row.pk for row in PassLinesRow.scan() if row.pk.startswith("unpaired/")]


def lines(building: str = BUILDING) -> int:
    return len(list(PassLinesRow.query(f"building/{building}")))


class TestPairing:
    @pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["use first", "receipt first"])
    def test_both_halves_are_one_entry(self, handset: HeldHandset, clock: FakeClock, order: tuple[int, int]) -> None:
        halves = told(handset, *both(handset))
        halves.sort(key=lambda event: event.type == "facteo.pass.receipt")
        brought([halves[order[0]]])
        assert (len(waiting()), lines()) == (1, 1)
        brought([halves[order[1]]])

        assert (waiting(), lines()) == ([], 1)
        [entry] = own(handset)["entries"]
        assert entry == {
            "at": "2026-11-23T07:00:00Z",
            "pass_id": PASS,
            "reader": READER.hex(),
            "building": BUILDING,
            "result": "opened",
            "told_by": ["handset", "reader"],
        }
        clock.advance(hours=25)
        an_hour_is_over()
        assert words() == []

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["use first", "receipt first"])
    def test_it_stands_where_and_when_its_reader_says(
        self, handset: HeldHandset, clock: FakeClock, order: tuple[int, int]
    ) -> None:
        """The handset names another building, and another minute."""
        data = {"reader": OTHER_READER.hex(), "challenge": challenge_of().hex()}
        halves = [used(handset, data=data), receipt(handset, at=clock() - timedelta(minutes=3))]
        happens(handset, *(halves[place] for place in order))

        [entry] = own(handset)["entries"]
        assert (entry["at"], entry["building"]) == ("2026-11-23T06:57:00Z", BUILDING)
        assert [row.sk[:16] for row in PassLinesRow.query("carrier/C1001")] == ["2026-11-23T06:57"]
        assert (lines(), lines(OTHER_BUILDING)) == (1, 0)

    def test_repeats_change_nothing(self, handset: HeldHandset) -> None:
        halves = told(handset, *both(handset))
        brought(halves)
        before = {row.pk: row.revision for row in PassesRow.scan()}
        with sent("TransactWriteItems") as written:
            brought([*halves, *reversed(halves)])
        assert written == []
        assert {row.pk: row.revision for row in PassesRow.scan()} == before

    def test_both_in_one_batch_of_the_queue(self, handset: HeldHandset) -> None:
        assert deliver(pass_entries, told(handset, *both(handset))) == []
        assert (waiting(), lines()) == ([], 1)

    @pytest.mark.parametrize("race", [overtaken, contended])
    def test_both_at_once(self, handset: HeldHandset, race: Any) -> None:
        shown, got = told(handset, *both(handset))
        with race(by=lambda: brought([got])):
            brought([shown])
        assert (waiting(), lines()) == ([], 1)
        [entry] = own(handset)["entries"]
        assert entry["told_by"] == ["handset", "reader"]

    @pytest.mark.parametrize("race", [overtaken, contended])
    def test_the_same_at_once(self, handset: HeldHandset, race: Any) -> None:
        [got] = told(handset, receipt(handset, reader=READER, result="copied"))
        with race(by=lambda: brought([got])):
            brought([got])
        assert words() == ["refused-copied"]
        assert lines() == 1

    def test_what_another_handset_tells_of_the_same_challenge_is_its_own_entry(
        self, api: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        thief = a_handset(api, carrier="C1002")
        shown, got = both(handset)
        brought(told(handset, shown))
        brought(told(thief, receipt(thief)))
        happens(handset, got)

        assert [one["told_by"] for one in own(handset)["entries"]] == [["handset", "reader"]]
        assert [one["told_by"] for one in own(thief)["entries"]] == [["reader"]]
        clock.advance(hours=25)
        an_hour_is_over()
        assert words() == ["no-use"]

    def test_two_codes_of_one_moment_are_two_entries(self, api: Api, handset: HeldHandset, clock: FakeClock) -> None:
        """Codes of the same half minute have the same challenge."""
        other = a_handset(api, carrier="C1002")
        for each in (handset, other):
            happens(each, a_code(each, READER, clock()))
        assert lines() == 2
        assert len(own(handset)["entries"]) == len(own(other)["entries"]) == 1

    def test_what_comes_from_a_handset_that_is_reported_lost_waits_for_its_case(self, api: Api) -> None:
        two_buildings()
        lost = a_handset(api, state=DeviceState.QUARANTINED)
        assert [is_relayed("entries", event) for event in told(lost, *both(lost))] == [False, False]

    def test_the_list_is_not_published_for_it(self, handset: HeldHandset) -> None:
        halves = told(handset, *both(handset))
        with sent("PutItem") as written:
            brought(halves)
        assert written == []

    def test_what_it_costs(self, handset: HeldHandset) -> None:
        happens(handset, *both(handset))
        shown, got = told(handset, *both(handset, nonce=OTHER_NONCE))
        for half, reads in ((shown, 2), (got, 3)):
            with sent("GetItem") as read, sent("TransactWriteItems") as written, sent("Query") as queried:
                brought([half])
            assert (len(read), len(written), len(queried)) == (reads, 1, 1)


def opened_at_night(handset: HeldHandset, clock: FakeClock) -> None:
    clock.advance(**NIGHT)
    happens(handset, *both(handset))


def of_no_building(handset: HeldHandset, _: FakeClock) -> None:
    happens(handset, *both(handset, reader=UNKNOWN_READER))


def forged(handset: HeldHandset, _: FakeClock) -> None:
    happens(handset, used(handset), receipt(handset, key=doors.key("thief")), receipt(handset))


def altered(handset: HeldHandset, _: FakeClock) -> None:
    happens(handset, receipt(handset, a_receipt().replace(b"\x66opened", b"\x66openeD")))


def with_the_higher_s(handset: HeldHandset, _: FakeClock) -> None:
    raw = a_receipt()
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    higher = order - int.from_bytes(raw[-32:], "big")
    happens(handset, receipt(handset, raw[:-32] + higher.to_bytes(32, "big")))


def of_another_pass(handset: HeldHandset, _: FakeClock) -> None:
    happens(handset, used(handset), receipt(handset, pass_id=OTHER_PASS))


def of_another_time(handset: HeldHandset, clock: FakeClock) -> None:
    shown = used(handset)
    happens(handset, shown, receipt(handset, at=clock() - timedelta(minutes=6)))


def of_another_reader(handset: HeldHandset, _: FakeClock) -> None:
    """The challenge is the one that both readers asked."""
    data = {"reader": OTHER_READER.hex(), "challenge": challenge_of().hex()}
    happens(handset, used(handset, data=data), receipt(handset))


def at_two_places(handset: HeldHandset, clock: FakeClock) -> None:
    happens(handset, *both(handset))
    clock.advance(seconds=60)
    happens(handset, *both(handset, reader=OTHER_READER, nonce=OTHER_NONCE))


def at_two_places_by_the_readers_time(handset: HeldHandset, clock: FakeClock) -> None:
    """The handset says that it took four minutes from door to door."""
    began = clock()
    happens(handset, *both(handset, at=began))
    clock.advance(minutes=4)
    happens(handset, *both(handset, reader=OTHER_READER, nonce=OTHER_NONCE, at=began + timedelta(seconds=60)))


def told_in_the_other_order(handset: HeldHandset, clock: FakeClock) -> None:
    first = both(handset)
    clock.advance(seconds=60)
    happens(handset, *both(handset, reader=OTHER_READER, nonce=OTHER_NONCE), *first)


def refused(reason: str) -> Any:
    return lambda handset, _: happens(handset, *both(handset, result=reason))


ANOMALIES: dict[str, tuple[Any, list[str]]] = {
    "opened at night": (opened_at_night, ["outside-hours"]),
    "a reader of no building": (of_no_building, ["unknown-reader"]),
    "a receipt by another key": (forged, ["forged-receipt"]),
    "a receipt of another shape": (altered, ["forged-receipt"]),
    "a receipt spelled anew": (with_the_higher_s, ["forged-receipt"]),
    "halves of two passes": (of_another_pass, ["differs"]),
    "halves of two moments": (of_another_time, ["differs"]),
    "halves of two readers": (of_another_reader, ["differs"]),
    "one pass, two places": (at_two_places, ["two-places"]),
    "one pass, two places, by the readers' time": (at_two_places_by_the_readers_time, ["two-places"]),
    "one pass, two places, told in the other order": (told_in_the_other_order, ["two-places"]),
    **{
        reason: (refused(reason), [f"refused-{reason}"])
        for reason in ("copied", "replayed", "bad-signature", "suspended", "revoked")
    },
}


class TestAnomalies:
    @pytest.mark.parametrize("what", ANOMALIES)
    def test_a_depot_is_told_once(self, handset: HeldHandset, clock: FakeClock, what: str) -> None:
        happen, flags = ANOMALIES[what]
        happen(handset, clock)
        assert words() == flags

        self._again(handset)
        clock.advance(hours=25)
        an_hour_is_over()
        assert words() == flags

    def _again(self, handset: HeldHandset) -> None:
        """The queue brings everything once more, and somebody has dealt with what was there."""
        everything = list(
            journal.received(clocks.now() - timedelta(minutes=24 * 60), clocks.now() + timedelta(minutes=1))
        )
        brought([event for event in everything if event.type in {"facteo.pass.used", "facteo.pass.receipt"}])

    def test_once_dealt_with_it_does_not_come_back(self, api: Api, handset: HeldHandset) -> None:
        events = told(handset, *both(handset, result="suspended"))
        brought(events)
        manager = api.as_staff("depot-manager")
        [entry] = manager.get(f"/v1/depots/{DEPOT}/attention").body["entries"]
        path = f"/v1/depots/{DEPOT}/attention/{entry['id']}/handling"
        handled = manager.post(path, {"note": "Asked the carrier"})
        assert (handled.status, handled.body["kind"]) == (200, "entry")
        brought(events)
        assert words() == []

    def test_staff_learn_depot_pass_and_words(self, api: Api, handset: HeldHandset) -> None:
        happens(handset, *both(handset, result="suspended"))
        [entry] = api.as_staff("depot-manager").get(f"/v1/depots/{DEPOT}/attention").body["entries"]
        assert entry == {
            "id": entry["id"],
            "kind": "entry",
            "subject": f"pass/{PASS}",
            "item": "",
            "missing": [],
            "flags": ["refused-suspended"],
            "happened_at": "2026-11-23T07:00:00Z",
        }

    @pytest.mark.parametrize("reason", ["expired", "out-of-perimeter", "outside-hours", "too-slow"])
    def test_what_may_happen_to_anybody_is_none(self, handset: HeldHandset, reason: str) -> None:
        happens(handset, *both(handset, result=reason))
        assert words() == []

    def test_another_building_after_a_minute_is_none(self, handset: HeldHandset, clock: FakeClock) -> None:
        happens(handset, *both(handset))
        clock.advance(seconds=61)
        happens(handset, *both(handset, reader=OTHER_READER, nonce=OTHER_NONCE))
        assert words() == []

    def test_nor_after_a_minute_of_the_readers(self, handset: HeldHandset, clock: FakeClock) -> None:
        """What the handset says of that moment does not count."""
        began = clock()
        happens(handset, *both(handset, at=began - timedelta(minutes=2)))
        happens(handset, *both(handset, reader=OTHER_READER, nonce=OTHER_NONCE, at=began))
        assert words() == []

    def test_an_unproven_receipt_has_no_say_in_when_it_was(self, handset: HeldHandset, clock: FakeClock) -> None:
        """A reader that is in no registry answers the challenge, four minutes ahead."""
        there = challenge_of(OTHER_NONCE, UNKNOWN_READER).hex()
        happens(handset, *both(handset))
        happens(handset, used(handset, reader=OTHER_READER, data={"challenge": there}))
        later = clock() + timedelta(minutes=4)
        happens(handset, receipt(handset, reader=UNKNOWN_READER, nonce=OTHER_NONCE, at=later))
        assert "two-places" in words()
        assert [one["at"] for one in own(handset)["entries"]] == ["2026-11-23T07:00:00Z"] * 2

    def test_codes_for_two_buildings_are_none(self, handset: HeldHandset, clock: FakeClock) -> None:
        """Whoever chose the wrong door chooses again."""
        happens(handset, a_code(handset, READER, clock()))
        clock.advance(seconds=5)
        happens(handset, a_code(handset, OTHER_READER, clock()))
        clock.advance(seconds=5)
        happens(handset, *both(handset, reader=OTHER_READER))
        assert words() == []

    def test_another_door_of_the_same_building_is_none(self, handset: HeldHandset, clock: FakeClock) -> None:
        happens(handset, *both(handset))
        clock.advance(seconds=5)
        happens(handset, *both(handset, nonce=OTHER_NONCE))
        assert words() == []

    def test_of_what_a_handset_can_make_up_a_depot_is_told_once_a_day(
        self, api: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        for number in range(1, 4):
            made_up, nonce = bytes([number]) * 8, bytes([number]) * 16
            happens(handset, receipt(handset, key=doors.key("thief"), nonce=nonce))
            happens(handset, *both(handset, reader=made_up, nonce=nonce))
        assert words() == ["forged-receipt", "unknown-reader"]
        first = {row.subject for row in AttentionRow.scan()}
        assert first == {f"pass/{PASS}"}

        other = a_handset(api, carrier="C1002")
        happens(other, receipt(other, key=doors.key("thief"), nonce=OTHER_NONCE))
        assert words().count("forged-receipt") == 2
        clock.advance(days=1)
        happens(handset, receipt(handset, key=doors.key("thief"), nonce=bytes([9]) * 16))
        assert words().count("forged-receipt") == 3

    def test_the_handsets_own_clock_makes_no_other_day(self, handset: HeldHandset, clock: FakeClock) -> None:
        clock.advance(days=3)
        for ago in range(3):
            when = clock() - timedelta(days=ago)
            happens(handset, receipt(handset, key=doors.key("thief"), nonce=bytes([ago]) * 16, when=when))
        assert words() == ["forged-receipt"]

    def test_dealt_with_it_does_not_come_back_on_that_day(self, handset: HeldHandset) -> None:
        happens(handset, receipt(handset, key=doors.key("thief")))
        for row in AttentionRow.scan():
            row.delete()
        happens(handset, receipt(handset, key=doors.key("thief"), nonce=OTHER_NONCE))
        assert words() == []

    @pytest.mark.parametrize("race", [overtaken, contended])
    def test_of_two_at_once_it_is_told_once(self, handset: HeldHandset, race: Any) -> None:
        one, other = (
            told(handset, receipt(handset, key=doors.key("thief"), nonce=nonce)) for nonce in (NONCE, OTHER_NONCE)
        )
        with race(by=lambda: brought(other)):
            brought(one)
        assert words() == ["forged-receipt"]

    def test_a_word_beside_it_is_told_all_the_same(self, handset: HeldHandset) -> None:
        """Only what can be made up is kept back."""
        happens(handset, *both(handset, reader=UNKNOWN_READER))
        other = {"reader": UNKNOWN_READER.hex(), "challenge": challenge_of().hex()}
        happens(handset, receipt(handset, result="suspended"), used(handset, data=other))
        assert words() == ["differs", "refused-suspended", "unknown-reader"]

    def test_two_places_at_once_that_are_told_at_once(self, handset: HeldHandset) -> None:
        here = told(handset, used(handset))
        there = told(handset, used(handset, reader=OTHER_READER, nonce=OTHER_NONCE))
        with overtaken(by=lambda: brought(there)):
            brought(here)
        brought([*here, *there])
        assert words() == ["two-places"]

    def test_of_a_building_that_is_gone_nobody_knows_the_hours(self, handset: HeldHandset, clock: FakeClock) -> None:
        PassesRow(f"building/{BUILDING}").delete()
        opened_at_night(handset, clock)
        assert words() == []

    def test_at_the_minute_at_which_the_hours_begin_and_end(self, handset: HeldHandset, clock: FakeClock) -> None:
        clock.advance(hours=13, minutes=59)
        happens(handset, *both(handset))
        assert words() == []
        clock.advance(minutes=1)
        happens(handset, *both(handset, nonce=OTHER_NONCE))
        assert words() == ["outside-hours"]

    def test_a_forged_receipt_stands_for_no_half(self, handset: HeldHandset, clock: FakeClock) -> None:
        happens(handset, receipt(handset, key=doors.key("thief")), used(handset))
        [entry] = own(handset)["entries"]
        assert (entry["result"], entry["told_by"]) == (None, ["handset"])
        clock.advance(hours=25)
        an_hour_is_over()
        assert words() == ["forged-receipt", "no-receipt"]


class TestAHalfThatIsMissing:
    @pytest.mark.parametrize(("half", "word"), [(0, "no-receipt"), (1, "no-use")])
    def test_is_told_after_a_day_and_once(self, handset: HeldHandset, clock: FakeClock, half: int, word: str) -> None:
        happens(handset, both(handset)[half])
        clock.advance(hours=23, minutes=59)
        an_hour_is_over()
        assert words() == []
        clock.advance(minutes=1)
        for _ in range(3):
            an_hour_is_over()
            clock.advance(hours=1)
        assert (words(), waiting()) == ([word], [])

    def test_is_told_though_nothing_ran_for_days(self, handset: HeldHandset, clock: FakeClock) -> None:
        happens(handset, used(handset))
        clock.advance(days=6)
        an_hour_is_over()
        assert words() == ["no-receipt"]

    def test_that_comes_late_is_looked_for_no_more(self, handset: HeldHandset, clock: FakeClock) -> None:
        shown, got = both(handset)
        happens(handset, shown)
        clock.advance(hours=25)
        an_hour_is_over()
        assert words() == ["no-receipt"]
        happens(handset, got)
        assert words() == []
        [entry] = own(handset)["entries"]
        assert entry["told_by"] == ["handset", "reader"]

    def test_is_missing_still_when_a_forged_one_comes(self, handset: HeldHandset, clock: FakeClock) -> None:
        happens(handset, used(handset))
        clock.advance(hours=25)
        an_hour_is_over()
        happens(handset, receipt(handset, key=doors.key("thief")))
        assert words() == ["forged-receipt", "no-receipt"]

    def test_that_comes_after_somebody_dealt_with_it(self, handset: HeldHandset, clock: FakeClock) -> None:
        shown, got = both(handset, result="suspended")
        happens(handset, shown)
        clock.advance(hours=25)
        an_hour_is_over()
        for row in AttentionRow.scan():
            row.delete()
        happens(handset, got)
        assert words() == ["refused-suspended"]

    def test_that_comes_while_it_is_told(self, handset: HeldHandset, clock: FakeClock) -> None:
        shown, got = told(handset, *both(handset))
        brought([shown])
        clock.advance(hours=25)
        with overtaken(by=lambda: brought([got])):
            pairing.raise_waiting()
        assert (words(), waiting()) == ([], [])

    def test_whose_time_is_over_is_told_to_nobody(
        self, handset: HeldHandset, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(evidence, "kept_for", lambda: timedelta(minutes=0))
        happens(handset, used(handset))
        clock.advance(hours=25)
        an_hour_is_over()
        assert (words(), waiting()) == ([], [])

    def test_is_not_missed_of_a_code(self, handset: HeldHandset, clock: FakeClock) -> None:
        """Nobody may have looked at it, and no camera gives a receipt."""
        happens(handset, a_code(handset, READER, clock()), a_code(handset, bytes(8), clock()))
        assert waiting() == []

    def test_is_not_missed_of_a_reader_that_is_nowhere(self, handset: HeldHandset, clock: FakeClock) -> None:
        happens(handset, used(handset, reader=UNKNOWN_READER))
        clock.advance(hours=25)
        an_hour_is_over()
        assert words() == ["unknown-reader"]

    def test_more_than_a_run_can_do_is_left_to_the_next(
        self, handset: HeldHandset, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        happens(handset, used(handset))
        clock.advance(hours=25)
        monkeypatch.setattr(pairing, "RUN_FOR", timedelta(minutes=0))
        an_hour_is_over()
        assert (words(), len(waiting())) == ([], 1)
