"""Where the package is unpacked: in memory only where that works."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra import memory

GIB = 2**30


def a_place(monkeypatch: pytest.MonkeyPatch, *, free: int, flags: int = 0) -> None:
    """Every file system has that many bytes and is mounted with these flags."""
    told = SimpleNamespace(f_bavail=free // 4096, f_frsize=4096, f_flag=flags)
    monkeypatch.setattr(os, "statvfs", lambda _: told)


def test_it_is_taken_if_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_place(monkeypatch, free=8 * GIB)
    assert memory.place(tmp_path) == tmp_path


@pytest.mark.parametrize(("free", "flags"), [(64 * 2**20, 0), (8 * GIB, os.ST_NOEXEC)])
def test_it_is_not_taken_if_it_is_small_or_programs_may_not_run_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, flags: int
) -> None:
    a_place(monkeypatch, free=free, flags=flags)
    assert memory.place(tmp_path) is None


def test_a_machine_that_has_none_does_without(tmp_path: Path) -> None:
    assert memory.place(tmp_path / "none") is None
