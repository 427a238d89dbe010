"""Who may import whom, read from the sources: imports point downwards only."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PRODUCT = "chalicelib"

ORDER = (
    "core",
    "erasure",
    "addresses",
    "people",
    "attention",
    "items",
    "fleet",
    "proxies",
    "redirections",
    "signatures",
    "judging",
    "alerts",
    "passes",
    "rounds",
    "sync",
    "reference",
    "connectors",
    "connectors.relay",
    "connectors.importer",
    "connectors.tracking",
)
"""The packages from the bottom up: each may import those before it. A new feature gets its line here."""

FORBIDDEN: Mapping[str, frozenset[str]] = {
    "routes": frozenset({"tables", "workers"}),
    "workers": frozenset({"tables", "routes", "entry", "app"}),
    "entry": frozenset({"service", "tables", "rules", "workers", "app"}),
    "service": frozenset({"routes", "workers", "app"}),
    "rules": frozenset({"service", "tables", "routes", "workers", "app"}),
    "codes": frozenset({"service", "tables", "rules", "routes", "workers", "app"}),
    "schemas": frozenset({"service", "tables", "rules", "routes", "workers", "app"}),
    "tables": frozenset({"service", "rules", "schemas", "routes", "workers", "app"}),
}
"""Kind of module → the kinds that it may not import.

A module's kind is the last word of its name, so that shapes which are seldom needed can be apart (`staff_schemas`). A
module of another name is a part of its feature's service.
"""

CODES = frozenset(
    {
        "addresses.country_names",
        "addresses.letters",
        "addresses.lines",
        "addresses.matcher",
        "addresses.name_reading",
        "addresses.name_words",
        "addresses.names",
        "alerts.aml",
        "alerts.cap",
        "alerts.ladder",
        "alerts.policies",
        "alerts.reports",
        "alerts.track",
        "connectors.announcement_file",
        "connectors.return_file",
        "fleet.attestation",
        "fleet.commands.kinds",
        "fleet.commands.states",
        "fleet.event_types",
        "fleet.google_roots",
        "items.countries",
        "items.event_types",
        "items.handover",
        "items.identifiers",
        "items.product_codes",
        "items.suivi",
        "items.suivi_codes",
        "items.terms",
        "passes.anomalies",
        "passes.cose",
        "passes.event_types",
        "passes.key_set",
        "passes.legal_bases",
        "passes.receipts",
        "passes.status_list",
        "passes.tokens",
        "people.ids",
        "proxies.carried",
        "proxies.states",
        "proxies.verdicts",
        "redirections.carried",
        "rounds.carried",
        "redirections.conditions",
        "signatures.documents",
        "signatures.drawings",
        "signatures.fonts",
        "signatures.page",
        "signatures.procedures",
    }
)
"""Code lists and formats: as pure as rules, and open to every kind of module."""

PURE = frozenset({"clock", "errors", "events", "ids", "intake", "schemas", "working_days"})
"""The modules of core that a pure decision may use: of the clock its constants and formats, never the time."""
THE_TIME = frozenset({"now", "today", "pause"})

EDGES: Mapping[str, frozenset[str]] = {
    "chalice": frozenset({"routes", "workers", "entry", "core.endpoint", "core.consumer"}),
    "boto3": frozenset(),
    "botocore": frozenset({"core.aws", "alerts.channels"}),
    "cryptography": frozenset(
        {
            "alerts.pins",
            "core.http_signatures",
            "core.keyring",
            "core.public_keys",
            "core.signing",
            "fleet.attestation",
            "passes.keys",
        },
    ),
}
"""Library → the kinds of module, and the modules, that may import it."""


class Module(NamedTuple):
    """A module and what it imports: modules of the product by their names within it, others by their first name."""

    name: str
    tree: ast.Module
    imports: frozenset[str]

    @property
    def package(self) -> str:
        """The feature it belongs to, or core."""
        return _package(self.name)

    @property
    def kind(self) -> str:
        """Its kind, a key of FORBIDDEN; modules of core have none."""
        return _kind(self.name)


def read(root: Path) -> list[Module]:
    """The modules of the product's tree that lies in `root`."""
    paths = sorted((root / PRODUCT).rglob("*.py"))
    names = {_name(path, root) for path in paths}
    return [_module(path, root, names) for path in paths]


def breaches(root: Path) -> list[str]:
    """What in the tree breaks the rules above, a sentence each."""
    found = []
    for module in read(root):
        for imported in sorted(module.imports):
            found += [f"{module.name} imports {imported}: {why}" for why in _wrong(module, imported)]
        found += [f"{module.name} asks the time: {name}" for name in _asks_the_time(module)]
    return found


def _wrong(module: Module, imported: str) -> Iterator[str]:
    if imported in EDGES and not {module.kind, module.name} & EDGES[imported]:
        yield "it stays at the edges"
    if not imported.startswith(f"{PRODUCT}."):
        return
    target = imported.removeprefix(f"{PRODUCT}.")
    own, other = module.package, _package(target)
    if ORDER.index(other) > ORDER.index(own):
        yield f"{other} stands above {own}"
    if "core" not in {own, other} and _kind(target) in FORBIDDEN[module.kind]:
        yield f"{module.kind} may not know {_kind(target)}"
    elif other not in {own, "core"} and _kind(target) in {"tables", "routes", "workers"}:
        yield f"it belongs to {other} alone"
    if module.kind in {"rules", "codes"} and other == "core" and target.removeprefix("core.") not in PURE:
        yield "a decision is pure"


def _asks_the_time(module: Module) -> list[str]:
    if module.kind not in {"rules", "codes"}:
        return []
    attributes = [node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)]
    return sorted(THE_TIME & set(attributes))


def _module(path: Path, root: Path, names: set[str]) -> Module:
    tree = ast.parse(path.read_text())
    return Module(_name(path, root), tree, frozenset(_imports(tree, names)))


def _imports(tree: ast.Module, names: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (_known(alias.name, "", names) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            yield from (_known(node.module, alias.name, names) for alias in node.names)


def _known(module: str, name: str, names: set[str]) -> str:
    if not module.startswith(PRODUCT):
        return module.partition(".")[0]
    deeper = f"{module}.{name}".removeprefix(f"{PRODUCT}.")
    return f"{PRODUCT}.{deeper}" if deeper in names else module


def _name(path: Path, root: Path) -> str:
    """`items.rules` of chalicelib/items/rules.py; a package by its own name."""
    parts = path.relative_to(root / PRODUCT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _package(name: str) -> str:
    return next((package for package in reversed(ORDER) if f"{name}.".startswith(f"{package}.")), ORDER[0])


def _kind(name: str) -> str:
    if name in CODES:
        return "codes"
    last = name.rpartition(".")[2].rpartition("_")[2]
    return last if last in FORBIDDEN else "service"
