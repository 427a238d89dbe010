"""`POST /v1/events`: every event once, every number accounted for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.connectors.return_file import render_line
from chalicelib.connectors.tracking import rules as tracking
from chalicelib.core import access, journal
from chalicelib.core.access import DeviceState
from chalicelib.core.errors import ChangedMeanwhile, EventIdReused, Problem
from chalicelib.core.events import Event
from chalicelib.core.transaction import transaction
from chalicelib.items.schemas import Announced
from chalicelib.sync import service
from tests.support.api import Api
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.events import announced
from tests.support.factories import ITEM, HeldHandset, a_handset, an_item
from tests.support.fleet import NewHandset, a_post, retire
from tests.support.races import overtaken


@pytest.fixture
def handset(api: Api) -> HeldHandset:
    return a_handset(api)


def results(answer: Any) -> list[str]:
    return [result["result"] for result in answer.body["results"]]


def problems(answer: Any) -> list[str]:
    return [(result["problem"] or {}).get("type", "").removeprefix("/problems/") for result in answer.body["results"]]


def item_events(item: str = ITEM) -> list[Event]:
    return journal.read_with_held(f"item/{item}")


def test_a_scan_is_recorded_and_acknowledged(handset: HeldHandset, clock: FakeClock) -> None:
    event = handset.event(snapshot=4)
    clock.advance(minutes=30)

    answer = handset.sync(event)

    assert answer.status == 200
    assert results(answer) == ["recorded"]
    assert answer.body["acknowledged_through"] == 1
    [recorded] = item_events()
    assert recorded.id == event["id"]
    assert recorded.actor == "carrier/C1001"
    assert recorded.place == "depot/75015A"
    assert recorded.snapshot == 4
    assert recorded.receivedat - recorded.happened_at == timedelta(minutes=30)
    assert recorded.timemethod == "monotonic"


def test_one_scan_costs_three_dynamodb_calls_at_most(handset: HeldHandset, aws: Cloud) -> None:
    with aws.counting() as calls:
        handset.sync(handset.event())
    assert calls == {"GetItem": 1, "BatchGetItem": 1, "TransactWriteItems": 1}


def test_a_hundred_scans_cost_ten_dynamodb_calls_at_most(handset: HeldHandset, aws: Cloud) -> None:
    events = [handset.event(item=an_item()) for _ in range(100)]
    with aws.counting() as calls:
        answer = handset.sync(*events)
    assert results(answer) == ["recorded"] * 100
    assert answer.body["acknowledged_through"] == 100
    assert calls == {"GetItem": 1, "BatchGetItem": 1, "TransactWriteItems": 3}


def test_the_same_batch_again_changes_nothing(handset: HeldHandset, aws: Cloud) -> None:
    events = [handset.event(), handset.event("facteo.item.delivered")]
    handset.sync(*events)
    with aws.counting() as calls:
        answer = handset.sync(*events)
    assert results(answer) == ["duplicate", "duplicate"]
    assert answer.body["acknowledged_through"] == 2
    assert "TransactWriteItems" not in calls
    assert len(item_events()) == 2


def test_a_duplicate_is_told_by_content_not_by_spelling(handset: HeldHandset) -> None:
    event = handset.event()
    handset.sync(event)
    assert results(handset.sync(dict(reversed(event.items())))) == ["duplicate"]


def test_the_same_event_twice_in_one_batch_is_recorded_once(handset: HeldHandset) -> None:
    event = handset.event()
    answer = handset.sync(event, event)
    assert results(answer) == ["recorded", "duplicate"]
    assert len(item_events()) == 1


def test_one_bad_event_does_not_block_the_others(handset: HeldHandset) -> None:
    good, bad, better = (handset.event() for _ in range(3))
    bad["data"]["step"] = "teleported"
    answer = handset.sync(good, bad, better)
    assert results(answer) == ["recorded", "refused", "recorded"]
    assert problems(answer) == ["", "event-malformed", ""]
    assert answer.body["acknowledged_through"] == 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"type": "facteo.item.announced"}, "event-type-unknown"),
        ({"type": "facteo.wipe.everything"}, "event-type-unknown"),
        ({"subject": "item/9V00000100014"}, "subject-mismatch"),
        ({"time": "2026-11-23T08:00:00"}, "event-malformed"),
        ({"data": {"barcode": {"raw": "1234567891011"}, "step": "presented"}}, "unknown-identifier"),
        ({"data": {"barcode": {"raw": ITEM, "symbology": "x" * 40_000}, "step": "presented"}}, "event-too-large"),
        ({"specversion": "0.3"}, "event-malformed"),
    ],
)
def test_a_refused_event_is_kept_with_its_reason_and_takes_its_number(
    handset: HeldHandset, change: dict[str, Any], problem: str
) -> None:
    event = handset.event() | change
    first, again = handset.sync(event), handset.sync(event)
    assert problems(first) == problems(again) == [problem]
    assert first.body["acknowledged_through"] == 1
    [kept] = journal.read(f"device/{handset.device}")
    assert kept.type == "facteo.device.event-refused"
    assert ITEM.encode() not in bytes(kept.data), "what was sent may hold personal data and is sealed"
    assert item_events() == []


def test_events_of_a_former_enrolment_are_refused_and_take_no_number_of_this_one(api: Api) -> None:
    post = a_post(api)
    first = NewHandset(post)
    former = first.enrolled()
    sent, *unsent = (former.event() for _ in range(4))
    unsent[1] |= {"type": "facteo.item.teleported", "sequence": 20_000}
    unsent[2] |= {"id": sent["id"]}
    former.sync(sent)
    retire(post, former.device)
    present = NewHandset(post, serial=first.serial).enrolled()

    answer, again = present.sync(sent, *unsent), present.sync(*unsent)
    assert problems(answer) == ["", "source-mismatch", "source-mismatch", "event-id-reused"]
    assert problems(again) == problems(answer)[1:]
    assert answer.body["acknowledged_through"] == again.body["acknowledged_through"] == 0
    kept = [event for event in journal.read(f"device/{present.device}") if event.type == "facteo.device.event-refused"]
    assert len(kept) == 3

    answer = present.sync(*(present.event() for _ in range(3)))
    assert results(answer) == ["recorded"] * 3
    assert answer.body["acknowledged_through"] == 3


@pytest.mark.parametrize("source", [None, 17, ["/handsets"]])
def test_an_event_that_does_not_say_its_source_is_one_of_this_enrolment(handset: HeldHandset, source: Any) -> None:
    answer = handset.sync(handset.event(source=source))
    assert problems(answer) == ["event-malformed"]
    assert answer.body["acknowledged_through"] == 1


@pytest.mark.parametrize("nonsense", [17, "x", None, [], {}, {"id": "x", "sequence": 1}, {"sequence": 0}])
def test_what_cannot_be_addressed_is_refused_without_a_trace(handset: HeldHandset, nonsense: Any) -> None:
    answer = handset.sync(nonsense, handset.event())
    assert results(answer) == ["refused", "recorded"]
    assert answer.body["results"][0]["id"] is None
    assert journal.read(f"device/{handset.device}") == []


def test_the_same_id_with_another_content_is_refused_and_the_first_stays(handset: HeldHandset) -> None:
    first = handset.event()
    handset.sync(first)
    other = handset.event(item=an_item(), id=first["id"])
    answer, again = handset.sync(other), handset.sync(other)
    assert problems(answer) == problems(again) == ["event-id-reused"]
    assert answer.body["acknowledged_through"] == 2
    assert [event.id for event in item_events()] == [first["id"]]
    assert len(journal.read(f"device/{handset.device}")) == 1


def test_another_handset_cannot_take_an_id(api: Api, handset: HeldHandset) -> None:
    event = handset.event()
    handset.sync(event)
    other = a_handset(api)
    answer = other.sync(other.event(id=event["id"]))
    assert problems(answer) == ["event-id-reused"]
    assert len(item_events()) == 1


def test_two_events_with_one_number_show_a_cloned_handset(handset: HeldHandset) -> None:
    handset.sync(handset.event())
    answer = handset.sync(handset.event(sequence=1, item=an_item()))
    assert problems(answer) == ["sequence-reused"]


def test_a_hole_holds_the_acknowledgement_back_and_nothing_else(handset: HeldHandset) -> None:
    one, two, three, four = (handset.event() for _ in range(4))
    assert handset.sync(one, three).body["acknowledged_through"] == 1
    assert handset.sync(four).body["acknowledged_through"] == 1
    assert len(item_events()) == 3
    assert handset.sync(two).body["acknowledged_through"] == 4
    assert handset.row.beyond == ""


def test_a_number_far_beyond_the_first_hole_has_to_wait(handset: HeldHandset) -> None:
    early = handset.event(sequence=20_000)
    answer = handset.sync(early)
    assert results(answer) == ["postponed"]
    assert problems(answer) == ["sequence-too-far-ahead"]
    assert answer.body["acknowledged_through"] == 0
    assert item_events() == []


@pytest.mark.parametrize("clash", [ChangedMeanwhile("the row"), EventIdReused("the id")])
def test_a_sync_that_is_overtaken_each_time_is_told_so_and_loses_nothing(
    handset: HeldHandset, monkeypatch: pytest.MonkeyPatch, clash: Problem
) -> None:
    event = handset.event()

    def overtaken_again(*_: Any) -> None:
        raise clash

    with monkeypatch.context() as busy:
        busy.setattr(service, "_write", overtaken_again)
        answer = handset.sync(event)
    assert (answer.status, answer.problem) == (409, "changed-meanwhile")
    assert results(handset.sync(event)) == ["recorded"]


def test_two_syncs_of_one_handset_at_once_record_each_event_once(handset: HeldHandset) -> None:
    one, two = handset.event(), handset.event()
    with overtaken(by=lambda: handset.sync(one)):
        answer = handset.sync(one, two)
    assert results(answer) == ["duplicate", "recorded"]
    assert answer.body["acknowledged_through"] == 2
    assert len(item_events()) == 2


def test_a_handset_retired_in_the_middle_records_nothing_more(handset: HeldHandset) -> None:
    def retire() -> None:
        row = handset.row
        row.state, row.revision = "retired", row.revision + 1
        row.save()

    with overtaken(by=retire):
        answer = handset.sync(handset.event())
    assert answer.problem == "device-blocked"
    assert item_events() == []


def test_events_of_a_quarantined_handset_are_kept_apart(api: Api) -> None:
    lost = a_handset(api, state="quarantined")
    assert results(lost.sync(lost.event())) == ["recorded"]
    assert item_events()[0].quarantined


def test_a_handset_quarantined_in_the_middle_has_its_events_kept_apart(handset: HeldHandset) -> None:
    def quarantine() -> None:
        with transaction() as work:
            access.set_state(work, handset.row, DeviceState.QUARANTINED)

    with overtaken(by=quarantine):
        assert results(handset.sync(handset.event())) == ["recorded"]
    assert item_events()[0].quarantined


def test_a_clock_three_hours_ahead_is_corrected_and_flagged(handset: HeldHandset, clock: FakeClock) -> None:
    ahead = clock.at + timedelta(hours=3)
    event = handset.event(time=ahead.isoformat())
    clock.advance(minutes=10)
    handset.sync(event, at=clock.at + timedelta(hours=3), boot="boot-2")
    [recorded] = item_events()
    assert recorded.time == ahead
    assert recorded.timemethod == "skew"
    assert recorded.receivedat - recorded.happened_at == timedelta(minutes=10)
    assert recorded.flags == "clock-off"


@pytest.mark.parametrize(
    ("of_event", "of_clock"),
    [
        ({"time": "9999-12-31T23:59:59Z", "deviceboot": "other"}, {"time": "2026-11-23T06:59:00Z"}),
        ({"time": "0001-01-01T00:00:00+14:00", "deviceboot": "other"}, {"time": "2036-11-23T06:59:00Z"}),
        ({"time": "0001-01-01T00:00:00+14:00"}, {}),
        ({"time": "9999-12-31T23:59:59-14:00"}, {"time": "0001-01-01T00:00:00+14:00"}),
        ({"devicemonotonic": 2**53 - 1}, {}),
        ({}, {"monotonic": 2**53 - 1}),
        ({"time": "1970-01-01T00:00:09Z", "deviceboot": "other"}, {"boot": "another"}),
    ],
)
def test_an_odd_clock_blocks_nothing_and_its_events_can_be_shown(
    api: Api, handset: HeldHandset, of_event: dict[str, Any], of_clock: dict[str, Any]
) -> None:
    announcement = announced().body(Announced)
    odd, batch = handset.event("facteo.item.delivered", **of_event), handset.batch(handset.event(item=an_item()))
    batch["events"].insert(0, odd)
    batch["clock"] |= of_clock
    answer = handset.calls().post("/v1/events", batch)

    assert results(answer) == ["recorded", "recorded"]
    [recorded] = [each for each in item_events() if each.id == odd["id"]]
    assert recorded.time == datetime.fromisoformat(odd["time"])
    assert recorded.happened_at.year == 2026
    assert api.as_staff("carrier-support").get(f"/v1/items/{ITEM}").status == 200
    assert api.as_client("tracking.read").get(f"/v1/suivi/{ITEM}").status == 200
    line = tracking.draft(recorded, announcement, stage="test")
    assert line is not None
    assert line.line is not None
    assert render_line(line.line)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"clock": {"time": "2026-11-23T08:00:00Z", "monotonic": 1, "boot": "b"}, "events": []},
        {"clock": {"time": "yesterday", "monotonic": 1, "boot": "b"}, "events": [{}]},
        {"clock": {"time": "2026-11-23T08:00:00Z", "monotonic": 1, "boot": "b"}, "events": [{}] * 101},
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_batch_of_the_wrong_shape_changes_nothing(handset: HeldHandset, body: Any) -> None:
    answer = handset.calls().post("/v1/events", body)
    assert (answer.status, answer.problem) == (400, "request-invalid")
    assert handset.row.revision == 0


def test_more_than_a_mebibyte_is_refused(handset: HeldHandset) -> None:
    assert handset.calls().post("/v1/events", b" " * (1024 * 1024 + 1)).problem == "body-too-large"


def test_staff_and_strangers_cannot_send_events(api: Api, handset: HeldHandset) -> None:
    body = handset.batch(handset.event())
    assert api.as_nobody().post("/v1/events", body).status == 401
    assert api.as_staff("ops").post("/v1/events", body).status == 401


def test_commands_waiting_are_told_on_every_answer(api: Api) -> None:
    handset = a_handset(api, commands_waiting=2)
    assert handset.sync(handset.event()).headers["Facteo-Commands-Waiting"] == "2"
