"""The relay: each event of the stream in the queue of everyone who takes it, and of nobody else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from chalicelib.connectors.relay import service
from chalicelib.connectors.relay.subscriptions import SUBSCRIPTIONS, is_relayed
from chalicelib.connectors.relay.workers import relay
from chalicelib.core import aws as clients
from chalicelib.core import events
from chalicelib.core.events import Event
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.events import an_item_event, invoke, sequence_number, stream_event
from tests.support.factories import ITEM, an_item


def relayed(*found: Event) -> list[str]:
    """Give the worker a batch of the stream; the sequence numbers that it reported."""
    return invoke(relay, stream_event(*found))


def ids_in(aws: Cloud, queue: str) -> list[str]:
    return sorted(json.loads(message["Body"])["id"] for message in aws.messages(queue))


class Sends:
    """Every batch that was sent, and what the next answers are to be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.refused: set[str] = set()
        self.for_ever = False
        sqs = clients.client("sqs")
        self._send = sqs.send_message_batch
        monkeypatch.setattr(sqs, "send_message_batch", self._sent)

    def _sent(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803 - botocore's names
        self.batches.append(Entries)
        taken = [entry for entry in Entries if json.loads(entry["MessageBody"])["id"] not in self.refused]
        answer = self._send(QueueUrl=QueueUrl, Entries=taken) if taken else {"Successful": []}
        code = "InvalidMessageContents" if self.for_ever else "InternalError"
        failed = [{"Id": entry["Id"], "Code": code, "SenderFault": self.for_ever} for entry in Entries]
        return answer | {"Failed": [entry for entry in failed if entry["Id"] not in {one["Id"] for one in taken}]}


@pytest.fixture
def sends(aws: Cloud, monkeypatch: pytest.MonkeyPatch) -> Sends:
    return Sends(monkeypatch)


def test_each_consumer_gets_what_it_takes(aws: Cloud) -> None:
    scan = an_item_event(data={"step": "at-depot"})
    redirected = an_item_event("facteo.item.redirected")
    unheard_of = an_item_event("facteo.item.photographed")
    plan = an_item_event("facteo.plan.changed", subject="plan/75015A")
    other = an_item_event("facteo.device.event-refused", subject="device/d1")
    suspended = an_item_event("facteo.pass.suspended", subject="device/d1")
    shown = an_item_event("facteo.pass.used", subject="pass/00000000000000c1")

    assert relayed(scan, redirected, unheard_of, plan, other, suspended, shown) == []

    assert ids_in(aws, "tracking") == sorted([scan.id, redirected.id])
    assert ids_in(aws, "sorting") == sorted([scan.id, redirected.id, plan.id])
    assert ids_in(aws, "judging") == [redirected.id]
    assert ids_in(aws, "passes") == [suspended.id]
    assert ids_in(aws, "entries") == [shown.id]


@pytest.mark.parametrize(
    ("event_type", "changes", "taken"),
    [
        ("facteo.alert.duress", {"flags": "duress"}, True),
        ("facteo.alert.raised", {"flags": "late duress"}, True),
        ("facteo.alert.raised", {"flags": "late"}, False),
        ("facteo.alert.closed", {}, True),
        ("facteo.alert.seen", {"flags": "duress"}, False),
        ("facteo.duty.changed", {"data": {"day": "2026-11-23"}}, True),
        ("facteo.duty.assigned", {"data": {"day": "2026-11-24"}}, False),
        ("facteo.device.retired", {}, True),
        ("facteo.pass.issued", {}, False),
    ],
)
def test_passes_get_what_makes_a_difference_to_one(
    aws: Cloud, clock: FakeClock, event_type: str, changes: dict[str, Any], taken: bool
) -> None:
    event = an_item_event(event_type, subject="device/d1", **changes)

    assert relayed(event) == []

    assert ids_in(aws, "passes") == [event.id] * taken


SIGNED, UNSIGNED = an_item("9V"), an_item("9L")


@pytest.mark.parametrize(
    ("event", "taken"),
    [
        (an_item_event(item=SIGNED), True),
        (an_item_event(item="RK123456785FR"), True),
        (an_item_event(item=UNSIGNED), False),
        (an_item_event(item="LK123456785FR"), False),
        (an_item_event(item=SIGNED, data={"step": "at-depot"}), False),
        (an_item_event(item=SIGNED, quarantined=True), False),
        (an_item_event("facteo.item.announced", item=SIGNED, data={"product": "9V"}), True),
        (an_item_event("facteo.item.announced", item=UNSIGNED, data={"product": "9L"}), False),
        (an_item_event("facteo.item.announced", item=UNSIGNED, data={"product": "9L", "recommendation": "R1"}), True),
        (an_item_event("facteo.item.corrected", item=UNSIGNED, data={"corrects": "x", "reason": "x"}), True),
    ],
)
def test_judging_gets_what_may_fill_a_proof_and_no_more(aws: Cloud, event: Event, taken: bool) -> None:
    assert relayed(event) == []

    assert ids_in(aws, "judging") == [event.id] * taken


def test_a_message_is_the_event_with_what_one_looks_for_as_attributes(aws: Cloud) -> None:
    scan = an_item_event()
    relayed(scan)

    [message] = aws.messages("tracking")
    assert events.decode(message["Body"]) == scan
    assert {name: attribute["StringValue"] for name, attribute in message["MessageAttributes"].items()} == {
        "event_id": scan.id,
        "type": "facteo.item.scanned",
        "correlation_id": scan.correlationid,
    }


def test_characters_that_sqs_refuses_arrive_all_the_same(aws: Cloud, sends: Sends) -> None:
    scan = an_item_event(data={"barcode": {"raw": ITEM, "symbology": "\uffff\ufffe\U0001f4ee"}, "step": "at-depot"})

    assert relayed(scan) == []

    [[entry], _] = sends.batches
    assert not {"\uffff", "\ufffe"} & set(entry["MessageBody"])
    assert json.loads(entry["MessageBody"])["data"] == json.loads(bytes(scan.data))


def test_an_event_without_correlation_id_is_relayed_too(aws: Cloud) -> None:
    assert relayed(an_item_event(correlationid="")) == []
    assert len(aws.messages("tracking")) == 1


def test_what_a_lost_handset_says_stays_inside(aws: Cloud) -> None:
    quarantined = an_item_event(quarantined=True)

    assert relayed(quarantined) == []
    assert aws.messages("tracking") == aws.messages("sorting") == []

    service.send("tracking", [quarantined])  # released
    assert ids_in(aws, "tracking") == [quarantined.id]


def test_a_hundred_events_are_ten_calls_for_each_queue(aws: Cloud, sends: Sends) -> None:
    scans = [an_item_event(data={"step": "at-depot"}) for _ in range(100)]

    assert relayed(*scans) == []

    assert [len(batch) for batch in sends.batches] == [10] * 20
    assert ids_in(aws, "tracking") == sorted(scan.id for scan in scans)


@pytest.mark.parametrize(("size", "batches"), [(60_000, [4, 4, 2]), (140_000, [1] * 10)])
def test_a_call_stays_below_the_limit_of_bytes(sends: Sends, size: int, batches: list[int]) -> None:
    large = [an_item_event("facteo.plan.changed", data={"sealed": "x" * size}) for _ in range(10)]

    assert relayed(*large) == []

    assert [len(batch) for batch in sends.batches] == batches
    assert all(len(msgspec.json.encode(batch)) < 300_000 for batch in sends.batches)


def test_only_an_event_that_the_queue_refused_is_reported(aws: Cloud, sends: Sends) -> None:
    scans = [an_item_event() for _ in range(5)]
    sends.refused = {scans[2].id}

    assert relayed(*scans) == [sequence_number(3)]

    sends.refused = set()
    assert relayed(*scans[2:]) == []
    assert set(ids_in(aws, "tracking")) == set(ids_in(aws, "sorting")) == {scan.id for scan in scans}


def test_an_event_that_no_queue_ever_takes_is_given_up_at_once(
    aws: Cloud, sends: Sends, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = [an_item_event() for _ in range(12)]
    sends.refused, sends.for_ever = {scans[2].id}, True

    assert relayed(*scans) == []

    others = {scan.id for scan in scans} - sends.refused
    assert set(ids_in(aws, "tracking")) == set(ids_in(aws, "sorting")) == others
    refused = [(record.consumer, record.event_id) for record in caplog.records if record.levelname == "ERROR"]
    takers = [consumer for consumer in SUBSCRIPTIONS if is_relayed(consumer, scans[2])]
    assert refused == [(consumer, scans[2].id) for consumer in takers]
    assert capsys.readouterr().out.count('"EventsNotRelayable":[1.0]') == len(takers)
    assert service.missed(scans) == []


def test_only_a_record_that_cannot_be_read_is_reported(aws: Cloud) -> None:
    scans = [an_item_event() for _ in range(3)]
    batch = stream_event(*scans)
    batch["Records"][1]["dynamodb"]["NewImage"]["event"]["S"] = "{"

    assert invoke(relay, batch) == [sequence_number(2)]

    assert ids_in(aws, "tracking") == sorted([scans[0].id, scans[2].id])


def test_a_deleted_row_says_nothing(aws: Cloud) -> None:
    batch = stream_event(an_item_event())
    batch["Records"][0]["eventName"] = "REMOVE"
    del batch["Records"][0]["dynamodb"]["NewImage"]

    assert invoke(relay, batch) == []
    assert aws.messages("tracking") == []


def test_an_empty_batch_calls_nobody(sends: Sends) -> None:
    nothing: Sequence[Event] = []
    service.relay(nothing)
    assert sends.batches == []
