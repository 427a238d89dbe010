"""Logs and metrics, with one correlation id from the handset to the legacy file.

Log lines carry ids, types and counts, never personal data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

SERVICE = "facteo"
NAMESPACE = "Facteo"

logger = Logger(service=SERVICE, utc=True)


def count(name: str, value: float = 1, **dimensions: str) -> None:
    """Add to a metric, written as an embedded-metric log line: no call to a service."""
    with single_metric(name=name, unit=MetricUnit.Count, value=value, namespace=NAMESPACE) as metric:
        metric.add_dimension(name="service", value=SERVICE)
        for key, text in dimensions.items():
            metric.add_dimension(name=key, value=text)


@contextmanager
def correlated(correlation_id: str, **fields: Any) -> Iterator[None]:
    """Give every log line within the block this correlation id and these fields."""
    with logger.append_context_keys(correlation_id=correlation_id, **fields):
        yield
