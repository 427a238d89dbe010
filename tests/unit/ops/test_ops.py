"""The commands of who is on call, against the in-process cloud."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from chalicelib.connectors.relay import sweep
from chalicelib.core import aws as clients
from chalicelib.core import events
from chalicelib.passes import keys
from ops import __main__ as command
from ops import redrive, stage
from tests.support import crashes
from tests.support.clock import MONDAY_MORNING, FakeClock
from tests.support.cloud import Cloud
from tests.support.events import an_item_event, recorded


@pytest.fixture(autouse=True)
def entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage of the tests needs no account, and its settings are there."""
    monkeypatch.setattr(stage, "enter", lambda _: None)
    monkeypatch.setattr(stage, "take_settings_of", lambda _: None)


class Looks:
    """Looks into the dead letters as SQS answers them: a short poll asks some servers only, and may find nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.receipts: list[str] = []
        self._call = BaseClient._make_api_call
        monkeypatch.setattr(BaseClient, "_make_api_call", lambda *call: self._called(*call))  # noqa: PLW0108 - bound

    def _called(self, client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        self.calls.append(operation)
        if operation != "ReceiveMessage" or not parameters["QueueUrl"].endswith("-dead"):
            return self._call(client, operation, parameters)
        if not parameters.get("WaitTimeSeconds"):
            return {}
        answer = self._call(client, operation, {**parameters, "WaitTimeSeconds": 0})
        self.receipts += [message["ReceiptHandle"] for message in answer.get("Messages", [])]
        return answer


@pytest.fixture
def looks(aws: Cloud, monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


@pytest.fixture
def dead(aws: Cloud) -> Iterator[str]:
    """The address of the dead-letter queue of `tracking`, which a handler of mistakes filled a while ago."""
    url = clients.client("sqs").create_queue(QueueName="facteo-test-tracking-dead")["QueueUrl"]
    yield url
    clients.client("sqs").delete_queue(QueueUrl=url)


def bury(dead: str, *bodies: str) -> None:
    for body in bodies:
        attributes = {"correlation_id": {"DataType": "String", "StringValue": "c-1"}}
        clients.client("sqs").send_message(QueueUrl=dead, MessageBody=body, MessageAttributes=attributes)


def left(dead: str) -> int:
    answer = clients.client("sqs").get_queue_attributes(QueueUrl=dead, AttributeNames=["All"])["Attributes"]
    return int(answer["ApproximateNumberOfMessages"]) + int(answer["ApproximateNumberOfMessagesNotVisible"])


class TestReplay:
    ASKED = ("replay", "--consumer", "tracking", "--from", "2026-11-23T08:00+01:00", "--to", "2026-11-23T09:00")

    def test_it_says_what_it_sent_hour_by_hour(
        self, aws: Cloud, clock: FakeClock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        recorded(an_item_event())
        clock.advance(hours=1)
        recorded(an_item_event())
        clock.advance(hours=2)

        command.main([*self.ASKED])

        told = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{")]
        assert told[0] == "2026-11-23 07:00 to 08:00 UTC: 1 events, 1 sent"
        assert told[-1].startswith("2 events sent to tracking")
        assert len(aws.messages("tracking")) == 2

    def test_a_dry_run_sends_nothing(self, aws: Cloud, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
        recorded(an_item_event())
        clock.advance(hours=3)
        command.main([*self.ASKED, "--dry-run"])
        assert "1 events would be sent" in capsys.readouterr().out
        assert aws.messages("tracking") == []

    def test_an_unknown_consumer_is_told_the_known_ones(self, aws: Cloud) -> None:
        with pytest.raises(SystemExit, match=r"There are: passes, tracking, sorting, judging, entries, readmissions\."):
            command.main(["replay", "--consumer", "nobody", *self.ASKED[3:]])

    def test_it_says_that_it_goes_on(self, aws: Cloud, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
        clock.advance(hours=3)
        since, until = MONDAY_MORNING, MONDAY_MORNING + timedelta(hours=2)
        next(begun := sweep.replay("tracking", since, until))
        next(begun)
        command.main([*self.ASKED])
        assert "interrupted at 2026-11-23 08:00 UTC and goes on there" in capsys.readouterr().out

    def test_a_time_that_cannot_be_replayed_is_told_in_a_sentence(self, aws: Cloud) -> None:
        with pytest.raises(SystemExit, match=r"later than 2026-11-23 06:50 UTC"):
            command.main([*self.ASKED])


@pytest.mark.usefixtures("looks")
class TestRedrive:
    def test_each_message_is_shown_and_dealt_with_as_said(
        self, aws: Cloud, dead: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        event = an_item_event(data={"note": "MARGUERITE"})
        bury(dead, *[events.encode(event)] * 3)
        answers = iter("rds")
        monkeypatch.setattr("builtins.input", lambda _: next(answers))

        command.main(["redrive", "tracking"])

        told = capsys.readouterr().out
        assert told.count(f"id: {event.id}") == 3
        assert "MARGUERITE" not in told
        assert told.splitlines()[-1] == "1 redriven, 1 deleted, 1 skipped"
        [message] = aws.messages("tracking")
        assert message["Body"] == events.encode(event)
        assert message["MessageAttributes"]["correlation_id"]["StringValue"] == "c-1"
        assert left(dead) == 1

    def test_all_goes_back_without_a_question(self, aws: Cloud, dead: str, looks: Looks) -> None:
        bury(dead, "{}", "no JSON", '{"import_id": "x", "number": 3}', "[]", *["{}"] * 8)
        looks.calls.clear()
        command.main(["redrive", "tracking", "--all"])
        assert left(dead) == 0
        assert Counter(looks.calls) - Counter(["GetQueueAttributes"]) == {
            "ListQueues": 1,
            "ReceiveMessage": 3,
            "SendMessage": 12,
            "DeleteMessage": 12,
        }

    def test_what_was_skipped_is_not_asked_about_again(
        self, aws: Cloud, dead: str, looks: Looks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first two messages are no longer hidden while the operator looks at the third."""
        bury(dead, "{}", "{}", "{}")
        asked = 0

        def think(_: str) -> str:
            nonlocal asked
            asked += 1
            for receipt in looks.receipts[:2] if asked == 3 else ():
                clients.client("sqs").change_message_visibility(
                    QueueUrl=dead, ReceiptHandle=receipt, VisibilityTimeout=0
                )
            return "s"

        redrive.run("tracking", think)
        assert (asked, left(dead)) == (3, 3)

    def test_an_unknown_queue_is_told_the_known_ones(self, dead: str) -> None:
        for name in ("nobody", "inbox", "tracking-dead"):
            with pytest.raises(SystemExit, match=rf"no queue {name} with dead letters. There are: tracking\."):
                command.main(["redrive", name])

    def test_quitting_leaves_the_rest(self, dead: str, capsys: pytest.CaptureFixture[str]) -> None:
        bury(dead, "{}", "{}")
        redrive.run("tracking", lambda _: "q")
        assert left(dead) == 2
        assert "Nothing was done." in capsys.readouterr().out

    def test_a_crash_between_the_two_calls_loses_nothing(
        self, aws: Cloud, dead: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bury(dead, "{}")
        with crashes.after_step(1, crashes.die, only="SendMessage"), pytest.raises(crashes.Killed):
            redrive.run_all("tracking")
        assert (len(aws.messages("tracking")), left(dead)) == (1, 1)


def test_the_local_stage_is_what_make_run_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(stage.Run, "load", lambda: (_ for _ in ()).throw(SystemExit("Nothing is running")))
    with pytest.raises(SystemExit, match="Nothing is running"):
        command.main(["redrive", "tracking"])
    assert os.environ["FACTEO_STAGE"] == "test"


class TestRotation:
    def test_all_keys_are_other_ones_and_the_set_says_so(
        self, aws: Cloud, clock: FakeClock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = {key.kid for key in keys.kept_up().keys}

        command.main(["rotate-pass-keys"])

        after = {key.kid for key in keys.kept_up().keys}
        assert before & after == set()
        assert "Set 2 is published." in capsys.readouterr().out

    def test_one_key_is_dropped(self, aws: Cloud, clock: FakeClock) -> None:
        first, second = (key.kid for key in keys.kept_up().keys)

        command.main(["rotate-pass-keys", "--drop", first])

        left = {key.kid for key in keys.kept_up().keys}
        assert first not in left
        assert second in left

    def test_a_key_that_is_not_there_is_told(self, aws: Cloud, clock: FakeClock) -> None:
        before = keys.kept_up()
        with pytest.raises(SystemExit, match="ffff"):
            command.main(["rotate-pass-keys", "--drop", "ffff"])
        assert keys.kept_up() == before
