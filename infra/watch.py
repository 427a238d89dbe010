"""What is watched on AWS: the alarms and the dashboard, made from the template's own queues and functions.

The build adds them to the template; a new queue or function is watched without a word said here. Each alarm's
description leads to its page of the runbook. On the local cloud nobody is on call: they are left out there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

RUNBOOK: Final = "docs/operations/README.md"
MINUTES: Final = 60
OURS: Final = "Facteo"
OLDEST, WAITING = "ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"

_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_UNITS: Final = {"minute": MINUTES, "hour": 60 * MINUTES, "day": 24 * 60 * MINUTES}

FUNCTION, QUEUE = "AWS::Serverless::Function", "AWS::SQS::Queue"
DEAD: Final = ("DeadLetters", "Failures")
"""How the logical names of queues end that nothing reads: whatever lies there is somebody's work."""


class Alarm(NamedTuple):
    """An alarm: it rises when the metric's statistic is above the threshold in each of some periods, or `below` it.

    `silence` says what no data at all means: `notBreaching` for counts of bad things, `breaching` for a heartbeat.
    """

    name: str
    anchor: str
    metric: str
    threshold: float
    namespace: str
    dimensions: Mapping[str, Any] = {}
    statistic: str = "Sum"
    seconds: int = 5 * MINUTES
    periods: int = 1
    silence: str = "notBreaching"
    below: bool = False


SINGLE: Final = (
    Alarm(
        "RelayBehind",
        "the-relay-is-behind",
        "IteratorAge",
        10 * MINUTES * 1000,
        "AWS/Lambda",
        {"Ref": "Relay"},
        "Maximum",
    ),
    Alarm(
        "SweeperSilent",
        "the-sweeper-is-silent",
        "SweeperBehind",
        30 * MINUTES,
        OURS,
        {},
        "Maximum",
        15 * MINUTES,
        2,
        "breaching",
    ),
    Alarm("EventsSwept", "events-were-swept", "EventsSwept", 0, OURS),
    Alarm("EventsNotRelayable", "an-event-cannot-be-relayed", "EventsNotRelayable", 0, OURS),
    Alarm(
        "ErasureBehind",
        "erasure-is-behind",
        "ErasureBehind",
        36 * 60 * MINUTES,
        OURS,
        {},
        "Maximum",
        60 * MINUTES,
        3,
        "breaching",
    ),
    Alarm("DespatchesFailed", "files-do-not-leave", "DespatchesFailed", 0, OURS, periods=6),
    Alarm("PolicyHalted", "a-policy-was-halted", "PolicyHalted", 0, OURS),
    Alarm("SequenceClash", "two-handsets-with-one-key", "SequenceClash", 0, OURS),
    Alarm("BreakerOpened", "the-breaker-opened", "BreakerOpened", 0, OURS, seconds=MINUTES),
    Alarm("AuthorityNotProven", "an-authority-is-not-proven", "AuthorityNotProven", 0, OURS, seconds=MINUTES),
    Alarm("WipesFailed", "a-wipe-failed", "WipesFailed", 0, OURS),
    Alarm("NotSettled", "something-is-not-settled", "NotSettled", 0, OURS, periods=3),
    Alarm("ApiFailing", "the-api-fails", "5XXError", 5, "AWS/ApiGateway", {"ApiName": {"Fn::Sub": "facteo-${Stage}"}}),
)
"""What there is one of."""

SOS: Final = (
    # Six times a minute while it runs.
    Alarm(
        "AlertSweeperSilent",
        "the-alert-sweeper-is-silent",
        "AlertSweeperRan",
        1,
        OURS,
        seconds=MINUTES,
        periods=3,
        silence="breaching",
        below=True,
    ),
    Alarm("AlertStepLate", "a-step-of-an-alert-was-late", "AlertStepLate", 15, OURS, {}, "Maximum", MINUTES),
    Alarm("AlertFeedBehind", "the-alert-feed-is-behind", "FeedDelay", 15, OURS, {}, "Maximum", MINUTES),
    Alarm(
        "AlertEventsBehind",
        "alert-events-are-behind",
        "IteratorAge",
        15 * 1000,
        "AWS/Lambda",
        {"Ref": "AlertEvents"},
        "Maximum",
        MINUTES,
    ),
    Alarm("AlertPagesFailed", "pages-fail", "PagesFailed", 0, OURS, seconds=MINUTES),
    Alarm("AlertPagesUnknown", "pages-fail", "PagesUnknown", 0, OURS, seconds=MINUTES),
    Alarm("AlertPolicyUnreadable", "a-policy-cannot-be-read", "PolicyUnreadable", 0, OURS, seconds=MINUTES),
    Alarm("AlertsWithoutKey", "alerts-without-a-key", "AlertsWithoutKey", 0, OURS, seconds=MINUTES),
)
"""Of the alerts: somebody is in danger, and every minute counts."""

EACH_FUNCTION: Final = (
    # In each of three periods as long as between its runs, if it runs by the clock: see `_between_runs`.
    Alarm("Errors", "a-function-fails", "Errors", 0, "AWS/Lambda", periods=3),
    Alarm("Throttled", "a-function-is-throttled", "Throttles", 0, "AWS/Lambda", periods=3),
)
EACH_CONSUMER: Final = (
    # Lambda counts no error if messages are reported as failed. What succeeds when it comes again wakes nobody: queues
    # hide a message for 6 or 12 minutes, so one that keeps failing does so in each quarter of an hour.
    Alarm("MessagesFailed", "a-function-fails", "MessagesFailed", 0, OURS, seconds=15 * MINUTES, periods=2),
)
EACH_QUEUE: Final = (Alarm("Old", "a-queue-is-behind", OLDEST, 15 * MINUTES, "AWS/SQS", statistic="Maximum"),)
EACH_DEAD_QUEUE: Final = (Alarm("NotEmpty", "dead-letters", WAITING, 0, "AWS/SQS", statistic="Maximum"),)

URGENT: Final = ("Alert", "Pages")
"""How the logical names begin of what alerts hang on: its first failure wakes somebody."""
EACH_URGENT_FUNCTION: Final = (
    Alarm("Errors", "an-alert-function-fails", "Errors", 0, "AWS/Lambda", seconds=MINUTES),
    Alarm("Throttled", "an-alert-function-fails", "Throttles", 0, "AWS/Lambda", seconds=MINUTES),
)
EACH_URGENT_CONSUMER: Final = (
    # Their queues hide a message for two minutes.
    Alarm("MessagesFailed", "an-alert-function-fails", "MessagesFailed", 0, OURS, seconds=2 * MINUTES, periods=2),
)
EACH_URGENT_QUEUE: Final = (
    Alarm("Old", "pages-or-texts-wait", OLDEST, 30, "AWS/SQS", statistic="Maximum", seconds=MINUTES),
)
EACH_URGENT_DEAD_QUEUE: Final = tuple(alarm._replace(seconds=MINUTES) for alarm in EACH_DEAD_QUEUE)
TIMERS: Final = "AlertTimersQueue"
"""Its messages wait for a quarter of an hour by themselves. Whether a step was late, `AlertStepLate` says."""


def watched(template: Mapping[str, Any]) -> dict[str, Any]:
    """The resources that watch those of a template."""
    alarms = {alarm.name: _alarm(alarm) for alarm in _alarms(template["Resources"])}
    topic = {"Type": "AWS::SNS::Topic", "Condition": "IsOnAWS", "Properties": {"TopicName": _named("alarms")}}
    dashboard = {
        "Type": "AWS::CloudWatch::Dashboard",
        "Condition": "IsOnAWS",
        "Properties": {"DashboardName": _named("overview"), "DashboardBody": _dashboard(template["Resources"])},
    }
    return {"AlarmTopic": topic, "Dashboard": dashboard, **alarms}


def _alarms(resources: Mapping[str, Any]) -> Iterator[Alarm]:
    for alarm in (*SINGLE, *SOS):
        ref = alarm.dimensions.get("Ref")
        yield alarm._replace(dimensions={"FunctionName": {"Ref": ref}}) if ref else alarm
    for logical in _of_type(resources, FUNCTION):
        seconds = _between_runs(resources[logical])
        for alarm in EACH_URGENT_FUNCTION if logical.startswith(URGENT) else EACH_FUNCTION:
            timed = alarm._replace(seconds=max(alarm.seconds, seconds))
            yield _of(timed, logical, {"FunctionName": {"Ref": logical}})
    for logical, worker in _consumers(resources).items():
        of_consumer = EACH_URGENT_CONSUMER if logical.startswith(URGENT) else EACH_CONSUMER
        yield from (_of(alarm, logical, {"stage": {"Ref": "Stage"}, "worker": worker}) for alarm in of_consumer)
    for logical in _of_type(resources, QUEUE):
        dimensions = {"QueueName": {"Fn::GetAtt": [logical, "QueueName"]}}
        yield from (_of(alarm, logical, dimensions) for alarm in _of_queue(logical))


def _of_queue(logical: str) -> Sequence[Alarm]:
    urgent = logical.startswith(URGENT)
    if logical.endswith(DEAD):
        return EACH_URGENT_DEAD_QUEUE if urgent else EACH_DEAD_QUEUE
    if logical == TIMERS:
        return [alarm._replace(threshold=2 * alarm.threshold) for alarm in EACH_QUEUE]
    return EACH_URGENT_QUEUE if urgent else EACH_QUEUE


def _consumers(resources: Mapping[str, Any]) -> dict[str, str]:
    """The functions that a queue or a stream feeds, each with the name by which it counts what failed."""
    return {
        logical: resources[logical]["Properties"]["FunctionName"]["Fn::Sub"].removeprefix("facteo-${Stage}-")
        for logical in _of_type(resources, FUNCTION)
        if any(source.keys() & {"Queue", "Stream"} for source in _sources(resources[logical]))
    }


def _between_runs(function: Mapping[str, Any]) -> int:
    """The seconds between two runs of a function that runs by the clock, for others 0."""
    rates = [_RATE.fullmatch(source["Schedule"]) for source in _sources(function) if "Schedule" in source]
    return max((int(rate[1]) * _UNITS[rate[2]] for rate in rates if rate), default=0)


def _sources(function: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [event["Properties"] for event in function["Properties"].get("Events", {}).values()]


def _of(alarm: Alarm, logical: str, dimensions: Mapping[str, Any]) -> Alarm:
    return alarm._replace(name=f"{logical}{alarm.name}", dimensions=dimensions)


def _alarm(alarm: Alarm) -> dict[str, Any]:
    dimensions = alarm.dimensions or {"stage": {"Ref": "Stage"}}
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Condition": "IsOnAWS",
        "Properties": {
            "AlarmName": _named(alarm.name),
            "AlarmDescription": f"{RUNBOOK}#{alarm.anchor}",
            "Namespace": alarm.namespace,
            "MetricName": alarm.metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            "Statistic": alarm.statistic,
            "Period": alarm.seconds,
            "EvaluationPeriods": alarm.periods,
            "Threshold": alarm.threshold,
            "ComparisonOperator": "LessThanThreshold" if alarm.below else "GreaterThanThreshold",
            "TreatMissingData": alarm.silence,
            "AlarmActions": [{"Ref": "AlarmTopic"}],
            "OKActions": [{"Ref": "AlarmTopic"}],
        },
    }


def _dashboard(resources: Mapping[str, Any]) -> dict[str, Any]:
    """One page: what comes in, what goes out, what waits, what fails."""
    functions, queues = _of_type(resources, FUNCTION), _of_type(resources, QUEUE)
    by_name = [("FunctionName", f"${{{logical}}}") for logical in functions]
    workers, by_stage = _consumers(resources).values(), ("stage", "${Stage}")
    by_queue = [("QueueName", f"${{{logical}.QueueName}}") for logical in queues]
    charts = [
        ("Errors", [["AWS/Lambda", "Errors", *one] for one in by_name], "Sum"),
        ("Messages that failed", [[OURS, "MessagesFailed", *by_stage, "worker", one] for one in workers], "Sum"),
        ("Duration (ms, p99)", [["AWS/Lambda", "Duration", *one] for one in by_name], "p99"),
        ("Age of the oldest message (s)", [["AWS/SQS", OLDEST, *one] for one in by_queue], "Maximum"),
        ("Messages that wait", [["AWS/SQS", WAITING, *one] for one in by_queue], "Maximum"),
        (
            "Alerts: steps and the feed late (s)",
            [[OURS, name, *by_stage] for name in ("AlertStepLate", "FeedDelay")],
            "Maximum",
        ),
        (
            "Alerts: the events' delay (ms)",
            [["AWS/Lambda", "IteratorAge", "FunctionName", "${AlertEvents}"]],
            "Maximum",
        ),
        ("Alerts: pages", [[OURS, name, *by_stage] for name in ("PagesFailed", "PagesUnknown")], "Sum"),
        ("The relay's delay (ms)", [["AWS/Lambda", "IteratorAge", "FunctionName", "${Relay}"]], "Maximum"),
        ("Behind (s)", [[OURS, name, *by_stage] for name in ("SweeperBehind", "ErasureBehind")], "Maximum"),
        (
            "API",
            [["AWS/ApiGateway", name, "ApiName", "facteo-${Stage}"] for name in ("Count", "4XXError", "5XXError")],
            "Sum",
        ),
        ("Lines sent to legacy applications", [[OURS, "LinesSent", *by_stage]], "Sum"),
    ]
    widgets = [_widget(number, *chart) for number, chart in enumerate(charts)]
    return {"Fn::Sub": json.dumps({"widgets": widgets})}


def _widget(number: int, title: str, metrics: Sequence[Sequence[str]], statistic: str) -> dict[str, Any]:
    return {
        "type": "metric",
        "x": 12 * (number % 2),
        "y": 6 * (number // 2),
        "width": 12,
        "height": 6,
        "properties": {
            "title": title,
            "metrics": metrics,
            "stat": statistic,
            "period": 5 * MINUTES,
            "region": "${AWS::Region}",
        },
    }


def _of_type(resources: Mapping[str, Any], kind: str) -> list[str]:
    return sorted(name for name, resource in resources.items() if resource["Type"] == kind)


def _named(name: str) -> dict[str, str]:
    return {"Fn::Sub": f"facteo-${{Stage}}-{name}"}
