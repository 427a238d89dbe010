"""What stands behind the fields that a request's reader leaves unread, for the description of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chalicelib.core.errors import Problem
from chalicelib.core.openapi import OneOf
from chalicelib.sync.drafts import ACCEPTED
from chalicelib.sync.schemas import Batch, EventResult, HandsetEvent

BEHIND: Final[Mapping[tuple[type, str], Any]] = {
    (Batch, "events"): OneOf(
        envelope=HandsetEvent,
        tag="type",
        content="data",
        kinds={event_type: fact.body for event_type, fact in ACCEPTED.items()},
    ),
    (EventResult, "problem"): Problem,
}
"""Struct and field → what it holds. An event is read by itself, so that a bad one harms no other."""
