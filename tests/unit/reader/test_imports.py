"""The reader stands alone, and neither it nor the handset leans on the back office."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]


def imported(path: Path) -> Iterator[str]:
    """The first names of what a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_the_reader_needs_cryptography_and_cbor2_and_nothing_else() -> None:
    names = {name for path in (ROOT / "reader").rglob("*.py") for name in imported(path)}
    assert names - sys.stdlib_module_names == {"reader", "cbor2", "cryptography"}


def test_what_it_needs_is_what_it_asks_for() -> None:
    """Pinned as the product pins it; cffi and pycparser come with cryptography."""
    lines = (ROOT / "reader" / "requirements.txt").read_text().splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert [line.partition("==")[0] for line in pinned] == ["cbor2", "cffi", "cryptography", "pycparser"]


def test_the_holders_side_knows_neither_reader_nor_back_office() -> None:
    assert set(imported(ROOT / "handset" / "passes.py")) - sys.stdlib_module_names == {"cbor2", "handset"}
