"""Worker functions start light: importing one loads neither routes nor what it only rarely needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

ROUTES = ("*.routes",)
HTTP_ONLY = ("http_message_signatures", "http_sf", "joserfc")

FORBIDDEN: dict[str, tuple[str, ...]] = {
    "chalicelib.connectors.relay.workers": (*ROUTES, *HTTP_ONLY, "asyncssh", "chalicelib.items.service"),
    "chalicelib.connectors.tracking.workers": (*ROUTES, *HTTP_ONLY, "asyncssh"),
}
"""Worker module → modules that it must not load. `*.routes` is any module of that name."""


def loaded_by(module: str) -> set[str]:
    """Every module that a fresh process has loaded after importing this one."""
    script = f"import sys, {module}; print('\\n'.join(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    return set(found.stdout.split())


@pytest.mark.parametrize("module", FORBIDDEN)
def test_a_worker_loads_nothing_that_it_must_not(module: str) -> None:
    loaded = loaded_by(module)
    forbidden = {name for name in FORBIDDEN[module] if "*" not in name}
    suffixes = tuple(name.removeprefix("*") for name in FORBIDDEN[module] if "*" in name)
    assert module in loaded
    assert not {name for name in loaded if name in forbidden or name.endswith(suffixes)}
