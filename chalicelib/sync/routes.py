"""Sync over HTTP."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.core.access import Handset, handset
from chalicelib.core.call import Call
from chalicelib.core.endpoint import MIB, endpoint
from chalicelib.core.errors import ChangedMeanwhile
from chalicelib.passes.evidence import EntrySettings
from chalicelib.sync import service
from chalicelib.sync.schemas import Batch, SyncAnswer

routes = Blueprint(__name__)


@endpoint(
    routes,
    "POST /v1/events",
    allow=handset(blocked_too=True),
    problems=[ChangedMeanwhile],
    body_limit=MIB,
    settings=EntrySettings,
)
def take(request: Batch, who: Handset, call: Call) -> SyncAnswer:
    """Take up to 100 events of a handset: a result for each, and how far its numbers have been taken."""
    return service.take(request, who, call.correlation_id)
