"""What the fuzzing was, at the end of the report."""

from __future__ import annotations

import pytest

from tests.support.fuzzing import EXAMPLES, SEED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how to do it again."""
    terminalreporter.write_line(f"fuzz: FACTEO_EXAMPLES={EXAMPLES} FACTEO_SEED={SEED}")
