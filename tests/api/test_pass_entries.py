"""Entries with a pass: what handsets may tell of them, and who sees where a carrier was, and for how long."""

from __future__ import annotations

import base64
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from chalicelib.core import journal, keyring, settings
from chalicelib.core.clock import PARIS
from chalicelib.core.keyring import KeyGone
from chalicelib.core.settings import SettingsInvalid
from chalicelib.erasure.workers import erase
from chalicelib.passes import entries, evidence
from chalicelib.passes.registry_schemas import ReaderRecord
from chalicelib.passes.schemas import PassUsed, SealedOfDay
from chalicelib.passes.tables import PassLinesRow
from handset.passes import Wallet
from reader.door import Door
from tests.support import doors
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.doors import OTHER_READER, READER
from tests.support.dynamodb import sent
from tests.support.entries import (
    BUILDING,
    OTHER_BUILDING,
    OTHER_NONCE,
    OTHER_PASS,
    PASS,
    UNKNOWN_READER,
    a_code,
    a_receipt,
    both,
    brought,
    challenge_of,
    happens,
    in_clear,
    own,
    put,
    receipt,
    told,
    two_buildings,
    used,
)
from tests.support.events import SCHEDULED, invoke
from tests.support.factories import HeldHandset, a_handset
from tests.support.fleet import everything_stored


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    two_buildings()
    return a_handset(api)


def refusal(handset: HeldHandset, event: Any) -> str:
    """The problem with which an event is refused."""
    [result] = handset.sync(event).body["results"]
    assert result["result"] == "refused"
    return str(result["problem"]["type"]).removeprefix("/problems/")


def at_building(api: Api, building: str = BUILDING, **query: str) -> Any:
    return api.as_staff("security-officer").get(f"/v1/buildings/{building}/entries", **query)


class TestTelling:
    def test_what_tells_where_a_carrier_was_is_sealed_in_the_journal(self, handset: HeldHandset) -> None:
        shown, got = told(handset, *both(handset))

        assert (shown.subject, got.subject, shown.actor) == (f"pass/{PASS}", f"pass/{PASS}", "carrier/C1001")
        kept = shown.body(SealedOfDay)
        assert kept.day == date(2026, 11, 23)
        assert keyring.key_of("entries/2026-11-23").open(kept.sealed, PassUsed).reader == READER.hex()
        for event in (shown, got):
            assert READER.hex() not in in_clear(event)
            assert challenge_of().hex() not in in_clear(event)

    def test_nothing_that_is_stored_names_reader_building_or_challenge_in_clear(self, handset: HeldHandset) -> None:
        happens(handset, *both(handset))
        for row in PassLinesRow.scan():
            assert BUILDING not in row.content + row.sk
            assert READER.hex() not in row.content + row.sk
        stored = everything_stored()
        assert challenge_of().hex() not in stored
        assert base64.b64encode(a_receipt()).decode() not in stored

    def test_an_entry_of_a_building_and_one_of_a_carrier_cannot_be_put_together_by_their_keys(
        self, handset: HeldHandset
    ) -> None:
        happens(handset, *both(handset))
        [carriers], [buildings] = (list(PassLinesRow.query(pk)) for pk in ("carrier/C1001", f"building/{BUILDING}"))
        moment, _, name = carriers.sk.partition("#")
        assert moment not in buildings.sk
        assert name not in buildings.sk

    def test_the_same_sent_again_is_a_duplicate(self, handset: HeldHandset) -> None:
        halves = both(handset)
        told(handset, *halves)
        again = handset.sync(*halves).body["results"]
        assert [one["result"] for one in again] == ["duplicate", "duplicate"]

    def test_a_receipt_for_what_the_reader_could_not_read(self, handset: HeldHandset) -> None:
        [event] = told(handset, receipt(handset, pass_id="", result="malformed"))
        assert event.subject == "pass/unread"

    @pytest.mark.parametrize("raw", [b"\x00", b"receipt", b"\xd2\x84\x4d" + bytes(60)], ids=["zero", "text", "zeros"])
    def test_what_is_no_receipt_is_refused(self, handset: HeldHandset, raw: bytes) -> None:
        event = receipt(handset, raw)
        assert refusal(handset, event) == "receipt-malformed"
        again = handset.sync(event).body["results"][0]["problem"]
        assert again["type"] == "/problems/receipt-malformed"

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"subject": f"pass/{OTHER_PASS}"}, "subject-mismatch"),
            ({"data": {"pass": PASS, "reader": READER.hex(), "challenge": "00"}}, "event-malformed"),
            ({"data": {"pass": PASS, "reader": READER.hex().upper(), "challenge": "0" * 64}}, "event-malformed"),
            ({"data": {"pass": PASS, "reader": "d1", "challenge": "0" * 64}}, "event-malformed"),
            ({"data": {"pass": PASS}}, "event-malformed"),
        ],
    )
    def test_a_use_of_another_shape_is_refused(self, handset: HeldHandset, changes: Any, problem: str) -> None:
        assert refusal(handset, used(handset) | changes) == problem

    def test_a_receipt_of_another_pass_than_the_subject_is_refused(self, handset: HeldHandset) -> None:
        assert refusal(handset, receipt(handset) | {"subject": f"pass/{OTHER_PASS}"}) == "subject-mismatch"

    def test_a_receipt_is_never_longer_than_255_bytes(self, handset: HeldHandset) -> None:
        assert refusal(handset, receipt(handset, a_receipt() + bytes(200))) == "event-malformed"

    def test_it_costs_what_a_scan_costs_and_once_a_day_the_key(self, handset: HeldHandset) -> None:
        told(handset, used(handset))
        with sent("TransactWriteItems") as written, sent("GetItem") as read, sent("BatchGetItem") as looked:
            told(handset, used(handset, nonce=OTHER_NONCE))
        assert (len(read), len(written)) == (1, 1)
        assert len(looked) == 2, "the known ids, and this test's own reading"

    def test_a_full_batch_of_them_is_taken(self, handset: HeldHandset) -> None:
        """None writes a row more than it is counted for."""
        many = [used(handset, nonce=bytes([number]) * 16) for number in range(100)]
        assert len(told(handset, *many)) == 100


class TestADoor:
    def test_what_reference_reader_and_handset_say_is_taken(
        self, handset: HeldHandset, clock: FakeClock, tmp_path: Any, api: Api
    ) -> None:
        door = doors.a_door(tmp_path / "door", clock)
        wallet = doors.a_wallet(tmp_path / "handset", clock=clock)
        registered = doors.PLACE["reader"]
        put(f"reader/{registered}", _record(door))
        decision = door.answer(wallet.answer(door.challenge()))
        assert decision.opened
        happens(handset, *_halves(wallet, handset, decision.receipt))

        [entry] = own(handset)["entries"]
        assert (entry["result"], entry["building"]) == ("opened", BUILDING)
        assert entry["told_by"] == ["handset", "reader"]


def _record(door: Door) -> ReaderRecord:
    numbers = door.public_key.public_numbers()
    x, y = (
        base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode() for number in (numbers.x, numbers.y)
    )
    return ReaderRecord(building=BUILDING, key={"kty": "EC", "crv": "P-256", "x": x, "y": y})


def _halves(wallet: Wallet, handset: HeldHandset, raw: bytes) -> list[Any]:
    [use] = wallet.uses
    data = {"pass": use["pass"], "reader": use["reader"], "challenge": use["nonce"]}
    return [used(handset, data=data), receipt(handset, raw)]


class TestOwnEntries:
    def test_a_carrier_sees_their_own_and_nobody_elses(self, api: Api, handset: HeldHandset, clock: FakeClock) -> None:
        other = a_handset(api, carrier="C1002")
        happens(handset, *both(handset))
        clock.advance(minutes=3)
        happens(handset, used(handset, reader=OTHER_READER, nonce=OTHER_NONCE))

        seen = own(handset)
        assert [one["building"] for one in seen["entries"]] == [OTHER_BUILDING, BUILDING], "the newest first"
        assert [one["result"] for one in seen["entries"]] == [None, "opened"]
        assert [one["told_by"] for one in seen["entries"]] == [["handset"], ["handset", "reader"]]
        assert own(other) == {"entries": [], "looks": [], "after": None}

    @pytest.mark.parametrize("result", ["suspended", "revoked"])
    def test_who_holds_the_handset_does_not_learn_of_a_suspension(
        self, api: Api, handset: HeldHandset, result: str
    ) -> None:
        happens(handset, *both(handset, result=result))
        assert [one["result"] for one in own(handset)["entries"]] == ["refused"]
        assert [one["result"] for one in at_building(api).body["entries"]] == [result]

    def test_a_carrier_sees_them_with_a_new_handset_too(self, api: Api, handset: HeldHandset) -> None:
        happens(handset, *both(handset))
        assert len(own(a_handset(api))["entries"]) == 1

    def test_page_by_page(self, handset: HeldHandset, clock: FakeClock) -> None:
        for number in range(entries.PAGE + 2):
            clock.advance(minutes=2)
            happens(handset, used(handset, nonce=bytes([number]) * 16))
        first = own(handset)
        second = own(handset, after=first["after"])
        moments = [one["at"] for one in first["entries"] + second["entries"]]
        assert (len(first["entries"]), len(second["entries"]), second["after"]) == (entries.PAGE, 2, None)
        assert moments == sorted(moments, reverse=True)

    def test_by_a_process_that_has_just_begun(self, handset: HeldHandset) -> None:
        happens(handset, *both(handset))
        keyring.forget()
        assert len(own(handset)["entries"]) == 1

    def test_four_calls(self, handset: HeldHandset) -> None:
        happens(handset, *both(handset))
        with sent("GetItem") as read, sent("Query") as queried, sent("BatchGetItem") as keys:
            own(handset)
        assert (len(read), len(queried), len(keys)) == (1, 2, 1)

    @pytest.mark.parametrize("after", ["", "x" * 101])
    def test_a_place_that_can_be_none_is_refused(self, handset: HeldHandset, after: str) -> None:
        assert handset.calls().get("/v1/pass/entries", after=after).problem == "request-invalid"


class TestEntriesOfABuilding:
    def test_security_sees_them_and_each_carrier_that_somebody_looked(
        self, api: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        colleague, elsewhere = a_handset(api, carrier="C1002"), a_handset(api, carrier="C1003")
        happens(handset, *both(handset))
        happens(elsewhere, *both(elsewhere, reader=OTHER_READER))
        clock.advance(minutes=2)
        happens(colleague, *both(colleague, nonce=OTHER_NONCE, pass_id=OTHER_PASS, result="expired"))

        answer = at_building(api)
        assert [(one["carrier"], one["result"]) for one in answer.body["entries"]] == [
            ("C1002", "expired"),
            ("C1001", "opened"),
        ]
        for seen in (handset, colleague):
            [look] = own(seen)["looks"]
            assert look["by"].startswith("staff/")
            assert look["entries"] == 1
        assert own(elsewhere)["looks"] == []
        [event] = journal.read("pass-entries/C1001")
        assert (event.type, BUILDING in in_clear(event)) == ("facteo.pass.entries-viewed", False)

    def test_looks_are_shown_the_latest_first_and_as_long_as_entries(
        self, api: Api, handset: HeldHandset, clock: FakeClock
    ) -> None:
        happens(handset, *both(handset))
        at_building(api)
        clock.advance(days=1)
        at_building(api)
        moments = [look["at"] for look in own(handset)["looks"]]
        assert (len(moments), moments) == (2, sorted(moments, reverse=True))
        clock.advance(days=92)
        assert len(own(handset)["looks"]) == 1

    def test_no_more_looks_are_read_than_are_shown(
        self, api: Api, handset: HeldHandset, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(entries, "LOOKS", 2)
        happens(handset, *both(handset))
        for _ in range(3):
            clock.advance(minutes=1)
            at_building(api)
        with sent("Query") as queried:
            looks = own(handset)["looks"]
        assert [look["at"] for look in looks] == ["2026-11-23T07:03:00Z", "2026-11-23T07:02:00Z"]
        assert len(queried) == 2
        assert [asked["Limit"] for asked in queried] == [entries.PAGE, 2]

    def test_page_by_page_with_a_transaction_for_as_many_carriers(self, api: Api, handset: HeldHandset) -> None:
        for number in range(entries.PAGE + 1):
            each = a_handset(api, carrier=f"C2{number:03}")
            brought(told(each, used(each, nonce=bytes([number]) * 16)))
        first = at_building(api)
        second = at_building(api, after=first.body["after"])
        seen = [one["carrier"] for one in first.body["entries"] + second.body["entries"]]
        assert len(set(seen)) == len(seen) == entries.PAGE + 1
        assert second.body["after"] is None

    def test_a_building_that_is_not_there(self, api: Api, handset: HeldHandset) -> None:
        assert at_building(api, handset.device).problem == "not-found"

    def test_the_building_is_one_of_theirs(self, api: Api, handset: HeldHandset) -> None:
        happens(handset, *both(handset))
        for scope, status in ((f"building/{BUILDING}", 200), (f"building/{OTHER_BUILDING}", 403), ("", 403)):
            asked = api.as_staff("security-officer", scope=scope)
            assert asked.get(f"/v1/buildings/{BUILDING}/entries").status == status
        assert len(own(handset)["looks"]) == 1

    def test_nothing_is_written_of_a_building_without_entries(self, api: Api, handset: HeldHandset) -> None:
        with sent("TransactWriteItems") as written:
            assert at_building(api).body == {"entries": [], "after": None}
        assert written == []


class TestRetention:
    def test_after_its_last_day_nothing_opens_an_entry(self, api: Api, handset: HeldHandset, clock: FakeClock) -> None:
        [event] = told(handset, used(handset))
        brought([event])
        clock.advance(days=92)
        assert len(own(handset)["entries"]) == 1
        assert len(at_building(api).body["entries"]) == 1

        clock.advance(days=1)
        assert own(handset)["entries"] == []
        assert at_building(api).body["entries"] == []
        with pytest.raises(KeyGone):
            keyring.key_of(evidence.key_name(event.body(SealedOfDay).day))
        brought([event])
        assert len(list(PassLinesRow.query("carrier/C1001"))) == 1, "a repeat brings nothing back"

    def test_the_key_is_destroyed_and_rows_say_when_they_go(self, handset: HeldHandset, clock: FakeClock) -> None:
        happens(handset, used(handset))
        assert {row.expires_at for row in PassLinesRow.scan()} == {_midnight_after(date(2027, 2, 23))}
        clock.advance(days=92, hours=18)
        invoke(erase, SCHEDULED)
        assert keyring.KeyRow.find("entries/2026-11-23") is None

    def test_the_term_is_a_setting(self, handset: HeldHandset, monkeypatch: pytest.MonkeyPatch) -> None:
        _set_days(monkeypatch, "30")
        happens(handset, used(handset))
        assert keyring.key_of("entries/2026-11-23").last_day == date(2026, 12, 23)

    @pytest.mark.parametrize("days", ["0", "185", "many"])
    def test_a_term_that_none_may_set(self, monkeypatch: pytest.MonkeyPatch, days: str) -> None:
        _set_days(monkeypatch, days)
        with pytest.raises(SettingsInvalid):
            evidence.kept_for()

    def test_what_is_told_after_its_time_can_be_read_on_that_day_only(
        self, handset: HeldHandset, clock: FakeClock
    ) -> None:
        shown = used(handset)
        clock.advance(days=200)
        happens(handset, shown)
        assert len(own(handset)["entries"]) == 1
        clock.advance(days=1)
        assert own(handset)["entries"] == []


def _midnight_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), PARIS)


def _set_days(monkeypatch: pytest.MonkeyPatch, days: str) -> None:
    """As a process does that starts with this setting."""
    monkeypatch.setenv("FACTEO_PASS_ENTRIES_DAYS", days)
    monkeypatch.setattr(settings, "load", settings.load.__wrapped__)


class TestLastDoor:
    def test_the_one_whose_reader_signed_that_it_opened(self, handset: HeldHandset, clock: FakeClock) -> None:
        assert entries.last_door("C1001") is None
        happens(handset, *both(handset))
        assert entries.last_door("C1001") == BUILDING
        clock.advance(minutes=5)
        happens(handset, receipt(handset, reader=OTHER_READER))
        assert entries.last_door("C1001") == OTHER_BUILDING
        assert entries.last_door("C1002") is None

    def test_what_only_a_handset_says_is_none(self, handset: HeldHandset, clock: FakeClock) -> None:
        """Whoever holds one would choose the door."""
        happens(handset, used(handset), a_code(handset, OTHER_READER, clock()))
        assert entries.last_door("C1001") is None

    def test_nor_is_what_no_registered_key_signed(self, handset: HeldHandset) -> None:
        """A reader of one's own answers the same challenge."""
        elsewhere = challenge_of(reader=UNKNOWN_READER).hex()
        happens(handset, used(handset, data={"challenge": elsewhere}), receipt(handset, reader=UNKNOWN_READER))
        [entry] = own(handset)["entries"]
        assert (entry["building"], entry["result"]) == (BUILDING, "opened")
        assert entries.last_door("C1001") is None

    def test_a_door_that_did_not_open_is_none(self, handset: HeldHandset, clock: FakeClock) -> None:
        happens(handset, *both(handset))
        clock.advance(minutes=5)
        happens(handset, *both(handset, reader=OTHER_READER, result="expired"))
        assert entries.last_door("C1001") == BUILDING

    def test_within_twelve_hours(self, handset: HeldHandset, clock: FakeClock) -> None:
        happens(handset, *both(handset))
        clock.advance(hours=11, minutes=59)
        assert entries.last_door("C1001") == BUILDING
        clock.advance(minutes=2)
        assert entries.last_door("C1001") is None

    def test_two_calls(self, handset: HeldHandset) -> None:
        happens(handset, *both(handset))
        with sent("Query") as queried, sent("BatchGetItem") as keys, sent("GetItem") as read:
            entries.last_door("C1001")
        assert (len(queried), len(keys), len(read)) == (1, 1, 0)
