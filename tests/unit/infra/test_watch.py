"""Everything that can fall silent, fall behind or fail is watched, and each alarm leads to its page of the runbook."""

from __future__ import annotations

import re
from typing import Any

import pytest
from chalice.app import ScheduledEventConfig

from app import app
from chalicelib.core import queues
from infra import watch
from infra.build import ROOT
from tests.support import template

FUNCTION = watch.FUNCTION


MINUTE, HOUR = 60, 3600
CONSUMERS = {
    "AlertEvents": "alert_events",
    "AlertPages": "alert_pages",
    "AlertTexts": "alert_texts",
    "AlertTimers": "alert_timers",
    "Judging": "judging",
    "PassEntries": "pass_entries",
    "PassEvents": "pass_events",
    "Readmit": "readmit",
    "Relay": "relay",
    "Sorting": "sorting",
    "TakeFile": "take_file",
    "TakeSlice": "take_slice",
    "Tracking": "tracking",
}
"""What a queue or the stream feeds, by logical name."""


@pytest.fixture(scope="module")
def watched() -> dict[str, Any]:
    """What watches the template, whose functions chalice would have given their type and their clock."""
    resources = template.template()["Resources"]
    functions = {name: {**each, "Type": each.get("Type", FUNCTION)} for name, each in resources.items()}
    for source in app.event_sources:
        if isinstance(source, ScheduledEventConfig):
            clock = {"Type": "Schedule", "Properties": {"Schedule": source.schedule_expression}}
            logical = source.name.title().replace("_", "")
            functions[logical]["Properties"]["Events"] = {"Clock": clock}
    return watch.watched({"Resources": functions})


def watches(watched: dict[str, Any], metric: str) -> set[str]:
    """The logical names that an alarm on this metric refers to."""
    alarms = [one["Properties"] for one in watched.values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    values = [part["Value"] for one in alarms if one["MetricName"] == metric for part in one["Dimensions"]]
    return {value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0] for value in values}


def alarm(watched: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(watched[name]["Properties"])


def test_every_queue_is_watched(watched: dict[str, Any]) -> None:
    queues = set(template.resources(template.QUEUE))
    dead = {name for name in queues if name.endswith(("DeadLetters", "Failures"))}
    assert watches(watched, "ApproximateNumberOfMessagesVisible") == dead
    assert watches(watched, "ApproximateAgeOfOldestMessage") == queues - dead


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_is_watched(watched: dict[str, Any], metric: str) -> None:
    added = template.template()["Resources"].items()
    functions = {name for name, each in added if "FunctionName" in each.get("Properties", {}) and "Type" not in each}
    assert watches(watched, metric) >= functions


def test_every_alarm_leads_to_a_paragraph_of_the_runbook(watched: dict[str, Any]) -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / watch.RUNBOOK).read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    alarms = [one["Properties"] for one in watched.values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    assert {alarm["AlarmDescription"].rpartition("#")[2] for alarm in alarms} <= anchors
    assert all(alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}] for alarm in alarms)


def test_silence_of_a_heartbeat_is_an_alarm(watched: dict[str, Any]) -> None:
    for name in ("SweeperSilent", "ErasureBehind", "AlertSweeperSilent"):
        assert watched[name]["Properties"]["TreatMissingData"] == "breaching"


@pytest.mark.parametrize(("logical", "worker"), CONSUMERS.items())
def test_messages_that_fail_are_watched_for_each_consumer_since_lambda_counts_no_error(
    watched: dict[str, Any], logical: str, worker: str
) -> None:
    found = alarm(watched, f"{logical}MessagesFailed")
    assert (found["Namespace"], found["MetricName"]) == ("Facteo", "MessagesFailed")
    assert found["Dimensions"] == [{"Name": "stage", "Value": {"Ref": "Stage"}}, {"Name": "worker", "Value": worker}]
    assert f'"MessagesFailed", "stage", "${{Stage}}", "worker", "{worker}"' in dashboard(watched)


def test_only_consumers_report_messages(watched: dict[str, Any]) -> None:
    suffix = "MessagesFailed"
    assert {name.removesuffix(suffix) for name in watched if name.endswith(suffix)} == set(CONSUMERS)


@pytest.mark.parametrize("logical", sorted(set(CONSUMERS) - {"Relay", "AlertEvents"}))
def test_a_message_that_fails_once_wakes_nobody_and_one_that_goes_on_failing_somebody(
    watched: dict[str, Any], logical: str
) -> None:
    """It comes again when its queue no longer hides it, which is at least once in each period."""
    queue = template.functions()[CONSUMERS[logical]]["Events"][f"{logical}SqsEventSource"]["Properties"]["Queue"]
    hidden = template.resources(template.QUEUE)[queue["Fn::GetAtt"][0]]["VisibilityTimeout"]
    found = alarm(watched, f"{logical}MessagesFailed")
    assert found["EvaluationPeriods"] > 1
    assert found["Period"] >= hidden


@pytest.mark.parametrize("metric", ["Errors", "Throttled"])
@pytest.mark.parametrize(
    ("logical", "seconds"),
    [("Erase", HOUR), ("PairEntries", HOUR), ("Sweep", HOUR / 12), ("Despatch", HOUR / 12), ("APIHandler", HOUR / 12)],
)
def test_a_function_that_seldom_runs_is_given_longer_periods(
    watched: dict[str, Any], logical: str, seconds: int, metric: str
) -> None:
    """Three periods of five minutes in a row could not all hold errors of what runs once an hour."""
    found = alarm(watched, f"{logical}{metric}")
    assert (found["Period"], found["EvaluationPeriods"]) == (seconds, 3)


class TestAlerts:
    """Somebody is in danger: who is on call hears of it within minutes."""

    def test_the_sweeper_is_missed_after_three_minutes(self, watched: dict[str, Any]) -> None:
        found = alarm(watched, "AlertSweeperSilent")
        assert (found["MetricName"], found["Period"], found["EvaluationPeriods"]) == ("AlertSweeperRan", MINUTE, 3)
        assert (found["ComparisonOperator"], found["Threshold"]) == ("LessThanThreshold", 1)

    @pytest.mark.parametrize("logical", ["AlertsAPI", "AlertEvents", "AlertTimers", "AlertPages", "AlertSweep"])
    @pytest.mark.parametrize("metric", ["Errors", "Throttled"])
    def test_the_first_failure_of_a_function_wakes_somebody(
        self, watched: dict[str, Any], logical: str, metric: str
    ) -> None:
        found = alarm(watched, f"{logical}{metric}")
        assert (found["Period"], found["EvaluationPeriods"], found["Threshold"]) == (MINUTE, 1, 0)

    @pytest.mark.parametrize("logical", ["PagesQueue", "AlertTextsQueue"])
    def test_no_page_and_no_text_waits_for_half_a_minute_unnoticed(self, watched: dict[str, Any], logical: str) -> None:
        found = alarm(watched, f"{logical}Old")
        assert (found["Threshold"], found["Period"], found["EvaluationPeriods"]) == (30, MINUTE, 1)

    def test_a_timer_that_waits_for_its_time_wakes_nobody(self, watched: dict[str, Any]) -> None:
        assert alarm(watched, "AlertTimersQueueOld")["Threshold"] > queues.MAX_DELAY

    @pytest.mark.parametrize("logical", ["AlertFailures", "PagesDeadLetters", "AlertTimersDeadLetters"])
    def test_a_dead_letter_is_seen_at_once(self, watched: dict[str, Any], logical: str) -> None:
        assert alarm(watched, f"{logical}NotEmpty")["Period"] == MINUTE


def test_whatever_is_watched_is_counted_by_somebody(watched: dict[str, Any]) -> None:
    """An alarm on a metric that nobody writes never rises, or always."""
    alarms = [one["Properties"] for one in watched.values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    names = {one["MetricName"] for one in alarms if one["Namespace"] == watch.OURS}
    sources = [path.read_text() for path in (ROOT / "chalicelib").rglob("*.py")]
    assert {name for name in names if not any(f'"{name}"' in text for text in sources)} == set()


def dashboard(watched: dict[str, Any]) -> str:
    return str(watched["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
