"""What is logged, line by line."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chalicelib.core import telemetry


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(telemetry.logger.registered_handler.format(record)))


@contextmanager
def logged(message: str) -> Iterator[list[dict[str, Any]]]:
    """The lines with that message that are logged within the block, as they are written."""
    kept, logger, found = _Kept(), logging.getLogger(telemetry.SERVICE), list[dict[str, Any]]()
    before = telemetry.logger.log_level
    telemetry.logger.setLevel(logging.INFO)
    logger.addHandler(kept)
    try:
        yield found
    finally:
        logger.removeHandler(kept)
        telemetry.logger.setLevel(before)
        found += [line for line in kept.lines if line["message"] == message]
