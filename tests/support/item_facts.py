"""What can be said of an item: for tables that must have a row for everything."""

from __future__ import annotations

import enum

import msgspec

from chalicelib.items.event_types import DISCRIMINATOR
from chalicelib.items.schemas import EVENT_TYPES, Capacity, HandedOver
from tests.support.events import an_item_event


def every_fact() -> set[tuple[str, str]]:
    """Every event type, with each value of the field that tells two events of the type apart, as the schemas say."""
    return {(event_type, value) for event_type in EVENT_TYPES for value in _values(event_type)}


def a_handing_over(capacity: Capacity = Capacity.ADDRESSEE) -> HandedOver:
    """An item that was handed over against signature."""
    return an_item_event("facteo.item.handed-over", data={"recipient": capacity}).body(HandedOver)


def _values(event_type: str) -> list[str]:
    if event_type not in DISCRIMINATOR:
        return [""]
    fields = {field.name: field.type for field in msgspec.structs.fields(EVENT_TYPES[event_type])}
    kind = fields[DISCRIMINATOR[event_type]]
    assert issubclass(kind, enum.StrEnum)
    return [str(value) for value in kind]
