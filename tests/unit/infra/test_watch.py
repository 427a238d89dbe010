"""Everything that can fall silent, fall behind or fail is watched, and each alarm leads to its page of the runbook."""

from __future__ import annotations

import re
from typing import Any

import pytest

from infra import watch
from infra.build import ROOT
from tests.support import template

FUNCTION = watch.FUNCTION


@pytest.fixture(scope="module")
def watched() -> dict[str, Any]:
    """What watches the template, whose functions chalice would have given their type."""
    resources = template.template()["Resources"]
    functions = {name: {**each, "Type": each.get("Type", FUNCTION)} for name, each in resources.items()}
    return watch.watched({"Resources": functions})


def watches(watched: dict[str, Any], metric: str) -> set[str]:
    """The logical names that an alarm on this metric refers to."""
    alarms = [one["Properties"] for one in watched.values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    values = [part["Value"] for one in alarms if one["MetricName"] == metric for part in one["Dimensions"]]
    return {value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0] for value in values}


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
    for name in ("SweeperSilent", "ErasureBehind"):
        assert watched[name]["Properties"]["TreatMissingData"] == "breaching"
