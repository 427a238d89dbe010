"""The commands of who is on call, against the in-process cloud."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from chalicelib.core import aws as clients
from chalicelib.core import events
from ops import __main__ as command
from ops import redrive, stage
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.events import an_item_event, recorded


@pytest.fixture(autouse=True)
def entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage of the tests needs no account, and its settings are there."""
    monkeypatch.setattr(stage, "enter", lambda _: None)
    monkeypatch.setattr(stage, "take_settings_of", lambda _: None)


@pytest.fixture
def dead(aws: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the dead-letter queue of `tracking`, which a handler of mistakes filled a while ago."""
    monkeypatch.setattr(redrive, "HIDDEN_SECONDS", 60)
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
    ASKED = ("replay", "--consumer", "tracking", "--from", "2026-11-23T07:00", "--to", "2026-11-23T09:00+00:00")

    def test_it_says_what_it_sent_hour_by_hour(
        self, aws: Cloud, clock: FakeClock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        recorded(an_item_event())
        clock.advance(hours=1)
        recorded(an_item_event())

        command.main([*self.ASKED])

        told = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{")]
        assert told[0] == "2026-11-23 07:00 to 08:00 UTC: 1 events, 1 sent"
        assert told[-1].startswith("2 events sent to tracking")
        assert len(aws.messages("tracking")) == 2

    def test_a_dry_run_sends_nothing(self, aws: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
        recorded(an_item_event())
        command.main([*self.ASKED, "--dry-run"])
        assert "1 events would be sent" in capsys.readouterr().out
        assert aws.messages("tracking") == []

    def test_an_unknown_consumer_is_told_the_known_ones(self, aws: Cloud) -> None:
        with pytest.raises(SystemExit, match=r"There are: tracking, sorting\."):
            command.main(["replay", "--consumer", "nobody", *self.ASKED[3:]])


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

    def test_all_goes_back_without_a_question(self, aws: Cloud, dead: str) -> None:
        bury(dead, "{}", "no JSON", '{"import_id": "x", "number": 3}', "[]")
        command.main(["redrive", "tracking", "--all"])
        assert (len(aws.messages("tracking")), left(dead)) == (4, 0)

    def test_quitting_leaves_the_rest(self, dead: str, capsys: pytest.CaptureFixture[str]) -> None:
        bury(dead, "{}", "{}")
        redrive.run("tracking", lambda _: "q")
        assert left(dead) == 2
        assert "Nothing was done." in capsys.readouterr().out

    def test_a_crash_between_the_two_calls_loses_nothing(
        self, aws: Cloud, dead: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bury(dead, "{}")
        sqs = redrive.boto3.client("sqs")
        monkeypatch.setattr(sqs, "delete_message", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        monkeypatch.setattr(redrive.boto3, "client", lambda _: sqs)
        with pytest.raises(KeyboardInterrupt):
            redrive.run("tracking", lambda _: "r")
        assert (len(aws.messages("tracking")), left(dead)) == (1, 1)


def test_the_local_stage_is_what_make_run_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(stage.Run, "load", lambda: (_ for _ in ()).throw(SystemExit("Nothing is running")))
    with pytest.raises(SystemExit, match="Nothing is running"):
        command.main(["redrive", "tracking"])
    assert os.environ["FACTEO_STAGE"] == "test"
