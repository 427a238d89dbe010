"""A module that is loaded at its first use, and once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chalicelib.core.later import later


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a module that notes that it is loaded."""
    folder = tmp_path / "seldom"
    folder.mkdir()
    (folder / "__init__.py").write_text("loaded = []\n")
    (folder / "needed.py").write_text("import seldom\nseldom.loaded.append(1)\nanswer = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("seldom", "seldom.needed"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "seldom"


def test_it_is_loaded_at_its_first_use_and_once(package: str) -> None:
    (needed,) = later(package, "needed")
    assert sys.modules[package].loaded == []
    assert needed.answer == 42
    (again,) = later(package, "needed")
    assert (again.answer, sys.modules[package].loaded) == (42, [1])


def test_one_that_there_is_not_is_told_at_once(package: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        later(package, "nothing")
