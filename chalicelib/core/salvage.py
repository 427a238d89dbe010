"""Reading what can be read of a body that is not as it should be: for what is never refused because of its body."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

StructT = TypeVar("StructT", bound=msgspec.Struct)

INCOMPLETE: Final = "incomplete"
"""The field, a bool, by which a salvaged struct says that something is missing."""
LONGEST: Final = 1024 * 1024
"""Bytes: of a longer body nothing is read, so that no caller makes us work for long."""


def salvaged(body: bytes, kind: type[StructT]) -> StructT:
    """The body (JSON) as a struct all of whose fields have a default; if it is not quite one, what can be read of it.

    What is unknown or of a wrong shape is left out and the field `incomplete` set. Numbers and truths may be written as
    text then. Of a struct in a field, what is wrong is left out in the same way, and the whole if it needs that.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _readable(_parsed(body), kind) or {}
        return kind(**{**found, INCOMPLETE: True})


def require_salvageable(kind: type[msgspec.Struct]) -> None:
    """Raise TypeError for a struct that cannot be made from nothing, or cannot say that it was."""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    if needed := [name for name, field in fields.items() if field.required]:
        raise TypeError(f"{kind.__name__} cannot be salvaged: {', '.join(needed)} must be given.")
    if INCOMPLETE not in fields:
        raise TypeError(f"{kind.__name__} has no field '{INCOMPLETE}'.")


def _parsed(body: bytes) -> Any:
    """What the body holds as JSON, read by who is lenient: of bad characters and of NaN (which no field takes)."""
    try:
        return json.loads(body.decode("utf-8", "replace"), strict=False) if len(body) <= LONGEST else None
    except (ValueError, RecursionError):
        return None


def _readable(given: Any, kind: type[msgspec.Struct]) -> dict[str, Any] | None:
    """The fields of a struct that can be read, by name; None if one that it needs cannot."""
    if not isinstance(given, Mapping):
        return None
    found = {}
    for field in msgspec.structs.fields(kind):
        try:
            found[field.name] = _value(given[field.encode_name], field.type)
        except (KeyError, msgspec.ValidationError):
            if field.required:
                return None
    return found


def _value(given: Any, kind: Any) -> Any:
    """A value as its field wants it. Raises ValidationError."""
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError:
        inner = _struct_in(kind)
        found = _readable(given, inner) if inner else None
        if inner is None or found is None:
            raise
        return inner(**found)


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """The struct that a field holds, if it holds one or none."""
    kinds = (kind, *typing.get_args(kind))
    return next((each for each in kinds if isinstance(each, type) and issubclass(each, msgspec.Struct)), None)
