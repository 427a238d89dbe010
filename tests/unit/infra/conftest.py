"""The real package of the stage `local`, built once, and unpacked as Lambda does."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from infra.build import build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the template and the zip."""
    return build("local", tmp_path_factory.mktemp("build") / "local")


@pytest.fixture(scope="session")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda has in /var/task."""
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(built / "deployment.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def template(built: Path) -> dict[str, Any]:
    """The template, to be looked at or spoilt."""
    found: dict[str, Any] = json.loads((built / "template.json").read_text())
    return found
