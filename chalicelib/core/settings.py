"""Settings: one typed model per function, read from the environment and checked before the first use."""

from __future__ import annotations

import functools
import os
from typing import TypeVar

import msgspec

PREFIX = "FACTEO_"


class SettingsInvalid(Exception):  # noqa: N818
    """The environment lacks a setting or holds a wrong one. Raised at start, not in the middle of a request."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What every function is told: its stage, which names its tables and log lines."""

    stage: str


SettingsT = TypeVar("SettingsT", bound=Settings)


@functools.cache
def load(kind: type[SettingsT]) -> SettingsT:
    """The settings of that kind: field `inbox_queue` comes from `FACTEO_INBOX_QUEUE`.

    An empty variable counts as none. Raises SettingsInvalid naming what is missing or wrong.
    """
    variables = {field.encode_name: PREFIX + field.encode_name.upper() for field in msgspec.structs.fields(kind)}
    given = {name: os.environ[variable] for name, variable in variables.items() if os.environ.get(variable)}
    missing = [variables[field.encode_name] for field in msgspec.structs.fields(kind) if field.required]
    missing = [variable for variable in missing if not os.environ.get(variable)]
    if missing:
        raise SettingsInvalid(f"{kind.__name__} needs {', '.join(missing)}.")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(f"{kind.__name__}, from variables that begin with {PREFIX}: {error}.") from error


def physical_name(name: str) -> str:
    """The deployed name of a table or another resource: `facteo-<stage>-<name>`."""
    return f"facteo-{load(Settings).stage}-{name}"
