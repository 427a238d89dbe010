"""Logs and metrics, with one correlation id from the handset to the legacy file.

Log lines carry ids, types and counts, never personal data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from chalicelib.core import settings
from chalicelib.core.settings import Settings

SERVICE = "facteo"
NAMESPACE = "Facteo"

logger = Logger(service=SERVICE, utc=True)


def count(name: str, value: float = 1, **dimensions: str) -> None:
    """Add to a metric, written as an embedded-metric log line: no call to a service."""
    _write(name, MetricUnit.Count, value, dimensions)


def seconds(name: str, duration: timedelta) -> None:
    """State a duration as a metric."""
    _write(name, MetricUnit.Seconds, duration.total_seconds(), {})


def _write(name: str, unit: MetricUnit, value: float, dimensions: Mapping[str, str]) -> None:
    with single_metric(name=name, unit=unit, value=value, namespace=NAMESPACE) as metric:
        metric.add_dimension(name="stage", value=settings.load(Settings).stage)
        for key, text in dimensions.items():
            metric.add_dimension(name=key, value=text)


@contextmanager
def correlated(correlation_id: str, **fields: Any) -> Iterator[None]:
    """Give every log line within the block this correlation id and these fields."""
    with logger.append_context_keys(correlation_id=correlation_id, **fields):
        yield
