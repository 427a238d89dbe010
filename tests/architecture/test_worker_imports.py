"""Every function starts light: a budget of what importing its module may load, and nothing beside it.

What is not in a function's budget loads at its first use, or not at all. A line that is added here makes every cold
start of that function slower: `make bench` says by how much.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from bench.cold_start import APIS, MODULES

_CHALICE = ("chalice", "botocore", "certifi", "dateutil", "jmespath", "six", "typing_extensions", "urllib3")
_ALWAYS = frozenset({*_CHALICE, "aws_lambda_powertools", "msgspec", "pynamodb"})


class Budget(NamedTuple):
    """Libraries beside those that every function needs, and packages beside `core`, that importing may load.

    A package stands for all that is in it.
    """

    libraries: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()


_PEOPLE = frozenset({"people.ids", "people.lookup", "people.rules", "people.schemas", "people.tables"})
"""In which zone a depot lies."""

BUDGETS: Mapping[str, Budget] = {
    "app": Budget(
        frozenset({"cryptography", "http_message_signatures", "http_sf"}),
        frozenset(
            {
                "addresses",
                "attention",
                "connectors",
                "fleet.event_types",
                "items",
                "passes.carried",
                "passes.event_types",
                "passes.evidence",
                "passes.receipts",
                "passes.rules",
                "passes.schemas",
                "passes.store",
                "passes.tables",
                "people",
                "proxies",
                "redirections",
                "reference",
                "rounds",
                "signatures",
                "sync",
            },
        ),
    ),
    "chalicelib.alerts.entry": Budget(
        frozenset({"cryptography", "http_message_signatures", "http_sf"}),
        frozenset({"alerts", *_PEOPLE}),
    ),
    "chalicelib.alerts.workers": Budget(
        frozenset({"cryptography"}),
        frozenset({"alerts", *_PEOPLE}),
    ),
    "chalicelib.fleet.entry": Budget(
        frozenset({"cryptography", "http_message_signatures", "http_sf"}),
        frozenset({"attention.raising", "attention.schemas", "attention.tables", "fleet", *_PEOPLE}),
    ),
    "chalicelib.fleet.workers": Budget(
        packages=frozenset({"fleet.workers"}),
    ),
    "chalicelib.passes.entry": Budget(
        frozenset({"_cbor2", "cbor2", "cryptography", "http_message_signatures", "http_sf"}),
        frozenset(
            {
                "alerts",
                "fleet.attestation",
                "fleet.commands.kinds",
                "fleet.event_types",
                "fleet.guards.schemas",
                "fleet.lookup",
                "fleet.schemas",
                "fleet.tables",
                "passes",
                "people.statements",
                *_PEOPLE,
            }
        ),
    ),
    "chalicelib.passes.workers": Budget(
        packages=frozenset({"fleet.event_types", "passes.event_types", "passes.workers"}),
    ),
    "chalicelib.connectors.relay.workers": Budget(
        packages=frozenset(
            {
                "connectors.relay",
                "fleet.event_types",
                "items.event_types",
                "items.handover",
                "items.product_codes",
                "passes.event_types",
            }
        ),
    ),
    "chalicelib.connectors.importer.workers": Budget(
        packages=frozenset({"connectors.importer"}),
    ),
    "chalicelib.connectors.tracking.workers": Budget(
        packages=frozenset(
            {
                "connectors.relay",
                "connectors.return_file",
                "connectors.tracking",
                "fleet.event_types",
                "items.announced",
                "items.countries",
                "items.event_types",
                "items.handover",
                "items.identifiers",
                "items.product_codes",
                "items.schemas",
                "items.tables",
                "passes.event_types",
            }
        ),
    ),
    "chalicelib.rounds.workers": Budget(
        frozenset({"cryptography"}),
        frozenset(
            {
                "addresses.letters",
                "addresses.rules",
                "items.event_types",
                "items.product_codes",
                "items.rules",
                "items.schemas",
                "items.terms",
                "people.ids",
                "rounds",
            }
        ),
    ),
    "chalicelib.judging.workers": Budget(
        packages=frozenset({"items.event_types", "judging", "signatures.terms"}),
    ),
    "chalicelib.erasure.workers": Budget(
        frozenset({"cryptography"}),
        frozenset({"erasure"}),
    ),
}
"""Module that Lambda imports → what that may load."""

HTTP_ONLY = ("chalicelib.core.access", "chalicelib.core.endpoint", "chalicelib.core.oidc")
"""Of the core, what only the API needs. So are all modules called `routes`."""

HEAVY = ("asyncio", "asyncssh", "joserfc", "segno", "boto3", "unittest", "webauthn")
"""What no function loads before its first use, of the standard library too."""


@functools.cache
def loaded_by(module: str) -> frozenset[str]:
    """Every module that a fresh process has loaded after importing this one, as Lambda does."""
    script = f"import sys; before = set(sys.modules); import {module}; print('\\n'.join(set(sys.modules) - before))"
    environment = {**os.environ, "AWS_LAMBDA_FUNCTION_NAME": "facteo-test"}
    found = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return frozenset(found.stdout.split())


def test_every_function_has_a_budget() -> None:
    assert set(MODULES.values()) == set(BUDGETS)


@pytest.mark.parametrize("module", BUDGETS)
def test_loads_no_library_beyond_its_budget(module: str) -> None:
    known = sys.stdlib_module_names | _ALWAYS | BUDGETS[module].libraries | {"app", "chalicelib"}
    roots = {name.partition(".")[0] for name in loaded_by(module)}
    assert {root for root in roots - known if not root.startswith("_")} == set()


@pytest.mark.parametrize("module", BUDGETS)
def test_loads_no_package_of_ours_beyond_its_budget(module: str) -> None:
    allowed = BUDGETS[module].packages | {"core"}
    ours = {name.removeprefix("chalicelib.") for name in loaded_by(module) if name.startswith("chalicelib.")}
    assert {name for name in ours if not _is_within(name, allowed)} == set()


@pytest.mark.parametrize("module", BUDGETS)
def test_a_budget_names_nothing_that_is_not_loaded(module: str) -> None:
    loaded, budget = loaded_by(module), BUDGETS[module]
    named = budget.libraries | {f"chalicelib.{package}" for package in budget.packages}
    assert named <= loaded


@pytest.mark.parametrize("module", BUDGETS)
def test_loads_nothing_heavy_before_its_first_use(module: str) -> None:
    assert {name for name in loaded_by(module) if name in HEAVY} == set()


@pytest.mark.parametrize("module", sorted(BUDGETS.keys() - APIS))
def test_a_worker_loads_nothing_of_http(module: str) -> None:
    loaded = loaded_by(module)
    assert module in loaded
    assert {name for name in loaded if name in HTTP_ONLY or name.endswith(".routes")} == set()


def _is_within(name: str, allowed: frozenset[str]) -> bool:
    """Whether a budget's line covers the module, or the module is only a package above such a line."""
    return any(name == line or name.startswith(f"{line}.") or line.startswith(f"{name}.") for line in allowed)
