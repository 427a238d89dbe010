"""Modules that are loaded at their first use: what few requests need makes no cold start slower."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType


def later(package: str, *names: str) -> list[ModuleType]:
    """These modules of a package, each loaded when something of it is asked for. Type checkers are told by an import
    under `TYPE_CHECKING`.
    """
    return [_later(f"{package}.{name}") for name in names]


def _later(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
