"""What the crash suite counted, at the end of pytest's report: of each scenario, on whichever worker it ran."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.support.crashes import Figures

PROPERTY = "crash"


def note(node: pytest.Item, counted: Figures) -> None:
    """Send the figures along with the test's report, which pytest-xdist brings to where the summary is made."""
    node.user_properties.append((PROPERTY, [counted.name, counted.paths, counted.lost, counted.doubled]))


def told(found: Iterable[tuple[str, int, int, int]]) -> list[str]:
    """A line for each scenario, and their sum."""
    counted = sorted(found)
    if not counted:
        return []
    sums = (sum(numbers) for numbers in zip(*(one[1:] for one in counted), strict=True))
    return [_line(f"crash: {name}", *numbers) for name, *numbers in counted] + [_line("crash:", *sums)]


def _line(head: str, paths: int, lost: int, doubled: int) -> str:
    return f"{head} {paths} paths killed, lost {lost}, doubled {doubled}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print them."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    lines = told(value for report in calls for name, value in report.user_properties if name == PROPERTY)
    if lines:
        terminalreporter.section("crashes")
    for line in lines:
        terminalreporter.write_line(line)
