"""The frame of queue, stream and schedule functions: one bad message never holds back the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from chalice.app import Blueprint

from chalicelib.core import consumer, events, settings
from chalicelib.core.consumer import Message
from chalicelib.core.settings import Settings, SettingsInvalid
from tests.support.events import SCHEDULED, an_item_event, sequence_number, sqs_event, stream_event

Function = Callable[[dict[str, Any], Any], Any]


class Mill:
    """A handler that breaks at the bodies in `bad`, having noted what it was given."""

    def __init__(self, *bad: str) -> None:
        self.bad = bad
        self.batches: list[list[str]] = []

    def take(self, messages: Sequence[Message]) -> None:
        self.batches.append([message.body for message in messages])
        if {message.body for message in messages} & set(self.bad):
            raise RuntimeError("a stone in the grain")


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions of tests are not among those of the product."""
    for registry in ("SETTINGS_OF_FUNCTIONS", "SUBJECTS_OF_STREAMS"):
        monkeypatch.setattr(consumer, registry, {})
    settings.load.cache_clear()


def queue_function(mill: Mill) -> Function:
    def grind(messages: Sequence[Message]) -> None:
        mill.take(messages)

    declared: Any = consumer.queue(Blueprint("test"), "mill", batch_size=10)(grind)
    return declared  # type: ignore[no-any-return]


def stream_function(mill: Mill, subjects: str = "") -> Function:
    def follow(messages: Sequence[Message]) -> None:
        mill.take(messages)

    declared: Any = consumer.stream(Blueprint("test"), batch_size=10, subjects=subjects)(follow)
    return declared  # type: ignore[no-any-return]


def failures(result: Any) -> list[str]:
    return [failure["itemIdentifier"] for failure in result["batchItemFailures"]]


def metrics(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines from which CloudWatch takes metrics."""
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in lines if '"_aws"' in line]


class TestQueue:
    def test_a_good_batch_is_handled_whole_and_once(self) -> None:
        mill = Mill()

        result = queue_function(mill)(sqs_event("a", "b", "c"), None)

        assert result == {"batchItemFailures": []}
        assert mill.batches == [["a", "b", "c"]]

    def test_of_a_batch_that_fails_each_message_is_tried_alone_and_only_bad_ones_reported(self) -> None:
        mill = Mill("b", "d")

        result = queue_function(mill)(sqs_event("a", "b", "c", "d"), None)

        assert failures(result) == ["m-2", "m-4"]
        assert mill.batches == [["a", "b", "c", "d"], ["a"], ["b"], ["c"], ["d"]]

    def test_a_single_bad_message_is_not_tried_twice(self) -> None:
        mill = Mill("a")

        assert failures(queue_function(mill)(sqs_event("a"), None)) == ["m-1"]
        assert mill.batches == [["a"]]

    def test_what_only_failed_together_is_not_reported(self) -> None:
        attempts: list[int] = []

        def grind(messages: Sequence[Message]) -> None:
            attempts.append(len(messages))
            if len(messages) > 1:
                raise RuntimeError("too much at once")

        declared: Any = consumer.queue(Blueprint("test"), "mill", batch_size=10)(grind)

        assert failures(declared(sqs_event("a", "b"), None)) == []
        assert attempts == [2, 1, 1]

    def test_those_that_failed_are_counted_by_consumer(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Lambda counts no error for what is reported in the answer."""
        queue_function(Mill("b", "c"))(sqs_event("a", "b", "c"), None)

        [counted] = metrics(capsys)
        assert (counted["MessagesFailed"], counted["stage"], counted["worker"]) == ([2], "test", "grind")
        assert counted["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["stage", "worker"]]

    def test_nothing_is_counted_if_none_failed(self, capsys: pytest.CaptureFixture[str]) -> None:
        queue_function(Mill())(sqs_event("a"), None)

        assert metrics(capsys) == []

    def test_messages_of_the_same_body_are_told_apart(self) -> None:
        assert failures(queue_function(Mill("a"))(sqs_event("a", "b", "a"), None)) == ["m-1", "m-3"]


class TestStream:
    def test_each_record_is_the_event_that_was_written(self) -> None:
        raw, mill = stream_event(an_item_event(), an_item_event()), Mill()

        assert failures(stream_function(mill)(raw, None)) == []
        assert mill.batches == [[record["dynamodb"]["NewImage"]["event"]["S"] for record in raw["Records"]]]

    def test_a_record_is_reported_by_its_sequence_number(self) -> None:
        raw = stream_event(an_item_event(), an_item_event(), an_item_event())
        bad = raw["Records"][1]["dynamodb"]["NewImage"]["event"]["S"]

        assert failures(stream_function(Mill(bad))(raw, None)) == [sequence_number(2)]

    def test_records_of_removed_rows_are_skipped(self) -> None:
        raw, mill = stream_event(an_item_event(), an_item_event()), Mill()
        raw["Records"][0]["eventName"] = "REMOVE"
        del raw["Records"][0]["dynamodb"]["NewImage"]

        assert failures(stream_function(mill)(raw, None)) == []
        assert mill.batches == [[raw["Records"][1]["dynamodb"]["NewImage"]["event"]["S"]]]

    def test_events_of_other_subjects_are_not_its_business(self) -> None:
        device, item = an_item_event(subject="device/1"), an_item_event()
        mill = Mill()

        assert failures(stream_function(mill, "device/")(stream_event(device, item, device), None)) == []

        assert mill.batches == [[events.encode(device)] * 2]
        assert consumer.SUBJECTS_OF_STREAMS == {"follow": "device/"}

    def test_a_batch_without_an_event_for_it_is_not_handled(self) -> None:
        mill = Mill()

        assert failures(stream_function(mill, "device/")(stream_event(an_item_event()), None)) == []
        assert mill.batches == []

    def test_an_event_that_cannot_be_read_fails_alone(self) -> None:
        raw = stream_event(an_item_event(), an_item_event())
        raw["Records"][0]["dynamodb"]["NewImage"]["event"]["S"] = "{"
        mill = Mill("{")

        assert failures(stream_function(mill)(raw, None)) == [sequence_number(1)]
        assert len(mill.batches[-1]) == 1


class TestSchedule:
    def test_the_job_runs_and_its_failure_is_seen_by_lambda(self) -> None:
        runs: list[str] = []

        def sweep() -> None:
            runs.append("run")
            if len(runs) > 1:
                raise RuntimeError("broken broom")

        declared: Any = consumer.schedule(Blueprint("test"), "rate(1 minute)")(sweep)

        assert declared(SCHEDULED, None) is None
        with pytest.raises(RuntimeError):
            declared(SCHEDULED, None)


class TestSettings:
    """A function whose settings are wrong fails as a whole: nothing is handled, and nothing is deleted."""

    class Unset(Settings, frozen=True, kw_only=True):
        mill_of_nobody: str

    @pytest.mark.parametrize(
        ("declare", "raw"),
        [
            (lambda given: consumer.queue(Blueprint("test"), "mill", batch_size=1, settings=given), sqs_event("a")),
            (lambda given: consumer.stream(Blueprint("test"), batch_size=1, settings=given), {"Records": []}),
            (lambda given: consumer.schedule(Blueprint("test"), "rate(1 minute)", settings=given), SCHEDULED),
        ],
    )
    def test_wrong_settings_fail_before_the_handler_runs(self, declare: Any, raw: dict[str, Any]) -> None:
        ran: list[Any] = []

        def work(*messages: Any) -> None:
            ran.append(messages)

        with pytest.raises(SettingsInvalid, match=r"(?i)mill_of_nobody"):
            declare(self.Unset)(work)(raw, None)

        assert ran == []
        declared = consumer.SETTINGS_OF_FUNCTIONS
        assert declared == {"work": self.Unset}
