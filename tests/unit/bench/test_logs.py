"""What a bench of requests stands on."""

from __future__ import annotations

import logging
import os

import pytest

from bench.logs import logging_to_nowhere
from chalicelib.core import telemetry


def test_ours_logs_as_in_production_and_is_not_seen(capsys: pytest.CaptureFixture[str]) -> None:
    before = telemetry.logger.log_level
    with logging_to_nowhere():
        assert telemetry.logger.log_level == logging.INFO
        telemetry.logger.info("answered")
        assert telemetry.logger.registered_handler.stream.name == os.devnull  # type: ignore[attr-defined]
    assert telemetry.logger.log_level == before
    assert capsys.readouterr().out == ""
