"""Files that are on the disk whole or not at all, and gone for good, whenever the handset is killed or switched off."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads. When this returns, it is on the disk."""
    draft = path.with_suffix(".part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _settle(path.parent)


def write_json(path: Path, content: Any) -> None:
    """Write JSON as `write_whole` does."""
    write_whole(path, json.dumps(content).encode())


def read_json(path: Path) -> Any:
    """The JSON of a file; None if there is no such file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None


def remove(paths: Iterable[Path]) -> None:
    """Remove files, and folders with all that is in them, in this order. When this returns, they are gone.

    A link is removed, never what it leads to.
    """
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        _settle(path.parent)


def _settle(folder: Path) -> None:
    """What a folder lists is on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
