"""Imports point downwards only, and each kind of module keeps to its business."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import layers

ROOT = Path(__file__).parents[2]


def test_nothing_breaks_the_layers() -> None:
    assert layers.breaches(ROOT) == []


def test_every_folder_has_its_place_in_the_order() -> None:
    """A folder within a feature may be a package of its own, with its own tables, or a part of the feature."""
    folders = {".".join(path.parent.relative_to(ROOT / "chalicelib").parts) for path in _packages()}
    parts = {folder for folder in folders if folder.rpartition(".")[0] in layers.ORDER}
    assert folders - {""} - parts <= set(layers.ORDER) <= folders


@pytest.mark.parametrize("package", ["chalicelib", "handset", "reader", "infra", "demo"])
def test_every_package_says_what_it_is_for(package: str) -> None:
    silent = [path for path in (ROOT / package).rglob("__init__.py") if not path.read_text().startswith('"""')]
    assert silent == []


@pytest.mark.parametrize(
    ("module", "line", "why"),
    [
        ("core/journal.py", "from chalicelib.items import rules", "items stands above core"),
        ("items/service.py", "from chalicelib.rounds import service", "rounds stands above items"),
        ("rounds/bundle.py", "from chalicelib.items.tables import ItemRow", "it belongs to items alone"),
        ("items/routes.py", "from chalicelib.items import tables", "routes may not know tables"),
        ("items/routes.py", "import boto3", "it stays at the edges"),
        ("items/service.py", "from chalice.app import Response", "it stays at the edges"),
        ("items/service.py", "import botocore.session", "it stays at the edges"),
        ("items/rules.py", "from chalicelib.items import service", "rules may not know service"),
        ("items/rules.py", "from chalicelib.core import journal", "a decision is pure"),
        ("items/rules.py", "x = clock.now()", "asks the time: now"),
        ("items/schemas.py", "from chalicelib.items import rules", "schemas may not know rules"),
        ("items/staff_schemas.py", "from chalicelib.items import rules", "schemas may not know rules"),
        ("items/tables.py", "from chalicelib.items.schemas import Item", "tables may not know schemas"),
        ("rounds/workers.py", "from chalicelib.items import routes", "workers may not know routes"),
        ("items/entry.py", "from chalicelib.items import service", "entry may not know service"),
        ("items/service.py", "def f():\n    from chalicelib.sync import service", "sync stands above items"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, module: str, line: str, why: str) -> None:
    for name in ("core/journal", "items/rules", "items/service", "items/tables", "items/schemas", "items/routes"):
        _write(tmp_path, f"{name}.py", "")
    for name in ("rounds/service", "sync/service"):
        _write(tmp_path, f"{name}.py", "")
    assert layers.breaches(tmp_path) == []

    _write(tmp_path, module, line)

    [found] = layers.breaches(tmp_path)
    assert why in found


def _write(root: Path, module: str, text: str) -> None:
    path = root / layers.PRODUCT / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _packages() -> list[Path]:
    return list((ROOT / "chalicelib").rglob("__init__.py"))
