"""The function behind the clock of erasure."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.core import consumer
from chalicelib.erasure import service

workers = Blueprint(__name__)


@consumer.schedule(workers, "rate(1 hour)")
def erase() -> None:
    """Each hour, so that a run that failed is made up for on the same day."""
    service.erase_due()
