"""The product logs as it does, and nobody reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

LEVEL = "INFO"
"""As every stage sets it."""


@contextmanager
def logging_to_nowhere() -> Iterator[None]:
    """Until the block ends, lines of log and metrics are made and written to the null device."""
    from chalicelib.core.telemetry import logger  # noqa: PLC0415 - after the settings

    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        handler, level = logger.registered_handler, logger.log_level
        stream = handler.setStream(nowhere)  # type: ignore[attr-defined]
        logger.setLevel(LEVEL)
        try:
            yield
        finally:
            logger.setLevel(level)
            handler.setStream(stream)  # type: ignore[attr-defined]
