"""A door's log: whoever changes, cuts or mixes it is found out, and what is older than three months is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reader import receipts
from reader.memory import KEEP_SECONDS, Log
from reader.receipts import BrokenLog, Entry
from tests.support.doors import PASS_ID, READER, key

KEY = key("reader")
DAY = 86_400


def a_log(path: Path, entries: int, begins: int = 1_000_000_000, every: int = 60) -> Log:
    """A log of doors opened one after another."""
    log = Log(path, KEY)
    for number in range(entries):
        at = begins + number * every
        entry = Entry(READER, at, PASS_ID, bytes(32), receipts.OPENED, log.last)
        log.add(receipts.make(KEY, entry), at)
    return log


def test_it_is_proven_entry_by_entry(tmp_path: Path) -> None:
    a_log(tmp_path / "log", 5)
    entries = list(Log(tmp_path / "log", KEY).entries())
    assert [entry.at - 1_000_000_000 for entry in entries] == [0, 60, 120, 180, 240]
    assert entries[0].previous == receipts.BEFORE_THE_FIRST


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:1] + lines[2:],
        lambda lines: lines[:2] + lines[3:],
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [lines[0], lines[1].replace(b"6f70656e6564", b"636f70696564"), *lines[2:]],
        lambda lines: [lines[0], lines[1][:-2] + b"00", *lines[2:]],
        lambda lines: [b"11" * 32, *lines[1:]],
        lambda lines: [*lines, b"00"],
    ],
)
def test_a_change_is_found(tmp_path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = tmp_path / "log"
    a_log(path, 3)
    path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().splitlines())))
    with pytest.raises(BrokenLog):
        list(Log(path, KEY).entries())


def test_another_readers_entries_are_none_of_it(tmp_path: Path) -> None:
    a_log(tmp_path / "log", 2)
    with pytest.raises(BrokenLog):
        list(Log(tmp_path / "log", key("other reader")).entries())


def test_an_entry_that_was_half_written_when_the_current_failed_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    a_log(path, 2)
    path.write_bytes(path.read_bytes() + b"d2844f")
    log = Log(path, KEY)
    entry = Entry(READER, 1_000_000_200, PASS_ID, bytes(32), receipts.OPENED, log.last)
    log.add(receipts.make(KEY, entry), 1_000_000_200)
    assert len(list(Log(path, KEY).entries())) == 3


def test_it_forgets_after_three_months_and_stays_proven(tmp_path: Path) -> None:
    log = a_log(tmp_path / "log", 100, every=DAY)
    kept = list(log.entries())
    assert len(kept) == KEEP_SECONDS // DAY + 1
    assert kept[0].previous != receipts.BEFORE_THE_FIRST
    assert list(Log(tmp_path / "log", KEY).entries()) == kept
