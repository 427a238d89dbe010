"""No function may do what no test needs: a run of the whole suite fails if a right was used by none of them.

Which rights a test used goes along with its report, which pytest-xdist brings to where the sum is made. A run of a part
of the suite, or one that failed, says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.support import rights
from tests.support.rights import Right

PROPERTY = "rights"
AWS_ITSELF = ("logs:", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "dynamodb:DescribeStream")
AWS_ITSELF += ("dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams")
"""What Lambda does with a function's rights, not the function."""
ON_FAILURE = (
    Right("alert_events", "sqs:SendMessage", "facteo-test-alert-failures"),
    Right("relay", "sqs:SendMessage", "facteo-test-relay-failures"),
)
"""Where Lambda puts what the stream's functions failed to take."""
SELECTIONS = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "collectonly")

_told: set[Right] = set()
_used: set[Right] = set()


def unused(used: Iterable[Right]) -> list[Right]:
    """The rights that are granted and not among these, without those that AWS itself needs."""
    asked = {right for right in rights.granted() if not right.action.startswith(AWS_ITSELF)}
    return sorted(asked - {*used, *ON_FAILURE})


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> None:
    """Send what this process used for the first time along with the report."""
    fresh = rights.USED - _told
    _told.update(fresh)
    item.user_properties += [(PROPERTY, [*right]) for right in fresh]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect it, where the sum is made."""
    _used.update(Right(*value) for name, value in report.user_properties if name == PROPERTY)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a whole run that left a right unused."""
    if _is_whole(session.config) and session.exitstatus == pytest.ExitCode.OK and unused(_used):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode, config: pytest.Config
) -> None:
    """Say which."""
    if _is_whole(config) and exitstatus == pytest.ExitCode.OK and unused(_used):
        terminalreporter.section("rights that no test needs (infra/grants.py)")
        for right in unused(_used):
            terminalreporter.write_line(f"{right.function}: {right.action} on {right.resource}")


def _is_whole(config: pytest.Config) -> bool:
    selected = any(getattr(config.option, name, None) for name in SELECTIONS)
    is_worker = hasattr(config, "workerinput")
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not selected and not is_worker
